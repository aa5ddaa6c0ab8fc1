//! Loads the earlier messages of a long conversation: when the user scrolls up, or all of them before the browser
//! searches or copies.
//!
//! Loaded messages are rendered slice by slice, each in a frame of its own. The size of a slice depends on the measured
//! cost of the slices before, so that keys are handled meanwhile.

use std::time::Duration;

use leptos::prelude::*;

use crate::chat::Chat;
use crate::library::GetPath;
use crate::library::backend::Server;
use crate::platform::clock::{BrowserClock, Clock, after_picture, next_frame};
use crate::protocol::ErrorBody;
use crate::protocol::saved::{ConversationDetail, SavedMessage};
use crate::ui::transcript::follow::Follow;

/// How many messages are requested at once when all are wanted. The server returns fewer if they are long.
const MANY: u32 = 200;
/// The most messages in a slice.
const MOST_IN_A_SLICE: usize = 24;
/// The size of the first slice, in bytes of text.
const FIRST_SLICE: usize = 8 * 1024;
/// The least and the largest size of a slice, in bytes of text.
const SLICE_BOUNDS: (usize, usize) = (4 * 1024, 64 * 1024);
/// The target duration of a frame that renders a slice, with layout.
const FRAME_TARGET: Duration = Duration::from_millis(24);

/// The state of the loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// Nothing is being loaded.
    Idle,
    /// The previous part is being loaded.
    Part,
    /// All earlier messages are being loaded.
    All,
    /// Loading failed.
    Failed,
}

/// The loader of earlier messages. The handle is `Copy`.
#[derive(Clone, Copy)]
pub struct Earlier {
    chat: Chat,
    follow: Follow,
    server: StoredValue<Server>,
    loading: RwSignal<Loading>,
    /// Whether the browser is about to search or copy, and needs all messages.
    wants_all: RwSignal<bool>,
    /// Whether a part is being loaded or rendered.
    is_busy: StoredValue<bool>,
    /// The size of the next slice, in bytes of text.
    slice: StoredValue<usize>,
}

impl Earlier {
    /// A loader for this chat and its view.
    #[must_use]
    pub fn new(chat: Chat, follow: Follow, server: Server) -> Self {
        Self {
            chat,
            follow,
            server: StoredValue::new(server),
            loading: RwSignal::new(Loading::Idle),
            wants_all: RwSignal::new(false),
            is_busy: StoredValue::new(false),
            slice: StoredValue::new(FIRST_SLICE),
        }
    }

    /// The state of the loading.
    #[must_use]
    pub fn loading(self) -> Loading {
        // It must not depend on `wants_all`: a key can come before the row is hydrated, which takes the text of the
        // server for the text of its first state.
        self.loading.get()
    }

    /// Requests all messages, or ends the request. The view that loads them may be a lazy part that is not loaded yet.
    pub fn want_all(self, wants_all: bool) {
        self.wants_all.set(wants_all);
    }

    /// Whether all messages are requested.
    #[must_use]
    pub fn wants_all(self) -> bool {
        self.wants_all.get()
    }

    /// Whether loading the last part failed.
    #[must_use]
    pub fn has_failed(self) -> bool {
        self.loading.get_untracked() == Loading::Failed
    }

    /// Loads the part before the first loaded message.
    pub async fn load_part(self) {
        if self.is_busy.get_value() {
            return;
        }
        let first = self.first();
        let _ = self
            .load(Loading::Part, move || self.first() != first)
            .await;
    }

    /// Loads all earlier messages. Returns whether that succeeded.
    pub async fn load_all(self) -> bool {
        self.load(Loading::All, || false).await.is_ok()
    }

    /// Loads until the message with this server id is loaded. Returns whether it is.
    pub async fn load_until(self, message: &str) -> bool {
        let is_there = || self.chat.has(message);
        self.load(Loading::Part, is_there).await.is_ok() && is_there()
    }

    /// Identifies the first loaded message: the epoch of the chat, and the id of the message before it.
    fn first(self) -> (u32, Option<String>) {
        untrack(|| (self.chat.epoch(), self.chat.earlier()))
    }

    /// Loads part after part until `is_enough` holds or there are no earlier messages. Stops when another conversation
    /// is opened.
    async fn load(self, what: Loading, is_enough: impl Fn() -> bool) -> Result<(), ErrorBody> {
        let (epoch, _) = self.first();
        let is_over = || {
            let (now, earlier) = self.first();
            now != epoch || earlier.is_none() || is_enough()
        };
        while !is_over() {
            // Another task is loading.
            if self.is_busy.get_value() {
                if what == Loading::All {
                    self.loading.set(what);
                }
                next_frame(&BrowserClock).await;
                continue;
            }
            self.is_busy.set_value(true);
            self.loading.set(what);
            let outcome = self.load_before(what).await;
            self.is_busy.set_value(false);
            if let Err(error) = outcome {
                self.loading.set(Loading::Failed);
                return Err(error);
            }
        }
        // A part that ends while all are being loaded is not the end of that.
        if what == Loading::All || !self.wants_all.get_untracked() {
            self.loading.set(Loading::Idle);
        }
        Ok(())
    }

    async fn load_before(self, what: Loading) -> Result<(), ErrorBody> {
        let before = self.first();
        let (Some(id), Some(last)) = (self.chat.id_untracked(), before.1.clone()) else {
            return Ok(());
        };
        let part = GetPath {
            id: id.into(),
            last: Some(last.into()),
            through: None,
            version: None,
            limit: (what == Loading::All).then_some(MANY),
        };
        let part = self.server.get_value().call(part).await?;
        self.show(part, before).await;
        Ok(())
    }

    /// Renders a part slice by slice, its last messages first. Stops if the first loaded message is another one by then.
    async fn show(self, part: ConversationDetail, mut before: (u32, Option<String>)) {
        let mut rest = part.messages;
        loop {
            next_frame(&BrowserClock).await;
            if self.first() != before {
                return;
            }
            let slice = rest.split_off(rest.len() - self.count(&rest));
            let earlier = match (rest.is_empty(), slice.first()) {
                (false, Some(first)) => first.parent.clone(),
                _ => part.earlier.clone(),
            };
            before.1.clone_from(&earlier);
            let bytes: usize = slice.iter().map(|message| message.text.len()).sum();
            let began = BrowserClock.now();
            let held = self.follow.hold();
            self.chat.prepend(&slice, &part.versions, earlier);
            // After a tick the messages are in the document, and not painted yet.
            leptos::task::tick().await;
            if let Some(held) = held {
                held.restore();
            }
            after_picture(&BrowserClock).await;
            let cost = BrowserClock.now() - began;
            self.slice.set_value(next_slice(bytes, cost));
            if rest.is_empty() {
                return;
            }
        }
    }

    /// How many messages at the end make a slice: at least one, if there is one.
    fn count(self, messages: &[SavedMessage]) -> usize {
        let mut room = self.slice.get_value();
        let fits = |message: &&SavedMessage| {
            let size = message.text.len() + message.reasoning.len();
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        let last = messages.iter().rev().take(MOST_IN_A_SLICE);
        last.take_while(fits).count().max(messages.len().min(1))
    }
}

/// The size of the next slice, after a slice of this size with this cost.
fn next_slice(bytes: usize, cost: Duration) -> usize {
    let factor = FRAME_TARGET.as_secs_f64() / cost.as_secs_f64().max(0.001);
    let next = bytes as f64 * factor.clamp(0.5, 2.0);
    (next as usize).clamp(SLICE_BOUNDS.0, SLICE_BOUNDS.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_slice_is_larger_or_smaller_by_how_long_this_one_took() {
        let check = |bytes: usize, cost: u64, expect: usize| {
            let next = next_slice(bytes, Duration::from_millis(cost));
            assert_eq!(next, expect, "{bytes} bytes in {cost} ms");
        };
        check(8_000, 24, 8_000);
        check(8_000, 1, 16_000);
        check(8_000, 30, 6_400);
        check(12_000, 500, 6_000);
        check(100, 1, 4 * 1024);
        check(60_000, 1, 64 * 1024);
    }
}
