//! The tree as HTML, for the server and for tests. What the text says is escaped here and nowhere else.

use std::time::Instant;

use super::formula::{Step, formula};
use super::node::{Attr, Node, Sink, Tag};

/// Writes nodes as HTML.
#[must_use]
pub fn html(nodes: &[Node]) -> String {
    let mut writer = Html {
        draws_formulas: true,
        ..Html::default()
    };
    for node in nodes {
        node.write(&mut writer);
    }
    writer.finish()
}

/// The same, unless it is not done at this time: then there is none.
#[must_use]
pub fn html_until(nodes: &[Node], deadline: Instant) -> Option<String> {
    let mut writer = Html {
        draws_formulas: true,
        deadline: Some(deadline),
        ..Html::default()
    };
    for node in nodes {
        node.write(&mut writer);
        if writer.is_late {
            return None;
        }
    }
    Some(writer.finish())
}

/// A text as HTML that shows it as it is.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut writer = Html::default();
    writer.escape(text);
    writer.html
}

/// All of it, with formulas as they were written.
#[cfg(any(test, fuzzing))]
pub(super) fn plain_html(nodes: &[Node]) -> String {
    let mut writer = Html::default();
    for node in nodes {
        node.write(&mut writer);
    }
    writer.finish()
}

/// A writer of HTML.
#[derive(Default)]
pub(super) struct Html {
    html: String,
    open: Vec<Tag>,
    /// Whether the last start tag still takes attributes.
    is_in_tag: bool,
    /// Whether formulas become MathML; else they stay as they were written.
    draws_formulas: bool,
    /// When drawing them is to end.
    deadline: Option<Instant>,
    /// Whether it was too late for one.
    is_late: bool,
}

impl Html {
    /// All that was written.
    pub(super) fn finish(mut self) -> String {
        self.finish_tag();
        self.html
    }

    fn finish_tag(&mut self) {
        if std::mem::take(&mut self.is_in_tag) {
            self.html.push('>');
        }
    }

    fn open_tag(&mut self, name: &str) {
        self.finish_tag();
        self.html.push('<');
        self.html.push_str(name);
        self.is_in_tag = true;
    }

    fn attribute(&mut self, name: &str, value: &str) {
        debug_assert!(self.is_in_tag, "attributes come before content");
        self.html.push(' ');
        self.html.push_str(name);
        self.html.push_str("=\"");
        self.escape(value);
        self.html.push('"');
    }

    fn close_tag(&mut self, name: &str) {
        self.finish_tag();
        self.html.push_str("</");
        self.html.push_str(name);
        self.html.push('>');
    }

    fn escape(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            self.html.push_str(&rest[..at]);
            self.html.push_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            });
            rest = &rest[at + 1..];
        }
        self.html.push_str(rest);
    }
}

impl Sink for Html {
    fn open(&mut self, tag: Tag) {
        self.open_tag(tag.name());
        self.open.push(tag);
    }

    fn attr(&mut self, name: Attr, value: &str) {
        self.attribute(name.name(), value);
    }

    fn text(&mut self, text: &str) {
        self.finish_tag();
        self.escape(text);
    }

    fn close(&mut self) {
        let Some(tag) = self.open.pop() else { return };
        if tag.is_void() {
            self.finish_tag();
        } else {
            self.close_tag(tag.name());
        }
    }

    fn formula(&mut self, tex: &str, is_display: bool) {
        self.is_late |= self.deadline.is_some_and(|time| Instant::now() > time);
        if self.is_late {
            return;
        }
        let steps = self
            .draws_formulas
            .then(|| formula(tex, is_display))
            .flatten();
        let Some(steps) = steps else {
            return self.text(tex);
        };
        let mut open = Vec::new();
        for step in steps {
            match step {
                Step::Open(name) => {
                    self.open_tag(name);
                    open.push(name);
                }
                Step::Attr(name, value) => self.attribute(name, &value),
                Step::Text(text) => self.text(&text),
                Step::Close => self.close_tag(open.pop().unwrap_or_default()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::parse::parse_whole;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(html(&parse_whole(text)), expect, "{text:?}");
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
    fn a_picture_is_a_link_and_a_button_that_shows_it() {
        const SHOW: &str = "<span class=\"picture\"><button type=\"button\" data-act=\"show-image\" aria-label=\"Show image\"></button></span>";
        check(
            "![a *b*](https://c.d/e)",
            &format!(
                "<p dir=\"auto\"><a class=\"image\" href=\"https://c.d/e\" rel=\"noopener noreferrer\" target=\"_blank\">a <em>b</em></a>{SHOW}</p>"
            ),
        );
        check(
            "![a](HTTP://c.d)",
            &format!(
                "<p dir=\"auto\"><a class=\"image\" href=\"HTTP://c.d\" rel=\"noopener noreferrer\" target=\"_blank\">a</a>{SHOW}</p>"
            ),
        );
        check(
            "![a](mailto:c@d.e)",
            "<p dir=\"auto\"><a class=\"image\" href=\"mailto:c@d.e\" rel=\"noopener noreferrer\" target=\"_blank\">a</a></p>",
        );
        check("![a](c.png)", "<p dir=\"auto\">![a](c.png)</p>");
    }

    #[test]
    fn a_picture_in_a_link_is_neither_a_link_nor_a_button() {
        check(
            "[![a](https://c.d/e) b](https://f.g)",
            "<p dir=\"auto\"><a href=\"https://f.g\" rel=\"noopener noreferrer\" target=\"_blank\"><span class=\"image\">a</span> b</a></p>",
        );
    }

    #[test]
    fn only_a_diagram_can_be_drawn() {
        let check = |language: &str, expect: bool| {
            let html = html(&parse_whole(&format!("```{language}\nx\n```")));
            assert_eq!(html.contains("data-act=\"draw\""), expect, "{language}");
        };
        check("mermaid", true);
        check("Mermaid", true);
        check("mermaid title", true);
        check("mermaids", false);
        check("rust", false);
        check("", false);
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
