//! What a text means, as a tree: the one form in which it is compared, patched, and written.
//!
//! The kinds are a closed list, and so are the elements and attributes that each becomes. Whatever a
//! model writes, nothing else can come out: there is no kind for HTML, no attribute for style.

use super::link;

/// The name of the button that draws a diagram.
pub const DRAW: &str = "Draw";
/// The name of the button that shows a picture.
pub const SHOW_IMAGE: &str = "Show image";

/// A piece of meaning, with where it stands in the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the source, in bytes.
    pub start: usize,
    /// Where it ends in the source, in bytes.
    pub end: usize,
    /// What it holds, in order. Only [`Kind`]s that are no leaves hold anything.
    pub children: Vec<Node>,
}

/// Part of a text and where it came from: `len` bytes that are the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Where it begins in the text of the node.
    pub at: usize,
    /// Where it begins in the source.
    pub source: usize,
    /// How long it is.
    pub len: usize,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text, as it is read. Origins tell where in the source its parts stand.
    Text(String, Vec<Origin>),
    /// A line break that was asked for.
    Break,
    /// A paragraph; the text of a tight list's item is one, too.
    Paragraph,
    /// A later part of a paragraph or a heading that is too long for one element, see the module `parts`.
    Part {
        /// Whether it is one of a heading that began with `#`: then it ends with its line.
        is_heading: bool,
    },
    /// A heading of level 1 to 6.
    Heading(u8),
    /// A quotation.
    Quote(Direction),
    /// A list.
    List {
        /// The first number, if it is numbered.
        first: Option<u64>,
        /// Whether its items stand apart.
        loose: bool,
        /// Whether an item has text of its own; otherwise it makes no difference how they stand.
        has_text: bool,
        /// From which side it is laid out.
        direction: Direction,
    },
    /// An item of a list, with the state of its task if it is one.
    Item(Option<bool>),
    /// A block of code.
    CodeBlock {
        /// Its language, as the text names it.
        language: String,
        /// Whether it stands between fences; else it is indented.
        is_fenced: bool,
    },
    /// A thematic break.
    Rule,
    /// A table.
    Table(Direction),
    /// Its head, one row of [`Kind::Cell`]s.
    TableHead,
    /// Its body, of [`Kind::Row`]s.
    TableBody,
    /// A row of a table's body.
    Row,
    /// A cell.
    Cell {
        /// How its text is aligned.
        align: Align,
        /// Whether it heads a column.
        is_head: bool,
    },
    /// Lines of raw HTML, shown as the text that they are.
    Raw,
    /// The definition of a footnote.
    Footnote(String),
    /// A reference to a footnote.
    FootnoteReference(String),
    /// Emphasis.
    Emphasis,
    /// Strong emphasis.
    Strong,
    /// What no longer holds.
    Deleted,
    /// Code within a line.
    Code,
    /// A link to a safe address; to none while the address has not come.
    Link(Option<String>),
    /// A picture, shown as a link to it.
    Image(Option<String>),
    /// A picture within a link, shown as what it is called: links do not stand in links.
    ImageInLink,
    /// The button behind an [`Kind::Image`] that shows it, and the place where it is shown. What is in
    /// there is the page's own affair.
    ShowImage,
    /// A formula in TeX.
    Math {
        /// The formula.
        tex: String,
        /// Whether it stands in a line of its own.
        is_display: bool,
        /// Whether its end has come.
        is_whole: bool,
    },
}

/// The direction in which a container is laid out: that of the first letter in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// No letter has come, so it is that of what holds the container.
    #[default]
    Unknown,
    /// From left to right, as the page is.
    Ltr,
    /// From left to right, within a container that may be laid out the other way.
    NestedLtr,
    /// From right to left.
    Rtl,
}

impl Direction {
    fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Unknown | Self::Ltr => None,
            Self::NestedLtr => Some("ltr"),
            Self::Rtl => Some("rtl"),
        }
    }
}

/// How the text of a table's column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// As the language is written.
    Natural,
    /// To the left.
    Left,
    /// To the middle.
    Center,
    /// To the right.
    Right,
}

/// The elements that a text can become. There are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are HTML's own")]
pub enum Tag {
    A,
    Blockquote,
    Br,
    Button,
    Code,
    Del,
    Div,
    Em,
    Figure,
    H1,
    H2,
    H3,
    H4,
    H5,
    H6,
    Hr,
    Li,
    Ol,
    P,
    Pre,
    Span,
    Strong,
    Sup,
    Table,
    Tbody,
    Td,
    Th,
    Thead,
    Tr,
    Ul,
}

impl Tag {
    /// Its name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::Blockquote => "blockquote",
            Self::Br => "br",
            Self::Button => "button",
            Self::Code => "code",
            Self::Del => "del",
            Self::Div => "div",
            Self::Em => "em",
            Self::Figure => "figure",
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::H3 => "h3",
            Self::H4 => "h4",
            Self::H5 => "h5",
            Self::H6 => "h6",
            Self::Hr => "hr",
            Self::Li => "li",
            Self::Ol => "ol",
            Self::P => "p",
            Self::Pre => "pre",
            Self::Span => "span",
            Self::Strong => "strong",
            Self::Sup => "sup",
            Self::Table => "table",
            Self::Tbody => "tbody",
            Self::Td => "td",
            Self::Th => "th",
            Self::Thead => "thead",
            Self::Tr => "tr",
            Self::Ul => "ul",
        }
    }

    /// Whether it has no content and no end tag.
    #[must_use]
    pub fn is_void(self) -> bool {
        matches!(self, Self::Br | Self::Hr)
    }
}

/// The attributes that a text can become. Of what the text says, only a safe address and the name of a
/// language are ever in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are HTML's own")]
pub enum Attr {
    AriaLabel,
    Class,
    DataAct,
    DataDone,
    DataLanguage,
    Dir,
    Href,
    Rel,
    Role,
    Start,
    TabIndex,
    Target,
    Type,
}

impl Attr {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AriaLabel => "aria-label",
            Self::Class => "class",
            Self::DataAct => "data-act",
            Self::DataDone => "data-done",
            Self::DataLanguage => "data-language",
            Self::Dir => "dir",
            Self::Href => "href",
            Self::Rel => "rel",
            Self::Role => "role",
            Self::Start => "start",
            Self::TabIndex => "tabindex",
            Self::Target => "target",
            Self::Type => "type",
        }
    }
}

/// Where elements and text are written to: a document, a string, a test.
pub trait Sink {
    /// Begins an element within the one that is open.
    fn open(&mut self, tag: Tag);
    /// Gives the element that was just opened an attribute.
    fn attr(&mut self, name: Attr, value: &str);
    /// Adds text to the element that is open.
    fn text(&mut self, text: &str);
    /// Ends the element that is open.
    fn close(&mut self);
    /// Adds a whole formula, in TeX, to the element that is open. Where it is not drawn, its source is.
    fn formula(&mut self, tex: &str, is_display: bool) {
        let _ = is_display;
        self.text(tex);
    }
}

impl Node {
    /// A node without children.
    #[must_use]
    pub fn new(kind: Kind, start: usize, end: usize) -> Self {
        Self {
            kind,
            start,
            end,
            children: Vec::new(),
        }
    }

    /// Writes it with all that it holds.
    pub fn write(&self, sink: &mut impl Sink) {
        if let Kind::Text(text, _) = &self.kind {
            sink.text(text);
            return;
        }
        let depth = self.kind.open(sink);
        for child in &self.children {
            child.write(sink);
        }
        for _ in 0..depth {
            sink.close();
        }
    }
}

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

    /// Which attributes of its outermost element can be others for a kind that [is like it](Self::is_like).
    #[must_use]
    pub fn changing(&self) -> &'static [Attr] {
        match self {
            Self::List { .. } => &[Attr::Class, Attr::Start, Attr::Dir],
            Self::Quote(_) | Self::Table(_) => &[Attr::Dir],
            Self::Link(_) | Self::Image(_) => &[Attr::Href, Attr::Rel, Attr::Target],
            _ => &[],
        }
    }

    /// Opens what stands between its outermost element and its children.
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

    /// Adds to a container what is known of a later part of it.
    pub fn join(&mut self, later: &Self) {
        if let (
            Self::List {
                loose, has_text, ..
            },
            Self::List {
                loose: also_loose,
                has_text: also_text,
                ..
            },
        ) = (&mut *self, later)
        {
            *loose |= also_loose;
            *has_text |= also_text;
        }
        if let (Some(direction @ Direction::Unknown), Some(found)) =
            (self.direction_mut(), later.direction())
        {
            *direction = found;
        }
    }

    /// The direction of a container that has one of its own.
    pub(super) fn direction(&self) -> Option<Direction> {
        match self {
            Self::Quote(direction) | Self::Table(direction) | Self::List { direction, .. } => {
                Some(*direction)
            }
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn direction_mut(&mut self) -> Option<&mut Direction> {
        match self {
            Self::Quote(direction) | Self::Table(direction) | Self::List { direction, .. } => {
                Some(direction)
            }
            _ => None,
        }
    }

    /// How many elements of its own stand before its children in the one that takes them.
    #[must_use]
    pub fn own_children(&self) -> usize {
        match self {
            Self::Item(Some(_)) | Self::Footnote(_) => 1,
            // All of them: it has no children.
            Self::ShowImage => usize::MAX,
            _ => 0,
        }
    }

    /// Whether it is a paragraph, or a later part of one.
    #[must_use]
    pub fn is_paragraph(&self) -> bool {
        matches!(self, Self::Paragraph | Self::Part { .. })
    }

    /// Whether it is the same kind of block, whatever more is known of it.
    #[must_use]
    pub fn is_same_block(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            || (self.is_paragraph() && other.is_paragraph())
    }

    /// Whether it is a link to something, or a picture within one.
    #[must_use]
    pub fn is_link(&self) -> bool {
        matches!(self, Self::Link(_) | Self::Image(_) | Self::ImageInLink)
    }

    /// Whether an element that shows the one kind can come to show the other by its attributes alone.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List { first: a, .. }, Self::List { first: b, .. }) => {
                a.is_some() == b.is_some()
            }
            (Self::Link(_), Self::Link(_))
            | (Self::Image(_), Self::Image(_))
            | (Self::Quote(_), Self::Quote(_))
            | (Self::Table(_), Self::Table(_)) => true,
            _ => self == other,
        }
    }
}

impl Align {
    fn class(self) -> &'static str {
        match self {
            Self::Natural => "",
            Self::Left => "left",
            Self::Center => "center",
            Self::Right => "right",
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
