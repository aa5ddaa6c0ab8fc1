//! What the demo answers: an answer of its own for each of its suggestions, and otherwise the question with a few words
//! about what the demo is.

use app::protocol::Suggestion;

/// An answer of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The reasoning before the answer; empty for none.
    pub reasoning: &'static str,
    /// The text, as Markdown.
    pub text: String,
}

/// A suggestion of the page, and the demo's answer to it.
struct Prepared {
    title: &'static str,
    detail: &'static str,
    prompt: &'static str,
    reasoning: &'static str,
    answer: &'static str,
}

const PREPARED: [Prepared; 4] = [
    Prepared {
        title: "Show what you can render",
        detail: "Headings, tables, code, formulas, a diagram",
        prompt: "Show what you can render.",
        reasoning: "",
        answer: include_str!("render.md"),
    },
    Prepared {
        title: "Write some Rust",
        detail: "A small program, with its tests",
        prompt: "Write a small program in Rust, with tests.",
        reasoning: "",
        answer: include_str!("rust.md"),
    },
    Prepared {
        title: "Explain streaming",
        detail: "How a word travels from the model to you",
        prompt: "Explain how a word travels from a language model to my screen.",
        reasoning: include_str!("streaming_reasoning.md"),
        answer: include_str!("streaming.md"),
    },
    Prepared {
        title: "A long answer to stop",
        detail: "Press Esc when you have read enough",
        prompt: "Write a long text about rivers, which I will stop.",
        reasoning: "",
        answer: include_str!("long.md"),
    },
];

/// The suggestions for which the demo has an answer. They suit any model, so the page offers them wherever none are
/// configured.
#[must_use]
pub fn suggestions() -> Vec<Suggestion> {
    let suggestion = |one: &Prepared| Suggestion {
        title: one.title.to_owned(),
        detail: one.detail.to_owned(),
        prompt: one.prompt.to_owned(),
    };
    PREPARED.iter().map(suggestion).collect()
}

/// The answer to a question.
#[must_use]
pub fn answer(question: &str) -> Answer {
    let is_asked = |one: &&Prepared| one.prompt == question.trim();
    match PREPARED.iter().find(is_asked) {
        Some(one) => Answer {
            reasoning: one.reasoning,
            text: one.answer.to_owned(),
        },
        None => Answer {
            reasoning: "",
            text: echo(question),
        },
    }
}

/// The question, and what the demo is.
fn echo(question: &str) -> String {
    let quoted: String = question
        .chars()
        .take(300)
        .collect::<String>()
        .replace('\n', "\n> ");
    let ellipsis = if question.chars().count() > 300 {
        " …"
    } else {
        ""
    };
    let words = question.split_whitespace().count();
    format!(
        "You wrote:\n\n> {quoted}{ellipsis}\n\nThat is {words} words, and this is the demo, so I cannot understand them. {ECHO}"
    )
}

const ECHO: &str = "\
But I can show how a reply looks when it **streams**.

Each word you see left the server on its own. It was read from a provider's stream, decoded and sent on within a \
fraction of a millisecond; nothing waits for the end of a sentence, and nothing is held back for effect. If you press \
*Stop*, the connection to the provider is closed at once, and what is on the screen stays.

Try it while this paragraph is still being written. Or scroll up: the text goes on below, but it does not pull you back \
down. In a new chat, the suggestions show tables, code, formulas and more.

To talk to a real model, set `OPENAI_API_KEY` and start Rill again. For Ollama, vLLM or llama.cpp set `OPENAI_BASE_URL`, \
for instance to `http://127.0.0.1:11434/v1`.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suggestion_has_an_answer_of_its_own() {
        for suggestion in suggestions() {
            let answer = answer(&format!(" {}\n", suggestion.prompt));
            assert!(!answer.text.contains("You wrote"), "{}", suggestion.title);
            assert!(answer.text.len() > 500, "{}", suggestion.title);
        }
        let with_reasoning = PREPARED.iter().filter(|one| !one.reasoning.is_empty());
        assert_eq!(with_reasoning.count(), 1);
    }

    #[test]
    fn another_question_is_quoted() {
        assert!(answer("Is 東京 large?").text.contains("> Is 東京 large?"));
        assert!(answer(&"x".repeat(1000)).text.chars().count() < 2000);
    }
}
