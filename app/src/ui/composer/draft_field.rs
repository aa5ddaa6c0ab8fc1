//! The text field and the draft: what is written goes into the draft and into the browser's storage,
//! and what the draft gets from elsewhere is shown in the field.
//!
//! A short text is read and stored with each key. To read a megabyte out of the field and to store it
//! takes a browser as long as to draw a frame, so a long text is read and stored in a pause of the person's,
//! before something else uses the draft, and when the page goes.

use std::sync::Arc;
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;

use super::composer_field::ComposerField;
use crate::chat::Chat;
use crate::chat::draft::recovered;
use crate::platform::storage::{Storage, StorageKey, use_storage};

/// A text of so many bytes is short.
const SHORT: usize = 16 * 1024;
/// Without a key for so long there is a pause.
const PAUSE: Duration = Duration::from_millis(500);
/// The most keys after which a pause is waited for once more.
const MOST_KEYS: u32 = 30;

/// A handle on the field that keeps it and the draft the same.
#[derive(Clone, Copy)]
pub(super) struct DraftField {
    chat: Chat,
    field: ComposerField,
    /// The text that gives the field its height.
    beginning: RwSignal<String>,
    storage: StoredValue<Option<Arc<dyn Storage>>>,
    unread: StoredValue<Unread>,
}

/// What the person has written since the draft was read out of the field.
#[derive(Default)]
struct Unread {
    keys: u32,
    /// What reads and stores it later.
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

    /// The beginning of the text: as much as fills the field to its greatest height.
    pub(super) fn beginning(self) -> String {
        self.beginning.get()
    }

    /// Begins to keep the field and the draft the same, once the page is alive; says so then.
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
                // An equal value is left alone: setting it could disturb an input method.
                if field.value() != draft.text() {
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

    /// The person wrote.
    pub(super) fn wrote(self) {
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

    /// Takes what the person has written into the draft. Whether there was anything to be taken or stored.
    fn read(self) -> bool {
        // The page may go after its composer.
        let keys = self
            .unread
            .try_update_value(|unread| std::mem::take(&mut unread.keys));
        let is_unread = keys.is_some_and(|keys| keys > 0);
        if is_unread && let Some(field) = self.field.0.get_untracked() {
            let text = field.value();
            self.show_beginning(&text);
            // Nothing else on the page depends on it.
            self.chat
                .draft()
                .update_untracked(|draft| draft.write(text));
        }
        is_unread || self.is_due()
    }

    /// Gives the field the height of this text, if that has another beginning than before.
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

/// As much of a text as fills the field to its greatest height on any screen. The field is as high as this is, so
/// more would only be laid out with each key.
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
