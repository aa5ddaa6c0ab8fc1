//! Extracts the title from a model's answer: without reasoning, tags, quotation marks, JSON, fences and
//! introductory words.

use serde_json::Value;

/// The longest title, in characters.
const LONGEST: usize = 80;

/// The opening and closing tags of reasoning.
const REASONING: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    // OpenAI's open models write a channel name before each part.
    ("<|channel|>analysis", "<|channel|>final<|message|>"),
];

/// Labels before a colon, in lower case.
const LABELS: &[&str] = &[
    "title",
    "titel",
    "titre",
    "título",
    "titulo",
    "titolo",
    "tytuł",
    "názov",
    "název",
    "cím",
    "otsikko",
    "rubrik",
    "tittel",
    "başlık",
    "заголовок",
    "название",
    "назва",
    "τίτλος",
    "标题",
    "標題",
    "题目",
    "主题",
    "タイトル",
    "제목",
    "العنوان",
    "כותרת",
    "शीर्षक",
    "topic",
    "subject",
    "heading",
];

/// Beginnings of lines that introduce a title, in lower case.
const PREFACES: &[&str] = &[
    "sure",
    "certainly",
    "of course",
    "absolutely",
    "here is",
    "here's",
    "here’s",
    "here are",
    "okay",
    "alright",
    "voici",
    "hier ist",
    "aquí",
    "ecco",
    "好的",
    "以下",
];

/// The text outside the reasoning. It is empty while the reasoning has not ended.
pub(super) fn outside_reasoning(answer: &str) -> &str {
    let ends = REASONING
        .iter()
        .filter_map(|(_, close)| answer.rfind(close).map(|at| at + close.len()));
    let rest = &answer[ends.max().unwrap_or(0)..];
    let begins = REASONING.iter().filter_map(|(open, _)| rest.find(open));
    &rest[..begins.min().unwrap_or(rest.len())]
}

/// The title in an answer, if the answer has one.
pub(super) fn title_in(answer: &str) -> Option<String> {
    let answer = outside_reasoning(answer).trim();
    let title = match in_json(answer) {
        Some(title) => title,
        None => in_lines(answer)?,
    };
    let title = plain(&title);
    let length = title.chars().count();
    let is_title = (1..=LONGEST).contains(&length)
        && title.chars().any(char::is_alphanumeric)
        && !title.contains(['<', '>', '{', '}', '`']);
    is_title.then_some(title)
}

/// The title in JSON anywhere in the answer.
fn in_json(answer: &str) -> Option<String> {
    let from = answer.find(['{', '['])?;
    let until = answer.rfind(['}', ']'])?;
    let value: Value = serde_json::from_str(answer.get(from..=until)?).ok()?;
    text_in(&value)
}

fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list.iter().find_map(text_in),
        Value::Object(fields) => {
            let named = |label: &str| {
                let mut fields = fields.iter();
                fields.find_map(|(name, value)| {
                    (name.to_lowercase() == label).then(|| text_in(value))?
                })
            };
            let by_name = LABELS
                .iter()
                .chain(&["name", "text"])
                .find_map(|label| named(label));
            by_name.or_else(|| match fields.values().next() {
                Some(only) if fields.len() == 1 => text_in(only),
                _ => None,
            })
        }
        _ => None,
    }
}

/// The first line that is not only an introduction.
fn in_lines(answer: &str) -> Option<String> {
    let mut lines = answer
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("```") && !line.starts_with("~~~"))
        .peekable();
    while let Some(line) = lines.next() {
        if let Some(title) = after_label(line) {
            match title {
                "" => continue,
                title => return Some(title.to_owned()),
            }
        }
        let small = plain(line).to_lowercase();
        let leads_on = line.ends_with([':', '：'])
            || PREFACES.iter().any(|preface| small.starts_with(preface));
        if !leads_on || lines.peek().is_none() {
            return Some(line.trim_end_matches([':', '：']).to_owned());
        }
    }
    None
}

/// The text after a label such as `Title:`, or after a preface with a colon.
fn after_label(line: &str) -> Option<&str> {
    let (label, title) = line.split_once([':', '：'])?;
    let label = plain(label).to_lowercase();
    let is_label = LABELS
        .iter()
        .any(|known| label == *known || label.ends_with(&format!(" {known}")));
    let is_preface = PREFACES.iter().any(|preface| label.starts_with(preface))
        && LABELS.iter().any(|known| label.contains(known));
    (is_label || is_preface).then(|| title.trim_start_matches(['*', '_', ' ']))
}

/// A line without Markdown and HTML markup, quotation marks and the full stop.
fn plain(line: &str) -> String {
    let mut text = without_tags(line.lines().next().unwrap_or_default());
    for mark in ["**", "__", "`"] {
        text = text.replace(mark, "");
    }
    let is_mark =
        |c: char| c.is_whitespace() || "\"'*_`“”„‟«»‹›‘’‚「」『』《》〈〉【】＂".contains(c);
    let text = text
        .trim()
        .trim_start_matches(['#', '>', '*', '-', '•', ' '])
        .trim_matches(is_mark)
        .trim_end_matches(['.', '。', '．'])
        .trim_matches(is_mark);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text without anything that looks like a tag.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let is_tag = after.starts_with(|c: char| c.is_ascii_alphabetic() || "/|!".contains(c));
        match after.split_once('>') {
            Some((_, behind)) if is_tag => rest = behind,
            _ => {
                out.push('<');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_model_says_counts_if_it_looks_like_a_title() {
        let check = |answer: &str, expect: Option<&str>| {
            assert_eq!(title_in(answer).as_deref(), expect, "{answer}");
        };
        check("Small Streams", Some("Small Streams"));
        check("\n\"Small Streams.\"\n", Some("Small Streams"));
        check("**Title: Small Streams**", Some("Small Streams"));
        check("„Kleine Bäche“", Some("Kleine Bäche"));
        check("", None);
        check("\"\"", None);
        check(&"long ".repeat(40), None);
        check("...", None);
    }

    #[test]
    fn reasoning_is_no_title() {
        let expect = Some("Small Streams");
        for answer in [
            "<thinking>a title?</thinking>Small Streams",
            "[THINK]Hm.\n[/THINK]\nSmall Streams",
            "◁think▷x◁/think▷Small Streams",
            "I think of water.\n</thinking>\nSmall Streams",
            "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Small Streams",
            "<think>\n</think>\n{\"title\":\"Small Streams\"}",
        ] {
            assert_eq!(title_in(answer).as_deref(), expect, "{answer}");
        }
        assert_eq!(title_in("<think>\nI was cut off"), None);
        assert_eq!(title_in("<think>x</think>"), None);
    }

    #[test]
    fn a_title_is_found_in_what_is_around_it() {
        let expect = Some("Small Streams");
        for answer in [
            "Sure! Here is a title:\n\n**Small Streams**",
            "Here's a title for your conversation: Small Streams",
            "Certainly!\n\nSmall Streams",
            "Title:\nSmall Streams",
            "**Title:** Small Streams",
            "# Small Streams",
            "- Small Streams",
            "> \"Small Streams\"",
            "```\nSmall Streams\n```",
            "```json\n{\"Title\": \"Small Streams\", \"emoji\": \"x\"}\n```",
            "Here it is: {\"title\": \"Small Streams\"}",
            "[\"Small Streams\"]",
            "{\"conversation\": {\"title\": \"Small Streams\"}}",
            "<title>Small Streams</title>",
            "标题：Small Streams",
            "《Small Streams》",
            "`Small Streams`",
            "Small Streams\n\nThis title says what it is about.",
        ] {
            assert_eq!(title_in(answer).as_deref(), expect, "{answer}");
        }
        for none in ["{\"title\": \"Small", "<div", "{}", "[]", "```json\n```"] {
            assert_eq!(title_in(none), None, "{none}");
        }
        // A colon may be part of it, and a word such as the above its first.
        for title in [
            "Rust: lifetimes",
            "Great Lakes in winter",
            "1984 by Orwell",
            "a < b",
        ] {
            let expect = Some(title).filter(|title| !title.contains('<'));
            assert_eq!(title_in(title).as_deref(), expect);
        }
    }

    proptest! {
        #[test]
        fn whatever_a_model_answers_its_title_is_one_line_of_words(
            answer in "(<think>|</think>|```|\\{|\\}|\"|:|title|\n|Here is|#|<b>|[a-zé ]{1,6}){0,12}",
        ) {
            if let Some(title) = title_in(&answer) {
                prop_assert!(!title.contains(['\n', '<', '>', '{', '}', '`']), "{title:?}");
                prop_assert!(!title.is_empty() && title.chars().count() <= LONGEST);
            }
        }
    }
}
