//! Long paragraphs have the same parts however they come, and no part of one is longer than it may be.

use proptest::prelude::*;

use super::commit_point::Limits;
use super::definitions::Definitions;
use super::fake_dom::{FakeDom, FakeNode};
use super::html::plain_html;
use super::node::{Kind, Node, Tag};
use super::parse::{Own, parse, parse_whole};
use super::parts::PART;
use super::proof;
use super::random_tests::random_cases;
use super::stream::Stream;

/// Parts as short as can be, so that short texts have many.
fn limits(part: usize) -> Limits {
    Limits {
        long: 12,
        too_long: 40,
        part,
        ..Limits::default()
    }
}

fn streamed(pieces: &[&str], limits: Limits) -> String {
    proof::streamed(pieces, 1, limits)
}

fn at_once(text: &str, part: usize) -> Vec<Node> {
    let own = Own {
        part,
        ..Own::whole(text)
    };
    parse(text, own, &Definitions::default()).nodes
}

#[track_caller]
fn check_streams(text: &str, part: usize) {
    let characters: Vec<_> = text
        .char_indices()
        .map(|(at, c)| &text[at..at + c.len_utf8()])
        .collect();
    let expect = plain_html(&at_once(text, part));
    assert_eq!(streamed(&characters, limits(part)), expect, "{text:?}");
    assert_eq!(streamed(&[text], limits(part)), expect, "{text:?}");
}

/// The lengths of the texts of a long text's blocks.
fn lengths(text: &str) -> Vec<usize> {
    fn length(node: &Node) -> usize {
        let own = match &node.kind {
            Kind::Text(text, _) => text.len(),
            _ => 0,
        };
        own + node.children.iter().map(length).sum::<usize>()
    }
    let mut blocks = Vec::new();
    let mut left = parse_whole(text);
    while let Some(node) = left.pop() {
        let is_leaf = node.kind.is_paragraph() || matches!(node.kind, Kind::Heading(_));
        if is_leaf {
            blocks.push(length(&node));
        } else {
            left.extend(node.children);
        }
    }
    blocks
}

#[test]
fn no_block_of_text_is_longer_than_a_part_and_no_word_is_lost() {
    let check = |before: &str, part: &str, after: &str| {
        let text = format!("{before}{}{after}", part.repeat(200_000 / part.len()));
        let lengths = lengths(&text);
        let most = lengths.iter().max().copied().unwrap_or(0);
        assert!((1..=PART).contains(&most), "{before:?} {part:?}: {most}");
        let all: usize = lengths.iter().sum();
        assert!(
            all + 1000 > 200_000 - 200_000 / part.len(),
            "{before:?} {part:?}: {all}"
        );
    };
    for before in ["", "> ", "- ", "1. - > ", "# "] {
        check(before, "word ", "");
        check(before, "a", "");
        check(before, "字", "");
    }
    check("", "word\n", "");
    check("", "word ", "\n===");
    check("a\n", "word ", "\n\nb");
}

#[test]
fn parts_hold_marks_links_and_footnotes_of_their_own() {
    let check = |text: &str, expect: &str| {
        assert_eq!(plain_html(&at_once(text, 32)), expect, "{text:?}");
        check_streams(text, 32);
    };
    check(
        "some words and **bolder words that go on**",
        "<p dir=\"auto\">some words and **bolder words</p><p class=\"part\" dir=\"auto\">that go on**</p>",
    );
    check(
        "some words and then a few more others *b* [a](http://b.c)",
        "<p dir=\"auto\">some words and then a few more</p><p class=\"part\" dir=\"auto\">others <em>b</em> <a href=\"http://b.c\" rel=\"noopener noreferrer\" target=\"_blank\">a</a></p>",
    );
}

#[test]
fn a_long_paragraph_streams_as_it_is_read_at_once() {
    let words = "Some words, and more of them, ".repeat(12);
    for before in ["", "> ", "- ", "1. ", "- > ", "a\n\n", "# ", "- a\n\n  "] {
        check_streams(&format!("{before}{words}"), 64);
        check_streams(&format!("{before}{words}\n\nand then"), 64);
    }
    check_streams(&"a".repeat(300), 64);
    check_streams(&"字".repeat(100), 64);
    check_streams(&"a\n".repeat(100), 64);
    check_streams(&"> some words\n".repeat(20), 64);
    check_streams(&format!("{words}\n==="), 64);
    check_streams(&format!("{words}[a] {words}\n\n[a]: http://b.c"), 64);
    check_streams(&format!("[a]: http://b.c\n\n{words}[a] {words}"), 64);
    check_streams(&format!("[^a]: note\n\n{words}[^a] {words}"), 64);
    check_streams(&format!("{words}[^a] {words}\n\n[^a]: note"), 64);
    check_streams(&format!("**{words}** and"), 64);
    check_streams(&format!("{words}`{words}` and"), 64);
    check_streams(&format!("{words} http://a.b/{}", "c".repeat(100)), 64);
    check_streams(&"* ".repeat(100), 64);
    check_streams(&"a)".repeat(100), 64);
}

/// Each of these was final before a definition that it used was.
#[test]
fn what_is_final_only_uses_definitions_that_no_later_character_changes() {
    check_streams(
        "word &amp;[b](http://c.d)#a1. \\1. 1. >`11~~é# #a1. ]a[a](! long_words_that_go_on_\n\n[a]: http://x.y",
        48,
    );
    for (before, after) in [("", ""), ("> ", ""), ("- ", ""), ("", "\n\nword [a]")] {
        for use_it in [
            "[a]",
            "[A]",
            "[a][]",
            "[b][a]",
            "![a]",
            "![b][a]",
            "[![b][a]](c)",
        ] {
            for words in [
                "",
                "words and more ",
                "words and words and more and more words ",
            ] {
                for address in [
                    "http://long.address/that/goes/on",
                    "http://long.address.x but words follow it",
                    "http://long.address.x \"title\" and words that follow",
                    "<http://long.address.x> but words follow it",
                ] {
                    let text = format!("{before}{words}{use_it} {words}\n\n[a]: {address}{after}");
                    check_streams(&text, 48);
                }
            }
        }
    }
}

/// A block that is read again for a label has a second definition of another one in it.
#[test]
fn the_first_definition_counts_also_in_a_block_that_is_read_again() {
    check_streams(
        "[a]: http://first\n\nwords and more\n\n> [a] [b] and words\n>\n> [a]: http://second\n\nwords and more words\n\n[b]: http://b\n\nwords and more words",
        1024,
    );
    check_streams(
        "> [a] [b] and words\n>\n> [a]: http://first\n\nwords\n\n[a]: http://second\n\n[b]: http://b\n\nwords and more words",
        1024,
    );
}

#[test]
fn a_long_heading_ends_with_its_line() {
    let words = "Some words, and more of them, ".repeat(4);
    for before in ["", "a\n\n", "> ", "- "] {
        for after in [
            "\nand then",
            "\n- ",
            "\n===\nand",
            "\n",
            " ##",
            " ##\nand",
            "#",
        ] {
            check_streams(&format!("{before}# {words}{after}"), 48);
            check_streams(
                &format!("{before}# {words}[a]{after}\n\n[a]: http://b.c"),
                48,
            );
            check_streams(&format!("{before}## ## {words}{after}"), 48);
        }
    }
    check_streams(&format!("# \\*{words}\nand then"), 48);
    check_streams(&format!("\\*{words}\n===\nand then"), 48);
    check_streams(&format!("#{words}\nand then"), 48);
    for white in ["\t", "\u{b}", "\u{c}", " \u{b}\u{b}", "\u{a0}"] {
        check_streams(&format!("#{white}{words}\nand then"), 48);
        check_streams(&format!("> ##{white}{words}\nand then"), 48);
    }
    check_streams(&format!("- [ ] # {words}\nand then"), 48);
    check_streams(&format!("####### {words}\nand then"), 48);
}

#[test]
fn a_line_of_which_something_is_final_can_turn_out_to_be_of_a_table() {
    let words = "words and more words and";
    for before in ["", "a line\n", "> ", "- "] {
        let goes_on = if before == "> " { "> " } else { "" };
        for (head, rule) in [
            (
                format!("{words} | {words} {words} {words}"),
                "--- | ---".to_owned(),
            ),
            (
                format!("{words} {words} {words} | {words}"),
                "--- | ---".to_owned(),
            ),
            (format!("| {words}"), format!("|-{}|", "-".repeat(100))),
            ("| a | b |".to_owned(), format!("|-{}| - |", " ".repeat(60))),
            (
                "| a | b |".to_owned(),
                format!("| - |{} - |", " ".repeat(60)),
            ),
        ] {
            for part in [48, 1000] {
                check_streams(
                    &format!("{before}{head}\n{goes_on}{rule}\n{goes_on}a | b\n\nafter"),
                    part,
                );
            }
        }
    }
}

#[test]
fn a_paragraph_of_which_a_part_is_final_does_not_turn_out_to_be_a_definition() {
    let words = "words and more words and".repeat(4);
    for before in ["", "> ", "- ", "[b]: c\n"] {
        for text in [
            format!("[a]: {}", "](b)".repeat(20)),
            format!("[a]: c \"{words}\""),
            format!("[a]: <{}>", words.replace(' ', "")),
            format!("[{words}]: c"),
            format!("[{words}\n{words}]:\nc"),
        ] {
            check_streams(&format!("{before}{text}"), 48);
            check_streams(&format!("{before}{text}\nafter"), 48);
        }
    }
}

#[test]
fn no_part_is_empty_where_spaces_and_line_breaks_stand_at_its_border() {
    for length in 40..56 {
        for spaces in [" ", "     ", "\r\n", "\n", "  \r\n", "\t"] {
            for after in ["| a | b |\n|---|:-:|\n", "> a", "word", "- a", ""] {
                let text = format!("{}{spaces}{after}", "(".repeat(length));
                check_streams(&text, 48);
                let html = plain_html(&at_once(&text, 48));
                assert!(!html.contains("\"></p>"), "{text:?}: {html}");
            }
            check_streams(&format!("a{}b", " ".repeat(length)), 48);
        }
    }
}

/// Not all of these are white space to the parser, nor are they everywhere where one is.
#[test]
fn white_space_of_any_kind_ends_a_part_alike_however_it_comes() {
    for white in [
        "\u{b}", "\u{c}", "\u{85}", "\u{a0}", "\u{2028}", "\u{3000}", "\\",
    ] {
        for length in 40..56 {
            for after in [
                "",
                "\n\nafter",
                "\r\rafter",
                "\n===\nafter",
                "\n# after",
                "\nafter",
            ] {
                for (before, lines) in [("", "\n"), ("> ", "\n> "), ("# ", " ")] {
                    let words = format!("{before}{}", "(".repeat(length));
                    check_streams(&format!("{words}{lines}{white}{after}"), 48);
                    check_streams(&format!("{words}{white}{lines}{white}{white}{after}"), 48);
                    check_streams(&format!("{words}  {lines}{white} {after}"), 48);
                }
            }
        }
    }
}

#[test]
fn a_line_that_goes_on_in_the_next_part_is_no_rule_and_no_underline() {
    let words = "&amp; some words\n";
    for line in ["*", "=", "-", "_", "* ", "| ", "|-"] {
        let line = line.repeat(60);
        for before in ["", "> ", "- "] {
            for text in [
                format!("{before}{words}{line} and"),
                format!("{before}{words}{line}\n{words}"),
                format!("{before}{words}{words}{words}{line}a\nb"),
            ] {
                check_streams(&text, 48);
                let html = plain_html(&at_once(&text, 48));
                assert!(!html.contains('x'), "{text:?}: {html}");
            }
        }
    }
}

#[test]
fn a_line_at_the_border_of_a_part_can_turn_out_to_begin_a_block() {
    for length in 36..50 {
        for line in [
            "* x",
            "1. x",
            "- x",
            "-",
            "- ",
            "===",
            "***",
            "* * *",
            "_ _ _",
            "** *",
            "---",
            "# x",
            "``` x",
            "~~~",
            "<div>",
            "<!-- x",
            "[^a]: x",
            "[^a b]: x",
            "[^a b",
            "> x",
            "|-|",
            "    x",
            "1) x",
            "2. x",
            "[a]: x",
            "=x",
            "-x",
            "*x",
            "1x",
        ] {
            for after in ["", "\nafter", "\n    after", "\n- "] {
                let words = "a word ".repeat(8);
                check_streams(&format!("{}\n{line}{after}", &words[..length]), 48);
                check_streams(&format!("> {}\n{line}{after}", &words[..length]), 48);
            }
        }
    }
}

fn fragment() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "word ",
        "two words ",
        "1. ",
        "1",
        " ",
        "字",
        "é",
        "*",
        "**",
        "_",
        "~~",
        "`",
        "[a]",
        "[b](http://c.d)",
        "![b](http://c.d)",
        "http://c.d ",
        "\\",
        "\\*",
        "&amp;",
        "<b>",
        "$x$",
        "#",
        "-",
        "# ",
        "- ",
        ">",
        "(",
        ")",
        "[",
        "]",
        "!",
        "\n",
        "long_words_that_go_on_",
        "  ",
        "\u{b}",
        "\u{c}",
        "\u{a0}",
        "\u{3000}",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(random_cases())]

    #[test]
    fn a_text_of_marks_has_the_same_parts_however_it_comes(
        before in prop::sample::select(vec!["word ", "> word ", "- word ", "word\n\nword "]),
        fragments in prop::collection::vec(fragment(), 1..60),
        after in prop::sample::select(vec!["", "\n\n[a]: http://x.y", "\n\nword"]),
    ) {
        // A line that begins like a block would end the paragraph: those texts are in the other tests.
        let text = fragments.concat().replace('\n', "\nword ");
        check_streams(&format!("{before}{text}{after}"), 48);
    }
}

#[test]
fn a_long_line_of_code_streams_as_it_is_read_at_once() {
    let line = "let word = some_word(\"a | b\", [1, 2]); ".repeat(8);
    for (before, after) in [
        ("```\n", "\n```\n\nand"),
        ("```\n", ""),
        ("~~~\nshort\n", "\nshort\n~~~"),
        ("    ", "\n    short\n\nand"),
        ("- ```\n  ", "\n  ```\n\nand"),
        ("> ```\n> ", "\n> ```\n\nand"),
        ("<div>", "</div>\n\nand"),
        ("<script>\n", "</script>\n\nand"),
        ("<!-- ", "-->\nand"),
    ] {
        check_streams(&format!("{before}{line}{after}"), 64);
    }
    check_streams(&format!("```\n{}\n```", "\u{5b57}".repeat(100)), 64);
    check_streams(&format!("```\n{}\n```", "{[]}".repeat(100)), 64);
}

#[test]
fn what_is_read_again_of_one_long_line_is_short() {
    let check = |before: &str, part: &str| {
        let root = FakeNode::element(Tag::Div);
        let dom = FakeDom::default();
        let work = std::rc::Rc::clone(&dom.work);
        let mut stream = Stream::with_limits(dom, root, 768, Limits::default());
        let mut text = before.to_owned();
        let mut most = 0;
        while text.len() < 70_000 {
            text.push_str(&part.repeat(512 / part.len()));
            let before = work.get();
            stream.show(&text);
            most = most.max(stream.end_length(&text));
            assert!(work.get() - before < 3 * PART, "{before:?} {part:?}");
        }
        assert!(most < 2 * PART, "{before:?} {part:?}: {most}");
    };
    for before in ["", "> ", "- ", "# ", "```\n", "    ", "**", "`"] {
        check(before, "a");
        check(before, "word ");
    }
    check("", ")");
    check("http://a.b/", ")");
    check("", "![a](http://b.c)");
    check("", "[a]");
    check("", "\\*");
}
