//! The tail: the end of a text that is not committed. It is read behind a reopening prefix, the few lines that open what is open
//! where it begins, and shown as what it will most likely become.

use super::super::formulas::LineDollars;
use super::super::node::Kind;
use super::super::node::Node;
use super::super::open::reopening_prefix;
use super::super::parse::{Own, Parsed, parse, with_line_feeds};
use super::super::patch::Dom;
use super::super::predict::predict;
use super::Stream;

/// The end of a text with the lines of its reopening prefix, and what it means.
pub(super) struct Tail {
    pub(super) source: String,
    pub(super) own: Own,
    pub(super) parsed: Parsed,
    /// Where its blocks begin, also when they have been shown and are not here any more.
    pub(super) starts: Vec<usize>,
}

impl<D: Dom> Stream<D> {
    /// What the end will most likely mean, where that is something else than what it means now.
    pub(super) fn predicted(&self, tail: &Tail) -> Option<Vec<Node>> {
        let prediction = predict(&tail.source, tail.own, &tail.parsed, &self.open);
        if prediction.to == tail.source.len() && prediction.completion.is_empty() {
            return None;
        }
        let mut source = tail.source[..prediction.to].to_owned();
        source.push_str(&prediction.completion);
        let own = Own {
            to: prediction.to,
            ..tail.own
        };
        Some(parse(&source, own, &self.definitions).nodes)
    }

    pub(super) fn parse_tail(&self, end: &str) -> Tail {
        let lines = reopening_prefix(&self.open, self.is_mid_line);
        let before = self.base.saturating_sub(self.paragraph);
        self.read(&lines, end, |own| Own {
            dollars: self.dollars,
            ..own.going_on(&self.open, before)
        })
    }

    /// Reads a part of the text behind the lines of its reopening prefix, among the definitions that are final. `place`
    /// says what is known of where it is.
    pub(super) fn read(&self, lines: &str, text: &str, place: impl FnOnce(Own) -> Own) -> Tail {
        let mut source = self.definitions.footnote_lines(text);
        source.push_str(lines);
        let from = source.len();
        source.push_str(&with_line_feeds(text));
        let own = place(self.own(from, source.len()));
        let mut parsed = parse(&source, own, &self.definitions);
        // The first definition of a label counts, also where this text has another one.
        let known: Vec<_> = parsed
            .defined
            .iter()
            .filter_map(|(label, ..)| Some((label.written(), self.definitions.link(label)?)))
            .collect();
        if known.is_empty() {
            return Tail {
                source,
                own,
                parsed,
                starts: Vec::new(),
            };
        }
        let mut again = String::new();
        for (label, address) in known {
            again.push_str(&format!("[{label}]: <{address}>\n\n"));
        }
        let from = again.len() + own.from;
        again.push_str(&source);
        let own = Own {
            from,
            to: again.len(),
            ..own
        };
        parsed = parse(&again, own, &self.definitions);
        Tail {
            source: again,
            own,
            parsed,
            starts: Vec::new(),
        }
    }

    /// What of a source is its own, where nothing is open.
    pub(super) fn own(&self, from: usize, to: usize) -> Own {
        Own {
            from,
            to,
            levels: self.limits.levels,
            part: self.limits.part,
            before: 0,
            is_part: false,
            dollars: LineDollars::default(),
        }
    }

    /// Puts the nodes in their places along what is open; says whether they fit there.
    pub(super) fn fit(&self, nodes: &mut Vec<Node>, from: usize) -> bool {
        let mut level = nodes;
        let mut shown = &self.shown;
        for depth in 0..self.open.len() {
            let Some(expected) = shown.first() else {
                return false;
            };
            let mut kind = expected.kind.clone();
            if let Some(certain) = self.certain.get(depth) {
                kind.take_back(certain);
            }
            match level.first_mut() {
                Some(first) if first.start < from => {
                    if !first.kind.is_same_block(&kind) {
                        return false;
                    }
                    kind.join(&first.kind);
                    first.kind = kind;
                }
                _ => {
                    // Nothing new is in it. Only a word cannot be taken for another block's.
                    if self.is_mid_line && depth + 1 == self.open.len() && !level.is_empty() {
                        return false;
                    }
                    level.insert(0, Node::new(kind, 0, from));
                }
            }
            level = &mut level[0].children;
            shown = &expected.children;
        }
        true
    }
}

/// Where the blocks of an end begin in its source: right after the ones before them, since definitions
/// between two blocks belong to the second, which the parser may read in another way without them.
pub(super) fn starts(nodes: &[Node], tail: &Tail) -> Vec<usize> {
    let from = tail.own.from;
    let later = nodes.windows(2).map(|pair| {
        let (before, node) = (&pair[0], &pair[1]);
        // Two footnotes can begin on one line, and so can parts. No more is looked at than what is between them: that
        // line can be long.
        // What was only predicted is behind the source.
        let to = node.start.min(tail.source.len());
        let between = &tail.source.as_bytes()[before.start.min(to)..to];
        let start = match memchr::memrchr(b'\n', between) {
            _ if matches!(node.kind, Kind::Part { .. }) => node.start,
            Some(end) => (before.start + end + 1).min(before.end),
            None => node.start,
        };
        start.max(from)
    });
    std::iter::once(from)
        .chain(later)
        .take(nodes.len())
        .collect()
}
