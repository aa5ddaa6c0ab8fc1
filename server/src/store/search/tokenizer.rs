//! The search tokenizer: splits text of any script into terms. The search index, queries and the marks in
//! snippets use the same terms.
//!
//! A term is a run of letters, digits and combining marks, without regard to case, accents and width. In
//! scripts that put no spaces between words (Chinese, Japanese, Thai, …) each character is a term, and a
//! query finds a sequence of them. A query finds a term by its first letters.

use app::protocol::saved::SnippetPart;
use unicode_normalization::UnicodeNormalization;

/// The most bytes of a term. The rest of a longer run is ignored, since no word of a language is longer.
const TERM_BYTES: usize = 64;
/// About how many characters a snippet shows before the first match, and from its beginning on.
const SNIPPET_BEFORE: usize = 40;
const SNIPPET_AFTER: usize = 120;
/// The most terms of a query; more are ignored.
const QUERY_TERMS: usize = 16;

/// A term, and where the text has it.
struct Token {
    /// Where the token begins and ends in the text, in bytes.
    start: usize,
    end: usize,
    /// The term, without case, accents and width.
    folded: String,
    /// Whether it is a single character of a script without spaces.
    is_unspaced: bool,
}

/// The terms of a text, separated by spaces, as an index takes them.
pub(in crate::store) fn terms(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let add = |out: &mut String, term: &str| {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(term);
    };
    for (start, end) in runs(text) {
        let run = &text[start..end];
        if run.is_ascii() {
            // What folding and splitting would make of it, without strings in between.
            let term = &run[..run.len().min(TERM_BYTES)];
            add(&mut out, term);
            let at = out.len() - term.len();
            out[at..].make_ascii_lowercase();
        } else {
            for token in tokens_of(run, start) {
                add(&mut out, &token.folded);
            }
        }
    }
    out
}

fn tokens(text: &str) -> impl Iterator<Item = Token> {
    runs(text).flat_map(|(start, end)| tokens_of(&text[start..end], start))
}

/// The tokens of a run that begins there.
fn tokens_of(run: &str, start: usize) -> impl Iterator<Item = Token> + use<> {
    let end = start + run.len();
    // Folding turns some letters into several, which may be several terms.
    let folded = fold(run);
    let parts: Vec<_> = runs(&folded).collect();
    parts.into_iter().map(move |(from, to)| Token {
        start,
        end,
        folded: folded[from..to].to_owned(),
        is_unspaced: folded[from..].chars().next().is_some_and(is_unspaced),
    })
}

/// Where the runs of a text that become terms begin and end, in bytes.
fn runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // Most texts are mostly ASCII, whose letters need no table.
            at += ascii_while(text, at, |byte| !byte.is_ascii_alphanumeric());
            let start = at;
            let first = text[at..].chars().next()?;
            at += first.len_utf8();
            if !is_part(first) {
                continue;
            }
            let is_unspaced = is_unspaced(first);
            loop {
                if !is_unspaced {
                    at += ascii_while(text, at, u8::is_ascii_alphanumeric);
                }
                let belongs = |next: &char| {
                    if is_unspaced {
                        is_mark(*next)
                    } else {
                        is_part(*next) && !self::is_unspaced(*next)
                    }
                };
                match text[at..].chars().next().filter(belongs) {
                    Some(next) => at += next.len_utf8(),
                    None => return Some((start, at)),
                }
            }
        }
    })
}

/// How many of the next bytes are ASCII and match.
fn ascii_while(text: &str, at: usize, matches: impl Fn(&u8) -> bool) -> usize {
    let bytes = text.as_bytes()[at..].iter();
    bytes
        .take_while(|byte| byte.is_ascii() && matches(byte))
        .count()
}

/// Removes case, accents and width.
fn fold(word: &str) -> String {
    // Most words are ASCII.
    let mut folded = if word.is_ascii() {
        word.to_ascii_lowercase()
    } else {
        word.nfkd()
            .flat_map(char::to_lowercase)
            .filter(|letter| !is_accent(*letter) && (letter.is_alphanumeric() || is_mark(*letter)))
            .collect()
    };
    if folded.len() > TERM_BYTES {
        let end = (0..=TERM_BYTES)
            .rev()
            .find(|at| folded.is_char_boundary(*at));
        folded.truncate(end.unwrap_or_default());
    }
    folded
}

fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || is_mark(letter)
}

fn is_mark(letter: char) -> bool {
    !letter.is_ascii() && unicode_normalization::char::is_combining_mark(letter)
}

/// Whether this is an accent of a script that can be read without accents.
fn is_accent(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

/// Whether this letter's script puts no spaces between words.
fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{e00}'..='\u{eff}'         // Thai, Lao
        | '\u{f00}'..='\u{fff}'       // Tibetan
        | '\u{1000}'..='\u{109f}'     // Burmese
        | '\u{1780}'..='\u{17ff}'     // Khmer
        | '\u{2e80}'..='\u{2fdf}'     // radicals
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}'     // Hiragana, Katakana
        | '\u{3100}'..='\u{312f}'     // Bopomofo
        | '\u{31a0}'..='\u{31bf}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'     // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a000}'..='\u{a4cf}'     // Yi
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9d}'     // half-width Katakana
        | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{323af}')
}

/// A parsed search query: a text matches if it has all of its terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Query {
    terms: Vec<Term>,
}

/// One condition of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// A term with this beginning.
    Prefix(String),
    /// These characters, one after the other.
    Sequence(Vec<String>),
}

impl Query {
    /// Parses a text that a person typed. `None` if it has no term.
    pub(in crate::store) fn parse(text: &str) -> Option<Self> {
        let mut terms: Vec<Term> = Vec::new();
        let mut last = None;
        for token in tokens(text).take(QUERY_TERMS) {
            let follows =
                last.is_some_and(|(start, end)| start == token.start || end == token.start);
            last = Some((token.start, token.end));
            match terms.last_mut() {
                Some(Term::Sequence(letters)) if token.is_unspaced && follows => {
                    letters.push(token.folded);
                }
                _ if token.is_unspaced => terms.push(Term::Sequence(vec![token.folded])),
                _ => terms.push(Term::Prefix(token.folded)),
            }
        }
        (!terms.is_empty()).then_some(Self { terms })
    }

    /// The query in the syntax of SQLite's FTS5. Terms have letters, digits and marks only, so they need
    /// no escaping.
    pub(in crate::store) fn for_fts5(&self) -> String {
        let term = |term: &Term| match term {
            Term::Prefix(word) => format!("\"{word}\"*"),
            Term::Sequence(letters) => format!("\"{}\"", letters.join(" ")),
        };
        let terms: Vec<String> = self.terms.iter().map(term).collect();
        terms.join(" AND ")
    }

    /// The query in the syntax of PostgreSQL's `tsquery`.
    pub(in crate::store) fn for_tsquery(&self) -> String {
        let term = |term: &Term| match term {
            Term::Prefix(word) => format!("'{word}':*"),
            Term::Sequence(letters) => {
                let quoted: Vec<String> = letters.iter().map(|one| format!("'{one}'")).collect();
                format!("({})", quoted.join(" <-> "))
            }
        };
        let terms: Vec<String> = self.terms.iter().map(term).collect();
        terms.join(" & ")
    }

    /// The part of a text around the first match, with all matches in it marked.
    pub(in crate::store) fn snippet(&self, text: &str) -> Vec<SnippetPart> {
        let first = self.matches(tokens(text)).next();
        let hit = first.map_or(0, |(start, _)| start);
        let from = back(text, hit, SNIPPET_BEFORE);
        let to = forth(text, hit, SNIPPET_AFTER);
        let shown: Vec<&str> = text[from..to].split_whitespace().collect();
        let shown = shown.join(" ");
        let mut parts = Vec::new();
        let mut add = |text: &str, marked| {
            if !text.is_empty() {
                parts.push(SnippetPart {
                    text: text.to_owned(),
                    marked,
                });
            }
        };
        add(if from > 0 { "… " } else { "" }, false);
        let mut at = 0;
        for (start, end) in self.matches(tokens(&shown)) {
            // One letter can be several tokens, and match several times.
            if start < at {
                continue;
            }
            add(&shown[at..start], false);
            add(&shown[start..end], true);
            at = end;
        }
        add(&shown[at..], false);
        add(if to < text.len() { " …" } else { "" }, false);
        parts
    }

    /// Where the terms match, in bytes.
    fn matches(&self, tokens: impl Iterator<Item = Token>) -> impl Iterator<Item = (usize, usize)> {
        let longest = self.terms.iter().map(Term::len).max().unwrap_or(1);
        let mut tokens = tokens.fuse();
        let mut ahead: std::collections::VecDeque<Token> = std::collections::VecDeque::new();
        std::iter::from_fn(move || {
            loop {
                while ahead.len() < longest {
                    match tokens.next() {
                        Some(token) => ahead.push_back(token),
                        None => break,
                    }
                }
                let first = ahead.front()?;
                let length = self.terms.iter().filter_map(|term| term.at(&ahead)).max();
                let found = length.map(|length| (first.start, ahead[length - 1].end));
                for _ in 0..length.unwrap_or(1) {
                    ahead.pop_front();
                }
                if found.is_some() {
                    return found;
                }
            }
        })
    }
}

impl Term {
    /// How many tokens the term matches.
    fn len(&self) -> usize {
        match self {
            Self::Prefix(_) => 1,
            Self::Sequence(letters) => letters.len(),
        }
    }

    /// How many tokens the term matches at the beginning of these, if it does.
    fn at(&self, tokens: &std::collections::VecDeque<Token>) -> Option<usize> {
        let is_here = match self {
            Self::Prefix(prefix) => tokens[0].folded.starts_with(prefix.as_str()),
            Self::Sequence(letters) => {
                letters.len() <= tokens.len()
                    && letters
                        .iter()
                        .zip(tokens)
                        .all(|(letter, token)| *letter == token.folded)
            }
        };
        is_here.then(|| self.len())
    }
}

/// The byte this many characters before `at`, moved forward to a space if there is one between.
fn back(text: &str, at: usize, characters: usize) -> usize {
    let from = text[..at]
        .char_indices()
        .rev()
        .take(characters)
        .last()
        .map_or(at, |(from, _)| from);
    if from == 0 {
        return 0;
    }
    text[from..at]
        .find(char::is_whitespace)
        .map_or(from, |space| from + space)
}

/// The byte this many characters after `at`.
fn forth(text: &str, at: usize, characters: usize) -> usize {
    text[at..]
        .char_indices()
        .nth(characters)
        .map_or(text.len(), |(more, _)| at + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_script_without_case_accents_and_width() {
        let check = |text: &str, expect: &str| assert_eq!(terms(text), expect, "{text}");
        check("Hello, World!", "hello world");
        check("don't stop_it", "don t stop it");
        check("Größe ÉTÉ naïve", "große ete naive");
        check("東京タワー", "東 京 タ ワ ー");
        check("Ｒｕｓｔ 2024", "rust 2024");
        check("Привет, мир", "привет мир");
        check("שלום עולם", "שלום עולם");
        check("हिन्दी भाषा", "हिन्दी भाषा");
        check("ภาษา", "ภ า ษ า");
        check("Rust言語", "rust 言 語");
        check(" \n\u{0}…—", "");
        assert_eq!(terms(&"x".repeat(1000)).len(), TERM_BYTES);
    }

    #[test]
    fn a_query_holds_nothing_that_a_database_could_read_as_more_than_words() {
        let check = |text: &str, fts5: &str, tsquery: &str| {
            let query = Query::parse(text).expect("words");
            assert_eq!(query.for_fts5(), fts5, "{text}");
            assert_eq!(query.for_tsquery(), tsquery, "{text}");
        };
        check("hel", "\"hel\"*", "'hel':*");
        check(
            "Hello \"wor* OR -x",
            "\"hello\"* AND \"wor\"* AND \"or\"* AND \"x\"*",
            "'hello':* & 'wor':* & 'or':* & 'x':*",
        );
        check("東京", "\"東 京\"", "('東' <-> '京')");
        check(
            "東京 tower",
            "\"東 京\" AND \"tower\"*",
            "('東' <-> '京') & 'tower':*",
        );
        for nothing in ["", "  ", "\"*'&|!()", "…"] {
            assert_eq!(Query::parse(nothing), None, "{nothing}");
        }
    }

    fn check_snippet(query: &str, text: &str, expect: &str) {
        let parts = Query::parse(query).expect("words").snippet(text);
        let shown: String = parts
            .iter()
            .map(|part| {
                if part.marked {
                    format!("[{}]", part.text)
                } else {
                    part.text.clone()
                }
            })
            .collect();
        assert_eq!(shown, expect, "{query}");
    }

    #[test]
    fn what_was_found_is_marked_in_the_text_as_it_was_written() {
        check_snippet("hel", "Say  Hello,\nworld", "Say [Hello], world");
        check_snippet("wor say", "Say Hello, World", "[Say] Hello, [World]");
        check_snippet("cafe", "Le Café est", "Le [Café] est");
        check_snippet("京タ", "東京タワー", "東[京タ]ワー");
        // One letter that is two when it is folded.
        check_snippet("\u{eab}\u{e99}", "\u{edc}", "[\u{edc}]");
        check_snippet("\u{e99} \u{eab}", "\u{edc}", "[\u{edc}]");
        check_snippet("<b>", "a <b>x</b>", "a <[b]>x</[b]>");
    }

    #[test]
    fn a_snippet_of_a_long_text_is_short_and_holds_the_hit() {
        let text = format!("{}needle{}", "hay ".repeat(1000), " hay".repeat(1000));
        let parts = Query::parse("needle").expect("words").snippet(&text);
        assert!(
            parts
                .iter()
                .any(|part| part.marked && part.text == "needle")
        );
        assert!(parts.first().is_some_and(|part| part.text == "… "));
        let length: usize = parts.iter().map(|part| part.text.len()).sum();
        assert!(length < 200, "{length}");
    }

    /// The runs, letter by letter.
    fn runs_by_letters(text: &str) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        let mut open = None;
        for (at, letter) in text.char_indices() {
            let is_alone = is_part(letter) && is_unspaced(letter);
            let goes_on = match open {
                Some(true) => is_mark(letter),
                Some(false) => is_part(letter) && !is_alone,
                None => false,
            };
            let end = at + letter.len_utf8();
            if goes_on {
                found.last_mut().expect("it is open").1 = end;
            } else if is_part(letter) {
                found.push((at, end));
                open = Some(is_alone);
            } else {
                open = None;
            }
        }
        found
    }

    proptest::proptest! {
        #[test]
        fn the_ways_for_ascii_find_what_the_way_for_all_letters_finds(
            text in proptest::string::string_regex("([a-zA-Z0-9]{0,70}|[ -~\n]|[é東ーภ\u{300}\u{e31}ßЖ]|\\PC){0,12}").expect("a pattern"),
        ) {
            let found: Vec<_> = runs(&text).collect();
            proptest::prop_assert_eq!(found, runs_by_letters(&text));
            let folded: Vec<String> = tokens(&text).map(|token| token.folded).collect();
            proptest::prop_assert_eq!(terms(&text), folded.join(" "));
        }

        #[test]
        fn any_word_of_a_text_is_found_in_it(text in "\\PC{0,60}", at in 0_usize..20) {
            let folded = terms(&text);
            if let Some(word) = folded.split(' ').nth(at).filter(|word| !word.is_empty()) {
                let query = Query::parse(word).expect("a word");
                let parts = query.snippet(&text);
                proptest::prop_assert!(parts.iter().any(|part| part.marked), "{word} in {text}");
            }
        }
    }
}
