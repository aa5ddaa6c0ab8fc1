//! The proof: a text that streams ends as the same document as one that is read at once, however it
//! was cut into pieces.

use super::commit_point::Limits;
use super::fake_dom::{FakeDom, FakeNode};
use super::node::{Kind, Node, Tag};
use super::parse::parse_whole;
use super::proof::{self, SHORT, streamed, whole};
use super::stream::Stream;

#[track_caller]
pub(super) fn check_streams(text: &str) {
    let characters: Vec<_> = text
        .char_indices()
        .map(|(at, c)| &text[at..at + c.len_utf8()])
        .collect();
    let expect = whole(text);
    assert_eq!(streamed(&characters, 1, SHORT), expect, "{text:?}");
    assert_eq!(
        streamed(&characters, 768, Limits::default()),
        expect,
        "{text:?}"
    );
}

#[test]
fn every_kind_of_block_streams() {
    for text in [
        "# Title\n\nA paragraph with **bold**, *emphasis*, `code` and a [link](https://example.com).\n\nAnother one.",
        "- one\n- two\n  - nested\n  - more\n    - deep\n- three\n\nafter",
        "- one\n\n- two\n- three\n\n  second paragraph\n\n      code\n- four",
        "1. first\n2. second\n   ```rust\n   fn main() {}\n   let a = 1;\n   let b = 2;\n   ```\n3. third",
        "> quoted\n> more\n>\n> - list\n> - in it\n>   with text\n>\n> ```\n> code\n> more code\n> ```\nlazy",
        "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | 4 |\n| **x** | `y` |\n\nafter",
        "```rust\nfn main() {\n    println!(\"hi\");\n}\n\n\n// end\n```\nafter",
        "    indented\n    code\n\n    more\n\nafter",
        "<div>\nraw *html*\n</div>\n\nafter <b>inline</b>",
        "Title\n=====\n\ntext text text text text text\nmore text\n-----\n",
        "See [this] and [that][t].\n\nMore.\n\n[this]: https://a.b\n[t]: https://c.d",
        "Note[^1] and again[^x].\n\nText.\n\n[^1]: The note\n    goes on\n\n    in two paragraphs\n\nEnd[^1].",
        "- [ ] to do\n- [x] done\n- plain",
        "so $x^2$ and \\(y\\)\n\n$$\n\\frac{a}{b}\n$$\n\n\\[\nz\n\\]",
        "See ![a picture](https://a.b/c.png) and ![another *one*](https://a.b/d.png).\n\n![](https://a.b/e.png)\n\nSo.",
        "A badge [![of *a* kind](https://a.b/c.svg)](https://d.e) within a line\n\n- ![one][r]\n- [![two][r]][r]\n\n[r]: https://a.b",
        "```mermaid\ngraph TD\n  A --> B\n```\n\nThat was it.",
        "a long paragraph that is never closed * here and goes on and on and on and on and on and on and on* and is emphasis after all",
        "a long first line | with a pipe and many words in it before it\n--- | ---\n1 | 2",
        "a long paragraph of words and more words that becomes\na heading by its underline\n---\n\nafter",
        "- a\n\n\n- b\n\n\n\n  c\n10. d\n",
        "",
        "\n\n",
    ] {
        check_streams(text);
    }
}

#[test]
fn every_example_of_the_specifications_streams_character_by_character() {
    let examples = examples();
    assert!(examples.len() > 650, "{} examples", examples.len());
    for example in examples {
        check_streams(&example);
    }
}

/// The examples of the specifications.
fn examples() -> Vec<String> {
    let json = include_str!("../../tests/conformance/markdown_examples.json");
    let file: serde_json::Value = serde_json::from_str(json).expect("the file is JSON");
    let examples = file["examples"].as_array().expect("there is a list");
    let text = |example: &serde_json::Value| {
        let text = example["markdown"].as_str();
        text.expect("it is a text").to_owned()
    };
    examples.iter().map(text).collect()
}

/// What was shown is used again where it shows the same, and what it says is in some of its own elements.
#[test]
fn a_block_that_turns_out_to_be_another_one_keeps_nothing_of_what_it_was() {
    for (before, after) in [
        ("```rust\n", "```\n"),
        ("- [ ] a\n", "- [x] a\n"),
        ("- [ ] a\n\n", "- a\n\n"),
        ("[^a]: b\n", "[^c]: b\n"),
        ("[a](http://b.c)\n\n", "![a](http://b.c)\n\n"),
        ("<b>a</b>\n\n", "a\n\n"),
    ] {
        for (first, second) in [(before, after), (after, before)] {
            check_streams(&format!(
                "](b)| a | b |\n|---|:-:|\n| a | b |\n|---|:-:|\n\n{first}{second}{first}{second}"
            ));
            check_streams(&format!(
                "](b)| a | b |\n|---|:-:|\n| a | b |\n|---|:-:|\n{first}{second}{first}{second}"
            ));
        }
    }
}

#[test]
fn beside_a_long_paragraph_nothing_is_lost() {
    let words = "word ".repeat(20);
    for before in ["", "\n", "\r", "\r\n", "\r\r", "\n\n"] {
        for block in [
            "* \r22) ",
            "* \r22) <",
            "-\r\r",
            "- \n\n  ",
            "[^a]: [^a]: \\",
            "[^a]: [^b]: [^c]: *",
            "[^a]: - [^b]: > ",
            "[^a]: \n    [^b]: ",
        ] {
            let before = if before.is_empty() {
                String::new()
            } else {
                format!("{words}{before}")
            };
            let text = format!("{before}{block}{words}");
            proof::check(&text, &vec![1; text.len()], 1);
        }
    }
}

/// What the parser itself says that a text consists of, in order. Links are left out: unsafe ones are
/// shown as text here. So are paragraphs, which tight lists have here and not there.
fn parts_by_the_parser(text: &str) -> Vec<String> {
    use pulldown_cmark::{Event, Parser, Tag};
    let parts = Parser::new_ext(text, super::parse::options()).filter_map(|event| {
        Some(match event {
            Event::Start(Tag::Heading { level, .. }) => format!("h{}", level as u8),
            Event::Start(Tag::BlockQuote(_)) => "quote".into(),
            Event::Start(Tag::List(first)) => format!("list {first:?}"),
            Event::Start(Tag::Item) => "item".into(),
            Event::Start(Tag::CodeBlock(_)) => "code block".into(),
            Event::Start(Tag::HtmlBlock) => "raw".into(),
            Event::Start(Tag::Table(_)) => "table".into(),
            Event::Start(Tag::TableRow) => "row".into(),
            Event::Start(Tag::TableCell) => "cell".into(),
            Event::Start(Tag::Emphasis) => "em".into(),
            Event::Start(Tag::Strong) => "strong".into(),
            Event::Start(Tag::Strikethrough) => "del".into(),
            Event::Start(Tag::FootnoteDefinition(_)) => "footnote".into(),
            Event::FootnoteReference(label) => format!("[^{label}]"),
            Event::Code(code) => format!("code {code}"),
            Event::Rule => "rule".into(),
            Event::HardBreak => "break".into(),
            _ => return None,
        })
    });
    parts.collect()
}

fn parts_of_the_tree(nodes: &[Node], parts: &mut Vec<String>) {
    for node in nodes {
        let part = match &node.kind {
            Kind::Heading(level) => format!("h{level}"),
            Kind::Quote(_) => "quote".into(),
            Kind::List { first, .. } => format!("list {first:?}"),
            Kind::Item(_) => "item".into(),
            Kind::CodeBlock { .. } => "code block".into(),
            Kind::Raw => "raw".into(),
            Kind::Table(_) => "table".into(),
            Kind::Row => "row".into(),
            Kind::Cell { .. } => "cell".into(),
            Kind::Emphasis => "em".into(),
            Kind::Strong => "strong".into(),
            Kind::Deleted => "del".into(),
            Kind::Footnote(_) => "footnote".into(),
            Kind::FootnoteReference(label) => format!("[^{label}]"),
            Kind::Code => match &node.children[0].kind {
                Kind::Text(code, _) => format!("code {code}"),
                _ => "code".into(),
            },
            Kind::Rule => "rule".into(),
            Kind::Break => "break".into(),
            _ => String::new(),
        };
        if !part.is_empty() {
            parts.push(part);
        }
        parts_of_the_tree(&node.children, parts);
    }
}

#[test]
fn the_tree_consists_of_what_the_parser_says() {
    for text in examples() {
        let mut parts = Vec::new();
        parts_of_the_tree(&parse_whole(&text), &mut parts);
        // A single tilde strikes nothing here.
        let text = text.replace(" ~there~ ", " there ");
        assert_eq!(parts, parts_by_the_parser(&text), "{text:?}");
    }
}

/// Texts that try to be more than text.
const HOSTILE: [&str; 18] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a <img src=x onerror=alert(1)> b",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<svg onload=alert(1)>",
    "<style>*{}</style>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1) \"t\")",
    "[a](java\\tscript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "<javascript:alert(1)>",
    "[a][b]\n\n[b]: javascript:alert(1)",
    "[a](data:text/html,<script>alert(1)</script>)",
    "![a](vbscript:x)",
    "```\"><img src=x onerror=alert(1)>\ncode\n```",
    "[a](https://b.c/\"onmouseover=\"alert(1))",
    "$\\href{javascript:alert(1)}{x}$ $\\text{<script>alert(1)</script>}$",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
];

/// What is between `<` and `>` of HTML as it is written here: all text is escaped.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
}

#[test]
fn nothing_but_the_closed_lists_is_ever_written() {
    const ELEMENTS: &str = " a blockquote br button code del div em figure h1 h2 h3 h4 h5 h6 hr li ol p pre span strong sup table tbody td th thead tr ul math mrow mi mn mo mtext mspace ";
    const ATTRIBUTES: &str = " aria-label class data-act data-done data-language dir href rel role start tabindex target type display stretchy width ";
    let hostile = HOSTILE.into_iter().map(str::to_owned);
    for text in examples().into_iter().chain(hostile) {
        let html = super::html::html(&parse_whole(&text));
        for tag in tags(&html) {
            let name = tag
                .trim_start_matches('/')
                .split(' ')
                .next()
                .unwrap_or_default();
            assert!(
                ELEMENTS.contains(&format!(" {name} ")),
                "{name} in {html} of {text:?}"
            );
            // Values hold no quotes: those are escaped.
            for (index, part) in tag.split('"').enumerate() {
                if index % 2 == 1 {
                    continue;
                }
                let attribute = part
                    .trim_end_matches('=')
                    .rsplit(' ')
                    .next()
                    .unwrap_or_default();
                let is_known = index + 1 == tag.split('"').count()
                    || ATTRIBUTES.contains(&format!(" {attribute} "));
                assert!(is_known, "{attribute} in {html} of {text:?}");
            }
        }
        let addresses = html.split("href=\"").skip(1);
        for address in addresses {
            let address = address.to_ascii_lowercase();
            let is_safe = ["http://", "https://", "mailto:"]
                .iter()
                .any(|scheme| address.starts_with(scheme));
            assert!(is_safe, "{address} of {text:?}");
        }
    }
}

#[test]
fn a_long_paragraph_has_shaping_breaks_between_its_words_while_it_grows_and_none_at_its_end() {
    let check = |word: &str, has_shaping_breaks: bool| {
        let root = FakeNode::element(Tag::Div);
        let mut stream = Stream::new(FakeDom::default(), root.clone());
        let mut text = String::new();
        for _ in 0..1200 {
            text.push_str(word);
            stream.show(&text);
        }
        assert_eq!(
            root.html().contains("(shaping break)"),
            has_shaping_breaks,
            "{word:?}"
        );
        stream.end(&text);
        assert_eq!(root.html(), whole(&text), "{word:?}");
    };
    check("word ", true);
    check("слово ", true);
    check("كلمة ", true);
    check("漢字の語", true);
    check("2024年,「漢字」は", true);
    // Signs that may be joined to those before them.
    check("ภาษาไทย", false);
    // Not a paragraph.
    check("    code\n", false);
}

/// Neither a tree as deep as a loop of marks is long, nor a reading of all of them for each piece.
#[test]
fn marks_that_are_never_closed_are_shown_at_once_and_not_as_a_deep_tree() {
    for (part, times) in [
        ("*a ", 6_000),
        ("**a ", 6_000),
        ("_a **b ~~c ", 2_000),
        ("*a _b ", 3_000),
        ("[a ", 6_000),
        ("**[a ", 3_000),
        ("> *a\n", 3_000),
        ("![", 6_000),
        ("[", 12_000),
    ] {
        let root = FakeNode::element(Tag::Div);
        let dom = FakeDom::default();
        let work = std::rc::Rc::clone(&dom.work);
        let mut stream = Stream::new(dom, root.clone());
        let mut text = String::new();
        while text.len() < part.len() * times {
            text.push_str(&part.repeat(20));
            let before = work.get();
            stream.show(&text);
            let work = work.get() - before;
            assert!(work < 20_000, "{part:?}: {work} after {} bytes", text.len());
            assert!(root.depth() < 20, "{part:?}: {} levels", root.depth());
        }
        text.push_str("innermost");
        stream.show(&text);
        assert!(root.html().contains("innermost"), "{part:?}");
        stream.end(&text);
        assert_eq!(root.html(), whole(&text), "{part:?}");
    }
}

/// Text that takes minutes where work grows with its square.
#[track_caller]
fn check_takes_no_time(kind: &str, text: &str) {
    let begun = std::time::Instant::now();
    let expect = super::html::html(&parse_whole(text)).len();
    assert!(expect > 0);
    let pieces: Vec<_> = text
        .as_bytes()
        .chunks(2048)
        .map(|piece| std::str::from_utf8(piece).expect("it is ASCII"))
        .collect();
    let root = FakeNode::element(Tag::Div);
    let mut stream = Stream::with_limits(FakeDom::default(), root, 768, Limits::default());
    let mut shown = String::new();
    for piece in pieces {
        shown.push_str(piece);
        stream.show(&shown);
    }
    stream.end(&shown);
    let took = begun.elapsed().as_secs();
    assert!(took < 30, "{kind}: {took} s");
}

#[test]
fn text_that_is_made_to_be_slow_is_not() {
    let check = check_takes_no_time;
    let repeat = |part: &str| part.repeat(60_000 / part.len());
    check("address and )", &format!("http://a.b/{}", repeat(")")));
    check("address and ;", &format!("http://a.b/&{}", repeat(";")));
    check("addresses without a space", &repeat("http://a.b<"));
    check("begun addresses", &repeat("(http://"));
    check("begun hosts", &repeat("(www."));
    check("hosts with _", &repeat("www.a_"));
    check("addresses between escapes", &repeat("\\* http://a.b "));
    check("pictures", &repeat("![a](http://b.c)"));
    check("dollars", &repeat("$a "));
    check("angles", &format!("a {}>", repeat("<1")));
    check("marks and brackets", &repeat("*a ] "));
    let (marks, brackets) = ("*a".repeat(15_000), "[".repeat(15_000));
    check(
        "marks in brackets",
        &format!("{brackets}{marks}{}", "]".repeat(15_000)),
    );
    check("begun links", &format!("{}\nb", repeat("[a](")));
}

#[test]
fn references_and_definitions_are_brought_together_in_time() {
    let check = check_takes_no_time;
    let number = |part: fn(usize) -> String| (0..10_000).map(part).collect::<String>();
    let uses = number(|n| format!("[{n}] a\n\n"));
    check(
        "uses, then definitions",
        &format!("{uses}{}", number(|n| format!("[{n}]: /u\n\nb\n\n"))),
    );
    let in_one = (0..3_000).map(|n| format!("[{n}] ")).collect::<String>();
    let definitions = (0..3_000).map(|n| format!("[{n}]: http://a.b\n\nword\n\n"));
    check(
        "uses in one paragraph, then definitions",
        &format!("{in_one}\n\n{}", definitions.collect::<String>()),
    );
    check("uses of nothing", &uses);
}

#[test]
fn rows_of_a_very_wide_table_are_not_filled_up() {
    let table = |columns: usize| {
        let text = format!("|{}\n|{}\nb\n", "a|".repeat(columns), "-|".repeat(columns));
        whole(&text).matches("<td").count()
    };
    assert_eq!(table(16), 16);
    assert_eq!(table(1000), 1);
}
