//! The settings dialog: the theme, and the parameters of all requests.
//!
//! An empty field is not sent. An invalid value shows an error below its field and changes nothing. The fields are
//! plain HTML, filled in when the dialog opens and read on input: as views with a signal each they would make the
//! page's wasm a tenth larger.

pub mod theme_switch;

use leptos::ev::{Event, KeyboardEvent, MouseEvent};
use leptos::html::Dialog;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlDialogElement, HtmlInputElement};

use crate::chat::enter_key::EnterSends;
use crate::chat::preferences::{Preferences, read_max_tokens, read_temperature};
use crate::ui::settings::theme_switch::ThemeSwitch;

/// The button and its dialog.
#[component]
pub fn Settings() -> impl IntoView {
    let preferences = expect_context::<Preferences>();
    let dialog = NodeRef::<Dialog>::new();
    let open = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            fill_in(&dialog, preferences);
            // Opening fails only if the dialog is open already.
            let _ = dialog.show_modal();
        }
    };
    let on_key = move |key: KeyboardEvent| {
        if key.key() == "Escape" {
            // The browser closes the dialog; the reply behind it must not stop.
            key.stop_propagation();
        }
    };
    let on_click = move |click: MouseEvent| {
        if let Some(dialog) = dialog.get_untracked()
            && closes(&click)
        {
            dialog.close();
        }
    };
    let on_input = move |input: Event| {
        let field = input
            .target()
            .map(JsCast::unchecked_into::<HtmlInputElement>);
        if let (Some(field), Some(dialog)) = (field, dialog.get_untracked()) {
            read(preferences, &dialog, &field.name(), field.value());
        }
    };
    view! {
        <button type="button" class="settings-button" aria-label="Settings" title="Settings" on:click=open>
            <svg viewBox="0 0 24 24" aria-hidden="true">
                <path d="M4 7h9M17 7h3M4 17h3M11 17h9"/>
                <circle cx="15" cy="7" r="2"/>
                <circle cx="9" cy="17" r="2"/>
            </svg>
        </button>
        <dialog
            node_ref=dialog
            class="settings"
            aria-labelledby="settings-title"
            on:keydown=on_key
            on:click=on_click
            on:input=on_input
        >
            <div class="sheet">
                <h2 id="settings-title">"Settings"</h2>
                <div class="field">
                    <span>"Theme"</span>
                    <ThemeSwitch group="theme-in-settings"/>
                </div>
                {fields()}
            </div>
        </dialog>
    }
}

/// The fields of the dialog. Their names are those that [`fill_in`] and [`read`] use.
fn fields() -> impl IntoView {
    view! {
        <div class="fields">
            <label class="wide">
                "System prompt"
                <textarea name="system" rows="4" dir="auto" placeholder="Nothing"></textarea>
            </label>
            <label class="field">
                "Temperature"
                <input name="temperature" type="text" inputmode="decimal" autocomplete="off" placeholder="The model's own" aria-describedby="temperature-error"/>
            </label>
            <p class="wrong" id="temperature-error"></p>
            <label class="field">
                "Reasoning effort"
                <select name="effort">
                    <option value="">"The model's own"</option>
                    <option value="low">"Low"</option>
                    <option value="medium">"Medium"</option>
                    <option value="high">"High"</option>
                </select>
            </label>
            <label class="field">
                "Maximum length"
                <input name="length" type="text" inputmode="numeric" autocomplete="off" placeholder="No limit, in tokens" aria-describedby="length-error"/>
            </label>
            <p class="wrong" id="length-error"></p>
            <label class="field">
                "Enter sends"
                <select name="enter">
                    <option value="">"Automatic"</option>
                    <option value="always">"Always"</option>
                    <option value="never">"Never"</option>
                </select>
            </label>
            <button type="button" class="close">"Close"</button>
        </div>
    }
}

/// Whether a click closes the dialog: on "Close", or beside the dialog, where the target is the dialog itself.
fn closes(click: &MouseEvent) -> bool {
    let target = click
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok());
    target.is_some_and(|target| target.tag_name() == "DIALOG" || target.class_name() == "close")
}

/// Fills the fields with the current settings.
fn fill_in(dialog: &HtmlDialogElement, preferences: Preferences) {
    let choices = preferences.get_untracked();
    for (name, value) in [
        ("system", choices.system.as_str()),
        ("temperature", &choices.temperature),
        ("effort", &choices.reasoning_effort),
        ("length", &choices.max_tokens),
        ("enter", preferences.enter_sends_untracked().name()),
    ] {
        if let Some(field) = find(dialog, &format!("[name={name}]")) {
            // Text areas and selects have a `value`, too.
            field.unchecked_into::<HtmlInputElement>().set_value(value);
        }
    }
    show_error(dialog, "temperature", "");
    show_error(dialog, "length", "");
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
