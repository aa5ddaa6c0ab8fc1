//! The settings dialog: the theme, and the parameters of all requests.
//!
//! An empty field is not sent. An invalid value shows an error below its field and changes nothing. The fields are
//! plain HTML, filled in when the dialog opens and read on input: as views with a signal each they would make the
//! page's wasm a tenth larger.

use std::sync::Arc;

use leptos::ev::{Event, KeyboardEvent};
use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlDialogElement, HtmlInputElement};

use crate::chat::enter_key::EnterSends;
use crate::chat::preferences::{Preferences, read_max_tokens, read_temperature};
use crate::page::tab::{Notices, ask_permission};
use crate::platform::storage::{Storage, use_storage};
use crate::ui::controls::icon::icon;
use crate::ui::controls::theme_switch::ThemeSwitch;
use crate::ui::panels::{Panel, Panels, is_beside};
use crate::ui::text;

/// The dialog.
#[component]
pub fn Settings() -> impl IntoView {
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
            read(preferences, &dialog, &field.name(), field.value());
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
                {fields()}
                <button type="button" class="icon-button close" aria-label="Close" on:click=move |_| close()>
                    {icon("close")}
                </button>
            </div>
        </dialog>
    }
}

/// The fields of the dialog. Their names are those that [`fill_in`] and [`read`] use.
fn fields() -> impl IntoView {
    view! {
        <label class="setting wide">
            <span class="name">"System prompt"</span>
            <span class="help">"What the model is told before each conversation."</span>
            <textarea class="field" name="system" rows="4" dir="auto" placeholder="Nothing"></textarea>
        </label>
        <label class="setting">
            <span class="name">"Temperature"</span>
            <span class="help">"0 to 2. Higher answers vary more."</span>
            <input class="field" name="temperature" type="text" inputmode="decimal" autocomplete="off" placeholder="The model's own" aria-describedby="temperature-error"/>
            <span class="wrong" id="temperature-error"></span>
        </label>
        <label class="setting">
            <span class="name">"Reasoning effort"</span>
            <span class="help">"How long a model that can reason may think."</span>
            <select class="field" name="effort">
                <option value="">"The model's own"</option>
                <option value="low">"Low"</option>
                <option value="medium">"Medium"</option>
                <option value="high">"High"</option>
            </select>
        </label>
        <label class="setting">
            <span class="name">"Maximum length"</span>
            <span class="help">"Of an answer, in tokens."</span>
            <input class="field" name="length" type="text" inputmode="numeric" autocomplete="off" placeholder="No limit" aria-describedby="length-error"/>
            <span class="wrong" id="length-error"></span>
        </label>
        <label class="setting">
            <span class="name">"Notifications"</span>
            <span class="help">"When an answer is ready and this page is not in sight. Without its text."</span>
            <select class="field" name="notices" aria-describedby="notices-error">
                <option value="">"Off"</option>
                <option value="on">"On"</option>
            </select>
            <span class="wrong" id="notices-error"></span>
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
    let choices = preferences.get_untracked();
    for (name, value) in [
        ("system", choices.system.as_str()),
        ("temperature", &choices.temperature),
        ("effort", &choices.reasoning_effort),
        ("length", &choices.max_tokens),
        ("enter", preferences.enter_sends_untracked().name()),
        (
            "notices",
            if Notices::stored(storage) == Notices::On {
                "on"
            } else {
                ""
            },
        ),
    ] {
        if let Some(field) = find(dialog, &format!("[name={name}]")) {
            // Text areas and selects have a `value`, too.
            field.unchecked_into::<HtmlInputElement>().set_value(value);
        }
    }
    show_error(dialog, "temperature", "");
    show_error(dialog, "length", "");
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
fn read(preferences: Preferences, dialog: &HtmlDialogElement, name: &str, value: String) {
    let mut choices = preferences.get_untracked();
    let wrong = match name {
        "temperature" => read_temperature(&value).err(),
        "length" => read_max_tokens(&value).err(),
        _ => None,
    };
    show_error(dialog, name, wrong.unwrap_or_default());
    if wrong.is_some() {
        return;
    }
    match name {
        "system" => choices.system = value,
        "temperature" => choices.temperature = value,
        "effort" => choices.reasoning_effort = value,
        "length" => choices.max_tokens = value,
        "enter" => return preferences.set_enter_sends(EnterSends::named(&value)),
        _ => return,
    }
    preferences.set(choices);
}

/// Shows the error of a field; an empty sentence clears it.
fn show_error(dialog: &HtmlDialogElement, name: &str, sentence: &str) {
    let Some(place) = find(dialog, &format!("#{name}-error")) else {
        return;
    };
    place.set_text_content(Some(sentence));
    if let Some(field) = find(dialog, &format!("[name={name}]")) {
        let is_wrong = if sentence.is_empty() { "false" } else { "true" };
        // Setting fails only for an invalid attribute name.
        let _ = field.set_attribute("aria-invalid", is_wrong);
    }
}

fn find(dialog: &HtmlDialogElement, selector: &str) -> Option<Element> {
    dialog.query_selector(selector).ok()?
}
