//! Nesting of every construct, far beyond what anybody writes: no depth of a text may become depth of
//! the program's stack, and no text may be lost.

use proptest::prelude::*;

use super::commit_point::Limits;
use super::depth::LEVELS;
use super::html::html;
use super::parse::parse_whole;
use super::proof::{SHALLOW, deepest, depth, pieces, streamed, whole, whole_within};
use super::random_tests::random_cases;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Something that nests: what opens a level and what closes it.
#[derive(Debug, Clone, Copy)]
struct Construct {
    open: &'static str,
    close: &'static str,
}

const fn construct(open: &'static str, close: &'static str) -> Construct {
    Construct { open, close }
}

/// What nests in Markdown, closed and left open.
const MARKDOWN: &[Construct] = &[
    // Blocks on one line.
    construct("> ", ""),
    construct(">", ""),
    construct("- ", ""),
    construct("* ", ""),
    construct("+ ", ""),
    construct("1. ", ""),
    construct("12) ", ""),
    construct("-   ", ""),
    construct("-\t", ""),
    construct("> - ", ""),
    construct("- > ", ""),
    construct("1. > - ", ""),
    construct("- 1. ", ""),
    construct("- [ ] ", ""),
    construct("[^a]: ", ""),
    construct("> [^a]: ", ""),
    construct("- [^a]: - ", ""),
    // Blocks over lines, most of which do not nest.
    construct("- \n", ""),
    construct("-\n\n", ""),
    construct("-\n\n> ", ""),
    construct("> \n", ""),
    construct("> a\n>", ""),
    construct("1.\n   ", ""),
    construct("```\n", "\n```"),
    construct("<div>\n", "\n</div>"),
    construct("<b>", "</b>"),
    construct("<!--", "-->"),
    construct("<a href=\"", "\">"),
    construct("| ", " |"),
    construct("> | a |\n> |---|\n> ", ""),
    construct("# ", ""),
    // Marks.
    construct("*a ", " a*"),
    construct("*a ", ""),
    construct("_a ", " a_"),
    construct("_a ", ""),
    construct("**a ", " a**"),
    construct("**a ", ""),
    construct("~~a ", " a~~"),
    construct("~~a ", ""),
    construct("~a ", " a~"),
    construct("*a _b ~~c **d ", " d** c~~ b_ a*"),
    construct("*a _b ~~c **d ", ""),
    construct("*", "*"),
    construct("_", "_"),
    construct("~", "~"),
    construct("**", "**"),
    construct("*", ""),
    construct("*a\n", "\na*"),
    construct("[", "]"),
    construct("[", ""),
    construct("[", "](https://a.b)"),
    construct("![", "](https://a.b)"),
    construct("![", "](b)"),
    construct("![", ""),
    construct("[![", "](https://a.b)](https://a.b)"),
    construct("[a]: b\n[", "][a]"),
    construct("[^", "]"),
    construct("*[", "](https://a.b)*"),
    construct("(", ")"),
    construct("<", ">"),
    construct("`", "`"),
    construct("``a `", "` a``"),
    construct("\\(", "\\)"),
    construct("\\[", "\\]"),
    construct("$", "$"),
    construct("$$", "$$"),
    construct("&amp;", ""),
    construct("\\", ""),
];

/// What nests in TeX.
const TEX: &[Construct] = &[
    construct("{", "}"),
    construct("{", ""),
    construct("\\hat", ""),
    construct("\\hat{", "}"),
    construct("\\hat ", ""),
    construct("\\frac", ""),
    construct("\\frac a", ""),
    construct("\\frac{a}", ""),
    construct("\\frac{a}{", "}"),
    construct("\\frac{", "}{a}"),
    construct("\\dfrac{", "}{a}"),
    construct("\\binom a", ""),
    construct("\\sqrt{", "}"),
    construct("\\sqrt", ""),
    construct("\\sqrt[3]", ""),
    construct("\\sqrt[", "]x"),
    construct("\\sqrt[\\sqrt", "]x"),
    construct("x^{", "}"),
    construct("x_{", "}"),
    construct("x^", ""),
    construct("_", ""),
    construct("^\\hat", ""),
    construct("\\left(", "\\right)"),
    construct("\\left(", ""),
    construct("\\frac\\left.", "\\right."),
    construct("\\begin{matrix}", "\\end{matrix}"),
    construct("\\begin{pmatrix}", "\\end{pmatrix}"),
    construct("\\begin{cases}", "\\end{cases}"),
    construct("\\begin{array}{c}", "\\end{array}"),
    construct("\\begin{aligned}", "\\end{aligned}"),
    construct("\\begin{matrix}", ""),
    construct("\\begingroup ", "\\endgroup "),
    construct("\\substack{", "}"),
    construct("\\mathbf{", "}"),
    construct("\\mathbf", ""),
    construct("\\text{", "}"),
    construct("\\text{$", "$}"),
    construct("\\textcolor{red}", ""),
    construct("\\color{red}", ""),
    construct("\\overset a", ""),
    construct("\\underset{a}", ""),
    construct("\\stackrel{a}", ""),
    construct("\\xrightarrow[a]", ""),
    construct("\\xrightarrow[", "]"),
    construct("\\not", ""),
    construct("\\mathbin", ""),
    construct("\\pmod", ""),
    construct("\\operatorname{", "}"),
    construct("\\sideset{}{}", ""),
    construct("\\buildrel a\\over", ""),
    construct("\\genfrac(){0pt}0", ""),
    construct("\\frac\\kern1em", ""),
    construct("\\frac\\char65 ", ""),
    construct("\\def\\a{\\hat}\\a", ""),
    construct("\\newcommand{\\a}[1]{\\hat{#1}}\\a", ""),
    construct("\\let\\a\\hat\\a", ""),
    construct("\\relax ", ""),
    construct("%\n", ""),
    construct("\\boxed{", "}"),
    construct("\\limits", ""),
    construct("\\\\[1em]", ""),
    construct("&", ""),
];

/// So often things nest in a text that is read at once. Without optimization, WebAssembly is slow.
const AT_ONCE: usize = if cfg!(all(debug_assertions, target_arch = "wasm32")) {
    3_000
} else {
    100_000
};

/// So often they nest in a stream, where a text is read many times.
const IN_A_STREAM: usize = if cfg!(debug_assertions) {
    1_000
} else {
    100_000
};

fn nested(construct: Construct, levels: usize) -> String {
    format!(
        "{}innermost{}",
        construct.open.repeat(levels),
        construct.close.repeat(levels)
    )
}

fn formula(construct: Construct, levels: usize) -> String {
    let Construct { open, close } = construct;
    let (open, close) = (open.repeat(levels), close.repeat(levels));
    format!("so $${open} innermost{close}$$ it is")
}

#[track_caller]
fn check_at_once(text: &str, what: &str) {
    let nodes = parse_whole(text);
    let deep = depth(&nodes);
    assert!(deep <= deepest(LEVELS), "{what}: {deep} levels");
    let html = html(&nodes);
    let is_drawn = html.contains("<math");
    assert!(
        is_drawn || html.contains("innermost"),
        "{what}: text was lost"
    );
}

fn of_length(text: &str, length: usize) -> Vec<&str> {
    pieces(text, std::iter::repeat_n(length, text.len() / length))
}

#[track_caller]
fn check_streamed(text: &str, piece: usize, what: &str) {
    let streamed = streamed(&of_length(text, piece), 768, Limits::default());
    assert!(streamed == whole(text), "{what}: streamed it is another");
}

#[test]
fn blocks_and_marks_nest_a_hundred_thousand_times_at_once() {
    for construct in MARKDOWN {
        check_at_once(&nested(*construct, AT_ONCE), &format!("{construct:?}"));
    }
}

#[test]
fn formulas_nest_a_hundred_thousand_times_at_once() {
    for construct in TEX {
        check_at_once(&formula(*construct, AT_ONCE), &format!("{construct:?}"));
    }
}

/// Short enough to be drawn at all.
#[test]
fn formulas_nest_as_often_as_a_drawn_one_can() {
    for construct in TEX {
        let levels = 9_900 / (construct.open.len() + construct.close.len());
        for levels in [levels, 400, 101, 100, 99, 30] {
            check_at_once(&formula(*construct, levels), &format!("{construct:?}"));
        }
    }
}

#[test]
fn blocks_and_marks_nest_in_a_stream() {
    for construct in MARKDOWN {
        let text = nested(*construct, IN_A_STREAM);
        check_streamed(&text, 1 + text.len() / 5, &format!("{construct:?}"));
    }
}

#[test]
fn formulas_nest_in_a_stream() {
    for construct in TEX {
        let text = formula(*construct, IN_A_STREAM);
        check_streamed(&text, 1 + text.len() / 3, &format!("{construct:?}"));
    }
}

/// A text that nests deeper than it may is in the end the same document as one that is read at once,
/// however it was cut into pieces. So that short texts are too deep, they may nest three levels here.
#[test]
fn what_is_too_deep_streams_character_by_character() {
    for construct in MARKDOWN {
        for levels in [3, 4, 9] {
            let text = format!("{}\n\nafter", nested(*construct, levels));
            for (piece, step) in [(1, 1), (3, 7)] {
                let streamed = streamed(&of_length(&text, piece), step, SHALLOW);
                assert_eq!(streamed, whole_within(&text, SHALLOW.levels), "{text:?}");
            }
        }
    }
}

#[test]
fn a_footnote_behind_another_one_is_as_deep_as_its_line_says() {
    let text = "[^a]: [^a]: > [^a]: a";
    let streamed = streamed(&of_length(text, 1), 1, SHALLOW);
    assert_eq!(streamed, whole_within(text, SHALLOW.levels));
}

proptest! {
    #![proptest_config(random_cases())]

    #[test]
    fn what_nests_in_every_mix_ends_as_the_whole_text(
        parts in proptest::collection::vec((0..MARKDOWN.len(), 1_usize..6, any::<bool>()), 1..8),
        words in prop::sample::select(vec!["a", "word word", "\n", "\n\n", "b\n> c", "", "    x"]),
        step in 1_usize..40,
        piece in 1_usize..12,
    ) {
        let mut text = String::new();
        for (construct, levels, _) in &parts {
            text.push_str(&MARKDOWN[*construct].open.repeat(*levels));
        }
        text.push_str(words);
        for (construct, levels, is_closed) in parts.iter().rev() {
            if *is_closed {
                text.push_str(&MARKDOWN[*construct].close.repeat(*levels));
            }
        }
        let streamed = streamed(&of_length(&text, piece), step, SHALLOW);
        prop_assert_eq!(streamed, whole_within(&text, SHALLOW.levels), "{:?}", text);
    }
}
