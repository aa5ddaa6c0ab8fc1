//! Brings the messages of a request into an order that every provider accepts: instructions first and in one
//! message, then questions and answers in turn, and no empty messages.
//!
//! Templates of local models and several APIs refuse any other order (`Conversation roles must alternate
//! user/assistant/user/assistant/...`). A question whose answer failed would otherwise block the rest of the
//! conversation.

use std::borrow::Cow;

use app::protocol::{ChatMessage, ChatRequest, Role};

/// The same request with its messages in order. Consecutive messages of the same role are joined with a blank
/// line. Without a system role, instructions become part of the first question.
pub(in crate::providers) fn in_order(
    prompt: &ChatRequest,
    has_system_role: bool,
) -> Cow<'_, ChatRequest> {
    let is_system = |message: &&ChatMessage| message.role == Role::System;
    let is_role_fine = has_system_role || !prompt.messages.iter().any(|one| is_system(&one));
    if is_role_fine && is_in_order(&prompt.messages) {
        return Cow::Borrowed(prompt);
    }
    let has_text = |message: &&ChatMessage| !message.content.trim().is_empty();
    let messages = prompt.messages.iter().filter(has_text);
    let systems = messages.clone().filter(is_system);
    let turns = messages.filter(|message| !is_system(message));
    let mut ordered: Vec<ChatMessage> = Vec::new();
    for message in systems.chain(turns) {
        let role = match message.role {
            Role::System if !has_system_role => Role::User,
            role => role,
        };
        match ordered.last_mut() {
            Some(last) if last.role == role => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => ordered.push(ChatMessage {
                role,
                content: message.content.clone(),
            }),
        }
    }
    if ordered.is_empty() {
        // The request has no message at all. The provider decides what that means.
        return Cow::Borrowed(prompt);
    }
    Cow::Owned(ChatRequest {
        messages: ordered,
        ..prompt.clone()
    })
}

fn is_in_order(messages: &[ChatMessage]) -> bool {
    let has_text = |message: &ChatMessage| !message.content.trim().is_empty();
    let follows =
        |pair: &[ChatMessage]| pair[0].role != pair[1].role && pair[1].role != Role::System;
    messages.iter().all(has_text) && messages.windows(2).all(follows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(messages: &[(Role, &str)]) -> ChatRequest {
        let messages = messages.iter().map(|(role, content)| ChatMessage {
            role: *role,
            content: (*content).to_owned(),
        });
        ChatRequest::new(messages.collect())
    }

    #[test]
    fn messages_alternate_with_the_instructions_first() {
        use Role::{Assistant, System, User};
        let check = |messages: &[(Role, &str)], expect: &[(Role, &str)]| {
            let request = request(messages);
            let ordered = in_order(&request, true);
            let got: Vec<(Role, &str)> = ordered
                .messages
                .iter()
                .map(|message| (message.role, message.content.as_str()))
                .collect();
            assert_eq!(got, expect, "{messages:?}");
        };
        let well = [(System, "s"), (User, "a"), (Assistant, "b"), (User, "c")];
        check(&well, &well);
        check(&[(User, "a"), (User, "b")], &[(User, "a\n\nb")]);
        check(
            &[(User, "a"), (Assistant, " "), (User, "b")],
            &[(User, "a\n\nb")],
        );
        check(
            &[
                (User, "a"),
                (System, "s"),
                (Assistant, "b"),
                (System, "t"),
                (User, "c"),
            ],
            &[
                (System, "s\n\nt"),
                (User, "a"),
                (Assistant, "b"),
                (User, "c"),
            ],
        );
        check(&[(User, " ")], &[(User, " ")]);
        let request = request(&[(System, "s"), (User, "a")]);
        let ordered = in_order(&request, false);
        assert_eq!(ordered.messages.len(), 1);
        assert_eq!(ordered.messages[0].content, "s\n\na");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_roles_alternate_and_no_text_is_lost(
            said in proptest::collection::vec((0..3_usize, "[ a-z]{0,4}"), 0..8),
        ) {
            let roles = [Role::System, Role::User, Role::Assistant];
            let said: Vec<(Role, &str)> = said
                .iter()
                .map(|(role, text)| (roles[*role], text.as_str()))
                .collect();
            let request = request(&said);
            let ordered = in_order(&request, true);
            for role in roles {
                let all = |messages: &[ChatMessage]| {
                    let of_role = messages.iter().filter(|message| message.role == role);
                    let words = of_role.flat_map(|message| message.content.split_whitespace());
                    words.map(str::to_owned).collect::<Vec<_>>()
                };
                prop_assert_eq!(all(&ordered.messages), all(&request.messages));
            }
            let is_anything_asked = said.iter().any(|(_, text)| !text.trim().is_empty());
            prop_assert!(!is_anything_asked || is_in_order(&ordered.messages));
        }
    }
}
