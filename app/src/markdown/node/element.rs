//! The elements and attributes that a text can become, and what takes them.

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
