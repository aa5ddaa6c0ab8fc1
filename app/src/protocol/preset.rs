//! What the model is told and asked for in a conversation, and the presets from which that is taken.

use serde::{Deserialize, Serialize};

use super::ReasoningEffort;

/// What the model is told and asked for in a conversation. What is `None` is left to the server and the provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatSettings {
    /// The name of the preset that they were taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sampling temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The most tokens that a reply may have, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The reasoning effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// A preset: settings with a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The name, 1 to 60 characters. It is unique for a person without regard to case.
    pub name: String,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sampling temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The most tokens that a reply may have, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The reasoning effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Whether it is in the configuration, for all people. Ignored in requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// The most characters of a preset's name.
pub const LONGEST_PRESET_NAME: usize = 60;

impl Preset {
    /// The reason why this is no valid preset, if it is not.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_PRESET_NAME {
            return Some("A preset needs a name of at most 60 characters.");
        }
        if name.contains(char::is_control) {
            return Some("The name of a preset is one line.");
        }
        let is_model = |model: &String| !model.trim().is_empty() && model.len() <= 256;
        if !self.model.as_ref().is_none_or(is_model) {
            return Some("model must be the name of a model, or be left out.");
        }
        if !self
            .temperature
            .is_none_or(|temperature| (0.0..=2.0).contains(&temperature))
        {
            return Some("temperature must be between 0 and 2.");
        }
        if self.max_tokens == Some(0) {
            return Some("max_tokens must be at least 1.");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_has_a_short_name_and_values_that_a_message_may_have() {
        let check = |json: &str, is_valid: bool| {
            let preset: Preset = serde_json::from_str(json).expect("JSON");
            assert_eq!(preset.fault().is_none(), is_valid, "{json}");
        };
        check(r#"{"name":"Translator"}"#, true);
        check(
            r#"{"name":"a","system":"Be brief.","model":"m","temperature":2,"max_tokens":1}"#,
            true,
        );
        check(r#"{"name":" "}"#, false);
        check(&format!(r#"{{"name":"{}"}}"#, "é".repeat(60)), true);
        check(&format!(r#"{{"name":"{}"}}"#, "é".repeat(61)), false);
        check(r#"{"name":"a\nb"}"#, false);
        check(r#"{"name":"a","model":""}"#, false);
        check(r#"{"name":"a","temperature":2.1}"#, false);
        check(r#"{"name":"a","max_tokens":0}"#, false);
    }
}
