//! A clock signal that changes every second.

use std::time::Duration;

use leptos::prelude::*;

use crate::chat::Chat;

/// The chat's time, updated every second while the owner lives; `None` until the browser runs effects.
pub fn ticking(chat: Chat) -> RwSignal<Option<Duration>> {
    let now = RwSignal::new(None);
    Effect::new(move |_| {
        now.set(Some(chat.now()));
        let tick =
            set_interval_with_handle(move || now.set(Some(chat.now())), Duration::from_secs(1));
        if let Ok(tick) = tick {
            on_cleanup(move || tick.clear());
        }
    });
    now
}
