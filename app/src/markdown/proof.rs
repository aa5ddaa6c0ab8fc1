//! What holds for every text, for the tests and for the fuzz targets: a text that streams ends as the
//! same document as one that is read at once, and no tree is deeper than it may be.

use super::commit_point::Limits;
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

/// Parts as short as can be, so that short paragraphs have some.
pub(super) const PARTED: Limits = Limits {
    too_long: 40,
    part: 48,
    ..SHORT
};

/// What means something in Markdown: a random text of letters would seldom have two of these.
pub const WORDS: &[&str] = &[
    "> ",
    "- ",
    "* ",
    "+ ",
    "1. ",
    "22) ",
    "[^a]: ",
    "[^a]",
    "[a]: https://b.c\n",
    "[a]",
    "](b)",
    "](https://a.b)",
    "![",
    "[![",
    "\n",
    "\n\n",
    "\n    ",
    "\n  ",
    "\n   ",
    "\t",
    "    ",
    "# ",
    "---\n",
    "===\n",
    "```\n",
    "```rust\n",
    "~~~",
    "``",
    "**",
    "__",
    "~~",
    "***",
    "*a ",
    " a*",
    "**a ",
    " a**",
    "_a ",
    " a_",
    "~~a ",
    " a~~",
    "<b>",
    "</b>",
    "<div>\n",
    "</div>",
    "<!--",
    "-->",
    "<br>",
    "<https://a.b>",
    "https://a.b/c",
    "www.a.b",
    "a@b.cd",
    "| a | b |\n|---|:-:|\n",
    "|-|",
    "| x |",
    "$$",
    "$x^2$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\*",
    "&amp;",
    "[ ] ",
    "[x] ",
    "\r",
    "\r\n",
    "word word ",
    "\u{6f22}\u{5b57}",
    "\u{e9}",
    "\u{1f}",
    "\u{1f468}\u{200d}\u{1f469}",
    "[a]: ",
    "[b]: http://c.d/",
    "[^b]: ",
    "[^b]",
    "[b]",
    "\"",
    "<",
    "\\",
    "$",
    "$5 ",
    "**$6**",
    "$A_BC/$D",
    "${x}",
    "x = y",
    "\n$$\n",
    "\n\\[\n",
    "\n\\]\n",
    "> $$\n",
    "- $$\n",
    "`$`",
    "\u{300c}",
    "\u{300d}**",
    "\u{ff08}",
    "\u{ff09}",
    "\u{ff0c}",
    "**\u{300c}\u{91cd}\u{300d}**",
    "\u{1f}",
    "%",
    "\u{e000}",
    "~",
    "<br>\n",
    "<br/>",
    "\u{201d}",
    "\u{2014}",
    "\u{645}\u{631} ",
];

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
    let limits = Limits {
        levels,
        ..Limits::default()
    };
    plain_html(&read(text, limits))
}

fn read(text: &str, limits: Limits) -> Vec<Node> {
    let own = Own {
        levels: limits.levels,
        part: limits.part,
        ..Own::whole(text)
    };
    parse(text, own, &Definitions::default()).nodes
}

/// How many nodes stand within each other at most.
pub(super) fn depth(nodes: &[Node]) -> usize {
    let deepest = nodes.iter().map(|node| 1 + depth(&node.children)).max();
    deepest.unwrap_or(0)
}

/// How deep a tree can be: a list and its item are two, marks are within containers, and a table or a
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
    for (step, limits) in [
        (step, SHALLOW),
        (step, SHORT),
        (step, PARTED),
        (768, Limits::default()),
    ] {
        check_within(text, &pieces, step, limits);
    }
}

/// The same, for a text that streams in these pieces within these limits.
#[track_caller]
pub(super) fn check_within(text: &str, pieces: &[&str], step: usize, limits: Limits) {
    let nodes = read(text, limits);
    let (depth, most) = (depth(&nodes), deepest(limits.levels));
    assert!(depth <= most, "{depth} levels: {text:?}");
    assert_eq!(
        streamed(pieces, step, limits),
        plain_html(&nodes),
        "{text:?} with {limits:?}, cut after {step} bytes"
    );
}
