//! How deep a text may nest. Beyond that its source is shown as it is, so no text becomes as deep a
//! tree, and no function that walks a tree needs more of the stack than a hundred levels take.
//!
//! Containers (quotations, items, footnotes) are bounded before the text is parsed: each line says by
//! its own beginning how many containers can be open on it, and the marker that would open one too many
//! is masked, so that the parser takes it for text. A rule for each line alone has the same result in
//! a text that is read at once and in the end of one that streams. Marks within a paragraph are bounded
//! where the tree is built, see [`super::parse`].

use super::parse::Own;

/// The deepest nesting of containers, and that of marks within a block. A list counts once, its item
/// not again. Browsers do not build more than 512 levels of elements from a page either.
pub(super) const LEVELS: usize = 100;

/// What is in the place of a marker that opens nothing. To the parser it is a letter.
const MASK: u8 = 0x1f;

/// The shortest line that can be too deep has a tab, which counts as two levels, for each two of them.
const fn shortest(levels: usize) -> usize {
    levels / 2
}

/// The text with the markers masked that would open more containers than it may have; `None` if there
/// are no such. Only what is the text's own is changed, and each change is one byte for another.
pub(super) fn masked(text: &str, own: Own) -> Option<String> {
    let bytes = text.as_bytes();
    let mut found: Option<Vec<u8>> = None;
    let mut start = own.from;
    if start > 0 && !matches!(bytes[start - 1], b'\n' | b'\r') {
        // The first line goes on: its beginning stood before.
        start += end_of_line(&bytes[start..own.to]);
    }
    while start + shortest(own.levels) < own.to {
        let rest = &bytes[start..own.to];
        let end = end_of_line(rest);
        if is_prefix(rest[0])
            && end > shortest(own.levels)
            && let Some(at) = first_too_deep(&rest[..end], own.levels)
        {
            found.get_or_insert_with(|| bytes.to_vec())[start + at] = MASK;
        }
        start += end;
    }
    // ASCII took the place of ASCII.
    found.and_then(|bytes| String::from_utf8(bytes).ok())
}

/// How long the line is that begins here, with its end.
fn end_of_line(bytes: &[u8]) -> usize {
    memchr::memchr2(b'\n', b'\r', bytes).map_or(bytes.len(), |end| end + 1)
}

/// Whether a line that begins with this may begin with markers.
fn is_prefix(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'>' | b'-' | b'*' | b'+' | b'0'..=b'9' | b'['
    )
}

/// The place of the first marker of a line that may open one container too many.
///
/// On each line a quotation that goes on takes a `>`, and an item or a footnote that goes on takes two
/// columns of space or more. So the markers of a line and half its columns are at least as many as its
/// containers. Where they are more, because space means something else, the text is no deeper than it
/// would be.
fn first_too_deep(line: &[u8], levels: usize) -> Option<usize> {
    // In halves of a level, so that each column counts as one.
    let most = 2 * levels;
    let mut halves = 0;
    let mut at = 0;
    // The first space behind a marker belongs to it.
    let mut is_behind_marker = false;
    loop {
        match line.get(at)? {
            b' ' => {
                halves += usize::from(!is_behind_marker);
                at += 1;
                is_behind_marker = false;
            }
            b'\t' => {
                // It is as wide as four columns, or less.
                halves += 4;
                at += 1;
                is_behind_marker = false;
            }
            _ => {
                let marker = marker_length(&line[at..])?;
                if halves + 2 > most {
                    return (!is_in_rule(line, at)).then_some(at);
                }
                halves += 2;
                at += marker;
                is_behind_marker = true;
            }
        }
    }
}

/// How long the marker of a container is that begins here, if one does.
fn marker_length(line: &[u8]) -> Option<usize> {
    let is_followed = |length: usize| {
        matches!(line.get(length), None | Some(b' ' | b'\t' | b'\n' | b'\r')).then_some(length)
    };
    match line.first()? {
        b'>' => Some(1),
        b'-' | b'*' | b'+' => is_followed(1),
        b'0'..=b'9' => {
            let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
            matches!(line.get(digits), Some(b'.' | b')'))
                .then(|| is_followed(digits + 1))
                .flatten()
        }
        b'[' if line.starts_with(b"[^") => {
            // No label is longer than a thousand characters.
            let label = &line[..line.len().min(4096)];
            memchr::memmem::find(label, b"]:").map(|end| end + 2)
        }
        _ => None,
    }
}

/// Whether the marker at this place is part of a thematic break rather than that of an item.
fn is_in_rule(line: &[u8], at: usize) -> bool {
    let mark = line[at];
    let is_of_rule = |byte: &u8| *byte == mark || matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    if !matches!(mark, b'-' | b'*') || !line[at..].iter().all(is_of_rule) {
        return false;
    }
    let before = line[..at].iter().rev().take_while(|byte| is_of_rule(byte));
    let marks = line[at..].iter().chain(before);
    marks.filter(|byte| **byte == mark).count() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, levels: usize, expect: Option<&str>) {
        let own = Own {
            levels,
            ..Own::whole(text)
        };
        let found = masked(text, own).map(|text| text.replace(char::from(MASK), "?"));
        assert_eq!(found.as_deref(), expect, "{text:?}");
    }

    #[test]
    fn a_marker_that_opens_one_container_too_many_is_masked() {
        check("> > > a", 3, None);
        check("> > > > a", 3, Some("> > > ? a"));
        check(">>>>>a", 3, Some(">>>?>a"));
        check("- - - - - a", 3, Some("- - - ? - a"));
        check("1. 22) 3. 4. a", 3, Some("1. 22) 3. ?. a"));
        check("> - 1. [^a]: a", 3, Some("> - 1. ?^a]: a"));
        check("      - a", 3, Some("      ? a"));
        check("     - a", 3, Some("     ? a"));
        check("    - a", 3, None);
        check(
            "a\n> > > > a\r- - - - b\r\n> b",
            3,
            Some("a\n> > > ? a\r- - - ? b\r\n> b"),
        );
    }

    #[test]
    fn what_opens_no_container_stays() {
        check("> > > >", 4, None);
        check("- - - - - -", 3, None);
        check("> - - - - - -", 3, None);
        check("* * * * * *\n", 3, None);
        check("- - - - -\n", 3, None);
        check("1. - - - - -", 3, None);
        check("          *a* -b 1.c", 3, None);
        check("a > > > > > >", 3, None);
        check("", 3, None);
    }

    #[test]
    fn a_line_that_goes_on_has_its_beginning_elsewhere() {
        let text = "x > > > > > >\n> > > > > > >";
        let own = Own {
            from: 2,
            levels: 3,
            ..Own::whole(text)
        };
        let expect = "x > > > > > >\n> > > \u{1f} > > >";
        assert_eq!(masked(text, own).as_deref(), Some(expect));
    }
}
