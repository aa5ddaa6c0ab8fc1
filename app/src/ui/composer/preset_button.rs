//! The preset, in the row under the text: a button that says which one, and opens the list.

use leptos::prelude::*;

use crate::chat::Chat;
use crate::ui::controls::icon::small_icon;
use crate::ui::panels::{Panel, Panels};

/// The button.
#[component]
pub fn PresetButton() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let panels = expect_context::<Panels>();
    let name = move || chat.preset_name();
    view! {
        <button type="button" class="quiet preset" aria-haspopup="dialog" on:click=move |_| panels.open(Panel::Presets)>
            {small_icon("person")}
            <span class="visually-hidden">"Preset: "</span>
            <span class="words" dir="auto">{name}</span>
        </button>
    }
}
