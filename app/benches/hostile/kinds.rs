//! The kinds of hostile text that are measured, and how a text of each is made at any size.

/// How the text of a kind is made.
pub(super) enum Make {
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
    /// The text of this many bytes, or a little more.
    pub(super) fn text(&self, bytes: usize) -> String {
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

/// The kinds, by name.
pub(super) const KINDS: &[(&str, Make)] = &[
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
