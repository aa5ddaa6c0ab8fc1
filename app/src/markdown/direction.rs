//! In which direction a text is written: that of its first letter, as `dir="auto"` of HTML has it. A browser does not
//! look for it within elements that have a direction of their own, so containers of paragraphs need theirs from here.

use super::node::{Direction, Kind, Node, Origin};

/// Sets the direction of each container among these nodes, from the text that is before `to` in the source. It needs
/// the whole tree: a tag or an address that a long paragraph's part cuts in two shows its letters.
pub(super) fn set(nodes: &mut [Node], to: usize) {
    for node in nodes {
        if is_container(&node.kind) {
            set_one(node, to, false);
        }
    }
}

/// Sets the directions of a container and of those in it; gives that of its first letter.
fn set_one(node: &mut Node, to: usize, is_nested: bool) -> Option<bool> {
    let is_nested_here = is_nested || gives_direction(&node.kind);
    let mut found = None;
    for child in &mut node.children {
        let of_child = if is_container(&child.kind) {
            set_one(child, to, is_nested_here)
        } else if found.is_none() {
            of_node(child, to)
        } else {
            continue;
        };
        found = found.or(of_child);
    }
    node.kind.set_direction(Direction::new(found, is_nested));
    found
}

/// Whether it has a direction, or has things in it that have.
fn is_container(kind: &Kind) -> bool {
    matches!(kind, Kind::Item(_)) || gives_direction(kind)
}

/// Whether what is in it is not laid out as the page is.
pub(super) fn gives_direction(kind: &Kind) -> bool {
    matches!(kind, Kind::Footnote(_)) || kind.direction().is_some()
}

/// Whether the first letter in a node, before `to` in the source, is written from right to left. Blocks of code and
/// formulas say nothing of the direction.
pub(super) fn of_node(node: &Node, to: usize) -> Option<bool> {
    match &node.kind {
        _ if node.start >= to => None,
        Kind::Text(text, origins) => of(text_before(text, origins, to)),
        Kind::CodeBlock { .. } | Kind::Raw => None,
        _ => node.children.iter().find_map(|child| of_node(child, to)),
    }
}

/// The beginning of a text that is before `to` in the source. What was not written as it is shown, like an entity,
/// is behind the origin before it.
fn text_before<'t>(text: &'t str, origins: &[Origin], to: usize) -> &'t str {
    let ends = |origin: &&Origin| origin.source + origin.len >= to;
    let length = match origins.iter().find(ends) {
        Some(origin) => origin.at + to.saturating_sub(origin.source).min(origin.len),
        None => text.len(),
    };
    text.get(..length).unwrap_or(text)
}

/// Whether the first letter of a text belongs to a script that is written from right to left; `None` if it has none.
fn of(text: &str) -> Option<bool> {
    text.chars().find_map(of_character)
}

fn of_character(c: char) -> Option<bool> {
    if c.is_ascii() {
        return c.is_ascii_alphabetic().then_some(false);
    }
    match c {
        '\u{200e}' => Some(false),
        '\u{200f}' => Some(true),
        // Hebrew, Arabic, Syriac, Thaana, N'Ko and the others; without their digits, points and signs.
        '\u{590}'..='\u{8ff}'
        | '\u{fb1d}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}' => {
            let is_point =
                matches!(c, '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}');
            (c.is_alphabetic() && !is_point).then_some(true)
        }
        _ => c.is_alphabetic().then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_decides() {
        for (text, expect) in [
            ("1. (abc", Some(false)),
            ("«مرحبا» abc", Some(true)),
            ("٣، שלום", Some(true)),
            ("漢字 مرحبا", Some(false)),
            ("\u{200f}abc", Some(true)),
            ("12 – 34 ٣", None),
        ] {
            assert_eq!(of(text), expect, "{text:?}");
        }
    }
}
