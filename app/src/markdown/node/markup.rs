//! The elements that each kind of node becomes.

use super::{Attr, DRAW, Direction, Kind, SHOW_IMAGE, Sink, Tag};
use crate::markdown::link;

impl Kind {
    /// Opens the elements that it becomes, the one that takes its children last; says how many. Text
    /// opens none.
    pub fn open(&self, sink: &mut impl Sink) -> usize {
        let (tag, class) = match self {
            Self::Text(..) => return 0,
            Self::Break => (Tag::Br, ""),
            Self::Paragraph => (Tag::P, ""),
            Self::Part { .. } => (Tag::P, "part"),
            Self::Heading(level) => (heading(*level), ""),
            Self::Quote(_) => (Tag::Blockquote, ""),
            Self::List { first: None, .. } => (Tag::Ul, ""),
            Self::List { .. } => (Tag::Ol, ""),
            Self::Item(None) => (Tag::Li, ""),
            Self::Item(Some(_)) => (Tag::Li, "task"),
            Self::CodeBlock { .. } => (Tag::Figure, "code"),
            Self::Rule => (Tag::Hr, ""),
            Self::Table(_) => (Tag::Div, "table"),
            Self::TableHead => (Tag::Thead, ""),
            Self::TableBody => (Tag::Tbody, ""),
            Self::Row => (Tag::Tr, ""),
            Self::Cell { align, is_head } => {
                (if *is_head { Tag::Th } else { Tag::Td }, align.class())
            }
            Self::Raw => (Tag::P, "raw"),
            Self::Footnote(_) => (Tag::Div, "footnote"),
            Self::FootnoteReference(_) => (Tag::Sup, ""),
            Self::Emphasis => (Tag::Em, ""),
            Self::Strong => (Tag::Strong, ""),
            Self::Deleted => (Tag::Del, ""),
            Self::Code => (Tag::Code, ""),
            Self::Link(_) => (Tag::A, ""),
            Self::Image(_) => (Tag::A, "image"),
            Self::ImageInLink => (Tag::Span, "image"),
            Self::ShowImage => (Tag::Span, "picture"),
            Self::Math { is_display, .. } => {
                (Tag::Span, if *is_display { "math display" } else { "math" })
            }
        };
        sink.open(tag);
        if !class.is_empty() {
            sink.attr(Attr::Class, class);
        }
        self.attributes(&mut |name, value| sink.attr(name, value));
        1 + self.open_within(sink)
    }

    /// The attributes of its outermost element that can change while a text grows.
    pub fn attributes(&self, set: &mut impl FnMut(Attr, &str)) {
        if let Some(direction) = self.direction().and_then(Direction::attribute) {
            set(Attr::Dir, direction);
        }
        match self {
            Self::Paragraph | Self::Part { .. } | Self::Heading(_) | Self::Cell { .. } => {
                set(Attr::Dir, "auto");
            }
            Self::Raw => set(Attr::Dir, "ltr"),
            Self::List {
                first,
                loose,
                has_text,
                ..
            } => {
                if *loose && *has_text {
                    set(Attr::Class, "loose");
                }
                if let Some(first) = first.filter(|first| *first != 1) {
                    set(Attr::Start, &first.to_string());
                }
            }
            Self::CodeBlock { language, .. } => {
                if !language.is_empty() {
                    set(Attr::DataLanguage, language);
                }
            }
            Self::Link(address) | Self::Image(address) => {
                // It was judged when it was read. Here it is judged again, since here it counts.
                if let Some(address) = address.as_deref().and_then(link::safe) {
                    set(Attr::Href, &address);
                    set(Attr::Rel, "noopener noreferrer");
                    set(Attr::Target, "_blank");
                }
            }
            _ => {}
        }
    }

    /// Opens the elements between the outermost one and the children.
    fn open_within(&self, sink: &mut impl Sink) -> usize {
        match self {
            Self::Item(Some(is_done)) => {
                sink.open(Tag::Span);
                sink.attr(Attr::Class, "box");
                sink.attr(Attr::Role, "img");
                sink.attr(Attr::AriaLabel, if *is_done { "Done" } else { "To do" });
                sink.attr(Attr::DataDone, if *is_done { "true" } else { "false" });
                sink.close();
                0
            }
            Self::CodeBlock { language, .. } => {
                sink.open(Tag::Div);
                sink.attr(Attr::Class, "bar");
                // An attribute, like the words of the buttons.
                sink.open(Tag::Span);
                sink.attr(Attr::Class, "language");
                sink.attr(Attr::DataLanguage, language);
                sink.close();
                if is_diagram(language) {
                    button(sink, "draw", DRAW);
                }
                button(sink, "wrap", "Wrap");
                button(sink, "download", "Download");
                button(sink, "copy", "Copy code");
                sink.close();
                sink.open(Tag::Pre);
                sink.attr(Attr::TabIndex, "0");
                sink.attr(Attr::Dir, "ltr");
                sink.open(Tag::Code);
                2
            }
            Self::ShowImage => {
                button(sink, "show-image", SHOW_IMAGE);
                0
            }
            Self::Table(_) => {
                sink.attr(Attr::TabIndex, "0");
                sink.attr(Attr::Role, "group");
                sink.attr(Attr::AriaLabel, "Table");
                sink.open(Tag::Table);
                1
            }
            Self::TableHead => {
                sink.open(Tag::Tr);
                1
            }
            Self::Footnote(label) => {
                sink.open(Tag::Sup);
                sink.text(label);
                sink.close();
                0
            }
            Self::FootnoteReference(label) => {
                sink.text(label);
                0
            }
            Self::Math {
                tex,
                is_display,
                is_whole,
            } => {
                if *is_whole {
                    sink.formula(tex, *is_display);
                } else {
                    sink.text(tex);
                }
                0
            }
            _ => 0,
        }
    }
}

/// Whether code of this language can be drawn.
fn is_diagram(language: &str) -> bool {
    language.eq_ignore_ascii_case("mermaid")
}

/// Adds a button. Its words are an attribute that the style shows, so that nobody selects or copies them.
fn button(sink: &mut impl Sink, act: &str, label: &str) {
    sink.open(Tag::Button);
    sink.attr(Attr::Type, "button");
    sink.attr(Attr::DataAct, act);
    sink.attr(Attr::AriaLabel, label);
    sink.close();
}

fn heading(level: u8) -> Tag {
    match level {
        1 => Tag::H1,
        2 => Tag::H2,
        3 => Tag::H3,
        4 => Tag::H4,
        5 => Tag::H5,
        _ => Tag::H6,
    }
}
