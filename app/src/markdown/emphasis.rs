//! Emphasis in text without spaces, and tildes that strike nothing.
//!
//! CommonMark lets a run of `*` open emphasis before punctuation only behind a space or punctuation, and the other
//! way round for a run that closes it. That is made for scripts with spaces: `**「重点」**内容` would show its
//! asterisks. As in the amendment that CJK writers proposed for CommonMark, CJK punctuation beside a run counts as a
//! letter here, and a letter of a script without spaces as a space where the run needs one. `_` keeps its rules.

use super::masks::PLAIN;

/// A letter of three bytes to the parser.
const LETTER: &str = "\u{e000}";
/// Punctuation of three and of four bytes.
const PUNCTUATION: [&str; 2] = ["\u{2e18}", "\u{10100}"];
/// A tilde alone.
const TILDE: &str = "%";
const _: () = assert!(PLAIN == TILDE.as_bytes()[0]);

/// More runs that are open within each other are not told apart.
const MOST_OPEN: usize = 8;

/// Finds the characters of a text that have to be masked, by their places.
pub(super) fn find(text: &str, masks: &mut Vec<(usize, &'static str)>) {
    let bytes = text.as_bytes();
    let mut scan: Option<Scan<'_>> = None;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'*', b'~', &bytes[at..]) {
        at += found;
        let mark = bytes[at];
        let length = bytes[at..].iter().take_while(|b| **b == mark).count();
        let is_escaped = at > 0 && bytes[at - 1] == b'\\';
        if mark == b'~' && length == 1 {
            masks.push((at, TILDE));
        } else if !is_escaped && (mark == b'*' || length == 2) {
            let scan = scan.get_or_insert_with(|| Scan {
                text,
                is_ascii: text.is_ascii(),
                seen: at,
                open: Vec::new(),
            });
            if !scan.is_ascii {
                scan.run(mark, at, length, masks);
            }
        }
        at += length;
    }
}

/// The runs so far.
struct Scan<'a> {
    text: &'a str,
    is_ascii: bool,
    /// Where the last run ended.
    seen: usize,
    /// What is open, the last one innermost: marks and how many.
    open: Vec<(u8, usize)>,
}

impl Scan<'_> {
    fn run(&mut self, mark: u8, at: usize, length: usize, masks: &mut Vec<(usize, &'static str)>) {
        if ends_paragraph(&self.text.as_bytes()[self.seen..at]) {
            self.open.clear();
        }
        self.seen = at + length;
        let before = self.text[..at].chars().next_back();
        let after = self.text[at + length..].chars().next();
        let (before, after) = (Side::of(before), Side::of(after));
        if before.may_stand_beside(after) && self.closes(mark, length) {
            if !before.is_flanked(after) {
                let start = at - before.character.map_or(0, char::len_utf8);
                mask(before, start, after, at + length, masks);
            }
        } else if after.may_stand_beside(before) {
            if !after.is_flanked(before) {
                let start = at - before.character.map_or(0, char::len_utf8);
                mask(after, at + length, before, start, masks);
            }
            if self.open.len() < MOST_OPEN {
                self.open.push((mark, length));
            }
        }
    }

    /// Closes what a run of this length closes; says whether there is any.
    fn closes(&mut self, mark: u8, length: usize) -> bool {
        if let Some(index) = self.open.iter().rposition(|open| *open == (mark, length)) {
            self.open.truncate(index);
            return true;
        }
        match self.open.as_mut_slice() {
            [.., (first, a), (second, b)]
                if *first == mark && *second == mark && *a + *b == length =>
            {
                self.open.truncate(self.open.len() - 2);
                true
            }
            [.., (last, longer)] if *last == mark && *longer == 3 && length < 3 => {
                *longer -= length;
                true
            }
            _ => false,
        }
    }
}

/// Masks what keeps a run from opening or closing emphasis: `inner` stands within the emphasis.
fn mask(
    inner: Side,
    inner_at: usize,
    outer: Side,
    outer_at: usize,
    masks: &mut Vec<(usize, &'static str)>,
) {
    let (side, at, all) = if inner.class == Class::WidePunctuation {
        (inner, inner_at, [LETTER, LETTER])
    } else {
        (outer, outer_at, PUNCTUATION)
    };
    let length = side.character.map_or(0, char::len_utf8);
    if let Some(mask) = all.into_iter().find(|mask| mask.len() == length) {
        masks.push((at, mask));
    }
}

/// Whether a paragraph ends in a part of the text, or a block begins.
fn ends_paragraph(text: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', text).any(|end| {
        let line = &text[end + 1..];
        let first = line
            .iter()
            .find(|byte| !matches!(byte, b' ' | b'\t' | b'>' | b'\r'));
        matches!(first, Some(b'\n' | b'-' | b'+' | b'#' | b'|' | b'0'..=b'9'))
    })
}

/// The character on one side of a run.
#[derive(Clone, Copy)]
struct Side {
    character: Option<char>,
    class: Class,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Punctuation,
    /// Punctuation of scripts without spaces.
    WidePunctuation,
    Letter,
    /// A letter of a script without spaces.
    WideLetter,
}

impl Side {
    fn of(character: Option<char>) -> Self {
        let class = match character {
            None => Class::Space,
            Some(c) => class_of(c),
        };
        Self { character, class }
    }

    fn is_punctuation(self) -> bool {
        matches!(self.class, Class::Punctuation | Class::WidePunctuation)
    }

    /// Whether a run between this character, within the emphasis, and the other one may delimit it.
    fn may_stand_beside(self, outer: Self) -> bool {
        self.class != Class::Space
            && (self.class != Class::Punctuation || outer.class != Class::Letter)
    }

    /// Whether it may by the rules of the parser.
    fn is_flanked(self, outer: Self) -> bool {
        !self.is_punctuation() || outer.class == Class::Space || outer.is_punctuation()
    }
}

fn class_of(c: char) -> Class {
    if c.is_ascii() {
        return match c {
            _ if c.is_ascii_whitespace() => Class::Space,
            _ if c.is_ascii_punctuation() => Class::Punctuation,
            _ => Class::Letter,
        };
    }
    if c.is_whitespace() {
        Class::Space
    } else if is_wide_punctuation(c) {
        Class::WidePunctuation
    } else if is_without_spaces(c) {
        Class::WideLetter
    } else if c.is_alphanumeric() || is_mark(c) {
        Class::Letter
    } else {
        Class::Punctuation
    }
}

/// Punctuation of CJK scripts, and fullwidth and small forms.
pub(super) fn is_wide_punctuation(c: char) -> bool {
    matches!(c,
        '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{3030}' | '\u{303d}'
        | '\u{30a0}' | '\u{30fb}'
        | '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe6b}'
        | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}'
    )
}

/// A letter of a script that has no spaces between words, or, as Korean, joins words to what stands before.
fn is_without_spaces(c: char) -> bool {
    matches!(c,
        '\u{e01}'..='\u{e4e}' | '\u{e81}'..='\u{ece}' // Thai, Lao
        | '\u{f40}'..='\u{fbc}' // Tibetan
        | '\u{1000}'..='\u{1049}' | '\u{1780}'..='\u{17d3}' // Myanmar, Khmer
        | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{ac00}'..='\u{d7a3}' // Hangul
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{312f}'
        | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{a000}'..='\u{a48c}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}'
    )
}

/// Whether it belongs to the character before it.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{64b}'..='\u{65f}'
        | '\u{900}'..='\u{dff}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200f}'
        | '\u{20d0}'..='\u{20ff}' | '\u{3099}' | '\u{309a}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..
    )
}

#[cfg(test)]
mod tests {
    use super::super::proof::whole;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(
            whole(text),
            format!("<p dir=\"auto\">{expect}</p>"),
            "{text:?}"
        );
    }

    #[test]
    fn marks_beside_punctuation_of_scripts_without_spaces_are_emphasis() {
        let b = |inner: &str| format!("<strong>{inner}</strong>");
        let i = |inner: &str| format!("<em>{inner}</em>");
        check(
            "含**「重点」**内容，**注意：**正文，**历经10年发展，**年。",
            &format!(
                "含{}内容，{}正文，{}年。",
                b("「重点」"),
                b("注意："),
                b("历经10年发展，")
            ),
        );
        check(
            "これは**「強調」**です。",
            &format!("これは{}です。", b("「強調」")),
        );
        check(
            "**한국(Korea)**은 **“서울”**의",
            &format!("{}은 {}의", b("한국(Korea)"), b("“서울”")),
        );
        check(
            "中文**(English)**中文",
            &format!("中文{}中文", b("(English)")),
        );
        check("中文**“引用”**中文", &format!("中文{}中文", b("“引用”")));
        check(
            "达到**10%**的，**$5**起",
            &format!("达到{}的，{}起", b("10%"), b("$5")),
        );
        check(
            "**(1)**和**(2)**的",
            &format!("{}和{}的", b("(1)"), b("(2)")),
        );
        check(
            "很**大**(big)，**大**的",
            &format!("很{}(big)，{}的", b("大"), b("大")),
        );
        check("word**（注）**word", &format!("word{}word", b("（注）")));
        check(
            "*「重点」*内容*《书》*的",
            &format!("{}内容{}的", i("「重点」"), i("《书》")),
        );
        check(
            "***「重点」***内容",
            "<em><strong>「重点」</strong></em>内容",
        );
        check(
            "**「*重点*」**内容",
            &format!("{}内容", b("「<em>重点</em>」")),
        );
        check("旧~~「价格」~~新", "旧<del>「价格」</del>新");
        check("ภาษา**(ไทย)**ครับ", &format!("ภาษา{}ครับ", b("(ไทย)")));
        check("**`代码`**是", "<strong><code>代码</code></strong>是");
        check(
            "𠀀**「𠀀」**𠀀**(a)**𠀀",
            &format!("𠀀{}𠀀{}𠀀", b("「𠀀」"), b("(a)")),
        );
        check(
            "**「a」**，**「b」**",
            &format!("{}，{}", b("「a」"), b("「b」")),
        );
    }

    #[test]
    fn other_rules_of_emphasis_stay() {
        check("**Note:**text", "**Note:**text");
        check("a**(b)**c", "a**(b)**c");
        check("含_「重点」_内容", "含_「重点」_内容");
        check("** 重点** 和 2 * 3", "** 重点** 和 2 * 3");
        check("\\*「重点」\\*内容", "*「重点」*内容");
        check("`**「a」**字`", "<code>**「a」**字</code>");
        check("*$*alpha", "*$*alpha");
    }

    #[test]
    fn a_single_tilde_strikes_nothing() {
        for text in [
            "大约 3~5 天，价格 100~200 元；age(1~3), hight(80~100)",
            "Between ~1.34 and ~5.4, (~2) or (~3), ~10%~20%.",
            "喵呜~这就来~好的",
            "~a~ ~/b:~/c",
        ] {
            check(text, text);
        }
        check("~~a~~ ~b~", "<del>a</del> ~b~");
    }
}
