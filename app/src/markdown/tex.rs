//! How deep a formula nests and whether it can be given to the parser of formulas.
//!
//! That parser takes the argument of a command by calling itself, so `\hat\hat\hat…` needs as much of
//! the stack as there are commands. It also has a few inputs that it panics at. So each formula is first
//! walked here, without recursion: what a group is and which commands take arguments is decided as the
//! parser (pulldown-latex 0.8) decides it. Commands that are not known here take no arguments there.
//! What defines commands is refused, since then a text says too little about what will be parsed.

mod commands;

use self::commands::takes_argument;
use super::depth::LEVELS;

/// Things that nest without being looked into: so many may be in a formula.
const MOST_ODDITIES: usize = 100;

/// The longest list of columns of an array. Each row is as long.
const LONGEST_COLUMNS: usize = 200;

/// Whether a formula nests no deeper than what can be drawn, and has nothing in it that the parser of
/// formulas does not stand. Takes time in proportion to its length and depth.
pub(super) fn is_bounded(tex: &str) -> bool {
    let mut walk = Walk {
        tex,
        at: 0,
        open: vec![Open::Group {
            end: tex.len(),
            resume: tex.len(),
            weight: 0,
            is_argument: false,
        }],
        depth: 0,
        oddities: 0,
    };
    walk.run().is_some()
}

/// Something within which the walk is.
#[derive(Debug, Clone, Copy)]
enum Open {
    /// A group.
    Group {
        /// Where its content ends.
        end: usize,
        /// Where the text goes on behind it.
        resume: usize,
        /// How many elements deep it is drawn.
        weight: usize,
        /// Whether it can be the argument of a command.
        is_argument: bool,
    },
    /// A command that still takes arguments.
    Command {
        /// How many.
        arguments: u8,
        /// How many elements deep it is drawn.
        weight: usize,
    },
}

/// The steps give `None` where the formula is to be refused.
struct Walk<'a> {
    tex: &'a str,
    at: usize,
    open: Vec<Open>,
    /// The weight of all that is open.
    depth: usize,
    oddities: usize,
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Option<()> {
        loop {
            let end = match self
                .open
                .iter()
                .rfind(|open| matches!(open, Open::Group { .. }))
            {
                Some(Open::Group { end, .. }) => *end,
                _ => return Some(()),
            };
            self.skip_spaces(end);
            if self.at < end {
                self.token(end)?;
                continue;
            }
            match self.open.pop()? {
                // An argument is missing.
                Open::Command { .. } => return None,
                Open::Group {
                    resume,
                    weight,
                    is_argument,
                    ..
                } => {
                    self.at = resume;
                    self.depth -= weight;
                    if self.open.is_empty() {
                        return Some(());
                    }
                    if is_argument {
                        self.complete();
                    }
                }
            }
        }
    }

    /// Walks over the token that begins here, with what it takes for itself.
    fn token(&mut self, end: usize) -> Option<()> {
        let first = self.tex[self.at..end].chars().next()?;
        match first {
            '\\' => {
                let name = self.name(end)?;
                self.command(name, end)
            }
            '%' => {
                self.oddities += 1;
                let line = self.tex[self.at..end].find('\n');
                self.at = line.map_or(end, |line| self.at + line + 1);
                (self.oddities <= MOST_ODDITIES).then_some(())
            }
            '{' => self.group("{", "}", end, 1, true),
            '}' => None,
            '^' | '_' => {
                self.at += 1;
                (!self.is_awaited()).then_some(())?;
                self.push(1, 1)
            }
            _ => {
                self.at += first.len_utf8();
                self.complete();
                Some(())
            }
        }
    }

    fn command(&mut self, name: &str, end: usize) -> Option<()> {
        match name {
            // What they mean for the rest cannot be told from the text.
            "def" | "let" | "futurelet" | "newcommand" | "renewcommand" | "providecommand"
            // Its argument is all up to `\over`, of which only the first part is looked at.
            | "buildrel" => None,
            // Nothing is open that they could end.
            "right" | "end" | "endgroup" => None,
            "begingroup" => self.group("\\begin", "\\end", end, 1, true),
            "left" => self.left(end),
            "begin" => self.environment(end),
            "relax" => {
                self.oddities += 1;
                (self.oddities <= MOST_ODDITIES && !self.is_awaited()).then_some(())
            }
            "char" => self.character(end),
            "kern" | "hskip" | "mkern" | "mskip" => (!self.is_awaited()).then_some(()),
            "\\" | "cr" => {
                (!self.is_awaited()).then_some(())?;
                self.optional(end).map(|_| ())
            }
            "operatorname" | "mathop" | "text" | "textrm" | "textbf" | "textit" | "textsf"
            | "texttt" => self.texts(1, end),
            "hspace" => self.texts(1, end),
            "Space" => self.texts(3, end),
            "color" => self.colors(1, end).map(|()| self.complete()),
            "colorbox" => {
                self.colors(1, end)?;
                self.texts(1, end)
            }
            "fcolorbox" => {
                self.colors(2, end)?;
                self.texts(1, end)
            }
            "textcolor" => {
                self.colors(1, end)?;
                self.push(1, 1)
            }
            "genfrac" => {
                for _ in 0..4 {
                    self.text(end)?;
                }
                self.push(2, 2)
            }
            "sideset" => {
                self.text(end)?;
                self.text(end)?;
                self.push(1, 1)
            }
            "sqrt" | "xleftarrow" | "xrightarrow" => {
                self.push(1, 1)?;
                match self.optional(end)? {
                    None => Some(()),
                    Some((content, resume)) => self.enter(content, resume, 1, false),
                }
            }
            "frac" | "overset" | "underset" => self.push(2, 1),
            "cfrac" | "dfrac" | "tfrac" | "binom" | "dbinom" | "tbinom" | "stackrel" => {
                self.push(2, 2)
            }
            "substack" => self.push(1, 3),
            name if takes_argument(name) => self.push(1, 1),
            _ => {
                self.complete();
                Some(())
            }
        }
    }

    /// The name of the command that begins here.
    fn name(&mut self, end: usize) -> Option<&'a str> {
        let tex = self.tex;
        let rest = &tex[self.at + 1..end];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let length = letters.max(rest.chars().next()?.len_utf8());
        self.at += 1 + length;
        self.skip_spaces(end);
        Some(&rest[..length])
    }

    fn skip_spaces(&mut self, end: usize) {
        let rest = &self.tex[self.at.min(end)..end];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Whether what comes next is the argument of a command.
    fn is_awaited(&self) -> bool {
        matches!(self.open.last(), Some(Open::Command { .. }))
    }

    /// Notes a command that takes arguments.
    fn push(&mut self, arguments: u8, weight: usize) -> Option<()> {
        self.open.push(Open::Command { arguments, weight });
        self.depth += weight;
        (self.depth <= LEVELS).then_some(())
    }

    /// Notes that an argument is complete, and with it perhaps the command that takes it.
    fn complete(&mut self) {
        while let Some(Open::Command { arguments, weight }) = self.open.last_mut() {
            *arguments -= 1;
            if *arguments > 0 {
                return;
            }
            self.depth -= *weight;
            self.open.pop();
        }
    }

    /// Goes into a group.
    fn enter(
        &mut self,
        content: std::ops::Range<usize>,
        resume: usize,
        weight: usize,
        is_argument: bool,
    ) -> Option<()> {
        self.at = content.start;
        self.open.push(Open::Group {
            end: content.end,
            resume,
            weight,
            is_argument,
        });
        self.depth += weight;
        (self.depth <= LEVELS).then_some(())
    }

    /// Goes into the group that begins here, or behind the command that begins it.
    fn group(
        &mut self,
        open: &str,
        close: &str,
        end: usize,
        weight: usize,
        is_argument: bool,
    ) -> Option<()> {
        let start = if open == "{" { self.at + 1 } else { self.at };
        let length = content_length(&self.tex[start..end], open, close)?;
        let content = start..start + length;
        let resume = content.end + close.len();
        self.enter(content, resume, weight, is_argument)
    }

    fn left(&mut self, end: usize) -> Option<()> {
        self.delimiter(end)?;
        let start = self.at;
        let length = content_length(&self.tex[start..end], "\\left", "\\right")?;
        self.at = start + length + "\\right".len();
        self.delimiter(end)?;
        let resume = self.at;
        self.enter(start..start + length, resume, 1, true)
    }

    /// Walks over a delimiter.
    fn delimiter(&mut self, end: usize) -> Option<()> {
        self.skip_spaces(end);
        let first = self.tex[self.at..end].chars().next()?;
        match first {
            '\\' => self.name(end).map(|_| ()),
            // A comment would be between.
            '%' => None,
            _ => {
                self.at += first.len_utf8();
                Some(())
            }
        }
    }

    fn environment(&mut self, end: usize) -> Option<()> {
        let name = self.braced(end)?;
        let name = &self.tex[name];
        match name {
            "array" | "darray" => {
                let columns = self.braced(end)?;
                let is_of_columns = self.tex[columns.clone()].bytes().all(|b| b.is_ascii());
                (columns.len() <= LONGEST_COLUMNS && is_of_columns).then_some(())?;
            }
            "alignat" | "alignat*" | "alignedat" => {
                let pairs = self.braced(end)?;
                let pairs = &self.tex[pairs];
                let is_small = (1..=2).contains(&pairs.len());
                (is_small && pairs.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
            }
            "subarray" => {
                self.braced(end)?;
            }
            _ if name.ends_with("matrix*") => {
                self.optional(end)?;
            }
            _ => {}
        }
        let (open, close) = (format!("\\begin{{{name}}}"), format!("\\end{{{name}}}"));
        self.group(&open, &close, end, 4, true)
    }

    /// Walks over a group; gives its content.
    fn braced(&mut self, end: usize) -> Option<std::ops::Range<usize>> {
        self.skip_spaces(end);
        self.tex[self.at..end].starts_with('{').then_some(())?;
        let start = self.at + 1;
        let length = content_length(&self.tex[start..end], "{", "}")?;
        self.at = start + length + 1;
        Some(start..start + length)
    }

    /// Walks over an optional argument, if one is here; gives its content and where it ends.
    #[expect(clippy::option_option, reason = "the outer one refuses the formula")]
    fn optional(&mut self, end: usize) -> Option<Option<(std::ops::Range<usize>, usize)>> {
        self.skip_spaces(end);
        if !self.tex[self.at..end].starts_with('[') {
            return Some(None);
        }
        let start = self.at + 1;
        let length = content_length(&self.tex[start..end], "[", "]")?;
        self.at = start + length + 1;
        Some(Some((start..start + length, self.at)))
    }

    /// Walks over arguments that are shown as text, which complete what takes them.
    fn texts(&mut self, count: usize, end: usize) -> Option<()> {
        for _ in 0..count {
            self.text(end)?;
        }
        self.complete();
        Some(())
    }

    /// Walks over an argument that the parser does not look into.
    fn text(&mut self, end: usize) -> Option<()> {
        self.skip_spaces(end);
        if self.tex[self.at..end].starts_with('{') {
            self.braced(end).map(|_| ())
        } else {
            self.delimiter(end)
        }
    }

    /// Walks over the names of colors.
    fn colors(&mut self, count: usize, end: usize) -> Option<()> {
        for _ in 0..count {
            let color = self.braced(end)?;
            // Others are cut within a character.
            self.tex[color].is_ascii().then_some(())?;
        }
        Some(())
    }

    /// Walks over the number of a character, which is at most 255.
    fn character(&mut self, end: usize) -> Option<()> {
        let rest = &self.tex[self.at..end];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        (1..=3).contains(&digits).then_some(())?;
        self.at += digits;
        self.complete();
        Some(())
    }
}

/// How long the content is of a group that has been opened; `None` if it is not closed.
fn content_length(text: &str, open: &str, close: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (open, close) = (open.as_bytes(), close.as_bytes());
    let mut depth = 0_usize;
    let mut is_escaped = false;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        // A closing command counts behind a backslash as well, if it is the one that is looked for.
        if depth == 0 && !is_escaped && rest.starts_with(close) {
            return Some(at);
        }
        if !is_escaped && rest.starts_with(open) {
            depth += 1;
            at += open.len();
        } else if !is_escaped && rest.starts_with(close) {
            depth -= 1;
            at += close.len();
        } else {
            match bytes[at] {
                b'\\' => is_escaped = !is_escaped,
                b'%' if !is_escaped => at += memchr::memchr(b'\n', rest)?,
                _ => is_escaped = false,
            }
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tex: &str, expect: bool) {
        assert_eq!(is_bounded(tex), expect, "{tex}");
    }

    fn repeated(open: &str, close: &str, levels: usize) -> String {
        format!("{} x{}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn what_people_write_is_bounded() {
        for tex in [
            "",
            "x^2",
            r"\frac{-b \pm \sqrt{b^2 - 4ac}}{2a}",
            r"\frac12 \sqrt[3]{x} \sqrt [n] 2",
            r"\left( \frac{a}{b} \right] \left.x\right|_0^1",
            r"\begin{array}{c|c} 1 & 2 \\[1em] \hline 3 & 4 \end{array}",
            r"\begin{alignat}{2} a &= b \end{alignat}",
            r"\text{a_b {c}} \operatorname{arg\,max}_x \mathop{lim}",
            r"\hskip 1em \kern{2pt} \color{red} x \textcolor{blue}{y} \char65 ",
            r"a % comment
              + b",
            r"\substack{a \\ b} \overset{!}{=} \xrightarrow[a]{b} \bigl( \middle|",
        ] {
            check(tex, true);
        }
    }

    #[test]
    fn a_formula_may_nest_a_hundred_levels() {
        for (open, close, levels) in [
            ("{", "}", 100),
            (r"\hat", "", 100),
            (r"\hat{", "}", 50),
            (r"\frac a", "", 100),
            (r"\frac{a}{", "}", 50),
            (r"\overset a", "", 100),
            // It has a row of its own in the MathML.
            (r"\stackrel a", "", 50),
            (r"\sqrt[3]", "", 99),
            (r"\left(", r"\right)", 100),
            (r"\frac\left.\right.", "", 99),
            ("x^{", "}", 50),
            (r"\begin{matrix}", r"\end{matrix}", 25),
        ] {
            check(&repeated(open, close, levels), true);
            check(&repeated(open, close, levels + 1), false);
        }
    }

    #[test]
    fn what_is_many_but_not_deep_is_bounded() {
        for tex in [
            r"\alpha\beta",
            r"\hat a",
            r"{{x}}",
            r"\frac12",
            "x^2",
            r"\sqrt x ",
            r"\sqrt[3]x ",
            r"\left(x\right)",
            r"\begin{matrix}x\end{matrix}",
            r"\mathbf x",
        ] {
            check(&tex.repeat(500), true);
        }
    }

    #[test]
    fn what_the_parser_does_not_stand_is_refused() {
        for tex in [
            r"\def\a{\hat}\a x",
            r"\newcommand{\a}[0][x]{}",
            r"\buildrel a\over b",
            r"\char é",
            r"\char 99999999999999999999999",
            r"\color{#é漢a}",
            r"\begin{alignat}{é}\end{alignat}",
            r"\begin{alignat}{99999}\end{alignat}",
            "{",
            "}",
            r"\hat",
            r"\left(",
            r"\right)",
            r"\begin{matrix}",
            r"\end{matrix}",
            "x^",
            "x^_2",
        ] {
            check(tex, false);
        }
        check(&r"\relax".repeat(101), false);
        check(&"%\n".repeat(101), false);
    }
}
