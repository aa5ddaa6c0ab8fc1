//! A text as the server shows it: Markdown as elements, readable before any script runs.
//!
//! In the browser it shows nothing by itself. What came from the server stays as it is and is not read
//! again, so a long conversation opens without work; what is new is shown by [`super::streamed_text`].

use leptos::attr::Attribute;
use leptos::attr::any_attribute::AnyAttribute;
use leptos::prelude::{AddAnyAttr, Render, RenderHtml};
use leptos::tachys::hydration::Cursor;
use leptos::tachys::view::{Position, PositionState};

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

    fn hydrate<const FROM_SERVER: bool>(self, _: &Cursor, _: &PositionState) -> Self::State {}

    fn into_owned(self) -> Self::Owned {
        self
    }
}
