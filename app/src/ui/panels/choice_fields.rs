//! The fields of what a conversation asks for: system prompt, temperature, effort and length. Settings and presets have
//! them.
//!
//! They are plain HTML, filled in when a dialog opens and read on input or at the end: as views with a signal each they
//! would make the page's wasm a tenth larger.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlDialogElement, HtmlInputElement};

use crate::chat::preferences::{Choices, read_max_tokens, read_temperature};

/// The names of the fields.
pub const FIELDS: [&str; 4] = ["system", "temperature", "effort", "length"];

/// The fields. `id` is unique for the dialog.
pub fn choice_fields(id: &'static str, system_help: &'static str) -> impl IntoView {
    let error = |name: &str| format!("{id}-{name}-error");
    view! {
        <label class="setting wide">
            <span class="name">"System prompt"</span>
            <span class="help">{system_help}</span>
            <textarea class="field" name="system" rows="4" dir="auto" placeholder="Nothing"></textarea>
        </label>
        <label class="setting">
            <span class="name">"Temperature"</span>
            <span class="help">"0 to 2. Higher answers vary more."</span>
            <input class="field" name="temperature" type="text" inputmode="decimal" autocomplete="off" placeholder="The model's own" aria-describedby=error("temperature")/>
            <span class="wrong" id=error("temperature") data-error="temperature"></span>
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
            <input class="field" name="length" type="text" inputmode="numeric" autocomplete="off" placeholder="No limit" aria-describedby=error("length")/>
            <span class="wrong" id=error("length") data-error="length"></span>
        </label>
    }
}

/// Fills in the fields.
pub fn fill(dialog: &HtmlDialogElement, choices: &Choices) {
    let values = [
        &choices.system,
        &choices.temperature,
        &choices.reasoning_effort,
        &choices.max_tokens,
    ];
    for (name, value) in FIELDS.into_iter().zip(values) {
        set_field(dialog, name, value);
        show_error(dialog, name, "");
    }
}

/// Reads the value of a field into the choices. Returns `false`, and shows an error below the field, if it is wrong.
pub fn read(dialog: &HtmlDialogElement, name: &str, value: String, choices: &mut Choices) -> bool {
    let wrong = match name {
        "temperature" => read_temperature(&value).err(),
        "length" => read_max_tokens(&value).err(),
        _ => None,
    };
    show_error(dialog, name, wrong.unwrap_or_default());
    match name {
        _ if wrong.is_some() => return false,
        "system" => choices.system = value,
        "temperature" => choices.temperature = value,
        "effort" => choices.reasoning_effort = value,
        "length" => choices.max_tokens = value,
        _ => {}
    }
    true
}

/// The value of a field.
pub fn field(dialog: &HtmlDialogElement, name: &str) -> String {
    let found = find(dialog, &format!("[name={name}]"));
    // Text areas and selects have a `value`, too.
    found.map_or_else(String::new, |field| {
        field.unchecked_into::<HtmlInputElement>().value()
    })
}

/// Sets the value of a field.
pub fn set_field(dialog: &HtmlDialogElement, name: &str, value: &str) {
    if let Some(field) = find(dialog, &format!("[name={name}]")) {
        field.unchecked_into::<HtmlInputElement>().set_value(value);
    }
}

/// Shows the error of a field; an empty sentence clears it.
pub fn show_error(dialog: &HtmlDialogElement, name: &str, sentence: &str) {
    let Some(place) = find(dialog, &format!("[data-error={name}]")) else {
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
