//! What holds for every text, for the tests and for the fuzz targets: a text that streams ends as the
//! same document as one that is read at once, and no tree is deeper than it may be.

use super::cut::Limits;
use super::definitions::Definitions;
use super::depth::LEVELS;
use super::fake_dom::{FakeDom, FakeNode};
use super::html::plain_html;
use super::node::{Node, Tag};
use super::parse::{Own, parse};
use super::parts::PART;
use super::stream::Stream;

/// As short as can be, so that short texts are cut in every way.
pub(super) const SHORT: Limits = Limits {
    long: 12,
    too_long: 60,
    levels: LEVELS,
    part: PART,
};

/// Three levels are all that a text may nest, so that short texts are too deep.
pub(super) const SHALLOW: Limits = Limits { levels: 3, ..SHORT };

/// Streams a text in these pieces and gives the document at its end.
pub(super) fn streamed(pieces: &[&str], step: usize, limits: Limits) -> String {
    let root = FakeNode::element(Tag::Div);
    let mut stream = Stream::with_limits(FakeDom::default(), root.clone(), step, limits);
    let mut text = String::new();
    for piece in pieces {
        text.push_str(piece);
        stream.show(&text);
    }
    stream.end(&text);
    root.html()
}

/// The document of a text that is read at once.
#[cfg(test)]
pub(super) fn whole(text: &str) -> String {
    whole_within(text, LEVELS)
}

/// The same, of a text that may nest so many levels.
#[cfg(test)]
pub(super) fn whole_within(text: &str, levels: usize) -> String {
    plain_html(&read(text, levels))
}

fn read(text: &str, levels: usize) -> Vec<Node> {
    let own = Own {
        levels,
        ..Own::whole(text)
    };
    parse(text, own, &Definitions::default()).nodes
}

/// How many nodes stand within each other at most.
pub(super) fn depth(nodes: &[Node]) -> usize {
    let deepest = nodes.iter().map(|node| 1 + depth(&node.children)).max();
    deepest.unwrap_or(0)
}

/// How deep a tree can be: a list and its item are two, marks stand within containers, and a table or a
/// piece of code has a few nodes of its own.
pub(super) fn deepest(levels: usize) -> usize {
    3 * levels + 8
}

/// A text in pieces of these lengths, in bytes; what is left is the last one.
pub(super) fn pieces(text: &str, lengths: impl IntoIterator<Item = usize>) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    for length in lengths {
        let mut at = length.min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, later) = rest.split_at(at);
        pieces.push(piece);
        rest = later;
    }
    pieces.push(rest);
    pieces
}

/// Panics unless all this holds for a text that streams in pieces of these lengths, whatever its
/// limits.
pub fn check(text: &str, lengths: &[u8], step: usize) {
    let lengths = lengths.iter().map(|length| usize::from(*length));
    let pieces = pieces(text, lengths);
    for (step, limits) in [(step, SHALLOW), (step, SHORT), (768, Limits::default())] {
        let levels = limits.levels;
        let nodes = read(text, levels);
        assert!(depth(&nodes) <= deepest(levels), "{} levels", depth(&nodes));
        assert_eq!(
            streamed(&pieces, step, limits),
            plain_html(&nodes),
            "{text:?}"
        );
    }
}
