//! The settings dialog: the theme, the parameters of new chats, and how the page behaves.
//!
//! An empty field is not sent. An invalid value shows an error below its field and changes nothing.

use std::sync::Arc;

use leptos::ev::{Event, KeyboardEvent};
use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{HtmlDialogElement, HtmlInputElement};

use crate::chat::Chat;
use crate::chat::enter_key::EnterSends;
use crate::chat::preferences::Preferences;
use crate::page::tab::{Notices, ask_permission};
use crate::platform::storage::{Storage, use_storage};
use crate::ui::controls::icon::icon;
use crate::ui::controls::theme_switch::ThemeSwitch;
use crate::ui::panels::choice_fields::{self, choice_fields, set_field, show_error};
use crate::ui::panels::{Panel, Panels, is_beside};
use crate::ui::text;

/// The dialog.
#[component]
pub fn Settings() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let preferences = expect_context::<Preferences>();
    let panels = expect_context::<Panels>();
    let storage = StoredValue::new(use_storage());
    let dialog = NodeRef::<Dialog>::new();
    panels.follow(Panel::Settings, dialog, move || {
        if let Some(dialog) = dialog.get_untracked() {
            storage.with_value(|storage| fill_in(&dialog, preferences, storage.as_deref()));
        }
    });
    let on_input = move |input: Event| {
        let field = input
            .target()
            .map(JsCast::unchecked_into::<HtmlInputElement>);
        if let (Some(field), Some(dialog)) = (field, dialog.get_untracked()) {
            if field.name() == "notices" {
                return set_notices(dialog, storage, field);
            }
            read(chat, preferences, &dialog, &field.name(), field.value());
        }
    };
    let close = move || panels.closed(Panel::Settings);
    view! {
        <dialog
            node_ref=dialog
            class="settings"
            aria-labelledby="settings-title"
            // The browser closes the dialog on Escape; the reply behind it must not stop.
            on:keydown=|key: KeyboardEvent| key.stop_propagation()
            on:click=move |click| if is_beside(&click) { close() }
            on:close=move |_| close()
            on:input=on_input
        >
            <div class="sheet">
                <h2 id="settings-title">"Settings"</h2>
                <div class="setting">
                    <span class="name">"Theme"</span>
                    <span class="help">"As the system, or always one of them."</span>
                    <ThemeSwitch group="theme-in-settings"/>
                </div>
                {choice_fields("settings", "What the model is told before each new chat without a preset.")}
                {fields()}
                <button type="button" class="icon-button close" aria-label="Close" on:click=move |_| close()>
                    {icon("close")}
                </button>
            </div>
        </dialog>
    }
}

/// The fields of the page itself. Their names are those that [`fill_in`] and [`read`] use.
fn fields() -> impl IntoView {
    view! {
        <label class="setting">
            <span class="name">"Notifications"</span>
            <span class="help">"When an answer is ready and this page is not in sight. Without its text."</span>
            <select class="field" name="notices" aria-describedby="notices-error">
                <option value="">"Off"</option>
                <option value="on">"On"</option>
            </select>
            <span class="wrong" id="notices-error" data-error="notices"></span>
        </label>
        <label class="setting">
            <span class="name">"Enter sends"</span>
            <span class="help">"Automatic: it does with a keyboard, and on a touch screen it makes a new line."</span>
            <select class="field" name="enter">
                <option value="">"Automatic"</option>
                <option value="always">"Always"</option>
                <option value="never">"Never"</option>
            </select>
        </label>
    }
}

/// Fills the fields with the current settings.
fn fill_in(dialog: &HtmlDialogElement, preferences: Preferences, storage: Option<&dyn Storage>) {
    choice_fields::fill(dialog, &preferences.get_untracked());
    set_field(dialog, "enter", preferences.enter_sends_untracked().name());
    let notices = Notices::stored(storage) == Notices::On;
    set_field(dialog, "notices", if notices { "on" } else { "" });
    show_error(dialog, "notices", "");
}

/// Switches notifications on, if the browser allows them, or off.
fn set_notices(
    dialog: HtmlDialogElement,
    storage: StoredValue<Option<Arc<dyn Storage>>>,
    field: HtmlInputElement,
) {
    spawn_local(async move {
        let is_wanted = field.value() == "on";
        let notices = match is_wanted {
            true if ask_permission().await => Notices::On,
            _ => Notices::Off,
        };
        storage.with_value(|storage| notices.store(storage.as_deref()));
        if is_wanted && notices == Notices::Off {
            field.set_value("");
            show_error(&dialog, "notices", text::NO_NOTIFICATIONS);
        } else {
            show_error(&dialog, "notices", "");
        }
    });
}

/// Stores the value of a field if it is valid, and shows an error below the field otherwise.
fn read(
    chat: Chat,
    preferences: Preferences,
    dialog: &HtmlDialogElement,
    name: &str,
    value: String,
) {
    if name == "enter" {
        return preferences.set_enter_sends(EnterSends::named(&value));
    }
    let mut choices = preferences.get_untracked();
    if choice_fields::read(dialog, name, value.clone(), &mut choices) {
        chat.choose_default(|choices| {
            choice_fields::read(dialog, name, value.clone(), choices);
        });
    }
}
