//! What a person has chosen for their questions: the model, and how it shall answer. What was not
//! chosen is not sent, so that the server and the provider decide. It is remembered in this browser.

use std::sync::Arc;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::memory::{Item, Memory, use_memory};
use crate::protocol::{ChatMessage, ChatRequest, ReasoningEffort, Role};

/// The choices. They are written down as JSON in the browser's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choices {
    /// The model; empty for the server's own choice.
    pub model: String,
    /// What stands before every conversation; empty for nothing.
    pub system: String,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f64>,
    /// How long a reasoning model may think.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The most tokens of an answer.
    pub max_tokens: Option<u32>,
}

impl Choices {
    /// Adds to a request what was chosen.
    pub fn apply(&self, request: &mut ChatRequest) {
        if let Some(system) = self.system() {
            request.messages.insert(
                0,
                ChatMessage {
                    role: Role::System,
                    content: system,
                },
            );
        }
        request.model = self.model();
        request.temperature = self.temperature;
        request.max_tokens = self.max_tokens;
        request.reasoning_effort = self.reasoning_effort;
    }

    /// The model, if one was chosen.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        Some(self.model.trim().to_owned()).filter(|model| !model.is_empty())
    }

    /// The system prompt, if there is one.
    #[must_use]
    pub fn system(&self) -> Option<String> {
        Some(self.system.clone()).filter(|system| !system.trim().is_empty())
    }
}

/// Reads a temperature as a person writes it: nothing for no choice.
///
/// # Errors
/// A sentence that says what would be right.
pub fn read_temperature(text: &str) -> Result<Option<f64>, &'static str> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(number) if (0.0..=2.0).contains(&number) => Ok(Some(number)),
        _ => Err("A number from 0 to 2, or nothing."),
    }
}

/// Reads the most tokens of an answer as a person writes them: nothing for no limit.
///
/// # Errors
/// A sentence that says what would be right.
pub fn read_max_tokens(text: &str) -> Result<Option<u32>, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err("A whole number from 1 on, or nothing."),
    }
}

/// The choices as a signal, kept in the browser's memory.
#[derive(Clone, Copy)]
pub struct Preferences {
    choices: RwSignal<Choices>,
    memory: StoredValue<Option<Arc<dyn Memory>>>,
}

impl Preferences {
    /// Nothing chosen yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            choices: RwSignal::new(Choices::default()),
            memory: StoredValue::new(use_memory()),
        }
    }

    /// Takes the choices of an earlier visit, once the page is alive: the server cannot know them.
    pub fn recall(self) {
        Effect::new(move |_| {
            let remembered = self
                .memory
                .with_value(|memory| memory.as_ref()?.recall(Item::Preferences));
            // What another version has written and this one cannot read is no choice.
            let choices = remembered.and_then(|text| serde_json::from_str(&text).ok());
            if let Some(choices) = choices {
                self.choices.set(choices);
            }
        });
    }

    /// Looks at the choices.
    pub fn with<T>(self, look: impl FnOnce(&Choices) -> T) -> T {
        self.choices.with(look)
    }

    /// The choices as they are now, for those who want to know them once.
    #[must_use]
    pub fn get_untracked(self) -> Choices {
        self.choices.get_untracked()
    }

    /// Changes the choices, and remembers them.
    pub fn change(self, change: impl FnOnce(&mut Choices)) {
        self.choices.update(change);
        let choices = self.choices.get_untracked();
        let text = if choices == Choices::default() {
            String::new()
        } else {
            serde_json::to_string(&choices).expect("choices are text and numbers")
        };
        self.memory.with_value(|memory| {
            if let Some(memory) = memory {
                memory.remember(Item::Preferences, &text);
            }
        });
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> ChatRequest {
        ChatRequest::new(vec![ChatMessage {
            role: Role::User,
            content: "Hi".into(),
        }])
    }

    #[test]
    fn only_what_was_chosen_is_sent() {
        let mut request = question();
        Choices::default().apply(&mut request);
        assert_eq!(request, question());
        let choices = Choices {
            model: " m ".into(),
            system: "Be brief.".into(),
            temperature: Some(0.5),
            reasoning_effort: Some(ReasoningEffort::Low),
            max_tokens: Some(9),
        };
        choices.apply(&mut request);
        assert_eq!(request.messages[0].role, Role::System);
        assert_eq!(request.messages[1], question().messages[0]);
        assert_eq!(request.model.as_deref(), Some("m"));
        assert_eq!(
            (request.temperature, request.max_tokens),
            (Some(0.5), Some(9))
        );
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!(read_temperature(" 0,7 "), Ok(Some(0.7)));
        assert_eq!(read_temperature(""), Ok(None));
        assert_eq!(read_max_tokens("1000"), Ok(Some(1000)));
        assert_eq!(read_max_tokens(" "), Ok(None));
        for wrong in ["2.1", "-1", "hot", "NaN"] {
            assert!(read_temperature(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "-1", "1.5", "many"] {
            assert!(read_max_tokens(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn choices_of_another_version_are_read_as_far_as_they_go() {
        let read = |text: &str| serde_json::from_str::<Choices>(text).expect("choices");
        assert_eq!(read("{}"), Choices::default());
        assert_eq!(read(r#"{"model":"m","brand_new":1}"#).model, "m");
    }
}
