//! Any formula: it does not panic, and what it becomes is bounded and closes what it opens.
//!
//! `cargo +nightly fuzz run formula -- -max_len=1000 -timeout=20`

#![no_main]

#[path = "../words.rs"]
mod words;

use app::markdown::formula::{Step, formula};
use libfuzzer_sys::fuzz_target;

/// What means something in TeX.
const WORDS: &[&str] = &[
    "\\hat", "\\hat{", "\\frac", "\\frac{", "}{", "\\dfrac ", "\\binom", "\\sqrt", "\\sqrt[", "\\sqrt{",
    "^{", "_{", "\\left(", "\\right)", "\\left.", "\\right.", "\\middle|", "\\begin{matrix}",
    "\\end{matrix}", "\\begin{pmatrix*}[r]", "\\end{pmatrix*}", "\\begin{array}{c|c}",
    "\\begin{array}{||c::r|}", "\\end{array}", "\\begin{cases}", "\\end{cases}", "\\begin{aligned}",
    "\\end{aligned}", "\\begin{alignat}{2}", "\\end{alignat}", "\\begin{equation}", "\\end{equation}",
    "\\begin{split}", "\\end{split}", "\\begin{subarray}{l}", "\\end{subarray}", "\\begin{gathered}",
    "\\end{gathered}", "\\begin{", "\\end{", "\\begingroup ", "\\endgroup ", "\\substack{", "\\mathbf{",
    "\\mathcal ", "\\mathop{", "\\mathbin", "\\text{", "\\textbf{", "\\operatorname{", "\\textcolor{red}",
    "\\color{#ff00ff}", "\\colorbox{blue}{", "\\fcolorbox{red}{blue}{", "\\overset", "\\underset{",
    "\\stackrel", "\\xrightarrow[", "\\xleftarrow{", "\\not", "\\cancel{", "\\pmod", "\\bmod ",
    "\\sideset{a}{b}", "\\buildrel a\\over ", "\\genfrac(){1pt}0", "\\kern1em ", "\\hskip 1em plus 2pt ",
    "\\mkern3mu", "\\hspace{1em}", "\\Space{1em}{1em}{1em}", "\\char65 ", "\\char", "\\def\\a#1{#1}", "\\a",
    "\\newcommand{\\b}[1]{#1}", "\\let\\c=\\hat", "\\relax ", "%\n", "\\boxed{", "\\limits", "\\nolimits",
    "\\\\", "\\\\[1em]", "\\cr", "&", "\\hline", "\\hdashline", "\\sum", "\\int", "\\lim", "\\sin ", "\\quad",
    "\\displaystyle ", "\\bf ", "\\rm ", "\\big(", "\\Bigg\\}", "\\{", "\\}", "\\|", "\\alpha ", "\\rightarrow",
    "\\leftarrow", "12.5", "x'", "\u{a0}", "\u{2003}", "\u{6f22}", "\u{e9}",
];

fuzz_target!(|input: (bool, &[u8])| {
    let (is_display, tex) = input;
    let tex = words::text(tex, WORDS);
    let Some(steps) = formula(&tex, is_display) else {
        return;
    };
    // A step is written in three bytes or more, see `formula.rs`.
    assert!(steps.len() < 200_000, "{} steps", steps.len());
    let mut open = 0_usize;
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Open(_) => open += 1,
            Step::Close => open -= 1,
            Step::Attr(..) | Step::Text(_) => {}
        }
        assert!(open > 0 || index + 1 == steps.len(), "one element holds all");
        assert!(open < 150, "{open} elements deep");
    }
    assert_eq!(open, 0);
});
