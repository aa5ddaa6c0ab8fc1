//! Chunks in an unusual form: lists of parts as content, a text in place of an object, an error in a choice.

use serde_json::Value;

use crate::providers::api::repetition::CumulativeText;
use crate::providers::error::in_answer::is_nothing;

/// Normalises text in unusual forms: lists of parts, as Mistral sends them, a string in place of an object,
/// numbers in place of a string.
pub(super) fn normalize(value: &mut Value, details: &mut CumulativeText) {
    match value.get_mut("choices") {
        Some(Value::Array(choices)) => {
            choices
                .iter_mut()
                .for_each(|choice| normalize_choice(choice, details));
        }
        Some(choice @ Value::Object(_)) => normalize_choice(choice, details),
        _ => {}
    }
}

fn normalize_choice(choice: &mut Value, details: &mut CumulativeText) {
    let Some(choice) = choice.as_object_mut() else {
        return;
    };
    if let Some(word) = choice.get("finish_reason").and_then(word_of) {
        let word = word.to_owned();
        choice.insert("finish_reason".into(), word.into());
    }
    for name in ["delta", "message"] {
        if let Some(text @ Value::String(_)) = choice.get(name) {
            let delta = serde_json::json!({ "content": text });
            choice.insert(name.into(), delta);
        }
        let Some(delta) = choice.get_mut(name).and_then(Value::as_object_mut) else {
            continue;
        };
        let (mut text, mut thought) = (String::new(), String::new());
        collect(delta.get("content"), &mut text, &mut thought);
        delta.insert("content".into(), text.into());
        for field in [
            "reasoning_content",
            "reasoning",
            "reasoning_text",
            "thinking",
        ] {
            if thought.is_empty() {
                let mut of_field = String::new();
                collect(delta.get(field), &mut of_field, &mut thought);
                thought.push_str(&of_field);
            }
            delta.remove(field);
        }
        if thought.is_empty() {
            let mut all = String::new();
            collect(delta.get("reasoning_details"), &mut all, &mut thought);
            all.push_str(&thought);
            details.rest_of_piece(&all).clone_into(&mut thought);
        }
        delta.insert("reasoning_content".into(), thought.into());
        let (mut refusal, mut ignored) = (String::new(), String::new());
        collect(delta.get("refusal"), &mut refusal, &mut ignored);
        delta.insert("refusal".into(), refusal.into());
    }
}

/// The finish reason in an object such as `{"type": "stop"}`.
fn word_of(reason: &Value) -> Option<&str> {
    match reason {
        Value::Array(list) => list.iter().find_map(word_of),
        Value::Object(fields) => ["type", "reason", "finish_reason", "value", "name"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_str()),
        Value::String(word) => Some(word),
        _ => None,
    }
}

/// The error in a choice, as OpenRouter sends it.
pub(super) fn error_of_choice(value: &Value) -> Option<&Value> {
    let choices = value.get("choices")?.as_array()?;
    let mut errors = choices.iter().filter_map(|choice| choice.get("error"));
    errors.find(|error| !is_nothing(error))
}

/// Collects the text and the reasoning in a value of any form.
fn collect(value: Option<&Value>, text: &mut String, thought: &mut String) {
    match value {
        Some(Value::String(piece)) => text.push_str(piece),
        Some(Value::Number(number)) => text.push_str(&number.to_string()),
        Some(Value::Array(parts)) => parts
            .iter()
            .for_each(|part| collect(Some(part), text, thought)),
        Some(Value::Object(part)) => {
            for name in ["thinking", "reasoning"] {
                let mut inner = String::new();
                collect(part.get(name), &mut inner, thought);
                thought.push_str(&inner);
            }
            for name in ["text", "content", "value", "summary", "parts"] {
                collect(part.get(name), text, thought);
            }
        }
        _ => {}
    }
}
