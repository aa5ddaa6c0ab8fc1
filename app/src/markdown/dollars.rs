//! Which dollars delimit a formula, and which are prices, shell variables and signs of currencies.
//!
//! The base is Pandoc's rule: the opening dollar has no space behind it, the closing one none before it and no digit
//! behind it. Models also write prices and variables in pairs that fulfil that rule, so the content has to look like
//! a formula, too.

/// Signs that only formulas have.
const SIGNS: [char; 14] = [
    '\\', '^', '_', '=', '{', '<', '>', '≤', '≥', '≈', '∈', '→', '×', '·',
];

/// Words that join two prices or variables rather than the terms of a formula.
const JOINING: [&str; 17] = [
    "a", "an", "and", "or", "to", "is", "are", "the", "per", "for", "of", "vs", "from", "at", "by",
    "with", "but",
];

/// Quotation marks and the punctuation of sentences in scripts without spaces.
const OF_PROSE: &[char] = &[
    '"', '“', '”', '„', '«', '»', '「', '」', '『', '』', '，', '。', '、', '；', '：', '？', '！',
];

/// Whether `content` between two single dollars is a formula. `before` is the character before the opening dollar,
/// `after` the text behind the closing one.
pub(super) fn is_formula(before: Option<char>, content: &str, after: &str) -> bool {
    let may_follow_word = content.starts_with(['\\', '^', '_']);
    if before.is_some_and(|c| c.is_ascii_alphanumeric()) && !may_follow_word {
        return false;
    }
    let has_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
    if has_space(content.chars().next()) || has_space(content.chars().next_back()) {
        return false;
    }
    may_follow(content, after) && looks_like_tex(content) && !is_variable(content, after)
}

/// Whether `content` between double dollars within a paragraph is a formula.
pub(super) fn is_display(content: &str) -> bool {
    let trimmed = content.trim();
    if trimmed.is_empty() || !looks_like_tex(trimmed) {
        return false;
    }
    // `$$ or $$` is about prices.
    trimmed.len() == content.len() || trimmed.contains(SIGNS) || longest_prose(trimmed) == 0
}

/// Whether a dollar before this text can close a formula with this content.
fn may_follow(content: &str, after: &str) -> bool {
    let mut characters = after.chars();
    match characters.next() {
        Some(c) if c.is_ascii_digit() => false,
        Some(c) if c.is_ascii_alphabetic() => {
            let word: String = after
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect();
            content.contains('\\')
                || content.starts_with(['^', '_'])
                || matches!(&*word, "th" | "st" | "nd" | "rd" | "s")
        }
        Some('_') => !characters.next().is_some_and(char::is_alphanumeric),
        Some(c @ ('{' | '(')) => !content.starts_with(c),
        _ => true,
    }
}

/// Whether a text is TeX rather than Markdown, a quotation, or the words between two prices.
fn looks_like_tex(content: &str) -> bool {
    let has_text = content.contains("\\text") || content.contains("\\mbox");
    if content.contains('`')
        || content.contains("**")
        || content.contains("](")
        || content.contains("://")
        || !has_text && content.contains(OF_PROSE)
        || has_quotation(content)
        || content.matches('\n').count() > 3
    {
        return false;
    }
    if has_text {
        return true;
    }
    let has_sign = content.contains(SIGNS);
    if has_sign {
        return longest_prose(content) < 3 && !has_sentence_end(content);
    }
    let words = content
        .split_whitespace()
        .filter(|word| is_word(word))
        .count();
    let is_amount = content.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | ','));
    let has_joining = || content.split_whitespace().any(is_joining);
    let is_prose = words > 1
        || words == 1 && is_amount
        || content.contains(' ') && content.split_whitespace().count() > 1 && has_joining()
        || is_amount && content.contains(is_unspaced)
        || content.contains(is_unspaced) && words > 0
        || has_sentence_end(content);
    !is_prose
}

/// A single quotation mark that is no prime.
fn has_quotation(content: &str) -> bool {
    let mut before = ' ';
    content.chars().any(|c| {
        let is_quotation =
            c == '\'' && !before.is_alphanumeric() && !matches!(before, ')' | '}' | ']' | '\'');
        before = c;
        is_quotation
    })
}

fn has_sentence_end(content: &str) -> bool {
    let bytes = content.as_bytes();
    bytes.windows(4).any(|part| {
        matches!(part[1], b'.' | b'?' | b'!')
            && part[0].is_ascii_alphanumeric()
            && part[2] == b' '
            && part[3].is_ascii_uppercase()
    })
}

/// The most words in a row, outside of braces. Words within braces may be the argument of `\text`.
pub(super) fn longest_prose(content: &str) -> usize {
    let (mut longest, mut words, mut depth) = (0, 0, 0_usize);
    for token in content.split_whitespace() {
        let opened = token.bytes().filter(|byte| *byte == b'{').count();
        let closed = token.bytes().filter(|byte| *byte == b'}').count();
        words = if depth == 0 && opened == 0 && is_word(token) {
            words + 1
        } else {
            0
        };
        depth = (depth + opened).saturating_sub(closed);
        longest = longest.max(words);
    }
    longest
}

/// Whether something between spaces is a word of a natural language.
fn is_word(token: &str) -> bool {
    let word = token.trim_end_matches([',', '.', ';', ':', '!', '?', ')']);
    let word = word.trim_start_matches('(');
    let letters = word.chars().count();
    let is_of_letters = word
        .chars()
        .all(|c| c.is_alphabetic() || matches!(c, '\'' | '’' | '-'));
    is_of_letters
        && (letters > 1 || word.contains(is_unspaced))
        && word.contains(char::is_alphabetic)
}

fn is_joining(token: &str) -> bool {
    let token = token.trim_end_matches([',', '.', ';', ':']);
    token.len() > 1 && JOINING.iter().any(|word| word.eq_ignore_ascii_case(token))
}

fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

/// Whether the content is the name of a shell variable followed by other text.
fn is_variable(content: &str, after: &str) -> bool {
    if let Some(rest) = content.strip_prefix('{') {
        // `${NAME}/x`
        let name = name_length(rest);
        return name > 1 && rest[name..].starts_with(['}', ':', '/', '#', '%', '-']);
    }
    if content.contains("->") && !content.contains(" -> ") && !content.contains('\\') {
        return true;
    }
    let name = name_length(content);
    let (name, rest) = content.split_at(name);
    if name.len() < 2 {
        return false;
    }
    let is_upper = !name.contains(|c: char| c.is_ascii_lowercase());
    let parts = || name.split('_').filter(|part| part.len() > 1).count();
    let is_path = rest.strip_prefix(['/', ':']).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '.')
    });
    is_upper && (parts() > 1 || is_path || rest.is_empty() && after.starts_with(['/', ':']))
        || name.starts_with("__")
}

/// The length of the name of a variable at the begin of a text.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.as_bytes()
        .iter()
        .take_while(|byte| is_of_name(byte))
        .count()
}

#[cfg(test)]
mod tests {
    use super::super::node::{Kind, Node};
    use super::super::parse::parse_whole;

    fn collect(nodes: &[Node], found: &mut Vec<String>) {
        for node in nodes {
            if let Kind::Math {
                tex, is_display, ..
            } = &node.kind
            {
                found.push(format!(
                    "{}{tex}",
                    if *is_display { "display:" } else { "" }
                ));
            }
            collect(&node.children, found);
        }
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let mut found = Vec::new();
        collect(&parse_whole(text), &mut found);
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn formulas_stand_between_dollars_and_escaped_brackets() {
        check("so $x^2$ and $$y$$", &["x^2", "display:y"]);
        check(r"so \(x_1\) and \[y\]", &["x_1", "display:y"]);
        check("\\[\n\\frac{a}{b}\n\\]", &["display:\n\\frac{a}{b}\n"]);
        check(
            r"\(\mathbf{a}_{i}\) and \(\mathbf{b}_{j}\)",
            &[r"\mathbf{a}_{i}", r"\mathbf{b}_{j}"],
        );
        check("| \\(a\\) |\n|---|\n| \\(b\\) |", &["a", "b"]);
        check(r"\(a\)\(b\)$c$\(d\)", &["a", "b", "c", "d"]);
        check("$a\n+b$ > $c$", &["a\n+b", "c"]);
        check("> $a\n> +b$", &["a\n+b"]);
        check(
            r"$f'(x)$, $n$th, $k$-th, $\alpha$s",
            &["f'(x)", "n", "k", r"\alpha"],
        );
        check(
            r"$x = 5\$$ and $\text{if $a$ holds}$",
            &[r"x = 5\$", r"\text{if $a$ holds}"],
        );
        check(
            r"10$^{\circ}$C, H$_2$O, 5$\times$ 6",
            &[r"^{\circ}", "_2", r"\times"],
        );
        check("设$x$为$y=2$，则$a+b$。", &["x", "y=2", "a+b"]);
        check("$P(A|B)$ and $\\{a\\}$", &["P(A|B)", r"\{a\}"]);
        check(
            "$AB$ is $dx/dt$, $e$, $V_{in}$",
            &["AB", "dx/dt", "e", "V_{in}"],
        );
        check("| $|x|$ | b |\n|---|---|", &["|x|"]);
    }

    #[test]
    fn prices_are_no_formulas() {
        for text in [
            "$4 and $5",
            "it costs $4, or 5$ elsewhere",
            "between $5 and a$6 more",
            "$20 or €20",
            "- **Basic**: **$5**\n- **Pro**: from **$10** to **$15**",
            "It is $5 with `--fast` and **$6** without.",
            "Pay $5 [here](https://e.x/a) or *$6* there.",
            "Plans (**$9**/mo, **$19**/mo, ~~$29~~).",
            "| Plan | Price |\n|---|---|\n| A | **$5**–**$7** |\n| B | $8 |",
            "It went from $5K to $10K and then $1.5M/$2M.",
            "HIP requested $3,500 in 2022. A year later it asked for $5,000, an increase. It rose to $6,750 the next year.",
            "Between US$50 and 100$ or NT$30 (about $1).",
            "| $5 | 6$ |\n|---|---|\n| $7 | 8$ |",
            "($5)/($6), $5-$6, $5–$7, ~$5, -$3, +$10",
            "价格从$5到10$之间，约$100元。",
            "A$5, C$6, HK$7 and R$8",
            "restaurants of $$ or $$$, of $$–$$$ and of $$",
            "$5/month, or 50$/year",
            "\"$5\" and \"$6\"",
            "$1,000.50, i.e. 1.000,50 $",
        ] {
            check(text, &[]);
        }
        check("$2$ apples", &["2"]);
        check("$3x = 6$", &["3x = 6"]);
        check("pay $5 for $x^2$ and $6 for $y$", &["x^2", "y"]);
    }

    #[test]
    fn variables_of_a_shell_are_no_formulas() {
        for text in [
            "The share is $VERIFIED_COUNT/$TOTAL_COUNT, and set PATH=$HOME/bin:$PATH first.",
            "Use ${HOME}/x and ${PATH}, or '$LLM_API_KEY' by 'env:LLM_API_KEY' or $OMNI_KEY.",
            "$a,$b and $1$2",
            "${a}${b} and ${x}/${y}",
            "$(pwd)/$(date), $(A)/$(B)",
            "$_GET,$_POST and $this->a,$this->b$",
            "$('#a'),$('.b')",
            "(\"$A\"|\"$B\")",
            "the $FOO_BAR$ place and $HOME/bin$",
            "^a$|^b$ and /^a$/",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn what_is_escaped_or_code_is_no_formula() {
        check(r"\\(x\\) and `\(y\)`", &[]);
        check("```\n\\(x\\)\n```", &[]);
        check("\\(x\n\ny\\)", &[]);
        check(r"\$x\$", &[]);
        check(r"a \( b", &[]);
        check("`$a` and `b$`, ``$x$``", &[]);
        check("- a\n\n      $x$\n", &[]);
        check("~~~\n$x$\n$$\ny\n$$\n~~~\n$z$", &["z"]);
    }

    #[test]
    fn lines_of_a_display_formula_begin_no_block() {
        for line in [
            "=",
            "- b",
            "+ c",
            "> d",
            "# e",
            "1. 5 + x",
            "* f",
            "---",
            "| g |",
            "    h",
            "\\\\[2pt]",
        ] {
            for (open, close) in [("$$", "$$"), ("\\[", "\\]")] {
                check(
                    &format!("So\n\n{open}\na\n{line}\nb\n{close}\n\nend"),
                    &[&format!("display:\na\n{line}\nb\n")],
                );
                check(
                    &format!("So {open}\n{line}\n{close} with $x$."),
                    &[&format!("display:\n{line}\n"), "x"],
                );
                check(
                    &format!("- > So\n  > {open}\n  > {line}\n  > {close}\n- next"),
                    &[&format!("display:\n{line}\n")],
                );
            }
        }
        check("$$\na = b\n\nc = d\n$$", &["display:\na = b\n\nc = d\n"]);
        check(
            "- The rule:\n  $$\n  \\frac{a}{b} = c\n  $$\n- next",
            &["display:\n\\frac{a}{b} = c\n"],
        );
        check(
            "- The rule:\n  $$\n\\frac{a}{b}\n$$\n- next",
            &["display:\n\\frac{a}{b}\n"],
        );
        check("$$ a $$ and $$ b $$", &["display: a ", "display: b "]);
    }

    #[test]
    fn a_display_formula_that_is_not_closed_takes_no_text() {
        check("$$\na\n\n\nb\n$$", &[]);
        check("$$\nThese are words of a sentence.\n$$", &[]);
        check("$$\n```\n$$\n```", &[]);
        check("> $$\n- a\n$$", &[]);
        check("$$\n\n$$", &[]);
        check(&format!("$$\n{}\n$$", "a + b\n".repeat(2000)), &[]);
    }
}
