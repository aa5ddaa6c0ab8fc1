//! A file of conversations, read one at a time: a list, or an object with the list in it. Which of the
//! two forms each conversation has is seen at the conversation itself.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;

use app::protocol::Id;
use app::protocol::saved::{ExportedConversation, Skipped};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::chatgpt;
use crate::store::new_id;

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;
/// Of what was no file of conversations at all.
const NO_SUCH_FILE: &str = "This is no file of conversations: it must be an export of Rill or the \
    conversations.json of ChatGPT.";

/// What is found in a file.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    /// A conversation, and what of it was left out.
    Conversation(Box<ExportedConversation>, Option<String>),
    /// Something that is left out as a whole.
    Skipped(Skipped),
}

/// Reads a file and gives each item as it is found, as long as it is taken.
///
/// # Errors
/// A sentence, where the file as a whole cannot be read.
pub(super) fn read(file: impl Read, mut out: impl FnMut(Item) -> bool) -> Result<(), String> {
    let mut parser = serde_json::Deserializer::from_reader(file);
    let mut found = Found {
        count: 0,
        has_list: false,
        out: &mut out,
    };
    File(&mut found)
        .deserialize(&mut parser)
        .and_then(|()| parser.end())
        .map_err(|error| match error.classify() {
            serde_json::error::Category::Data => NO_SUCH_FILE.to_owned(),
            serde_json::error::Category::Eof => {
                "The file is cut off: its end is missing. Nothing was imported.".to_owned()
            }
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => format!(
                "The file cannot be read as JSON at line {}, column {}. Nothing was imported.",
                error.line(),
                error.column()
            ),
        })?;
    if found.has_list {
        Ok(())
    } else {
        Err(NO_SUCH_FILE.to_owned())
    }
}

struct Found<'a> {
    count: u64,
    has_list: bool,
    out: &'a mut dyn FnMut(Item) -> bool,
}

struct File<'a, 'b>(&'a mut Found<'b>);

impl<'de> DeserializeSeed<'de> for File<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for File<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of conversations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let found = self.0;
        found.has_list = true;
        while let Some(value) = list.next_element::<Value>()? {
            found.count += 1;
            if !(found.out)(item(value, found.count)) {
                return Err(A::Error::custom("nobody takes it"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let found = self.0;
        while let Some(key) = map.next_key::<String>()? {
            if key == "conversations" {
                map.next_value_seed(File(found))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

fn item(value: Value, place: u64) -> Item {
    let what = match value.get("title").and_then(Value::as_str) {
        Some(title) if !title.trim().is_empty() => title.chars().take(LONGEST_TITLE).collect(),
        _ => format!("Conversation {place} of the file"),
    };
    let read = if value.get("mapping").is_some() {
        chatgpt::conversation(value)
    } else {
        own(value).map(|conversation| (conversation, None))
    };
    match read {
        Ok((mut conversation, left_out)) => {
            conversation.title = what;
            conversation.id = Id::parse(&conversation.id).map_or_else(new_id, String::from);
            Item::Conversation(Box::new(conversation), left_out)
        }
        Err(why) => Item::Skipped(Skipped {
            what,
            why: why.to_owned(),
        }),
    }
}

/// A conversation as we write it.
fn own(value: Value) -> Result<ExportedConversation, &'static str> {
    let conversation = ExportedConversation::deserialize(value)
        .map_err(|_| "It has neither the form of Rill nor that of ChatGPT.")?;
    if conversation.messages.is_empty() {
        return Err("It has no messages.");
    }
    let mut seen = HashSet::new();
    for message in &conversation.messages {
        let has_parent = match &message.parent {
            Some(parent) => seen.contains(parent.as_str()),
            None => true,
        };
        if !has_parent || !seen.insert(message.id.as_str()) {
            return Err("Its messages do not follow each other.");
        }
    }
    Ok(conversation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: &[&str]) {
        let mut items = Vec::new();
        read(json.as_bytes(), |item| {
            items.push(match item {
                Item::Conversation(conversation, left_out) => format!(
                    "{}: {} messages {}",
                    conversation.title,
                    conversation.messages.len(),
                    left_out.unwrap_or_default()
                ),
                Item::Skipped(skipped) => format!("{}: {}", skipped.what, skipped.why),
            });
            true
        })
        .expect("a file");
        assert_eq!(items, expect, "{json}");
    }

    const MESSAGE: &str =
        r#"{"id":"a","role":"user","text":"Hi","created_at":0,"state":{"done":{"finish":"stop"}}}"#;

    #[test]
    fn a_list_and_a_file_of_ours_are_read() {
        let one = format!(
            r#"{{"id":"x","title":"One","created_at":1,"updated_at":2,"messages":[{MESSAGE}]}}"#
        );
        check(&format!("[{one}]"), &["One: 1 messages "]);
        check(
            &format!(r#"{{"format":"rill","x":[1],"conversations":[{one},{one}]}}"#),
            &["One: 1 messages ", "One: 1 messages "],
        );
        check("[]", &[]);
    }

    #[test]
    fn what_is_no_conversation_is_skipped_and_said() {
        check(
            r#"[1, {"title":"Odd"}]"#,
            &[
                "Conversation 1 of the file: It has neither the form of Rill nor that of ChatGPT.",
                "Odd: It has neither the form of Rill nor that of ChatGPT.",
            ],
        );
        let orphan = MESSAGE.replace(r#""id":"a""#, r#""id":"a","parent":"b""#);
        check(
            &format!(
                r#"[{{"id":"x","title":"T","created_at":1,"updated_at":2,"messages":[{orphan}]}}]"#
            ),
            &["T: Its messages do not follow each other."],
        );
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_a_sentence() {
        for (json, word) in [
            ("", "cut off"),
            ("[{}", "cut off"),
            ("1", "no file of conversations"),
            ("{}", "no file of conversations"),
            (r#"{"conversations":1}"#, "no file of conversations"),
            ("[1,]", "line 1, column 4"),
            ("[] []", "line 1"),
        ] {
            let error = read(json.as_bytes(), |_| true).expect_err(json);
            assert!(error.contains(word), "{json}: {error}");
        }
        let deep = format!("[{}", "[".repeat(100_000));
        assert!(read(deep.as_bytes(), |_| true).is_err());
    }
}
