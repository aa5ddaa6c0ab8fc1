//! What can be set for all conversations: the theme, and how the model shall answer.
//!
//! A field that is empty is not sent. What is wrong in a field is said below it, and the setting stays
//! as it was.

use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::html::Dialog;
use leptos::prelude::*;

use super::theme_switch::ThemeSwitch;
use crate::preferences::{Choices, Preferences, read_max_tokens, read_temperature};
use crate::protocol::ReasoningEffort;

const EFFORTS: [(&str, &str, Option<ReasoningEffort>); 4] = [
    ("", "The model's own", None),
    ("low", "Low", Some(ReasoningEffort::Low)),
    ("medium", "Medium", Some(ReasoningEffort::Medium)),
    ("high", "High", Some(ReasoningEffort::High)),
];

/// The button and its dialog.
#[component]
pub fn Settings() -> impl IntoView {
    let preferences = expect_context::<Preferences>();
    let dialog = NodeRef::<Dialog>::new();
    // Built anew each time, so that it shows what is, and nothing half typed from before.
    let is_open = RwSignal::new(false);
    let open = move |_| {
        is_open.set(true);
        if let Some(dialog) = dialog.get_untracked() {
            // It fails only where it is open already.
            let _ = dialog.show_modal();
        }
    };
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let on_key = move |key: KeyboardEvent| {
        if key.key() == "Escape" {
            // The browser closes the dialog; the answer behind it goes on.
            key.stop_propagation();
        }
    };
    let on_click = move |click: MouseEvent| {
        // A click beside the dialog has the dialog itself as its target.
        let is_beside = match (click.target(), dialog.get_untracked()) {
            (Some(target), Some(dialog)) => target == dialog.into(),
            _ => false,
        };
        if is_beside {
            close();
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
            on:close=move |_| is_open.set(false)
        >
            <div class="sheet">
                <h2 id="settings-title">"Settings"</h2>
                {move || is_open.get().then(|| view! { <Fields preferences/> })}
                <button type="button" class="close" on:click=move |_| close()>"Close"</button>
            </div>
        </dialog>
    }
}

#[component]
fn Fields(preferences: Preferences) -> impl IntoView {
    let Choices {
        system,
        temperature,
        reasoning_effort,
        max_tokens,
        ..
    } = preferences.get_untracked();
    let temperature_error = RwSignal::new("");
    let length_error = RwSignal::new("");
    let written = |number: Option<String>| number.unwrap_or_default();
    view! {
        <div class="field">
            <span>"Theme"</span>
            <ThemeSwitch group="theme-in-settings"/>
        </div>
        <label class="wide">
            "System prompt"
            <textarea
                rows="4"
                dir="auto"
                placeholder="Nothing"
                prop:value=system
                on:input=move |input| preferences.change(|choices| choices.system = event_target_value(&input))
            ></textarea>
        </label>
        <label class="field">
            "Temperature"
            <input
                type="text"
                inputmode="decimal"
                placeholder="The model's own"
                aria-describedby="temperature-error"
                aria-invalid=move || (!temperature_error.get().is_empty()).to_string()
                prop:value=written(temperature.map(|number| number.to_string()))
                on:input=move |input| match read_temperature(&event_target_value(&input)) {
                    Ok(number) => {
                        temperature_error.set("");
                        preferences.change(|choices| choices.temperature = number);
                    }
                    Err(sentence) => temperature_error.set(sentence),
                }
            />
        </label>
        <p class="wrong" id="temperature-error">{move || temperature_error.get()}</p>
        <label class="field">
            "Reasoning effort"
            <select on:change=move |change| {
                let name = event_target_value(&change);
                let effort = EFFORTS.iter().find(|(value, ..)| *value == name).and_then(|(.., effort)| *effort);
                preferences.change(|choices| choices.reasoning_effort = effort);
            }>
                {EFFORTS
                    .map(|(value, label, effort)| view! {
                        <option value=value selected=effort == reasoning_effort>{label}</option>
                    })
                    .collect_view()}
            </select>
        </label>
        <label class="field">
            "Maximum length"
            <input
                type="text"
                inputmode="numeric"
                placeholder="No limit, in tokens"
                aria-describedby="length-error"
                aria-invalid=move || (!length_error.get().is_empty()).to_string()
                prop:value=written(max_tokens.map(|number| number.to_string()))
                on:input=move |input| match read_max_tokens(&event_target_value(&input)) {
                    Ok(number) => {
                        length_error.set("");
                        preferences.change(|choices| choices.max_tokens = number);
                    }
                    Err(sentence) => length_error.set(sentence),
                }
            />
        </label>
        <p class="wrong" id="length-error">{move || length_error.get()}</p>
    }
}
