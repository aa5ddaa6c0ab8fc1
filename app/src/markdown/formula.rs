//! Formulas as MathML: what pulldown-latex makes of TeX, taken apart and let through by a closed list.
//!
//! Its output is read as the few kinds of tags that it is, and whatever is not on the list does not come
//! out: no style, no address, no other element. A formula with an error in it is none at all; then its
//! source is shown.

use std::io;

use pulldown_latex::event::{Event, ScriptType, Visual};
use pulldown_latex::{Parser, RenderConfig, Storage, config::DisplayMode, write_mathml};

use super::tex;

/// A longer formula is shown as its source.
const LONGEST: usize = 10_000;

/// One that becomes more MathML than this, in bytes, is shown as its source, too: that is fifty times as
/// much as the longest formula, and ten times what one of ordinary commands becomes.
const MOST_MATHML: usize = 500_000;

/// The longest space that is looked for below a row, in bytes: `[2.5em]`.
const LONGEST_SPACE: usize = 32;

/// The elements of a formula.
const TAGS: [&str; 25] = [
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "mtext",
    "mspace",
    "mfrac",
    "msqrt",
    "mroot",
    "msub",
    "msup",
    "msubsup",
    "munder",
    "mover",
    "munderover",
    "mtable",
    "mtr",
    "mtd",
    "mphantom",
    "mpadded",
    "menclose",
    "mstyle",
    "mmultiscripts",
    "mprescripts",
];

/// The attributes of a formula. None leads anywhere or holds a style.
const ATTRS: [&str; 20] = [
    "display",
    "stretchy",
    "movablelimits",
    "linethickness",
    "width",
    "height",
    "depth",
    "lspace",
    "rspace",
    "voffset",
    "mathvariant",
    "accent",
    "accentunder",
    "displaystyle",
    "scriptlevel",
    "symmetric",
    "minsize",
    "maxsize",
    "fence",
    "form",
];

/// A step in writing a formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Begins an element.
    Open(&'static str),
    /// Gives the element that was just begun an attribute.
    Attr(&'static str, String),
    /// Adds text.
    Text(String),
    /// Ends the element.
    Close,
}

/// The steps that write a formula; `None` if it cannot be read.
#[must_use]
pub fn formula(tex: &str, is_display: bool) -> Option<Vec<Step>> {
    if tex.len() > LONGEST || tex.trim().is_empty() {
        return None;
    }
    // The frame that it draws is not worth losing the formula.
    let tex = tex.replace("\\boxed", "");
    // The parser takes any white space for one byte.
    let tex = tex.replace(|c: char| !c.is_ascii() && c.is_whitespace(), " ");
    let tex = with_bases(&tex);
    if !tex::is_bounded(&tex) {
        return None;
    }
    let storage = Storage::new();
    let config = RenderConfig {
        display_mode: if is_display {
            DisplayMode::Block
        } else {
            DisplayMode::Inline
        },
        ..RenderConfig::default()
    };
    let mut arguments = Arguments::new();
    let mut can_be_written = true;
    // Nothing is written from the first event that cannot be, and nothing is parsed behind it: there the parser
    // may be at a place where the walk above was not.
    let events = Parser::new(&tex, &storage)
        .map_while(|event| {
            can_be_written &= event.as_ref().is_ok_and(|event| arguments.fit(event));
            can_be_written.then_some(event)
        })
        .fuse();
    let mut written = Bounded(Vec::new());
    write_mathml(&mut written, events, config).ok()?;
    if !can_be_written {
        return None;
    }
    read(&String::from_utf8(written.0).ok()?)
}

/// Gives each script at the start of a row or a cell an empty base, as in `30 & ^\circ`. The parser would
/// take the mark before it for the base.
fn with_bases(tex: &str) -> String {
    let mut with = String::with_capacity(tex.len() + 8);
    let mut rest = tex;
    let mut is_at_start = false;
    while let Some(first) = rest.chars().next() {
        let length = match rest.as_bytes() {
            [b'\\', b'\\', after @ ..] => {
                is_at_start = true;
                // The space below the row belongs to its end.
                let space = match after {
                    [b'[', ..] => after
                        .iter()
                        .take(LONGEST_SPACE)
                        .position(|byte| *byte == b']')
                        .map_or(0, |at| at + 1),
                    _ => 0,
                };
                2 + space
            }
            [b'\\', ..] => {
                is_at_start = false;
                1 + rest.chars().nth(1).map_or(0, char::len_utf8)
            }
            [b'_' | b'^', ..] => {
                if is_at_start {
                    with.push_str("{}");
                }
                is_at_start = false;
                1
            }
            _ => {
                is_at_start = first == '&' || (is_at_start && first.is_whitespace());
                first.len_utf8()
            }
        };
        with.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    with
}

/// Finds a new row or cell where the argument of a command should be. The parser takes the one before a
/// script for its base (`\\ _x`), and the writer then counts columns that an array does not have.
struct Arguments {
    /// For each open group, the innermost last: how many arguments are still to come.
    missing: Vec<usize>,
}

impl Arguments {
    fn new() -> Self {
        Self { missing: vec![0] }
    }

    /// Notes an event. Gives false where a group, a new row or a new cell should not be there.
    fn fit(&mut self, event: &Event<'_>) -> bool {
        let Some(missing) = self.missing.last_mut() else {
            return false;
        };
        let own = match event {
            Event::EnvironmentFlow(_) => return *missing == 0,
            Event::End => {
                let is_complete = *missing == 0;
                self.missing.pop();
                return is_complete;
            }
            Event::Visual(Visual::SquareRoot | Visual::Negation) => 1,
            Event::Visual(Visual::Root | Visual::Fraction(_)) => 2,
            Event::Script { ty, .. } => match ty {
                ScriptType::Subscript | ScriptType::Superscript => 2,
                ScriptType::SubSuperscript => 3,
            },
            Event::Content(_) | Event::Begin(_) | Event::Space { .. } | Event::StateChange(_) => 0,
        };
        *missing = missing.saturating_sub(1) + own;
        if matches!(event, Event::Begin(_)) {
            self.missing.push(0);
        }
        true
    }
}

/// Takes only as much as a formula may become.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_MATHML {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads MathML as pulldown-latex writes it.
fn read(mathml: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut depth = 0_usize;
    let mut rest = mathml;
    while !rest.is_empty() {
        let is_tag = rest.starts_with('<')
            && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        if !is_tag {
            // A `<` that begins no tag is one that is shown.
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| *c == '<')
                .map_or(rest.len(), |(at, _)| at);
            steps.push(Step::Text(unescape(&rest[..end])));
            rest = &rest[end..];
            continue;
        }
        let end = end_of_tag(rest)?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('/') {
            depth = depth.checked_sub(1)?;
            steps.push(Step::Close);
            continue;
        }
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/').trim_end();
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        steps.push(Step::Open(TAGS.into_iter().find(|known| *known == name)?));
        depth += 1;
        for (name, value) in attributes_of(attributes) {
            if let Some(known) = ATTRS.into_iter().find(|known| *known == name) {
                steps.push(Step::Attr(known, unescape(value)));
            } else if name == "class" && value.split(' ').all(|class| class.starts_with("menv-")) {
                steps.push(Step::Attr("class", value.to_owned()));
            }
        }
        if is_empty {
            depth -= 1;
            steps.push(Step::Close);
        }
    }
    (depth == 0).then_some(steps)
}

/// Where the `>` of a tag is: not within an attribute.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut is_quoted = false;
    tag.char_indices().find_map(|(at, c)| {
        is_quoted ^= c == '"';
        (c == '>' && !is_quoted).then_some(at)
    })
}

fn attributes_of(mut text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let Some((value, after)) = rest.split_once('"') else {
            break;
        };
        found.push((name.trim(), value));
        text = after;
    }
    found
}

fn unescape(text: &str) -> String {
    text.replace("&nbsp;", "\u{a0}")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tex: &str) -> Option<String> {
        let mut open = Vec::new();
        let steps = formula(tex, false)?;
        Some(steps.iter().fold(String::new(), |mut all, step| {
            match step {
                Step::Open(tag) => {
                    open.push(*tag);
                    all.push_str(&format!("<{tag}>"));
                }
                Step::Attr(name, value) => all.push_str(&format!("[{name}={value}]")),
                Step::Text(text) => all.push_str(text),
                Step::Close => all.push_str(&format!("</{}>", open.pop().expect("it is open"))),
            }
            all
        }))
    }

    #[track_caller]
    fn check(tex: &str, expect: &str) {
        assert_eq!(written(tex).as_deref(), Some(expect), "{tex}");
    }

    #[test]
    fn an_array_of_any_columns_with_any_cells_does_not_panic() {
        const COLUMNS: [&str; 6] = ["c", "cc", "c|c", "|c:", "||cc", "cc::"];
        const CELLS: [&str; 6] = ["x", "&", r"\\", r"\\[1em]", "_x", r"^{x}"];
        let cells = || {
            (0..CELLS.len().pow(5)).map(|number| -> String {
                (0..5)
                    .map(|at| CELLS[number / CELLS.len().pow(at) % CELLS.len()])
                    .collect()
            })
        };
        let is_written = |(columns, cells)| {
            formula(
                &format!(r"\begin{{array}}{{{columns}}}{cells}\end{{array}}"),
                true,
            )
            .is_some()
        };
        let arrays = COLUMNS
            .iter()
            .flat_map(|columns| cells().map(move |cells| (columns, cells)));
        let written = arrays.filter(|array| is_written(array.clone())).count();
        assert!(written > 1000, "{written} can be written");
    }

    #[test]
    fn nothing_is_parsed_behind_an_error() {
        // A number must follow `\char`, and the parser cuts what does follow into bytes.
        for before in ["x", "+", "/", "=", "(", r"\sum", r"\sin"] {
            for error in [r"\Space/", r"\nosuch", r"\hspace a", r"\kern a"] {
                let tex = format!(r"{before}{error}\char é=");
                assert_eq!(formula(&tex, false), None, "{tex}");
            }
        }
    }

    #[test]
    fn a_script_at_the_start_of_a_cell_has_an_empty_base() {
        let check = |tex: &str, expect: &str| {
            let (tex, expect) = (written(tex), written(expect));
            assert!(tex.is_some());
            assert_eq!(tex, expect);
        };
        check(
            r"\begin{array}{cc}a&b\\_x&c\end{array}",
            r"\begin{array}{cc}a&b\\{}_x&c\end{array}",
        );
        check(
            r"\begin{array}{cc}a&b\\[1em] ^x&c\end{array}",
            r"\begin{array}{cc}a&b\\[1em]{}^x&c\end{array}",
        );
        check(
            r"\begin{aligned}T &= 30 & ^\circ C\end{aligned}",
            r"\begin{aligned}T &= 30 & {}^\circ C\end{aligned}",
        );
        let escaped = "<math>[display=inline]<msub><mi>&</mi><mi>x</mi></msub></math>";
        assert_eq!(written(r"\&_x").as_deref(), Some(escaped));
    }

    #[test]
    fn tex_becomes_mathml() {
        check(
            "x^2",
            "<math>[display=inline]<msup><mi>x</mi><mn>2</mn></msup></math>",
        );
        check(
            "a<b>c",
            "<math>[display=inline]<mi>a</mi><mo><</mo><mi>b</mi><mo>></mo><mi>c</mi></math>",
        );
        check(
            r"\boxed{x}",
            "<math>[display=inline]<mrow><mi>x</mi></mrow></math>",
        );
        check(
            r"\text{a b}",
            "<math>[display=inline]<mtext>a b</mtext></math>",
        );
    }

    #[test]
    fn styles_are_left_out() {
        check(
            r"\color{red}{x}",
            "<math>[display=inline]<mrow><mi>x</mi></mrow></math>",
        );
    }

    #[test]
    fn what_cannot_be_read_is_no_formula() {
        for tex in [
            r"\bad{",
            r"\frac{a",
            "",
            "  ",
            r"\end{x}",
            "}",
            r"\href{javascript:alert(1)}{x}",
        ] {
            assert_eq!(written(tex), None, "{tex}");
        }
    }

    #[test]
    fn the_usual_formulas_can_be_read() {
        for tex in [
            r"e^{i\pi} + 1 = 0",
            r"\frac{-b \pm \sqrt{b^2 - 4ac}}{2a}",
            r"\sum_{i=0}^{n} \binom{n}{i} x^i",
            r"\int_{-\infty}^{\infty} e^{-x^2} \, dx = \sqrt{\pi}",
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
            r"f(x) = \begin{cases} 1 & x > 0 \\ 0 & \text{otherwise} \end{cases}",
            r"\mathbb{R}^n \to \mathcal{L}(\mathbf{x}), \quad \forall \epsilon > 0",
            r"\lim_{x \to 0} \frac{\sin x}{x} \leq \left( \frac{a}{b} \right)",
            r"\nabla \cdot \vec{E} = \frac{\rho}{\varepsilon_0}",
        ] {
            assert!(written(tex).is_some(), "{tex}");
        }
    }
}
