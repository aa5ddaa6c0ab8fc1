//! A text as the server shows it: Markdown as elements, readable before any script runs.
//!
//! In the browser it shows nothing by itself. What came from the server stays as it is and is not read
//! again, so a long conversation opens without work; what is new is shown by [`super::streamed_text`].

use leptos::attr::Attribute;
use leptos::attr::any_attribute::AnyAttribute;
use leptos::prelude::{AddAnyAttr, Render, RenderHtml};
use leptos::tachys::hydration::Cursor;
use leptos::tachys::view::{Position, PositionState};

use super::passed_over::pass_over;
use crate::markdown::html::html;
use crate::markdown::parse::parse_whole;

/// The only child of its element.
#[derive(Debug, Clone)]
pub(super) struct ServerText(pub(super) String);

impl Render for ServerText {
    type State = ();

    fn build(self) -> Self::State {}

    fn rebuild(self, (): &mut Self::State) {}
}

impl AddAnyAttr for ServerText {
    type Output<NewAttr: Attribute> = Self;

    fn add_any_attr<NewAttr: Attribute>(self, _: NewAttr) -> Self::Output<NewAttr> {
        self
    }
}

impl RenderHtml for ServerText {
    type AsyncOutput = Self;
    type Owned = Self;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Self::AsyncOutput {
        self
    }

    fn html_len(&self) -> usize {
        self.0.len() * 2
    }

    fn to_html_with_buf(
        self,
        buf: &mut String,
        position: &mut Position,
        _escape: bool,
        _mark_branches: bool,
        _extra_attrs: Vec<AnyAttribute>,
    ) {
        // The tree holds text and elements of a closed list; its writer escapes all that is text.
        buf.push_str(&html(&parse_whole(&self.0)));
        *position = Position::NextChild;
    }

    fn hydrate<const FROM_SERVER: bool>(
        self,
        cursor: &Cursor,
        position: &PositionState,
    ) -> Self::State {
        pass_over(cursor, position);
    }

    fn into_owned(self) -> Self::Owned {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let mut html = String::new();
        let mut position = Position::FirstChild;
        ServerText(text.to_owned()).to_html_with_buf(
            &mut html,
            &mut position,
            true,
            false,
            Vec::new(),
        );
        assert_eq!(html, expect, "{text:?}");
    }

    #[test]
    fn the_server_writes_a_reply_as_elements() {
        check(
            "A **b** < c",
            "<p dir=\"auto\">A <strong>b</strong> &lt; c</p>",
        );
        check(
            "- a\n- b",
            "<ul><li><p dir=\"auto\">a</p></li><li><p dir=\"auto\">b</p></li></ul>",
        );
        check(
            "$x$",
            "<p dir=\"auto\"><span class=\"math\"><math display=\"inline\"><mi>x</mi></math></span></p>",
        );
        check("", "");
    }

    #[test]
    fn what_a_model_writes_stays_text() {
        check(
            "<img src=x onerror=alert(1)> a",
            "<p dir=\"auto\">&lt;img src=x onerror=alert(1)&gt; a</p>",
        );
        check(
            "[a](javascript:alert(1))",
            "<p dir=\"auto\">[a](javascript:alert(1))</p>",
        );
        check(
            "[a](https://b.c/\"onclick=\"x)",
            "<p dir=\"auto\"><a href=\"https://b.c/&quot;onclick=&quot;x\" rel=\"noopener noreferrer\" target=\"_blank\">a</a></p>",
        );
    }
}
