//! What a text means, as a tree: the one form in which it is compared, patched, and written.
//!
//! The kinds are a closed list, and so are the elements and attributes that each becomes. Whatever a
//! model writes, nothing else can come out: there is no kind for HTML, no attribute for style.

mod element;
mod markup;

pub use self::element::{Attr, Sink, Tag};

/// The name of the button that draws a diagram.
pub const DRAW: &str = "Draw";
/// The name of the button that shows a picture.
pub const SHOW_IMAGE: &str = "Show image";

/// A piece of meaning, with where it is in the source.
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
    /// Text, as it is read. Origins tell where in the source its parts are.
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
        /// Whether blank lines separate its items.
        loose: bool,
        /// Whether an item has text of its own; otherwise blank lines make no difference.
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
        /// Whether it is between fences; else it is indented.
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
    /// A picture within a link, shown as what it is called: links are not in links.
    ImageInLink,
    /// The button behind an [`Kind::Image`] that shows it, and the place where it is shown. What is in
    /// there is the page's own affair.
    ShowImage,
    /// A formula in TeX.
    Math {
        /// The formula.
        tex: String,
        /// Whether it has a line of its own.
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
    /// That of a container by its first letter, if it has one, within another that has a direction or on the page itself.
    pub(super) fn new(is_rtl: Option<bool>, is_nested: bool) -> Self {
        match (is_rtl, is_nested) {
            (None, _) => Self::Unknown,
            (Some(true), _) => Self::Rtl,
            (Some(false), true) => Self::NestedLtr,
            (Some(false), false) => Self::Ltr,
        }
    }

    /// This one, or another where no letter has come.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Unknown { other } else { self }
    }

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
        if let (Some(known), Some(found)) = (self.direction(), later.direction()) {
            self.set_direction(known.or(found));
        }
    }

    /// Takes back what is not certain of a container, if only this is.
    pub(super) fn take_back(&mut self, certain: &Self) {
        if let (
            Self::List {
                loose, has_text, ..
            },
            Self::List {
                loose: is_loose,
                has_text: has_certain_text,
                ..
            },
        ) = (&mut *self, certain)
        {
            *loose = *is_loose;
            *has_text = *has_certain_text;
        }
        if let Some(direction) = certain.direction() {
            self.set_direction(direction);
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

    /// Sets that, if it has one.
    pub(super) fn set_direction(&mut self, new: Direction) {
        if let Self::Quote(direction) | Self::Table(direction) | Self::List { direction, .. } = self
        {
            *direction = new;
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
