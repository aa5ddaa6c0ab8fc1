//! The prompt for a message, and the parameters of the request that are stored.

use app::protocol::saved::SendMessage;
use app::protocol::{ChatMessage, ChatRequest, Role};

use crate::store::Begun;

/// The instruction that continues a reply that was cut off.
const GO_ON: &str = "Your last answer was cut off. Continue exactly where it ended, without repeating \
    anything and without any word about it.";

/// The request to the model.
pub(super) fn chat_request(message: &SendMessage, begun: &Begun) -> ChatRequest {
    let mut messages = Vec::with_capacity(begun.history.len() + 3);
    let say = |role, content: &str| ChatMessage {
        role,
        content: content.to_owned(),
    };
    if let Some(system) = message
        .system
        .as_deref()
        .filter(|text| !text.trim().is_empty())
    {
        messages.push(say(Role::System, system));
    }
    messages.extend(begun.history.iter().cloned());
    if !begun.base.text.trim().is_empty() {
        messages.push(say(Role::Assistant, &begun.base.text));
        messages.push(say(Role::User, GO_ON));
    }
    ChatRequest {
        model: message.model.clone(),
        temperature: message.temperature,
        max_tokens: message.max_tokens,
        reasoning_effort: message.reasoning_effort,
        ..ChatRequest::new(messages)
    }
}

/// The optional parameters of a message as JSON, for the store.
pub(super) fn parameters(message: &SendMessage) -> String {
    let kept = SendMessage {
        request_id: String::new(),
        content: None,
        parent: None,
        regenerate: None,
        continue_reply: None,
        ..message.clone()
    };
    let mut json = serde_json::to_value(kept).expect("our wire types are JSON");
    if let Some(fields) = json.as_object_mut() {
        fields.remove("request_id");
    }
    json.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_kept_beside_a_message() {
        let message = SendMessage {
            request_id: "r".into(),
            content: Some("secret".into()),
            temperature: Some(0.5),
            ..SendMessage::default()
        };
        assert_eq!(parameters(&message), r#"{"temperature":0.5}"#);
    }
}
