//! The form of a preset, and of the settings of the open conversation.

use leptos::ev::KeyboardEvent;
use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::HtmlDialogElement;

use crate::chat::Chat;
use crate::chat::preferences::Choices;
use crate::library::{DeletePreset, SavePreset};
use crate::protocol::Preset;
use crate::ui::controls::icon::icon;
use crate::ui::panels::choice_fields::{self, FIELDS, choice_fields, field, set_field};
use crate::ui::panels::presets::{PresetList, choices_of};
use crate::ui::panels::{Panel, Panels, is_beside};

/// What the form edits.
#[derive(Debug, Clone, PartialEq)]
pub enum FormTarget {
    /// A new preset.
    New,
    /// A preset of the person.
    Preset(Preset),
    /// The settings of the open conversation.
    Here,
}

/// The form.
#[component]
pub fn PresetForm() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let panels = expect_context::<Panels>();
    let list = expect_context::<PresetList>();
    let dialog = NodeRef::<Dialog>::new();
    let error = RwSignal::new(String::new());
    let is_here = move || list.target.get() == FormTarget::Here;
    let is_known = move || matches!(list.target.get(), FormTarget::Preset(_));
    panels.follow(Panel::PresetForm, dialog, move || {
        error.set(String::new());
        if let Some(dialog) = dialog.get_untracked() {
            fill(&dialog, chat, &list.target.get_untracked());
        }
    });
    let close = move || panels.closed(Panel::PresetForm);
    let save = move || {
        let Some(dialog) = dialog.get_untracked() else {
            return;
        };
        let Some(choices) = read(&dialog, chat) else {
            return;
        };
        let target = list.target.get_untracked();
        if target == FormTarget::Here {
            chat.choose_here(Some(choices));
            return close();
        }
        let preset = preset_of(field(&dialog, "name"), &choices);
        if let Some(fault) = preset.fault() {
            return error.set(fault.to_owned());
        }
        let replaces = match target {
            FormTarget::Preset(before) => Some(before.name),
            _ => None,
        };
        let server = list.server();
        spawn_local(async move {
            let save = SavePreset {
                preset: preset.clone(),
                replaces: replaces.clone(),
            };
            match server.call(save).await {
                Ok(()) => {
                    let used = chat.choices_untracked().preset;
                    if replaces.is_none() || replaces == Some(used) {
                        chat.choose_here(Some(choices_of(preset)));
                    }
                    list.load();
                    close();
                }
                Err(refusal) => error.set(refusal.error.message),
            }
        });
    };
    let delete = move |_| {
        let FormTarget::Preset(preset) = list.target.get_untracked() else {
            return;
        };
        let server = list.server();
        spawn_local(async move {
            match server.call(DeletePreset { name: preset.name }).await {
                Ok(()) => {
                    list.load();
                    close();
                }
                Err(refusal) => error.set(refusal.error.message),
            }
        });
    };
    view! {
        <dialog
            node_ref=dialog
            class="settings"
            aria-labelledby="preset-title"
            on:keydown=|key: KeyboardEvent| key.stop_propagation()
            on:click=move |click| if is_beside(&click) { close() }
            on:close=move |_| close()
        >
            <div class="sheet">
                <h2 id="preset-title">{move || if is_here() { "Settings of this chat" } else { "Preset" }}</h2>
                <label class="setting" hidden=is_here>
                    <span class="name">"Name"</span>
                    <span class="help">"What is chosen, or typed after a slash."</span>
                    <input class="field" name="name" type="text" autocomplete="off" maxlength="60"/>
                </label>
                <label class="setting">
                    <span class="name">"Model"</span>
                    <span class="help">"Its name; empty for the chosen one."</span>
                    <input class="field" name="model" type="text" autocomplete="off" spellcheck="false" placeholder="The chosen one"/>
                </label>
                {choice_fields("preset", "What the model is told, from the next message on.")}
                <span class="wrong" role="alert">{move || error.get()}</span>
                <div class="buttons">
                    <button type="button" class="button" hidden=move || !is_known() on:click=delete>"Delete"</button>
                    <button type="button" class="button" on:click=move |_| close()>"Cancel"</button>
                    <button type="button" class="button primary" on:click=move |_| save()>"Save"</button>
                </div>
                <button type="button" class="icon-button close" aria-label="Close" on:click=move |_| close()>
                    {icon("close")}
                </button>
            </div>
        </dialog>
    }
}

/// Fills in the form. A new preset begins with what the open conversation asks for.
fn fill(dialog: &HtmlDialogElement, chat: Chat, target: &FormTarget) {
    let (name, choices) = match target {
        FormTarget::Preset(preset) => (preset.name.as_str(), choices_of(preset.clone())),
        FormTarget::New | FormTarget::Here => ("", chat.choices_untracked()),
    };
    set_field(dialog, "name", name);
    set_field(dialog, "model", &choices.model);
    choice_fields::fill(dialog, &choices);
}

/// Reads the form; `None`, with an error below the field, if a value is wrong.
fn read(dialog: &HtmlDialogElement, chat: Chat) -> Option<Choices> {
    let before = chat.choices_untracked();
    let mut choices = Choices {
        model: field(dialog, "model").trim().to_owned(),
        ..Choices::default()
    };
    // Every field shows its error.
    let are_right =
        FIELDS.map(|name| choice_fields::read(dialog, name, field(dialog, name), &mut choices));
    if choices.system == before.system {
        choices.preset = before.preset;
    }
    are_right
        .iter()
        .all(|is_right| *is_right)
        .then_some(choices)
}

fn preset_of(name: String, choices: &Choices) -> Preset {
    Preset {
        name: name.trim().to_owned(),
        model: choices.model(),
        temperature: choices.temperature(),
        max_tokens: choices.max_tokens(),
        reasoning_effort: choices.reasoning_effort(),
        system: choices.system(),
        shared: false,
    }
}
