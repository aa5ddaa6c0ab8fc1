//! The tree as HTML, for the server and for tests. What the text says is escaped here and nowhere else.

use super::node::{Attr, Node, Sink, Tag};

/// Writes nodes as HTML.
#[must_use]
pub fn html(nodes: &[Node]) -> String {
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
        self.finish_tag();
        self.html.push('<');
        self.html.push_str(tag.name());
        self.open.push(tag);
        self.is_in_tag = true;
    }

    fn attr(&mut self, name: Attr, value: &str) {
        debug_assert!(self.is_in_tag, "attributes come before content");
        self.html.push(' ');
        self.html.push_str(name.name());
        self.html.push_str("=\"");
        self.escape(value);
        self.html.push('"');
    }

    fn text(&mut self, text: &str) {
        self.finish_tag();
        self.escape(text);
    }

    fn close(&mut self) {
        self.finish_tag();
        let Some(tag) = self.open.pop() else { return };
        if !tag.is_void() {
            self.html.push_str("</");
            self.html.push_str(tag.name());
            self.html.push('>');
        }
    }
}
