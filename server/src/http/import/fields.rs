//! The fields of a conversation beside its messages, in all formats.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::times;
use super::values::{each, is_something, pick, text, value};

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;
/// The longest name of a model, in bytes.
const LONGEST_MODEL: usize = 200;
/// The largest field, in bytes of JSON.
pub(super) const MAX_FIELD: usize = 64 * 1024;

const IDS: [&str; 4] = ["id", "conversation_id", "conversationId", "uuid"];
const TITLES: [&str; 2] = ["title", "name"];
const CREATED: [&str; 4] = ["created_at", "createdAt", "create_time", "timestamp"];
const UPDATED: [&str; 3] = ["updated_at", "updatedAt", "update_time"];
const LEAVES: [&str; 4] = [
    "leaf",
    "current_node",
    "currentId",
    "current_leaf_message_uuid",
];
const MODELS: [&str; 4] = ["default_model_slug", "model", "models", "options"];
const PINNED: [&str; 1] = ["pinned"];

/// The error for a field with a wrong type.
#[derive(Debug)]
pub(super) struct WrongType;

/// The fields as JSON.
#[derive(Default)]
pub(super) struct ConversationFields {
    fields: HashMap<&'static str, Box<RawValue>>,
    /// The fields of an inner object. They count where the conversation has no such field itself.
    inner: HashMap<&'static str, Box<RawValue>>,
}

fn name_of(name: &str) -> Option<&'static str> {
    let all: [&[&'static str]; 7] = [&IDS, &TITLES, &CREATED, &UPDATED, &LEAVES, &MODELS, &PINNED];
    let mut all = all.into_iter().flatten().copied();
    all.find(|known| *known == name)
}

impl ConversationFields {
    pub(super) fn has(name: &str) -> bool {
        name_of(name).is_some()
    }

    /// Stores a field.
    pub(super) fn set(&mut self, name: &str, is_inner: bool, json: String) {
        if let Some(name) = name_of(name)
            && let Ok(raw) = RawValue::from_string(json)
        {
            let fields = if is_inner {
                &mut self.inner
            } else {
                &mut self.fields
            };
            fields.insert(name, raw);
        }
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        let raw = self.fields.get(name).or_else(|| self.inner.get(name));
        raw.map(|raw| &**raw).filter(|raw| is_something(Some(raw)))
    }

    /// The first of these fields that is a `T`.
    fn first<'a, T: Deserialize<'a>>(&'a self, names: &[&str]) -> Option<T> {
        names
            .iter()
            .filter_map(|name| self.get(name))
            .find_map(value)
    }

    /// A field in the format of our own export.
    pub(super) fn own<'a, T: Deserialize<'a>>(
        &'a self,
        name: &str,
    ) -> Result<Option<T>, WrongType> {
        match self.get(name).map(value) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => Err(WrongType),
        }
    }

    /// The name of the conversation for the report: its title, or its position in the file.
    pub(super) fn title(&self, place: u64) -> String {
        let title = TITLES.iter().find_map(|name| {
            let title: String = self.first(&[name])?;
            (!title.trim().is_empty()).then_some(title)
        });
        match title {
            Some(title) => title.chars().take(LONGEST_TITLE).collect(),
            None => format!("Conversation {place} of the file"),
        }
    }

    /// The id in canonical form, if it is valid. Some formats have several fields for it.
    pub(super) fn uuid(&self) -> Option<String> {
        IDS.iter().find_map(|name| {
            let id: String = self.first(&[name])?;
            app::protocol::Id::parse(&id).map(String::from)
        })
    }

    /// The fields that identify the conversation beside its messages.
    pub(super) fn as_written(&self) -> impl Iterator<Item = &str> {
        let all = [&IDS[..], &TITLES, &CREATED].concat();
        all.into_iter()
            .filter_map(|name| self.get(name).map(RawValue::get))
    }

    /// The time of creation, in milliseconds.
    pub(super) fn created_at(&self) -> Option<i64> {
        self.time(&CREATED)
    }

    /// The time of the last message, in milliseconds.
    pub(super) fn updated_at(&self) -> Option<i64> {
        self.time(&UPDATED)
    }

    fn time(&self, names: &[&str]) -> Option<i64> {
        let mut times = names.iter().filter_map(|name| self.get(name));
        times.find_map(times::time)
    }

    /// The last message of the shown path.
    pub(super) fn leaf(&self) -> Option<String> {
        self.first(&LEAVES)
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.first(&PINNED).unwrap_or(false)
    }

    /// The model of answers that do not name one.
    pub(super) fn model(&self) -> Option<String> {
        let named = |raw: Option<&RawValue>| {
            let model = raw.and_then(text)?;
            // ChatGPT writes this word if there is no model.
            let is_name = !model.trim().is_empty() && model != "auto";
            (is_name && model.len() <= LONGEST_MODEL).then(|| model.into_owned())
        };
        MODELS.iter().find_map(|name| {
            let raw = self.get(name)?;
            let mut first = None;
            each(Some(raw), |model| {
                first.get_or_insert(model);
            });
            let [id, model] = pick(Some(raw), ["id", "model"]);
            [Some(raw), first, id, model].into_iter().find_map(named)
        })
    }

    /// The number of fields with a wrong type.
    pub(super) fn odd(&self, has_times_as_numbers: bool) -> u64 {
        let is_odd = |name: &&str| {
            let Some(raw) = self.get(name) else {
                return false;
            };
            if CREATED.contains(name) || UPDATED.contains(name) {
                let is_number = value::<f64>(raw).is_some();
                return times::time(raw).is_none() || has_times_as_numbers && !is_number;
            }
            let is_text = [&IDS[..], &TITLES, &LEAVES].concat().contains(name);
            is_text && text(raw).is_none()
        };
        let all = [&IDS[..], &TITLES, &CREATED, &UPDATED, &LEAVES].concat();
        all.iter().filter(|name| is_odd(name)).count() as u64
    }
}

/// A keyed digest of a message's name in its file. It has a fixed size, and nobody can construct two names with
/// the same digest.
pub(super) type NodeName = u128;

pub(super) fn name(id: &str) -> NodeName {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    let half = |key: &RandomState| u128::from(key.hash_one(id));
    half(&KEYS[0]) << 64 | half(&KEYS[1])
}
