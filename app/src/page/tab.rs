//! The tab of the browser: its title and its icon tell that a reply is being written or has ended unseen, and a
//! notification tells the latter where the person wants that.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{HtmlLinkElement, Notification, NotificationOptions, NotificationPermission};

use crate::page::sync::Sync;
use crate::platform::clock::{BrowserClock, Clock};
use crate::platform::storage::{Storage, StorageKey, use_storage};

/// The shortest reply after which notifications are offered.
const LONG: Duration = Duration::from_secs(20);

/// What the tab tells about the reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum TabState {
    /// Nothing.
    #[default]
    Still,
    /// A reply is being made.
    Running,
    /// A reply has ended while the page was hidden, and was not seen since.
    EndedUnseen,
}

impl TabState {
    fn next(self, is_running: bool, is_seen: bool) -> Self {
        match (self, is_running, is_seen) {
            (_, true, _) => Self::Running,
            (Self::Running | Self::EndedUnseen, false, false) => Self::EndedUnseen,
            _ => Self::Still,
        }
    }

    /// The name of the file of the icon.
    fn icon(self) -> &'static str {
        match self {
            Self::Still => "icon.svg",
            Self::Running => "icon-running.svg",
            Self::EndedUnseen => "icon-unread.svg",
        }
    }
}

/// Whether the person wants to be notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// Nobody has asked.
    NotAsked,
    /// Yes.
    On,
    /// No.
    Off,
}

impl Notices {
    /// The stored choice. It counts only while the browser allows notifications, since people change that there.
    #[must_use]
    pub fn stored(storage: Option<&dyn Storage>) -> Self {
        let stored = storage.and_then(|storage| storage.get(StorageKey::Notices));
        match stored.as_deref() {
            Some("on") if is_allowed() => Self::On,
            Some("off") => Self::Off,
            _ => Self::NotAsked,
        }
    }

    /// Stores a choice.
    pub fn store(self, storage: Option<&dyn Storage>) {
        let name = match self {
            Self::NotAsked => "",
            Self::On => "on",
            Self::Off => "off",
        };
        if let Some(storage) = storage {
            storage.set(StorageKey::Notices, name);
        }
    }
}

/// Whether the browser knows notifications. Most do on secure pages only.
fn has_notifications() -> bool {
    js_sys::Reflect::has(&window(), &"Notification".into()).unwrap_or(false)
}

fn is_allowed() -> bool {
    has_notifications() && Notification::permission() == NotificationPermission::Granted
}

/// Whether notifications can be offered: the browser knows them, and the person has not refused them there.
#[must_use]
pub fn can_be_notified() -> bool {
    has_notifications() && Notification::permission() != NotificationPermission::Denied
}

/// Asks the browser for the permission. Call it at a click. Returns whether it was given.
pub async fn ask_permission() -> bool {
    if !can_be_notified() {
        return false;
    }
    if let Ok(answer) = Notification::request_permission() {
        // Whatever the answer is, the permission tells.
        let _ = wasm_bindgen_futures::JsFuture::from(answer).await;
    }
    is_allowed()
}

impl Sync {
    /// Keeps the title and the icon of the tab, and notifies.
    pub(super) fn show_in_tab(self, is_seen: RwSignal<bool>) {
        let storage = StoredValue::new(use_storage());
        let running_since = StoredValue::new(Duration::ZERO);
        // Whether notifications are offered as soon as the page is seen.
        let is_to_be_offered = StoredValue::new(false);
        Effect::new(move |before: Option<TabState>| {
            let listed = self.chat.id().and_then(|id| self.conversations.get(&id));
            let is_running =
                self.chat.is_streaming() || listed.as_ref().is_some_and(|one| one.running);
            let before = before.unwrap_or_default();
            let state = before.next(is_running, is_seen.get());
            let title = listed.map(|one| one.title).or_else(|| self.chat.title());
            document().set_title(&page_title(state, title.as_deref()));
            if state == before {
                return state;
            }
            set_icon(state);
            let now = BrowserClock.now();
            let notices = || storage.with_value(|storage| Notices::stored(storage.as_deref()));
            match state {
                TabState::Running => running_since.set_value(now),
                TabState::EndedUnseen => match notices() {
                    Notices::On => self.notify(),
                    Notices::NotAsked => {
                        let is_long = now.saturating_sub(running_since.get_value()) >= LONG;
                        is_to_be_offered.set_value(is_long && can_be_notified());
                    }
                    Notices::Off => {}
                },
                TabState::Still => {
                    if is_to_be_offered.try_update_value(std::mem::take) == Some(true) {
                        self.conversations.offer_notices();
                    }
                }
            }
            state
        });
    }

    /// Shows a notification, without any text of the conversation. A click on it shows the page.
    fn notify(self) {
        let options = NotificationOptions::new();
        // Several tabs with one conversation show one notification.
        options.set_tag(&self.chat.id_untracked().unwrap_or_default());
        // Some browsers on phones take notifications from service workers only.
        let Ok(notice) = Notification::new_with_options("Your answer is ready", &options) else {
            return;
        };
        let shown = notice.clone();
        let on_click = Closure::once_into_js(move || {
            // If the browser does not allow it, the person finds the tab.
            let _ = window().focus();
            shown.close();
        });
        notice.set_onclick(Some(on_click.unchecked_ref()));
    }
}

/// Sets the icon of the tab: a file beside the one that the server has named.
fn set_icon(state: TabState) {
    let Ok(Some(link)) = document().query_selector("link[rel=icon]") else {
        return;
    };
    let link: HtmlLinkElement = link.unchecked_into();
    let address = link.href();
    let folder = address.rfind('/').map_or("", |slash| &address[..=slash]);
    link.set_href(&format!("{folder}{}", state.icon()));
}

/// The title of the browser's tab.
fn page_title(state: TabState, conversation: Option<&str>) -> String {
    let mark = match state {
        TabState::Still => "",
        TabState::Running => "… ",
        TabState::EndedUnseen => "✓ ",
    };
    match conversation {
        Some(title) if !title.trim().is_empty() => format!("{mark}{title} · Rill"),
        _ => format!("{mark}Rill"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_of_the_tab_tells_that_a_reply_runs_and_that_it_ended_unseen() {
        // What happens is whether a reply runs, and whether the page is visible.
        let check = |steps: &[(bool, bool)], expect: &str| {
            let step = |state: TabState, &(is_running, is_seen): &(bool, bool)| {
                state.next(is_running, is_seen)
            };
            let state = steps.iter().fold(TabState::default(), step);
            assert_eq!(page_title(state, Some("A")), expect, "{steps:?}");
        };
        check(&[(false, true)], "A · Rill");
        check(&[(true, true)], "… A · Rill");
        check(&[(true, true), (false, true)], "A · Rill");
        check(&[(true, true), (true, false), (false, false)], "✓ A · Rill");
        check(&[(true, false), (false, false), (false, true)], "A · Rill");
        check(&[(false, false)], "A · Rill");
        assert_eq!(page_title(TabState::Running, None), "… Rill");
    }
}
