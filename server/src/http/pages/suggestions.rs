//! The suggestions of an empty page.

use app::protocol::Suggestion;

use crate::http::state::AppState;
use crate::providers::demo;

/// The suggestions: those of the configuration, or else those that the demo can answer, or else some for any model.
pub(super) fn suggestions(state: &AppState) -> Vec<Suggestion> {
    match &state.config.suggestions {
        Some(suggestions) => suggestions.clone(),
        None if state.upstreams.is_demo() => demo::answers::suggestions(),
        None => DEFAULT.map(suggestion).into(),
    }
}

/// The title, the detail and the prompt of the suggestions for any model.
const DEFAULT: [[&str; 3]; 4] = [
    [
        "Explain an idea",
        "From the ground up, with an example",
        "Explain public-key cryptography from the ground up, with a small example in numbers.",
    ],
    [
        "Write some code",
        "A small program, with its tests",
        "Write a small program that counts the words of a text, in Rust, with tests.",
    ],
    [
        "Compare two things",
        "In a table, with a recommendation",
        "Compare SQLite and PostgreSQL for a small web application in a table, and recommend one.",
    ],
    [
        "Plan a weekend",
        "Hour by hour",
        "Plan a quiet weekend in the mountains without a car, hour by hour.",
    ],
];

fn suggestion([title, detail, prompt]: [&str; 3]) -> Suggestion {
    Suggestion {
        title: title.to_owned(),
        detail: detail.to_owned(),
        prompt: prompt.to_owned(),
    }
}
