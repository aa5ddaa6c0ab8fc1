//! Text within a block: words, formulas, addresses and line breaks.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::LinkType;

use super::Builder;
use crate::markdown::definitions::Label;
use crate::markdown::node::{Kind, Node, Origin};

impl Builder<'_> {
    /// What the parser made of a part of the text, as it was written.
    pub(super) fn unmasked<'t>(&self, text: &'t str, range: Range<usize>) -> Cow<'t, str> {
        match self.masked {
            None => Cow::Borrowed(text),
            Some(masked) => masked.unmasked(text, self.source, range),
        }
    }

    /// The address of a link as it was written. A reference has the address of its definition, which is in
    /// this text or is known from before.
    pub(super) fn address_of(
        &self,
        link_type: LinkType,
        label: &str,
        address: &str,
        range: &Range<usize>,
    ) -> String {
        if !is_reference(link_type) {
            let written = self.address(address, range);
            let is_mail = link_type == LinkType::Email
                && !written.to_ascii_lowercase().starts_with("mailto:");
            return if is_mail {
                format!("mailto:{written}")
            } else {
                written
            };
        }
        let written = (!self.written_addresses.is_empty())
            .then(|| self.written_addresses.get(&Label::link(label)));
        written
            .flatten()
            .cloned()
            .unwrap_or_else(|| address.to_owned())
    }

    /// Notes how the address of a definition was written, if the parser sees another one.
    pub(in crate::markdown::parse) fn note_address(
        &mut self,
        label: &str,
        address: &str,
        range: &Range<usize>,
    ) {
        let written = self.address(address, range);
        if written != address {
            self.written_addresses.insert(Label::link(label), written);
        }
    }

    /// The address in this range, as it was written. It is at the end of the range.
    pub(in crate::markdown::parse) fn address(
        &self,
        address: &str,
        range: &Range<usize>,
    ) -> String {
        let Some(masked) = self.masked else {
            return address.to_owned();
        };
        let at = masked.text[range.clone()].rfind(address);
        let range = at.map_or(range.clone(), |at| range.start + at..range.end);
        masked.unmasked(address, self.source, range).into_owned()
    }

    /// Whether a line ends right behind the tag of a line break.
    pub(super) fn is_behind_break_tag(&self, at: usize) -> bool {
        let is_break = |node: &Node| node.kind == Kind::Break;
        let parent = self.open.last();
        parent
            .and_then(|node| node.children.last())
            .is_some_and(is_break)
            && self.source[..at].trim_end_matches(' ').ends_with('>')
    }

    /// Adds the display formula that a heading stands for; says whether it stands for one.
    pub(super) fn begin_formula(&mut self, range: &Range<usize>) -> bool {
        let formula = self.masked.and_then(|masked| masked.formula(range));
        let Some(formula) = formula.filter(|formula| formula.is_block) else {
            return false;
        };
        self.end_implied();
        self.is_in_formula = true;
        let Range { start, end } = formula.range;
        let kind = Kind::Math {
            tex: formula.tex.clone(),
            is_display: true,
            is_whole: end <= self.own.to,
        };
        let mut paragraph = Node::new(Kind::Paragraph, start, end);
        paragraph
            .children
            .push(Node::new(kind, start, end.min(self.own.to)));
        self.add(paragraph);
        true
    }

    pub(super) fn math(&mut self, range: Range<usize>) {
        let Some(formula) = self.masked.and_then(|masked| masked.formula(&range)) else {
            let source = self.source;
            return self.text(&source[range.clone()], range);
        };
        // In a table the backslash before a pipe belongs to the table.
        let in_cell = self
            .open
            .iter()
            .any(|open| matches!(open.kind, Kind::Cell { .. }));
        let tex = if in_cell {
            formula.tex.replace("\\|", "|")
        } else {
            formula.tex.clone()
        };
        let source = &self.source[range.clone()];
        let kind = Kind::Math {
            tex,
            is_display: source.starts_with("$$") || source.starts_with("\\["),
            is_whole: range.end <= self.own.to,
        };
        self.leaf(kind, range);
    }

    pub(super) fn text(&mut self, text: &str, range: Range<usize>) {
        self.begin_implied(range.start);
        if range.end <= self.own.from {
            return;
        }
        if range.start < self.own.from {
            // It began in the lines before.
            let own = self.own.from..range.end;
            let source = self.source;
            return self.text(&source[own.clone()], own);
        }
        let line_break = self.masked.and_then(|masked| masked.line_break(&range));
        if let Some(tag) = line_break.filter(|_| !self.is_in_code()) {
            self.add(Node::new(Kind::Break, tag.start, tag.end));
            return;
        }
        let text = self.unmasked(text, range.clone());
        let is_as_written = self.source.get(range.clone()) == Some(&text);
        let origin = is_as_written.then_some(Origin {
            at: 0,
            source: range.start,
            len: text.len(),
        });
        let kind = Kind::Text(text.into_owned(), origin.into_iter().collect());
        self.add(Node::new(kind, range.start, range.end));
    }
}

pub(super) fn is_line_break(html: &str) -> bool {
    let name = html
        .trim_start_matches('<')
        .trim_end_matches('>')
        .trim_end_matches('/')
        .trim_end();
    name.eq_ignore_ascii_case("br")
}

/// Whether the address of a link is elsewhere.
pub(super) fn is_reference(link_type: LinkType) -> bool {
    matches!(
        link_type,
        LinkType::Reference
            | LinkType::ReferenceUnknown
            | LinkType::Collapsed
            | LinkType::CollapsedUnknown
            | LinkType::Shortcut
            | LinkType::ShortcutUnknown
    )
}
