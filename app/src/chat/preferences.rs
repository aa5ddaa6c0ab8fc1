//! The user's preferences: the model and the parameters of requests. Parameters that were not set are not sent, so
//! the server and the provider decide. The preferences are kept in the browser's storage.
//!
//! All values are stored as text, as the user wrote them. So this module needs no general code for floating point
//! numbers and JSON, which would make the page larger.

use std::sync::Arc;

use leptos::prelude::*;

use crate::chat::enter_key::EnterSends;
use crate::platform::storage::{Storage, StorageKey, use_storage};
use crate::protocol::{ChatMessage, ChatRequest, ChatSettings, ReasoningEffort, Role};

/// The choices, each as the user wrote it; empty if nothing was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// The model.
    pub model: String,
    /// Sampling temperature, 0 to 2.
    pub temperature: String,
    /// The reasoning effort: `low`, `medium` or `high`.
    pub reasoning_effort: String,
    /// The most tokens of a reply.
    pub max_tokens: String,
    /// The system prompt.
    pub system: String,
    /// The name of the preset that they were taken from. It is not stored.
    pub preset: String,
}

impl Choices {
    /// Adds the choices to a request.
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
        request.temperature = self.temperature();
        request.max_tokens = self.max_tokens();
        request.reasoning_effort = self.reasoning_effort();
    }

    /// The model, if one was chosen.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        filled(self.model.trim())
    }

    /// The system prompt, if there is one.
    #[must_use]
    pub fn system(&self) -> Option<String> {
        filled(&self.system).filter(|system| !system.trim().is_empty())
    }

    /// The temperature, if one was chosen.
    #[must_use]
    pub fn temperature(&self) -> Option<f64> {
        read_temperature(&self.temperature).ok().flatten()
    }

    /// The most tokens of a reply, if they were limited.
    #[must_use]
    pub fn max_tokens(&self) -> Option<u32> {
        read_max_tokens(&self.max_tokens).ok().flatten()
    }

    /// The reasoning effort, if one was chosen.
    #[must_use]
    pub fn reasoning_effort(&self) -> Option<ReasoningEffort> {
        match self.reasoning_effort.as_str() {
            "low" => Some(ReasoningEffort::Low),
            "medium" => Some(ReasoningEffort::Medium),
            "high" => Some(ReasoningEffort::High),
            _ => None,
        }
    }

    /// The stored form of the choices: one per line. The system prompt is last, because it alone can have several
    /// lines.
    fn to_text(&self) -> String {
        let lines = [
            &self.model,
            &self.temperature,
            &self.reasoning_effort,
            &self.max_tokens,
            &self.system,
        ];
        let is_nothing = lines.iter().all(|line| line.is_empty());
        if is_nothing {
            return String::new();
        }
        lines.map(String::as_str).join("\n")
    }

    fn from_text(text: &str) -> Self {
        let mut lines = text.splitn(5, '\n').map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        Self {
            model: next(),
            temperature: next(),
            reasoning_effort: next(),
            max_tokens: next(),
            system: next(),
            preset: String::new(),
        }
    }
}

impl From<ChatSettings> for Choices {
    fn from(settings: ChatSettings) -> Self {
        let effort = |effort| match effort {
            ReasoningEffort::Low => "low",
            ReasoningEffort::Medium => "medium",
            ReasoningEffort::High => "high",
        };
        Self {
            model: settings.model.unwrap_or_default(),
            temperature: written(settings.temperature),
            reasoning_effort: settings
                .reasoning_effort
                .map_or_else(String::new, |one| effort(one).to_owned()),
            max_tokens: settings
                .max_tokens
                .map_or_else(String::new, |most| most.to_string()),
            system: settings.system.unwrap_or_default(),
            preset: settings.preset.unwrap_or_default(),
        }
    }
}

/// A temperature as a person would write it, with at most three decimal places.
fn written(temperature: Option<f64>) -> String {
    let Some(temperature) = temperature.filter(|one| (0.0..=2.0).contains(one)) else {
        return String::new();
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 2000"
    )]
    let thousandths = (temperature * 1000.0).round() as u32;
    let places = format!("{:03}", thousandths % 1000);
    match places.trim_end_matches('0') {
        "" => (thousandths / 1000).to_string(),
        places => format!("{}.{places}", thousandths / 1000),
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Parses a temperature with a decimal point or comma and at most three decimal places. `None` for an empty text.
///
/// # Errors
/// A sentence that describes valid values.
pub fn read_temperature(text: &str) -> Result<Option<f64>, &'static str> {
    const WRONG: &str = "A number from 0 to 2, or nothing.";
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, places) = match text.find(['.', ',']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 1 || places.len() > 3 {
        return Err(WRONG);
    }
    if !is_number(whole) || !is_number(places) {
        return Err(WRONG);
    }
    let thousandths = whole
        .bytes()
        .chain(places.bytes())
        .chain([b'0'; 3])
        .take(4)
        .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    if thousandths > 2000 {
        return Err(WRONG);
    }
    Ok(Some(f64::from(thousandths) / 1000.0))
}

/// Parses a limit of tokens. `None` for an empty text.
///
/// # Errors
/// A sentence that describes valid values.
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

/// The choices as a signal, backed by the browser's storage.
#[derive(Clone, Copy)]
pub struct Preferences {
    choices: RwSignal<Choices>,
    enter_sends: RwSignal<EnterSends>,
    /// Whether the main pointer is a finger; `false` until the browser has determined it.
    is_touch: RwSignal<bool>,
    storage: StoredValue<Option<Arc<dyn Storage>>>,
}

impl Preferences {
    /// The default choices.
    #[must_use]
    pub fn new() -> Self {
        Self {
            choices: RwSignal::new(Choices::default()),
            enter_sends: RwSignal::new(EnterSends::default()),
            is_touch: RwSignal::new(false),
            storage: StoredValue::new(use_storage()),
        }
    }

    /// Loads the stored choices, after hydration.
    pub fn load(self) {
        Effect::new(move |_| {
            let stored = |key| {
                self.storage
                    .with_value(|storage| storage.as_ref()?.get(key))
            };
            if let Some(text) = stored(StorageKey::Preferences) {
                self.choices.set(Choices::from_text(&text));
            }
            if let Some(name) = stored(StorageKey::EnterSends) {
                self.enter_sends.set(EnterSends::named(&name));
            }
        });
    }

    /// The choices.
    #[must_use]
    pub fn get(self) -> Choices {
        self.choices.get()
    }

    /// [`Preferences::get`] without subscribing.
    #[must_use]
    pub fn get_untracked(self) -> Choices {
        self.choices.get_untracked()
    }

    /// Changes the choices and stores them.
    pub fn set(self, choices: Choices) {
        self.store(StorageKey::Preferences, &choices.to_text());
        self.choices.set(choices);
    }

    /// When Enter sends the message, without subscribing.
    #[must_use]
    pub fn enter_sends_untracked(self) -> EnterSends {
        self.enter_sends.get_untracked()
    }

    /// Whether Enter sends on this screen.
    #[must_use]
    pub fn sends_by_enter(self) -> bool {
        self.enter_sends.get().sends(self.is_touch.get())
    }

    /// Whether the main pointer is a finger.
    #[must_use]
    pub fn is_touch(self) -> bool {
        self.is_touch.get()
    }

    /// Records whether the main pointer is a finger.
    pub fn note_touch(self, is_touch: bool) {
        if self.is_touch.get_untracked() != is_touch {
            self.is_touch.set(is_touch);
        }
    }

    /// Changes when Enter sends, and stores it.
    pub fn set_enter_sends(self, choice: EnterSends) {
        self.store(StorageKey::EnterSends, choice.name());
        self.enter_sends.set(choice);
    }

    fn store(self, key: StorageKey, value: &str) {
        self.storage.with_value(|storage| {
            if let Some(storage) = storage {
                storage.set(key, value);
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

    fn all() -> Choices {
        Choices {
            model: " m ".into(),
            temperature: "0,5".into(),
            reasoning_effort: "low".into(),
            max_tokens: "9".into(),
            system: "Be brief.\nIn French.\n".into(),
            preset: String::new(),
        }
    }

    #[test]
    fn only_what_was_chosen_is_sent() {
        let mut request = question();
        Choices::default().apply(&mut request);
        assert_eq!(request, question());
        all().apply(&mut request);
        assert_eq!(request.messages[0].role, Role::System);
        assert_eq!(request.messages[1], question().messages[0]);
        assert_eq!(request.model.as_deref(), Some("m"));
        assert_eq!(
            (request.temperature, request.max_tokens),
            (Some(0.5), Some(9))
        );
        assert_eq!(request.reasoning_effort, Some(ReasoningEffort::Low));
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("", None),
            (" 0,7 ", Some(0.7)),
            ("1", Some(1.0)),
            ("2.", Some(2.0)),
            ("0.125", Some(0.125)),
            ("2.000", Some(2.0)),
        ] {
            assert_eq!(read_temperature(text), Ok(number), "{text}");
        }
        for wrong in [
            "2.1", "-1", "hot", "NaN", ".", "12", "0.1234", "1.2.3", "1e0",
        ] {
            assert!(read_temperature(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read_max_tokens("1000"), Ok(Some(1000)));
        assert_eq!(read_max_tokens(" "), Ok(None));
        for wrong in ["0", "-1", "1.5", "many"] {
            assert!(read_max_tokens(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_of_a_conversation_are_read_as_they_were_chosen() {
        for text in ["", "0", "0.2", "0.125", "1", "1.05", "2"] {
            let temperature = read_temperature(text).expect("it is valid");
            assert_eq!(written(temperature), text);
        }
        assert_eq!(written(Some(f64::NAN)), "");
        let settings = ChatSettings {
            system: Some("Be brief.".into()),
            max_tokens: Some(9),
            reasoning_effort: Some(ReasoningEffort::High),
            preset: Some("Brief".into()),
            ..ChatSettings::default()
        };
        let choices = Choices::from(settings);
        assert_eq!(choices.system().as_deref(), Some("Be brief."));
        assert_eq!(
            (choices.max_tokens(), choices.preset.as_str()),
            (Some(9), "Brief")
        );
        assert_eq!(choices.reasoning_effort(), Some(ReasoningEffort::High));
    }

    #[test]
    fn choices_are_stored_as_they_were_written() {
        assert_eq!(Choices::from_text(&all().to_text()), all());
        assert_eq!(Choices::default().to_text(), "");
        assert_eq!(Choices::from_text(""), Choices::default());
        assert_eq!(Choices::from_text("m").model, "m");
    }
}
