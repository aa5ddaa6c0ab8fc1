//! A file of conversations, read one message at a time: a list, or an object with the list in it. Which
//! of the two forms each conversation has is seen at the conversation itself.
//!
//! Nothing is held as a whole but one message, so the memory does not depend on the file. What is wrong
//! with a conversation costs that conversation.

use std::fmt;
use std::io::BufRead;

use app::protocol::saved::Skipped;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::bounded::{Bounded, Items};
use super::fields::RawItem;
use super::reading::Reading;
use crate::store::{ConversationHead, ImportPart};

/// Of what was no file of conversations at all.
const NO_SUCH_FILE: &str = "This is no file of conversations: it must be an export of Rill or the \
    conversations.json of ChatGPT.";

/// The largest message, in bytes of JSON.
const MAX_ITEM: u64 = 16 * 1024 * 1024;

/// What is found in a file.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Something to be written.
    Part(ImportPart),
    /// A conversation is complete; what of it was left out.
    End(ConversationHead, Option<String>),
    /// A conversation is left out as a whole. What there was of it is dropped by a part before.
    Skipped(Skipped),
}

/// Why a file as a whole cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// A sentence for a person.
    Sentence(String),
    /// What it holds could not be put aside.
    Disk(std::io::Error),
}

/// Why no more is read.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody takes what is found.
    NotTaken,
    /// What was found could not be put aside.
    Disk(std::io::Error),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Reads a file and gives each step as it is found, as long as it is taken.
pub(super) fn read(file: impl BufRead, out: impl FnMut(Step) -> bool) -> Result<(), Unreadable> {
    read_within(MAX_ITEM, file, out)
}

/// The same, with another limit for messages.
pub(super) fn read_within(
    limit: u64,
    file: impl BufRead,
    mut out: impl FnMut(Step) -> bool,
) -> Result<(), Unreadable> {
    let (file, items) = Bounded::new(file, limit);
    let mut parser = serde_json::Deserializer::from_reader(file);
    let mut found = Found {
        count: 0,
        has_list: false,
        items,
        out: &mut out,
        stop: None,
    };
    let done = File(&mut found)
        .deserialize(&mut parser)
        .and_then(|()| parser.end());
    if let Some(Stop::Disk(error)) = found.stop {
        return Err(Unreadable::Disk(error));
    }
    let sentence = match done {
        Ok(()) if found.has_list => return Ok(()),
        Ok(()) => NO_SUCH_FILE.to_owned(),
        Err(error) => match error.classify() {
            serde_json::error::Category::Data => NO_SUCH_FILE.to_owned(),
            serde_json::error::Category::Eof => {
                "The file is cut off: its end is missing. Nothing was imported.".to_owned()
            }
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => format!(
                "The file cannot be read as JSON at line {}, column {}. Nothing was imported.",
                error.line(),
                error.column()
            ),
        },
    };
    Err(Unreadable::Sentence(sentence))
}

/// What has been found so far, and where it goes.
pub(super) struct Found<'a> {
    /// How many conversations have begun.
    pub(super) count: u64,
    has_list: bool,
    pub(super) items: Items,
    out: &'a mut dyn FnMut(Step) -> bool,
    stop: Option<Stop>,
}

impl Found<'_> {
    pub(super) fn give(&mut self, step: Step) -> Result<(), Stop> {
        if (self.out)(step) {
            Ok(())
        } else {
            Err(Stop::NotTaken)
        }
    }

    /// Has the parser stop.
    fn check<T, E: Error>(&mut self, done: Result<T, Stop>) -> Result<T, E> {
        done.map_err(|stop| {
            self.stop = Some(stop);
            E::custom("no more is read")
        })
    }
}

/// Has a visitor take values that it has no use for in the same way, after reading over them.
macro_rules! visit_others {
    (seq, $self:ident => $done:expr) => {
        fn visit_seq<A: SeqAccess<'de>>($self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            $done
        }
    };
    (map, $self:ident => $done:expr) => {
        fn visit_map<A: MapAccess<'de>>($self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            $done
        }
    };
    (scalars, $self:ident => $done:expr) => {
        fn visit_bool<E: Error>($self, _: bool) -> Result<Self::Value, E> {
            $done
        }

        fn visit_i64<E: Error>($self, _: i64) -> Result<Self::Value, E> {
            $done
        }

        fn visit_u64<E: Error>($self, _: u64) -> Result<Self::Value, E> {
            $done
        }

        fn visit_f64<E: Error>($self, _: f64) -> Result<Self::Value, E> {
            $done
        }

        fn visit_str<E: Error>($self, _: &str) -> Result<Self::Value, E> {
            $done
        }

        fn visit_unit<E: Error>($self) -> Result<Self::Value, E> {
            $done
        }
    };
}

/// Makes a visitor of any value a seed.
macro_rules! seed_of_any {
    ($name:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_, '_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}

/// The list, or the object that holds it.
struct File<'a, 'b>(&'a mut Found<'b>);
seed_of_any!(File);

impl<'de> Visitor<'de> for File<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of conversations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let found = self.0;
        found.has_list = true;
        while list.next_element_seed(Conversation(found))?.is_some() {}
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

/// One conversation, or what stands in its place.
struct Conversation<'a, 'b>(&'a mut Found<'b>);
seed_of_any!(Conversation);

impl Conversation<'_, '_> {
    fn left_out<E: Error>(self) -> Result<(), E> {
        let found = self.0;
        found.count += 1;
        let ended = Reading::default().end(found);
        found.check(ended)
    }
}

impl<'de> Visitor<'de> for Conversation<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a conversation")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let found = self.0;
        found.count += 1;
        let mut reading = Reading::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "messages" {
                map.next_value_seed(Messages(&mut reading, found))?;
            } else if key == "mapping" {
                let began = reading.begin_mapping(found);
                found.check(began)?;
                map.next_value_seed(Mapping(&mut reading, found))?;
            } else if Reading::has_field(&key) {
                let raw = map.next_value_seed(RawItem(&found.items))?;
                reading.set(&key, &raw);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let ended = reading.end(found);
        found.check(ended)
    }

    visit_others!(seq, self => self.left_out());
    visit_others!(scalars, self => self.left_out());
}

/// The messages of a conversation of ours.
struct Messages<'a, 'b>(&'a mut Reading, &'a mut Found<'b>);
seed_of_any!(Messages);

impl<'de> Visitor<'de> for Messages<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self(reading, found) = self;
        reading.begin_messages();
        while reading.wants_messages() {
            let Some(raw) = list.next_element_seed(RawItem(&found.items))? else {
                return Ok(());
            };
            let added = reading.message(&raw, found);
            found.check(added)?;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    visit_others!(map, self => Ok(()));
    visit_others!(scalars, self => Ok(()));
}

/// The nodes of a conversation of ChatGPT's.
struct Mapping<'a, 'b>(&'a mut Reading, &'a mut Found<'b>);
seed_of_any!(Mapping);

impl<'de> Visitor<'de> for Mapping<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("nodes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reading, found) = self;
        while reading.wants_nodes() {
            let Some(id) = map.next_key::<String>()? else {
                return Ok(());
            };
            let raw = map.next_value_seed(RawItem(&found.items))?;
            let added = reading.node(&id, &raw);
            found.check(added)?;
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    visit_others!(seq, self => { self.0.has_no_mapping(); Ok(()) });
    visit_others!(scalars, self => { self.0.has_no_mapping(); Ok(()) });
}

#[cfg(test)]
mod tests;
