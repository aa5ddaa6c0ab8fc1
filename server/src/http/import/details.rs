//! Reasoning and tool calls that a program wrote into the text of an answer: `<details type="reasoning">` of
//! Open WebUI, and `:::thinking` of LibreChat.

use std::borrow::Cow;

const BEGIN: &str = "<details type=\"";
const END: &str = "</details>";
const THINKING: &str = ":::thinking";
const THINKING_END: &str = "\n:::";

/// The text without the blocks, the reasoning, and the number of tool calls that are left out.
pub(super) fn split(text: &str) -> (String, String, u64) {
    let (mut out, mut reasoning) = (String::with_capacity(text.len()), String::new());
    let mut left_out = 0;
    let mut rest = text;
    if let Some(after) = rest.trim_start().strip_prefix(THINKING)
        && let Some((thought, answer)) = after.split_once(THINKING_END)
    {
        add(&mut reasoning, thought.trim());
        rest = answer.trim_start();
    }
    while let Some(begin) = rest.find(BEGIN) {
        let inner = &rest[begin + BEGIN.len()..];
        let kind = inner.split_once('"').map_or("", |(kind, _)| kind);
        if !matches!(kind, "reasoning" | "tool_calls" | "code_interpreter") {
            out.push_str(&rest[..begin + BEGIN.len()]);
            rest = inner;
            continue;
        }
        // An unclosed block is ordinary text.
        let Some(end) = inner.find(END) else {
            break;
        };
        out.push_str(&rest[..begin]);
        if kind == "reasoning" {
            add(&mut reasoning, &thought_of(&inner[..end]));
        } else {
            left_out += 1;
        }
        rest = &inner[end + END.len()..];
        if out.trim().is_empty() || out.ends_with('\n') {
            rest = rest.trim_start_matches('\n');
        }
    }
    out.push_str(rest);
    (out, reasoning, left_out)
}

/// The text of a block after its summary, without quotation markup.
fn thought_of(block: &str) -> String {
    let body = block.split_once('>').map_or("", |(_, body)| body);
    let body = match body.split_once("</summary>") {
        Some((_, body)) => body,
        None => body,
    };
    let lines = body.trim().lines().map(|line| {
        let line = unescaped(line);
        match line.strip_prefix('>') {
            Some(line) => line.strip_prefix(' ').unwrap_or(line).to_owned(),
            None => line.into_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn unescaped(line: &str) -> Cow<'_, str> {
    if !line.contains('&') {
        return line.into();
    }
    let line = line.replace("&lt;", "<").replace("&gt;", ">");
    let line = line.replace("&quot;", "\"").replace("&#x27;", "'");
    line.replace("&#39;", "'").replace("&amp;", "&").into()
}

fn add(out: &mut String, words: &str) {
    if !out.is_empty() && !words.is_empty() {
        out.push_str("\n\n");
    }
    out.push_str(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_taken_off_the_text() {
        let check = |text: &str, said: &str, thought: &str, left_out: u64| {
            assert_eq!(
                split(text),
                (said.to_owned(), thought.to_owned(), left_out),
                "{text}"
            );
        };
        check("An answer.", "An answer.", "", 0);
        check(
            "<details type=\"reasoning\" done=\"true\" duration=\"3\">\n<summary>Thought for 3 seconds</summary>\n&gt; Is 1 &lt; 2?\n&gt; Yes.\n</details>\n255",
            "255",
            "Is 1 < 2?\nYes.",
            0,
        );
        check(
            "First.\n<details type=\"tool_calls\"><summary>Tool</summary>\"18C\"</details>\nThen <details type=\"reasoning\">Hm</details>.",
            "First.\nThen .",
            "Hm",
            1,
        );
        check(":::thinking\nHm.\n:::\n\nYes.", "Yes.", "Hm.", 0);
        for kept in [
            "<details><summary>More</summary>Mine</details>",
            "<details type=\"mine\">Mine</details>",
            "Write <details type=\"reasoning\"> to begin.",
            ":::thinking is a word",
        ] {
            check(kept, kept, "", 0);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_split(text in "(<details type=\"|reasoning\">|</details>|:::thinking|\n:::|[a-z>&\"\n]){0,12}") {
            let _ = split(&text);
        }
    }
}
