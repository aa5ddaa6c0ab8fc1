//! What holds in each form of export: a value of another kind costs itself, and a cut what comes after it.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::super::json::tests::any_json;
use super::*;

const LIMIT: u64 = 200_000;

/// The titles of the conversations that were read, and their texts.
fn read_conversations(file: &[u8]) -> Result<Vec<(String, Vec<String>)>, Unreadable> {
    let (mut conversations, mut texts) = (Vec::new(), Vec::new());
    read(LIMIT, "The file", |_| Ok(file), &mut |step| {
        match step {
            ImportStep::Part(ImportPart::Message(message)) => texts.push(message.text),
            ImportStep::Part(ImportPart::Drop) => texts.clear(),
            ImportStep::Part(_) | ImportStep::Skipped(_) => {}
            ImportStep::End(head, _) => {
                conversations.push((head.title, std::mem::take(&mut texts)))
            }
        }
        true
    })?;
    Ok(conversations)
}

fn own(title: &str) -> Value {
    json!({
        "id": "x", "title": title, "created_at": 1, "updated_at": 2, "pinned": false, "leaf": "b",
        "messages": [
            { "id": "a", "role": "user", "text": "Hi", "created_at": 1, "state": { "done": { "finish": "stop" } } },
            { "id": "b", "parent": "a", "role": "assistant", "text": "Hello", "model": "m", "reasoning": "Hm",
              "created_at": 2, "state": { "done": { "finish": "stop" } }, "usage": { "input_tokens": 1 } },
        ],
    })
}

fn chatgpt(title: &str) -> Value {
    let node = |id: &str, parent: Option<&str>, children: Value, role: &str, text: &str| {
        json!({
            "id": id, "parent": parent, "children": children,
            "message": {
                "id": id, "author": { "role": role, "name": null }, "create_time": 1.5, "recipient": "all",
                "content": { "content_type": "text", "parts": [text] },
                "metadata": { "model_slug": "m", "content_references": [{ "matched_text": "x", "alt": "y" }] },
            },
        })
    };
    json!({
        "title": title, "create_time": 1.0, "update_time": 2.0, "current_node": "b", "id": "x",
        "default_model_slug": "m",
        "mapping": {
            "r": { "id": "r", "message": null, "parent": null, "children": ["a"] },
            "a": node("a", Some("r"), json!(["b"]), "user", "Hi"),
            "b": node("b", Some("a"), json!([]), "assistant", "Hello"),
        },
    })
}

fn claude(title: &str) -> Value {
    json!({
        "uuid": "x", "name": title, "created_at": "2024-03-05T12:34:56.789012Z", "account": { "uuid": "u" },
        "updated_at": "2024-03-05T12:34:56.789012+00:00",
        "chat_messages": [
            { "uuid": "a", "text": "Hi", "sender": "human", "created_at": "2024-03-05T12:34:56Z", "files": [],
              "content": [{ "type": "text", "text": "Hi" }], "attachments": [{ "file_name": "f" }] },
            { "uuid": "b", "text": "Hello", "sender": "assistant", "created_at": "2024-03-05T12:34:57Z",
              "parent_message_uuid": "a",
              "content": [{ "type": "thinking", "thinking": "Hm" }, { "type": "text", "text": "Hello" }] },
        ],
    })
}

fn librechat(title: &str) -> Value {
    json!({
        "conversationId": "x", "title": title, "recursive": true, "options": { "model": "m" },
        "messagesTree": [
            { "messageId": "a", "parentMessageId": "00000000-0000-0000-0000-000000000000", "sender": "User",
              "isCreatedByUser": true, "text": "Hi", "createdAt": "2024-05-28T18:08:55.014Z", "model": null,
              "children": [
                { "messageId": "b", "parentMessageId": "a", "sender": "GPT-4", "isCreatedByUser": false, "text": "",
                  "content": [{ "type": "think", "think": "Hm" }, { "type": "text", "text": { "value": "Hello" } }],
                  "createdAt": "2024-05-28T18:08:56.014Z", "model": "m", "children": [] },
            ] },
        ],
    })
}

fn open_webui(title: &str) -> Value {
    let message = |id: &str, parent: Option<&str>, children: Value, role: &str, text: &str| {
        json!({
            "id": id, "parentId": parent, "childrenIds": children, "role": role, "content": text,
            "timestamp": 1_700_000_000, "model": "m", "done": true, "files": [],
        })
    };
    json!({
        "id": "x", "title": title, "created_at": 1_700_000_000, "updated_at": 1_700_000_001, "pinned": false,
        "chat": {
            "title": title, "models": ["m"],
            "messages": [message("a", None, json!(["b"]), "user", "Hi")],
            "history": {
                "currentId": "b",
                "messages": {
                    "a": message("a", None, json!(["b"]), "user", "Hi"),
                    "b": message("b", Some("a"), json!([]), "assistant", "Hello"),
                },
            },
        },
    })
}

const FORMS: [fn(&str) -> Value; 5] = [own, chatgpt, claude, librechat, open_webui];

/// The places of all values within a value, as JSON pointers.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let place = format!("{at}/{key}");
        out.push(place.clone());
        places(value, &place, out);
    };
    match value {
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                below(&place.to_string(), item);
            }
        }
        Value::Object(fields) => fields.iter().for_each(|(key, value)| below(key, value)),
        _ => {}
    }
}

fn whole(title: &str) -> (String, Vec<String>) {
    (title.to_owned(), vec!["Hi".to_owned(), "Hello".to_owned()])
}

#[test]
fn each_form_is_read_to_the_same_conversation() {
    for form in FORMS {
        let file = form("One");
        let conversations_of =
            |file: &Value| read_conversations(file.to_string().as_bytes()).expect("a file");
        assert_eq!(conversations_of(&file), [whole("One")], "{file}");
        assert_eq!(
            conversations_of(&json!([form("One"), form("Two")])),
            [whole("One"), whole("Two")]
        );
    }
}

proptest! {
    #[test]
    fn any_value_in_the_place_of_a_field_costs_no_other_conversation(
        form in 0..FORMS.len(), place: Index, value in any_json(),
    ) {
        let form = FORMS[form];
        let mut middle = form("B");
        let mut all = Vec::new();
        places(&middle, "", &mut all);
        let place = place.get(&all);
        *middle.pointer_mut(place).expect("it is there") = value;
        let file = json!([form("A"), middle, form("C")]).to_string();
        let read = read_conversations(file.as_bytes()).expect("a file");
        prop_assert_eq!(read.first(), Some(&whole("A")), "{} {}", place, file);
        prop_assert_eq!(read.last(), Some(&whole("C")), "{} {}", place, file);
    }

    #[test]
    fn a_value_in_the_place_of_a_foreign_field_costs_no_other_text(
        form in 1..FORMS.len(), place: Index, value in any_json(),
    ) {
        // Nothing of the field's own text, of the messages themselves and of what they hang on.
        let is_needed = |place: &str| {
            let last = place.rsplit('/').next().unwrap_or_default();
            ["message", "mapping", "chat_messages", "messagesTree", "chat", "history", "messages", "children"]
                .contains(&last)
                || ["content", "text", "parts", "author", "role", "sender", "value", "recipient", "isCreatedByUser"]
                    .iter()
                    .any(|name| place.split('/').any(|part| part == *name))
                || last.len() <= 1
        };
        let form = FORMS[form];
        let mut one = form("A");
        let mut all = Vec::new();
        places(&one, "", &mut all);
        all.retain(|place| !is_needed(place));
        let place = place.get(&all);
        *one.pointer_mut(place).expect("it is there") = value;
        let read = read_conversations(one.to_string().as_bytes()).expect("a file");
        prop_assert_eq!(&read[0].1, &whole("A").1, "{}", place);
    }

    #[test]
    fn any_cut_keeps_what_is_whole_before_it(form in 0..FORMS.len(), at: Index) {
        let form = FORMS[form];
        let (a, b, c) = (form("A").to_string(), form("B").to_string(), form("C").to_string());
        let file = format!("[{a},{b},{c}]");
        let at = at.index(file.len());
        let is_before = |end: usize| at >= end;
        let ends = [1 + a.len(), 2 + a.len() + b.len(), 3 + a.len() + b.len() + c.len()];
        let count = ends.into_iter().filter(|end| is_before(*end)).count();
        match read_conversations(&file.as_bytes()[..at]) {
            Ok(read) => {
                let expect = ["A", "B", "C"].map(whole);
                prop_assert!(read.len() >= count, "{:?}", read);
                prop_assert_eq!(&read[..count], &expect[..count]);
                // Only complete messages of the truncated conversation.
                for (_, texts) in &read[count..] {
                    let all = whole("").1;
                    prop_assert!(texts.iter().all(|text| all.contains(text)), "{:?}", texts);
                }
            }
            Err(Unreadable::Sentence(_)) => prop_assert_eq!(count, 0),
            Err(error) => prop_assert!(false, "{:?}", error),
        }
    }

    #[test]
    fn any_damage_within_a_conversation_costs_no_other_one(
        form in 0..FORMS.len(), at: Index, kind in 0..3, byte in damaging_byte(), space in 0..2,
    ) {
        let form = FORMS[form];
        let as_text = |title: &str| {
            let value = form(title);
            if space == 0 { value.to_string() } else { format!("{value:#}") }
        };
        let (a, b, c) = (as_text("A"), as_text("B"), as_text("C"));
        let mut file = format!("[{a},{b},{c}]").into_bytes();
        let at = 2 + a.len() + at.index(b.len());
        match kind {
            0 => file[at] = byte,
            1 => file.insert(at, byte),
            _ => drop(file.remove(at)),
        }
        let read = read_conversations(&file).expect("a file");
        let text = String::from_utf8_lossy(&file);
        prop_assert_eq!(read.first(), Some(&whole("A")), "{}", text);
        prop_assert_eq!(read.last(), Some(&whole("C")), "{}", text);
    }
}

/// A byte, which is more often than others one that means something in JSON.
fn damaging_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        any::<u8>(),
        prop::sample::select(b"\"\\[]{},: n".as_slice())
    ]
}
