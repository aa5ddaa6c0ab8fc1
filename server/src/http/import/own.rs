//! The messages of a conversation in our own format.

use std::collections::HashMap;

use app::protocol::saved::SavedMessage;
use uuid::Uuid;

use super::fields::{NodeName, name};
use super::json::Copied;
use super::reading::{MAX_MESSAGES, NO_FORM, TOO_LARGE, TOO_MANY};

const EMPTY: &str = "It has no messages.";
const NO_ORDER: &str = "Its messages do not follow each other.";

/// The state of reading the messages.
#[derive(Default)]
pub(super) struct RillMessages {
    /// The new ids. The ids of the file may be in use.
    ids: HashMap<NodeName, Uuid>,
    /// The id of the last message in the file.
    last: String,
    wrong: Option<&'static str>,
}

impl RillMessages {
    /// Whether the conversation can still be imported.
    pub(super) fn wants_more(&self) -> bool {
        !matches!(self.wrong, Some(NO_FORM | TOO_LARGE | TOO_MANY))
    }

    /// Gives the conversation up.
    pub(super) fn refuse(&mut self, why: &'static str) {
        self.wrong = Some(why);
    }

    /// The id that the last message has in the file.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// Reads the next message, with a new id.
    pub(super) fn read(&mut self, copied: &Copied) -> Option<SavedMessage> {
        if copied.is_too_large {
            self.wrong = Some(TOO_LARGE);
            return None;
        }
        let Ok(mut message) = serde_json::from_str::<SavedMessage>(&copied.json) else {
            self.wrong = Some(NO_FORM);
            return None;
        };
        if self.wrong.is_some() {
            return None;
        }
        if self.ids.len() >= MAX_MESSAGES {
            self.wrong = Some(TOO_MANY);
            return None;
        }
        let parent = match &message.parent {
            None => None,
            Some(parent) => {
                let Some(parent) = self.ids.get(&name(parent)) else {
                    self.wrong = Some(NO_ORDER);
                    return None;
                };
                Some(parent.to_string())
            }
        };
        let id = Uuid::now_v7();
        if self.ids.insert(name(&message.id), id).is_some() {
            self.wrong = Some(NO_ORDER);
            return None;
        }
        self.last = std::mem::replace(&mut message.id, id.to_string());
        message.parent = parent;
        Some(message)
    }

    /// The new id of a message.
    pub(super) fn id_of(&self, id: &str) -> Option<String> {
        self.ids.get(&name(id)).map(Uuid::to_string)
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        match self.wrong {
            Some(why) => Err(why),
            None if self.ids.is_empty() => Err(EMPTY),
            None => Ok(()),
        }
    }
}
