//! Measures how the renderer's work grows with hostile text.
//!
//! Each kind of text is rendered at sizes from 1 KiB to 1 MiB, once as a whole (as the server does) and once
//! streamed in pieces of 80 bytes (as the page does). The report has one line a kind and way: the time at each
//! size in milliseconds, the longest single step of the largest stream, and the exponent with which the time
//! grows. An exponent above 1.2 is a defect.
//!
//! Long measurements count the time that the thread was on a processor, short ones the best of some runs, so a
//! busy machine does not spoil them. Freed memory should stay with the process; else large sizes pay for page faults
//! that small ones do not have:
//!
//!     MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000 \
//!         cargo bench -p app --bench hostile [-- PART_OF_A_NAME...]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use app::markdown::html::html;
use app::markdown::node::Kind;
use app::markdown::parse::parse_whole;
use app::markdown::patch::Dom;
use app::markdown::stream::Stream;

/// The sizes of a text, in bytes.
const SIZES: [usize; 6] = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20];
/// A stream grows by this many bytes at a time.
const PIECE: usize = 80;
/// A size that is expected to take longer than this is not measured.
const PATIENCE: Duration = Duration::from_secs(8);
/// From this size on, time has to grow as the text does. A shorter stream reads its end again for each piece, up to
/// a bound, so its time may grow faster; and a paragraph beyond 16 KiB is read in parts, which once costs a factor.
const STEADY: usize = 1 << 16;
/// Shorter times say nothing about growth.
const NOISE: Duration = Duration::from_micros(100);
/// How exact the time on a processor is.
const TICK: Duration = Duration::from_millis(4);
/// Times up to this are measured by the clock.
const SHORT: Duration = Duration::from_millis(40);
/// The largest exponent that counts as linear.
const LINEAR: f64 = 1.2;

/// A document that does nothing.
#[derive(Default)]
struct NoDom(usize);

impl NoDom {
    fn next(&mut self) -> usize {
        self.0 += 1;
        self.0
    }
}

impl Dom for NoDom {
    type Node = usize;

    fn create(&mut self, _: &Kind) -> (usize, usize) {
        (self.next(), self.next())
    }

    fn create_text(&mut self, _: &str) -> usize {
        self.next()
    }

    fn insert(&mut self, _: &usize, _: &usize, _: Option<&usize>) {}

    fn remove(&mut self, _: &usize) {}

    fn replace_text(&mut self, _: &usize, _: u32, _: u32, _: &str) {}

    fn split_text(&mut self, _: &usize, _: u32) -> usize {
        self.next()
    }

    fn shaping_break(&mut self, _: &usize) {}

    fn remove_shaping_breaks(&mut self, _: &usize) {}

    fn set_attributes(&mut self, _: &usize, _: &Kind) {}

    fn next(&self, _: &usize) -> Option<usize> {
        None
    }

    fn joined_children(&mut self, _: &usize) -> Vec<usize> {
        Vec::new()
    }

    fn text_of(&self, _: &usize) -> Option<String> {
        None
    }

    fn inner_of(&self, _: &usize, _: &Kind) -> Option<usize> {
        None
    }
}

/// How the text of a kind is made.
enum Make {
    /// A beginning, then the same over and over, then an end.
    Repeat(&'static str, &'static str, &'static str),
    /// The first half is the one over and over, the second half the other.
    Halves(&'static str, &'static str, &'static str),
    /// A beginning, then parts that are made of their number.
    Numbered(&'static str, fn(usize) -> String),
    /// Parts that are made of their number up to half the size, then parts of the second kind.
    TwoNumbered(fn(usize) -> String, fn(usize) -> String),
    /// Made of the size.
    Sized(fn(usize) -> String),
}

impl Make {
    fn text(&self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 64);
        let mut fill = |to: usize, part: &mut dyn FnMut(usize, &mut String)| {
            let mut number = 0;
            while text.len() < to {
                part(number, &mut text);
                number += 1;
            }
        };
        match self {
            Self::Repeat(begin, part, end) => {
                fill(1, &mut |_, text| text.push_str(&format!("{begin}{part}")));
                fill(bytes - end.len(), &mut |_, text| text.push_str(part));
                text.push_str(end);
            }
            Self::Halves(first, between, second) => {
                fill(bytes / 2, &mut |_, text| text.push_str(first));
                text.push_str(between);
                let mut rest = String::new();
                while text.len() + rest.len() < bytes {
                    rest.push_str(second);
                }
                text.push_str(&rest);
            }
            Self::Numbered(begin, part) => {
                let mut is_begun = false;
                fill(bytes, &mut |number, text| {
                    if !std::mem::replace(&mut is_begun, true) {
                        text.push_str(begin);
                    }
                    text.push_str(&part(number));
                });
            }
            Self::TwoNumbered(first, second) => {
                fill(bytes / 2, &mut |number, text| text.push_str(&first(number)));
                fill(bytes, &mut |number, text| text.push_str(&second(number)));
            }
            Self::Sized(make) => return make(bytes),
        }
        text
    }
}

use Make::{Halves, Numbered, Repeat, Sized, TwoNumbered};

const KINDS: &[(&str, Make)] = &[
    // Plain text.
    ("words", Repeat("", "word ", "")),
    ("one word", Repeat("", "a", "")),
    ("one word of digits", Repeat("", "1", "")),
    ("one word of Chinese", Repeat("", "字", "")),
    ("lines", Repeat("", "a line of words\n", "")),
    ("lines of one letter", Repeat("", "a\n", "")),
    ("paragraphs", Repeat("", "a few words\n\n", "")),
    ("blank lines", Repeat("a", "\n", "b")),
    ("spaces", Repeat("a", " ", "b")),
    ("tabs", Repeat("a", "\t", "b")),
    ("carriage returns", Repeat("a", "\r", "b")),
    ("zero bytes", Repeat("a", "\0", "b")),
    ("combining marks", Repeat("a", "\u{301}", "")),
    // Addresses that are links by themselves.
    ("address and )", Repeat("http://a.b/", ")", "")),
    ("address and (", Repeat("http://a.b/", "(", "")),
    ("address and ()", Repeat("http://a.b/", "()", ")")),
    ("address and )(", Repeat("http://a.b/", ")(", ")")),
    ("address and &a;", Repeat("http://a.b/", "&a;", "")),
    ("address and ;", Repeat("http://a.b/&", ";", "")),
    ("address and a;", Repeat("http://a.b/&", "a;", "")),
    ("address and .", Repeat("http://a.b/", ".", "")),
    ("addresses", Repeat("", "http://a.b ", "")),
    ("addresses with *", Repeat("", "http://a.b/* ", "")),
    (
        "addresses between escapes",
        Repeat("", "\\* http://a.b ", ""),
    ),
    ("addresses joined", Repeat("", "http://a.b<", "")),
    ("begun addresses", Repeat("", "http://", "")),
    ("begun addresses apart", Repeat("", "http:// ", "")),
    ("begun addresses in (", Repeat("", "(http://", "")),
    ("www.", Repeat("", "www.", "")),
    ("(www.", Repeat("", "(www.", "")),
    ("hosts", Repeat("www.a", ".a", "")),
    ("mail addresses", Repeat("", "a@b.c ", "")),
    ("@", Repeat("", "@", "")),
    ("a@", Repeat("", "a@", "")),
    ("a@.", Repeat("", "a@.", "")),
    ("names before @", Repeat("", "a.", "@b.c")),
    ("names without @", Repeat("", "a@b_", "")),
    // Links and pictures.
    ("[", Repeat("", "[", "")),
    ("]", Repeat("", "]", "")),
    ("[ and ]", Halves("[", "", "]")),
    ("[a](", Repeat("", "[a](", "")),
    ("[a]( and line", Repeat("", "[a](", "\nb")),
    ("[a](<b", Repeat("", "[a](<b", "")),
    ("[a](b \"", Repeat("", "[a](b \"", "")),
    ("[a] then ( then line", Repeat("[a]", "(", "\nb")),
    ("[a][b]", Repeat("", "[a][b]", "")),
    ("[a][b", Repeat("", "[a][b", "")),
    ("[a]", Repeat("", "[a] ", "")),
    ("[a] in paragraphs", Repeat("", "[a]\n\n", "")),
    ("[n] in paragraphs", Numbered("", |n| format!("[{n}]\n\n"))),
    (
        "[^n] in paragraphs",
        Numbered("", |n| format!("[^{n}]\n\n")),
    ),
    ("links", Repeat("", "[a](http://b.c) ", "")),
    ("links joined", Repeat("", "[a](http://b.c)", "")),
    ("links of brackets", Repeat("[", "[]", "](http://a.b)")),
    ("pictures", Repeat("", "![a](http://b.c) ", "")),
    ("pictures joined", Repeat("", "![a](http://b.c)", "")),
    ("pictures on lines", Repeat("", "![a](http://b.c)\n", "")),
    ("begun pictures", Repeat("", "![", "")),
    ("![[]()", Repeat("", "![[]()", "")),
    (
        "pictures in a link",
        Repeat("[", "![a](http://b.c)", "](http://d.e)"),
    ),
    ("unsafe links", Repeat("", "[a](javascript:b) ", "")),
    ("<http://a", Repeat("", "<http://a", "")),
    ("<a@b.c>", Repeat("", "<a@b.c>", "")),
    // Definitions.
    ("definitions", Numbered("", |n| format!("[{n}]: /u\n"))),
    ("definitions of one label", Repeat("", "[a]: /u\n", "")),
    (
        "definitions, then uses",
        TwoNumbered(|n| format!("[{n}]: http://a.b\n"), |n| format!("[{n}]\n\n")),
    ),
    (
        "uses, then definitions",
        TwoNumbered(|n| format!("[{n}]\n\n"), |n| format!("[{n}]: http://a.b\n")),
    ),
    (
        "uses, then one definition each",
        TwoNumbered(
            |n| format!("[{n}] and\n\n"),
            |n| format!("[{n}]: http://a.b\n\nword\n\n"),
        ),
    ),
    (
        "one long definition",
        Sized(|n| {
            format!(
                "[a]: http://{}\n\n{}",
                "a".repeat(n / 2),
                "[a] ".repeat(n / 8)
            )
        }),
    ),
    (
        "one definition after uses",
        Repeat("", "[a] word\n\n", "[a]: http://b.c\n"),
    ),
    ("begun definitions", Repeat("", "[a]:\n", "")),
    ("[a]: and title", Repeat("[a]: b\n\"", "c\n", "")),
    ("label in lines", Repeat("[", "a\n", "]: b")),
    // Footnotes.
    ("[^", Repeat("", "[^", "")),
    ("[^ in words", Repeat("", "[^a ", "")),
    ("[^ on lines", Repeat("", "[^\n\n", "")),
    ("[^1]", Repeat("", "[^1] ", "")),
    ("footnotes", Numbered("", |n| format!("[^{n}]: a\n\n"))),
    ("footnotes in one line", Repeat("", "[^a]: ", "")),
    (
        "footnotes, then uses",
        TwoNumbered(|n| format!("[^{n}]: a\n\n"), |n| format!("b[^{n}]\n\n")),
    ),
    (
        "uses, then footnotes",
        TwoNumbered(|n| format!("b[^{n}]\n\n"), |n| format!("[^{n}]: a\n\n")),
    ),
    (
        "footnote and uses in a paragraph",
        Repeat("[^a]: b\n\n", "c[^a] ", ""),
    ),
    (
        "footnote and uses joined",
        Repeat("[^a]: b\n\n", "c[^a]", ""),
    ),
    // Emphasis.
    ("*", Repeat("", "*", "")),
    ("_", Repeat("", "_", "")),
    ("~", Repeat("", "~", "")),
    ("*a", Repeat("", "*a ", "")),
    ("*a_", Repeat("", "*a_ ", "")),
    ("*a, then b_", Halves("*a ", "", "b_ ")),
    ("*a, then ]", Halves("*a ", "", "] ")),
    (
        "[ and *a, then ]",
        Sized(|n| {
            format!(
                "{}{}{}",
                "[".repeat(n / 4),
                "*a".repeat(n / 4),
                "]".repeat(n / 4)
            )
        }),
    ),
    ("a* ", Repeat("", "a* ", "")),
    ("*a**", Repeat("", "*a**", "")),
    ("**x*", Repeat("", "**x* ", "")),
    ("a**b", Repeat("a", "**b", "")),
    ("*a**b***c", Repeat("", "*a**b***c ", "")),
    ("_*", Repeat("", "_*a", "")),
    ("a*b_c", Repeat("", "a*b_c~~", "")),
    ("~~a ~", Repeat("", "~~a ~", "")),
    ("bold that never ends", Repeat("**", "word ", "")),
    ("open bold words", Repeat("", "**a ", "")),
    ("open marks of each kind", Repeat("", "_a **b ~~c ", "")),
    ("open marks and links", Repeat("", "*a [b ", "")),
    ("bold words", Repeat("", "**a** ", "")),
    ("bold words joined", Repeat("", "**a**b", "")),
    (
        "runs of every length",
        Numbered("", |n| format!("{}a ", "*".repeat(n % 500))),
    ),
    // Code within lines.
    ("`", Repeat("", "`", "")),
    (
        "` of every length",
        Numbered("a", |n| format!("{} ", "`".repeat(n + 1))),
    ),
    (
        "` of every length, falling",
        Sized(|n| {
            let most = ((2 * n) as f64).sqrt() as usize;
            (1..most)
                .rev()
                .fold(String::from("a"), |text, n| text + &"`".repeat(n) + " ")
        }),
    ),
    ("`a", Repeat("", "`a``", "")),
    ("code spans", Repeat("", "`a` ", "")),
    ("code span that never ends", Repeat("`", "word ", "")),
    ("\\`", Repeat("", "\\`", "")),
    // HTML.
    ("<", Repeat("", "<", "")),
    ("a <", Repeat("a ", "<", "")),
    ("<a ", Repeat("b ", "<a ", "")),
    ("<a b=\"", Repeat("c ", "<a b=\"", "")),
    ("<a b='c", Repeat("c ", "<a b='c ", "")),
    ("</", Repeat("a ", "</", "")),
    ("<!--", Repeat("a ", "<!--", "")),
    ("a <!-- a", Repeat("a ", "a <!-- a", "")),
    ("<?", Repeat("a ", "<?", "")),
    ("<!A", Repeat("a ", "<!A ", "")),
    ("<![CDATA[", Repeat("a ", "<![CDATA[", "")),
    ("<!-- on lines", Repeat("a ", "<!--\n", "")),
    ("<br>", Repeat("", "<br>", "")),
    ("tags", Repeat("a ", "<b>", "")),
    ("block of HTML", Repeat("<div>\n", "<p>a\n", "")),
    ("blocks of HTML", Repeat("", "<div>\n\n", "")),
    ("comment that never ends", Repeat("<!--\n", "a\n", "")),
    ("comment, one line", Repeat("<!-- ", "a ", "")),
    // Formulas.
    ("$", Repeat("", "$", "")),
    ("$ ", Repeat("", "$ ", "")),
    ("$a", Repeat("", "$a ", "")),
    ("$a$", Repeat("", "$a$ ", "")),
    ("$$a", Repeat("", "$$a ", "")),
    ("$a$b", Repeat("", "$a$b", "")),
    ("${", Repeat("", "${", "")),
    ("$}", Repeat("", "$}", "")),
    ("{$ and }", Halves("{$", "", "}$")),
    ("$ {$} {", Repeat("$", "{$} {", "")),
    ("\\(", Repeat("", "\\(", "")),
    ("\\(a\\)", Repeat("", "\\(a\\) ", "")),
    ("\\(, then \\]", Halves("\\(", "", "\\]")),
    ("\\[ $", Repeat("", "\\[ $ ", "")),
    ("formula that never ends", Repeat("$$", "a + ", "")),
    (
        "long formulas",
        Sized(|n| format!("${}$\n\n", "x+".repeat(4990)).repeat(n / 9_000 + 1)[..n].to_owned()),
    ),
    ("prices", Repeat("", "$5 ", "")),
    ("prices of formulas", Repeat("", "$5 and \\a ", "")),
    // Characters.
    ("\\", Repeat("", "\\", "")),
    ("\\*", Repeat("", "\\*", "")),
    ("&", Repeat("", "&", "")),
    ("&amp;", Repeat("", "&amp;", "")),
    ("&a", Repeat("", "&a", "")),
    ("&#1", Repeat("", "&#1", "")),
    ("hard breaks", Repeat("", "a  \n", "")),
    ("backslash breaks", Repeat("", "a\\\n", "")),
    // Blocks.
    ("headings", Repeat("", "# a\n", "")),
    ("a long heading", Repeat("# ", "word ", "")),
    ("#", Repeat("", "#", "")),
    ("# and spaces", Repeat("# a", " #", "")),
    ("underlined headings", Repeat("", "a\n=\n", "")),
    ("long underlined heading", Repeat("", "word ", "\n===\n")),
    ("=", Repeat("a\n", "=", "")),
    ("-", Repeat("", "-", "")),
    ("rules", Repeat("", "---\n", "")),
    ("- - -", Repeat("", "- ", "x")),
    ("* * *", Repeat("", "* ", "")),
    ("items", Repeat("", "- a\n", "")),
    (
        "items with one long word",
        Numbered("", |n| format!("- {}\n", "a".repeat(n % 3000))),
    ),
    ("empty items", Repeat("", "-\n", "")),
    ("empty items apart", Repeat("", "-\n\n", "")),
    ("loose items", Repeat("", "- a\n\n", "")),
    ("numbered items", Repeat("", "1. a\n", "")),
    ("items of two markers", Repeat("", "- a\n+ b\n", "")),
    ("items of code", Repeat("", "- ```\n", "")),
    ("tasks", Repeat("", "- [ ] a\n", "")),
    ("one long item", Repeat("- ", "word ", "")),
    ("one item of lines", Repeat("- a", "\n  b", "")),
    ("items in items", Repeat("", "- a\n  - b\n    - c\n", "")),
    ("quoted lines", Repeat("", "> a\n", "")),
    ("empty quoted lines", Repeat("", ">\n", "")),
    ("quotations", Repeat("", "> a\n\n", "")),
    ("quoted code", Repeat("> ```\n", "> a\n", "")),
    ("lines of code", Repeat("```\n", "a\n", "")),
    ("blank lines of code", Repeat("```\n", "\n", "")),
    ("one line of code", Repeat("```\n", "a ", "")),
    ("one word of code", Repeat("```\n", "a", "")),
    (
        "one line of brackets in code",
        Repeat("```json\n", "{\"a\":[1]},", ""),
    ),
    ("fences", Repeat("", "```\n", "")),
    ("fences in a line", Repeat("```", "~", "")),
    ("fence with a long name", Repeat("```", "a", "")),
    (
        "tilde fence of backtick fences",
        Repeat("~~~\n", "```\n", ""),
    ),
    ("indented code", Repeat("", "    a\n", "")),
    (
        "indented code with blank lines",
        Repeat("", "    a\n\n\n\n", ""),
    ),
    ("one line of indented code", Repeat("    ", "a ", "")),
    ("one line of HTML", Repeat("<div>", "a ", "")),
    // Tables.
    ("|", Repeat("", "|", "")),
    ("| a line", Repeat("", "|\n", "")),
    ("rows", Repeat("|a|b|\n|-|-|\n", "|c|d|\n", "")),
    ("rows without end", Repeat("|a|b|\n|-|-|\n", "|\n", "")),
    ("rows of letters", Repeat("|a|b|\n|-|-|\n", "c\n", "")),
    ("a long row", Repeat("|a|b|\n|-|-|\n|", "word ", "")),
    ("a long row of pipes", Repeat("|a|b|\n|-|-|\n|", "a|", "")),
    (
        "a wide table",
        Sized(|n| {
            let columns = n / 8;
            format!(
                "|{}\n|{}\n|{}",
                "a|".repeat(columns),
                "-|".repeat(columns),
                "b|".repeat(2 * columns)
            )
        }),
    ),
    (
        "a wide table of short rows",
        Sized(|n| {
            let columns = n / 8;
            format!(
                "|{}\n|{}\n{}",
                "a|".repeat(columns),
                "-|".repeat(columns),
                "b\n".repeat(2 * columns)
            )
        }),
    ),
    (
        "columns by rows",
        Sized(|n| {
            let columns = ((n / 4) as f64).sqrt() as usize;
            format!(
                "|{}\n|{}\n{}",
                "a|".repeat(columns),
                "-|".repeat(columns),
                "b\n".repeat((n - 4 * columns) / 2)
            )
        }),
    ),
    ("head of a table", Repeat("|", "a|", "")),
    (
        "head and rule of a table",
        Sized(|n| format!("|{}\n|{}\n", "a|".repeat(n / 4), "-|".repeat(n / 4))),
    ),
    ("heads without rule", Repeat("", "|a|b|\n", "")),
    ("tables", Repeat("", "|a|\n|-|\n\n", "")),
    ("\\| in a row", Repeat("|a|\n|-|\n|", "\\|", "")),
    ("` in rows", Repeat("|a|\n|-|\n", "|`|\n", "")),
];

/// What measuring one kind in one way gave.
struct Measured {
    times: Vec<Option<Duration>>,
    longest: Duration,
}

impl Measured {
    /// Measures at each size, as long as patience lasts.
    fn of(make: &Make, run: impl Fn(&str) -> Duration) -> Self {
        let mut times = Vec::new();
        let mut longest = Duration::ZERO;
        let mut last: Option<(usize, Duration)> = None;
        for size in SIZES {
            // What grows with the square takes sixteen times as long with each size.
            if last.is_some_and(|(_, time)| time * 8 > PATIENCE) {
                times.push(None);
                continue;
            }
            let text = make.text(size);
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let (began, began_on_cpu) = (Instant::now(), time_on_cpu());
                longest = run(&text);
                best = best.min(began.elapsed());
                if best > SHORT {
                    best = best.min((time_on_cpu() - began_on_cpu).max(TICK));
                    break;
                }
            }
            last = Some((size, best));
            times.push(Some(best));
        }
        Self { times, longest }
    }

    /// The exponent of the growth over the sizes that take long enough to tell.
    fn exponent(&self) -> Option<f64> {
        let points: Vec<_> = SIZES
            .iter()
            .zip(&self.times)
            .filter_map(|(size, time)| Some((*size as f64, (*time)?)))
            .filter(|(size, time)| *size >= STEADY as f64 && *time >= NOISE)
            .map(|(size, time)| (size.ln(), time.as_secs_f64().ln()))
            .collect();
        // The slope of the line that fits best.
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let covariance: f64 = points
            .iter()
            .map(|point| (point.0 - x) * (point.1 - y))
            .sum();
        let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        (points.len() > 1).then(|| covariance / variance)
    }

    fn line(&self, kind: &str, way: &str) -> String {
        let mut line = format!("{kind:34} {way:8}");
        for time in &self.times {
            match time {
                Some(time) => write!(line, " {:>10.2}", time.as_secs_f64() * 1000.0),
                None => write!(line, " {:>10}", "-"),
            }
            .expect("a string takes all");
        }
        let exponent = self.exponent();
        let shown = exponent.map_or_else(|| "-".to_owned(), |exponent| format!("{exponent:.2}"));
        let mark = if exponent.is_some_and(|exponent| exponent > LINEAR) {
            "  <-- not linear"
        } else {
            ""
        };
        write!(
            line,
            " {:>10.2} {shown:>6}{mark}",
            self.longest.as_secs_f64() * 1000.0
        )
        .expect("a string takes all");
        line
    }
}

/// How long this thread has run on a processor, to some milliseconds; the time of the clock where that is not told.
fn time_on_cpu() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|told| told.split(' ').next()?.parse().ok())
        .map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

/// Renders a text as a whole, as the server does; gives how long that took.
fn at_once(text: &str) -> Duration {
    let began = Instant::now();
    black_box(html(&parse_whole(black_box(text))));
    began.elapsed()
}

/// Streams a text; gives how long its longest step took.
fn streamed(text: &str) -> Duration {
    let mut longest = Duration::ZERO;
    let mut stream = Stream::new(NoDom::default(), 0);
    let mut end = 0;
    while end < text.len() {
        end = (end + PIECE).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let began = Instant::now();
        stream.show(&text[..end]);
        longest = longest.max(began.elapsed());
    }
    let began = Instant::now();
    stream.end(text);
    longest.max(began.elapsed())
}

fn main() {
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut out = std::io::stdout();
    let mut say = |line: &str| {
        // Who closes the pipe wants no more.
        let _ = writeln!(out, "{line}");
    };
    let mut head = format!("{:34} {:8}", "kind", "way");
    for size in SIZES {
        write!(head, " {:>10}", format!("{} KiB", size >> 10)).expect("a string takes all");
    }
    say(&format!("{head} {:>10} {:>6}", "longest", "exp."));
    for (kind, make) in KINDS {
        if !wanted.is_empty() && !wanted.iter().any(|part| kind.contains(part.as_str())) {
            continue;
        }
        // Deep nesting needs more stack than a main thread has; its bound is not measured here.
        let lines = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(1 << 30)
                .spawn_scoped(scope, || {
                    [
                        Measured::of(make, at_once).line(kind, "at once"),
                        Measured::of(make, streamed).line(kind, "streamed"),
                    ]
                })
                .expect("a thread can be started")
                .join()
                .expect("rendering does not panic")
        });
        for line in lines {
            say(&line);
        }
    }
}
