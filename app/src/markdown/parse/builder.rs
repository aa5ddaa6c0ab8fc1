//! Builds the tree of a text from the events of the parser.

mod blocks;
mod depth;
mod inline;

use std::collections::HashMap;
use std::ops::Range;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Tag, TagEnd};

use self::depth::TooDeep;
use self::inline::{is_line_break, is_reference};
use super::{Own, footnote_labels};
use crate::markdown::definitions::Label;
use crate::markdown::link;
use crate::markdown::masks::Masked;
use crate::markdown::node::{Align, Direction, Kind, Node, Origin};
use crate::markdown::parts;

/// No language has a longer name.
const LONGEST_LANGUAGE: usize = 40;

/// In a table of more columns than this, a row is not filled up with the cells that it lacks.
const FILLED_COLUMNS: usize = 16;

pub(super) struct Builder<'a> {
    pub(super) source: &'a str,
    /// What the parser reads in its place, if that is something else.
    pub(super) masked: Option<&'a Masked>,
    /// The addresses of definitions that the parser does not see as they were written, by the label as it sees that.
    pub(super) written_addresses: HashMap<Label, String>,
    /// Whether the heading that is open stands for a display formula.
    pub(super) is_in_formula: bool,
    pub(super) own: Own,
    /// What is shown as its source because it is too deep.
    too_deep: Option<TooDeep>,
    pub(super) root: Vec<Node>,
    /// Whether an underline makes the paragraph a heading, of which a part was committed before.
    pub(super) is_underlined: bool,
    /// Whether there is a paragraph that has to be shown in parts.
    pub(super) has_long: bool,
    /// The nodes that are open, from the outside in.
    pub(super) open: Vec<Node>,
    /// How the columns of the table that is open are aligned. A table holds no other.
    pub(super) columns: Vec<Align>,
    /// The footnotes that are defined, and where.
    pub(super) footnotes: Vec<(String, usize)>,
    /// Footnotes that are referred to, but nowhere defined.
    pub(super) unknown: Vec<(Label, usize)>,
    /// References to what is defined.
    pub(super) used: Vec<(Label, usize)>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(source: &'a str, own: Own) -> Self {
        Self {
            source,
            masked: None,
            written_addresses: HashMap::new(),
            is_in_formula: false,
            own,
            too_deep: None,
            root: Vec::new(),
            is_underlined: false,
            has_long: false,
            open: Vec::new(),
            columns: Vec::new(),
            footnotes: Vec::new(),
            unknown: Vec::new(),
            used: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        if let Some(label) = self.label_of(&event, &range) {
            self.used.push((label, range.start));
        }
        if self.too_deep.is_some() {
            return self.pass(&event, &range);
        }
        if self.is_in_formula {
            self.is_in_formula = !matches!(event, Event::End(TagEnd::Heading(_)));
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text, range),
            Event::Html(text) => self.text(&text, range),
            Event::InlineHtml(html) if is_line_break(&html) => {
                self.leaf(Kind::Break, range);
            }
            Event::InlineHtml(html) => self.text(&html, range),
            // The line of a tag that breaks it ends there.
            Event::SoftBreak | Event::HardBreak if self.is_behind_break_tag(range.start) => {}
            Event::SoftBreak => self.text("\n", range),
            Event::HardBreak => self.leaf(Kind::Break, range),
            Event::Rule => {
                self.end_implied();
                self.add(Node::new(Kind::Rule, range.start, range.end));
            }
            Event::Code(code) => {
                self.begin_implied(range.start);
                let mut node = Node::new(Kind::Code, range.start, range.end);
                let code = self.unmasked(&code, range.clone()).into_owned();
                node.children.push(Node::new(
                    Kind::Text(code, Vec::new()),
                    range.start,
                    range.end,
                ));
                self.add(node);
            }
            Event::InlineMath(_) | Event::DisplayMath(_) => self.math(range),
            Event::FootnoteReference(label) => {
                let label = self.unmasked(&label, range.clone()).into_owned();
                self.leaf(Kind::FootnoteReference(label), range);
            }
            Event::TaskListMarker(is_done) => {
                if let Some(item) = self
                    .open
                    .iter_mut()
                    .rfind(|node| matches!(node.kind, Kind::Item(_)))
                {
                    item.kind = Kind::Item(Some(is_done));
                }
            }
        }
    }

    /// The label by which a reference finds its definition. Also a reference that is not shown has one: whether it is
    /// defined decides what the brackets around it mean.
    pub(super) fn label_of(&self, event: &Event<'_>, range: &Range<usize>) -> Option<Label> {
        match event {
            Event::Start(Tag::Link { link_type, id, .. } | Tag::Image { link_type, id, .. }) => {
                is_reference(*link_type).then(|| Label::link(&self.unmasked(id, range.clone())))
            }
            Event::FootnoteReference(label) => {
                Some(Label::footnote(&self.unmasked(label, range.clone())))
            }
            _ => None,
        }
    }

    pub(super) fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        let kind = match tag {
            Tag::Paragraph => {
                self.mark_loose();
                Kind::Paragraph
            }
            Tag::Heading { .. } if self.begin_formula(&range) => return,
            Tag::Heading { level, .. } => Kind::Heading(level as u8),
            Tag::BlockQuote(_) => Kind::Quote(Direction::Unknown),
            Tag::CodeBlock(CodeBlockKind::Indented) => Kind::CodeBlock {
                language: String::new(),
                is_fenced: false,
            },
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) => Kind::CodeBlock {
                language: language(&self.unmasked(&info, range.clone())),
                is_fenced: true,
            },
            Tag::HtmlBlock => Kind::Raw,
            Tag::List(first) => Kind::List {
                first,
                loose: false,
                has_text: false,
                direction: Direction::Unknown,
            },
            Tag::Item => Kind::Item(None),
            Tag::FootnoteDefinition(label) => {
                let label = self.unmasked(&label, range.clone()).into_owned();
                self.footnotes.push((label.clone(), range.start));
                Kind::Footnote(label)
            }
            Tag::Table(alignment) => {
                self.columns = alignment.into_iter().map(Align::from).collect();
                Kind::Table(Direction::Unknown)
            }
            Tag::TableHead => Kind::TableHead,
            Tag::TableRow => Kind::Row,
            Tag::TableCell => self.next_cell(),
            Tag::Emphasis => Kind::Emphasis,
            Tag::Strong => Kind::Strong,
            Tag::Strikethrough => Kind::Deleted,
            Tag::Link {
                link_type,
                dest_url,
                id,
                ..
            } => {
                let address = self.address_of(link_type, &id, &dest_url, &range);
                Kind::Link(self.if_whole(address, &range))
            }
            Tag::Image { .. } if self.is_in_link() => Kind::ImageInLink,
            Tag::Image {
                link_type,
                dest_url,
                id,
                ..
            } => {
                let address = self.address_of(link_type, &id, &dest_url, &range);
                Kind::Image(self.if_whole(address, &range))
            }
            // Never emitted with these options.
            Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => Kind::Paragraph,
        };
        if self.is_too_deep(&kind) {
            return self.begin_too_deep(&kind, range);
        }
        if is_inline(&kind) {
            self.begin_implied(range.start);
        } else {
            self.end_implied();
        }
        self.open.push(Node::new(kind, range.start, range.end));
    }

    pub(super) fn end(&mut self, tag: TagEnd) {
        if matches!(tag, TagEnd::Item | TagEnd::FootnoteDefinition) {
            self.end_implied();
        }
        let Some(mut node) = self.open.pop() else {
            return;
        };
        match node.kind {
            Kind::Row => {
                // Rows of two bytes each below a head of a thousand columns would else be millions of cells.
                if node.children.len() > FILLED_COLUMNS {
                    let is_filled = |cell: &Node| !cell.children.is_empty();
                    let filled = node.children.iter().rposition(is_filled);
                    node.children.truncate(filled.map_or(1, |last| last + 1));
                }
                self.add_row(node);
            }
            Kind::Item(_) => {
                if let Some(Kind::List { has_text, .. }) =
                    self.open.last_mut().map(|list| &mut list.kind)
                {
                    *has_text |= node
                        .children
                        .iter()
                        .any(|child| child.kind == Kind::Paragraph);
                }
                self.add(node);
            }
            Kind::Link(Some(ref address)) | Kind::Image(Some(ref address))
                if link::safe(address).is_none() =>
            {
                self.unlink(node);
            }
            _ => {
                if self.own.is_part
                    && node.start < self.own.from
                    && matches!(node.kind, Kind::Heading(_))
                {
                    // The parts before it are shown as paragraphs.
                    node.kind = Kind::Paragraph;
                    self.is_underlined |= !self.source[node.start..].starts_with('#');
                }
                self.finish(&mut node);
                let shown = match &node.kind {
                    Kind::Image(Some(address)) if link::is_web(address) => {
                        Some(Node::new(Kind::ShowImage, node.end, node.end))
                    }
                    _ => None,
                };
                self.add(node);
                if let Some(shown) = shown {
                    self.add(shown);
                }
            }
        }
    }

    /// Whether what comes next is shown as it was written.
    pub(super) fn is_in_code(&self) -> bool {
        let parent = self.open.last().map(|open| &open.kind);
        matches!(parent, Some(Kind::CodeBlock { .. } | Kind::Raw))
    }

    /// Whether what comes next is in a link.
    pub(super) fn is_in_link(&self) -> bool {
        self.open.iter().any(|open| open.kind.is_link())
    }

    /// Adds what has ended to what holds it, unless it belongs to the lines before.
    pub(super) fn add(&mut self, node: Node) {
        if node.end <= self.own.from {
            return;
        }
        let node = Node {
            end: node.end.min(self.own.to),
            ..node
        };
        if matches!(node.kind, Kind::Paragraph | Kind::Heading(_)) && !self.is_in_formula {
            self.has_long |= parts::is_long(&node, node.end, self.own);
        }
        let siblings = match self.open.last_mut() {
            Some(parent) => &mut parent.children,
            None => &mut self.root,
        };
        // Texts beside each other are one.
        if let Kind::Text(text, origins) = &node.kind
            && let Some(Node {
                kind: Kind::Text(before, all),
                end,
                ..
            }) = siblings.last_mut()
        {
            all.extend(origins.iter().map(|origin| Origin {
                at: origin.at + before.len(),
                ..*origin
            }));
            before.push_str(text);
            *end = node.end;
            return;
        }
        siblings.push(node);
    }

    pub(super) fn leaf(&mut self, kind: Kind, range: Range<usize>) {
        self.begin_implied(range.start);
        self.add(Node::new(kind, range.start, range.end));
    }

    /// An address counts when its end has come.
    pub(super) fn if_whole(&self, address: String, range: &Range<usize>) -> Option<String> {
        (range.end <= self.own.to).then_some(address)
    }

    /// A link that must lead nowhere is shown as it was written: what it holds, between its brackets.
    pub(super) fn unlink(&mut self, node: Node) {
        let inner = node.children.first().map_or(node.end, |first| first.start)
            ..node.children.last().map_or(node.end, |last| last.end);
        let ends = [node.start..inner.start, inner.end..node.end];
        let [before, after] = ends.map(|range| {
            let text = self
                .source
                .get(range.clone())
                .unwrap_or_default()
                .to_owned();
            let origin = Origin {
                at: 0,
                source: range.start,
                len: text.len(),
            };
            Node::new(Kind::Text(text, vec![origin]), range.start, range.end)
        });
        self.add(before);
        for child in node.children {
            self.add(child);
        }
        self.add(after);
    }

    /// What can be told only when a node has ended: addresses in its text, and footnotes nobody defines.
    pub(super) fn finish(&mut self, node: &mut Node) {
        if matches!(node.kind, Kind::CodeBlock { .. } | Kind::Code | Kind::Raw) {
            return;
        }
        let may_link = !node.kind.is_link() && !self.is_in_link();
        let mut splits = Vec::new();
        for (index, child) in node.children.iter().enumerate() {
            let Kind::Text(text, origins) = &child.kind else {
                continue;
            };
            self.unknown
                .extend(footnote_labels(text).map(|label| (Label::footnote(label), child.start)));
            if may_link && let Some(parts) = link::split(text, origins, child.start, child.end) {
                splits.push((index, parts));
            }
        }
        if !splits.is_empty() {
            node.children = with_splits(std::mem::take(&mut node.children), splits);
        }
    }
}

impl From<Alignment> for Align {
    fn from(alignment: Alignment) -> Self {
        match alignment {
            Alignment::None => Self::Natural,
            Alignment::Left => Self::Left,
            Alignment::Center => Self::Center,
            Alignment::Right => Self::Right,
        }
    }
}

fn is_inline(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Emphasis
            | Kind::Strong
            | Kind::Deleted
            | Kind::Link(_)
            | Kind::Image(_)
            | Kind::ImageInLink
    )
}

/// The language of a fenced block: the first word after the fence.
fn language(info: &str) -> String {
    let word = info
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '{'))
        .next()
        .unwrap_or_default();
    word.chars().take(LONGEST_LANGUAGE).collect()
}

/// Replaces some children, which are given by their sorted indices. It moves each child once: replacing them
/// one after the other would move all later ones each time.
fn with_splits(children: Vec<Node>, splits: Vec<(usize, Vec<Node>)>) -> Vec<Node> {
    let mut splits = splits.into_iter().peekable();
    let mut all = Vec::with_capacity(children.len() + splits.len());
    for (index, child) in children.into_iter().enumerate() {
        match splits.next_if(|(at, _)| *at == index) {
            Some((_, parts)) => all.extend(parts),
            None => all.push(child),
        }
    }
    all
}
