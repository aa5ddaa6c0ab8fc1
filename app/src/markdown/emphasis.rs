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

/// Finds the characters of a text that have to be masked, by their places. What is masked beside a run depends on the
/// few characters around it alone, so it is the same in the end of a text as in the whole one.
pub(super) fn find(text: &str, masks: &mut Vec<(usize, &'static str)>) {
    let bytes = text.as_bytes();
    let mut is_ascii = None;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'*', b'~', &bytes[at..]) {
        at += found;
        let mark = bytes[at];
        let length = bytes[at..].iter().take_while(|b| **b == mark).count();
        let is_escaped = at > 0 && bytes[at - 1] == b'\\';
        if mark == b'~' && length == 1 {
            masks.push((at, TILDE));
        } else if !is_escaped
            && (mark == b'*' || length == 2)
            && !*is_ascii.get_or_insert_with(|| text.is_ascii())
        {
            masks.extend(beside_run(text, at, at + length));
        }
        at += length;
    }
}

/// The character beside a run that keeps it from opening or closing emphasis, and what masks it.
fn beside_run(text: &str, start: usize, end: usize) -> Option<(usize, &'static str)> {
    let before = Side::of(text[..start].chars().next_back());
    let after = Side::of(text[end..].chars().next());
    let before_at = start - before.length();
    let (punctuation, punctuation_at, letter, letter_at) =
        if before.is_punctuation() && after.is_letter() {
            (before, before_at, after, end)
        } else if after.is_punctuation() && before.is_letter() {
            (after, end, before, before_at)
        } else {
            return None;
        };
    if punctuation.class == Class::WidePunctuation {
        return (punctuation.length() == LETTER.len()).then_some((punctuation_at, LETTER));
    }
    // Another run on the other side of that letter must still find a letter there, unless it does not need one.
    let is_mark = |c: char| matches!(c, '*' | '~');
    let behind = if letter_at == end {
        let rest = &text[end + letter.length()..];
        let behind = rest.trim_start_matches(is_mark);
        (behind.len() < rest.len()).then(|| Side::of(behind.chars().next()))
    } else {
        let rest = &text[..letter_at];
        let behind = rest.trim_end_matches(is_mark);
        (behind.len() < rest.len()).then(|| Side::of(behind.chars().next_back()))
    };
    let needs_letter =
        behind.is_some_and(|side| !matches!(side.class, Class::Space | Class::Punctuation));
    if letter.class != Class::WideLetter || needs_letter {
        return None;
    }
    let mask = PUNCTUATION
        .into_iter()
        .find(|mask| mask.len() == letter.length())?;
    Some((letter_at, mask))
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
        let class = character.map_or(Class::Space, class_of);
        Self { character, class }
    }

    fn is_punctuation(self) -> bool {
        matches!(self.class, Class::Punctuation | Class::WidePunctuation)
    }

    fn is_letter(self) -> bool {
        matches!(self.class, Class::Letter | Class::WideLetter)
    }

    fn length(self) -> usize {
        self.character.map_or(0, char::len_utf8)
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

/// A letter of a script that puts no spaces between words, or that joins particles to a word, as Korean does.
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
            "𠀀**「𠀀」**𠀀𠀀**(a)**𠀀",
            &format!("𠀀{}𠀀𠀀{}𠀀", b("「𠀀」"), b("(a)")),
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
