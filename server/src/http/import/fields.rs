//! The fields of a conversation beside its messages, in both forms, and raw values of a bounded size.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use super::bounded::Items;

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;
/// How much of a text is kept. No id is longer.
const KEPT: usize = 1000;

const NAMES: [&str; 10] = [
    "id",
    "conversation_id",
    "title",
    "created_at",
    "updated_at",
    "create_time",
    "update_time",
    "pinned",
    "leaf",
    "current_node",
];

/// Reads a value as it is written.
pub(super) struct RawItem<'a>(pub(super) &'a Items);

/// A value as it is written.
pub(super) struct Raw {
    pub(super) json: Box<RawValue>,
    /// It was too large, and something of it was left out.
    pub(super) is_cut: bool,
}

impl<'de> DeserializeSeed<'de> for RawItem<'_> {
    type Value = Raw;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        self.0.begin();
        let json = Box::<RawValue>::deserialize(deserializer);
        let is_cut = self.0.end();
        Ok(Raw {
            json: json?,
            is_cut,
        })
    }
}

/// Something other stands where a text or a number should.
#[derive(Debug)]
pub(super) struct Wrong;

/// The fields, as far as they can be used.
#[derive(Default)]
pub(super) struct Fields(HashMap<&'static str, Scalar>);

/// A value that is no list and no object.
enum Scalar {
    Null,
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    Other,
}

impl Fields {
    fn name_of(name: &str) -> Option<&'static str> {
        NAMES.into_iter().find(|known| *known == name)
    }

    pub(super) fn has(name: &str) -> bool {
        Self::name_of(name).is_some()
    }

    pub(super) fn set(&mut self, name: &str, raw: &Raw) {
        if let Some(name) = Self::name_of(name) {
            let mut parser = serde_json::Deserializer::from_str(raw.json.get());
            let value = parser.deserialize_any(ScalarVisitor);
            self.0.insert(name, value.unwrap_or(Scalar::Other));
        }
    }

    /// A text, if there is one.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Wrong> {
        match self.0.get(name) {
            None | Some(Scalar::Null) => Ok(None),
            Some(Scalar::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Wrong),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Result<i64, Wrong> {
        match self.0.get(name) {
            Some(Scalar::Integer(number)) => Ok(*number),
            _ => Err(Wrong),
        }
    }

    /// A number, if there is one.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Wrong> {
        match self.0.get(name) {
            None | Some(Scalar::Null) => Ok(None),
            Some(Scalar::Integer(number)) => Ok(Some(*number as f64)),
            Some(Scalar::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(Wrong),
        }
    }

    /// Yes or no; no where nothing stands.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Wrong> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Scalar::Flag(flag)) => Ok(*flag),
            Some(_) => Err(Wrong),
        }
    }

    /// What people call the conversation at this place in the file.
    pub(super) fn title(&self, place: u64) -> String {
        match self.0.get("title") {
            Some(Scalar::Text(title)) if !title.trim().is_empty() => {
                title.chars().take(LONGEST_TITLE).collect()
            }
            _ => format!("Conversation {place} of the file"),
        }
    }

    /// The id in its one form, if it is one. Some files of ChatGPT have two names for it.
    pub(super) fn uuid(&self) -> Option<String> {
        let text = |name| self.text(name).ok().flatten();
        let id = text("id").or_else(|| text("conversation_id"))?;
        app::protocol::Id::parse(id).map(String::from)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, yes or no")
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(number).map_or(Scalar::Number(number as f64), Scalar::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.chars().take(KEPT).collect()))
    }
}

/// The name of a message in its file, as short as any: keyed, so that nobody can make two names that
/// are the same.
pub(super) type Name = u128;

pub(super) fn name(id: &str) -> Name {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    let half = |key: &RandomState| u128::from(key.hash_one(id));
    half(&KEYS[0]) << 64 | half(&KEYS[1])
}
