//! Keeps the text field, the draft and the browser's storage in sync.
//!
//! A short text is read and stored at each key. Reading a megabyte from the field and storing it takes a browser as long
//! as a frame, so a long text is read and stored in a pause of typing, before the draft is used, and when the page is
//! hidden.

use std::sync::Arc;
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::web_sys::InputEvent;

use super::composer_field::ComposerField;
use super::direction;
use crate::chat::Chat;
use crate::chat::draft::recovered;
use crate::platform::storage::{Storage, StorageKey, use_storage};

/// The bytes from which the characters of a text are counted.
const LONG: usize = 2000;
/// The most bytes of a short text.
const SHORT: usize = 16 * 1024;
/// The time without a key that counts as a pause.
const PAUSE: Duration = Duration::from_millis(500);
/// The most keys that start the wait for a pause again.
const MOST_KEYS: u32 = 30;

/// A handle that keeps the field and the draft in sync.
#[derive(Clone, Copy)]
pub(super) struct DraftField {
    chat: Chat,
    field: ComposerField,
    /// The text that determines the height of the field.
    beginning: RwSignal<String>,
    storage: StoredValue<Option<Arc<dyn Storage>>>,
    unread: StoredValue<Unread>,
}

/// The input since the field was last read into the draft.
#[derive(Default)]
struct Unread {
    keys: u32,
    /// The timer that reads and stores it.
    due: Option<TimeoutHandle>,
}

impl DraftField {
    pub(super) fn new(chat: Chat, field: ComposerField) -> Self {
        Self {
            chat,
            field,
            beginning: RwSignal::new(String::new()),
            storage: StoredValue::new(use_storage()),
            unread: StoredValue::default(),
        }
    }

    /// The beginning of the text, enough to fill the field to its maximum height.
    pub(super) fn beginning(self) -> String {
        self.beginning.get()
    }

    /// Whether there is nothing to send.
    pub(super) fn is_blank(self) -> bool {
        self.beginning.with(|text| text.trim().is_empty())
    }

    /// The number of characters in words, once the text is long. Of a very long one only the beginning is counted.
    pub(super) fn count(self) -> String {
        self.beginning.with(|text| match text.len() {
            0..LONG => String::new(),
            LONG..SHORT => format!("{} characters", text.chars().count()),
            _ => "A very long text".to_owned(),
        })
    }

    /// Starts to keep the field and the draft in sync after hydration, and sets `is_ready` then.
    pub(super) fn keep(self, is_ready: RwSignal<bool>) {
        let draft = self.chat.draft();
        Effect::new(move |is_begun: Option<bool>| {
            let Some(field) = self.field.0.get() else {
                return false;
            };
            if is_begun != Some(true) {
                let stored = self.stored().unwrap_or_default();
                draft.update(|draft| draft.write(recovered(stored, field.value())));
                is_ready.set(true);
            }
            draft.with(|draft| {
                // An equal value is not set, because setting it could disturb an input method.
                if field.value() != draft.text() {
                    direction::before_value(&field, draft.text());
                    field.set_value(draft.text());
                }
                self.show_beginning(draft.text());
            });
            self.save();
            true
        });
        self.chat.read_draft_by(move || {
            self.read();
        });
        let leave = move |_| {
            if self.read() {
                self.save();
            }
        };
        window_event_listener_untyped("pagehide", leave);
        window_event_listener_untyped("visibilitychange", leave);
    }

    /// Handles input that the field is about to get.
    pub(super) fn will_write(self, input: &InputEvent) {
        if let Some(field) = self.field.0.get_untracked() {
            direction::before_input(&field, input);
        }
    }

    /// Handles input in the field.
    pub(super) fn wrote(self) {
        if let Some(field) = self.field.0.get_untracked() {
            direction::after_input(&field);
        }
        let draft = self.chat.draft();
        let keys = self.unread.try_update_value(|unread| {
            unread.keys += 1;
            unread.keys
        });
        if draft.with_untracked(|draft| draft.text().len()) <= SHORT {
            self.read();
        }
        if draft.with_untracked(|draft| draft.text().len()) <= SHORT {
            return self.save();
        }
        if keys.is_none_or(|keys| keys > MOST_KEYS && self.is_due()) {
            return;
        }
        self.forget_due();
        let later = move || {
            self.read();
            self.save();
        };
        let due = set_timeout_with_handle(later, PAUSE).ok();
        self.unread.update_value(|unread| unread.due = due);
    }

    /// Reads the field into the draft. Returns whether there was anything to read or to store.
    fn read(self) -> bool {
        // The page may call this after the composer was removed.
        let keys = self
            .unread
            .try_update_value(|unread| std::mem::take(&mut unread.keys));
        let is_unread = keys.is_some_and(|keys| keys > 0);
        if is_unread && let Some(field) = self.field.0.get_untracked() {
            let text = field.value();
            self.show_beginning(&text);
            // No view depends on the text.
            self.chat
                .draft()
                .update_untracked(|draft| draft.write(text));
        }
        is_unread || self.is_due()
    }

    /// Gives the field the height of this text, if its beginning has changed.
    fn show_beginning(self, text: &str) {
        let beginning = beginning_of(text);
        if self.beginning.with_untracked(|shown| shown != beginning) {
            self.beginning.set(beginning.to_owned());
        }
    }

    fn stored(self) -> Option<String> {
        self.storage
            .with_value(|storage| storage.as_ref()?.get(StorageKey::Draft))
    }

    fn save(self) {
        self.forget_due();
        self.chat.draft().with_untracked(|draft| {
            self.storage.with_value(|storage| {
                if let Some(storage) = storage {
                    storage.set(StorageKey::Draft, draft.unsent());
                }
            });
        });
    }

    fn is_due(self) -> bool {
        let is_due = self.unread.try_with_value(|unread| unread.due.is_some());
        is_due == Some(true)
    }

    fn forget_due(self) {
        let due = self.unread.try_update_value(|unread| unread.due.take());
        if let Some(due) = due.flatten() {
            due.clear();
        }
    }
}

/// The beginning of a text that fills the field to its maximum height on any screen. The browser lays this copy out at
/// each key, so it is bounded.
fn beginning_of(text: &str) -> &str {
    const LINES: usize = 128;
    let mut end = text.len().min(16 * 1024);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let beginning = &text[..end];
    let lines = beginning.match_indices('\n').nth(LINES);
    &beginning[..lines.map_or(end, |(at, _)| at)]
}

#[cfg(test)]
mod tests {
    use super::beginning_of;

    #[test]
    fn the_copy_that_gives_the_field_its_height_is_bounded() {
        assert_eq!(beginning_of("a\nb"), "a\nb");
        assert_eq!(beginning_of(&"a\n".repeat(20_000)).lines().count(), 129);
        assert!(beginning_of(&"\u{5b57}".repeat(20_000)).len() <= 16 * 1024);
        assert_eq!(beginning_of(""), "");
    }
}
