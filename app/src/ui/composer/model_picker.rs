//! The model picker: a combobox that shows the chosen model, with a list that typing filters.
//!
//! The list is requested when it is opened. Any name can be typed, because some providers have no list. The options are
//! created as plain elements: as views they would add more to the page's wasm than all other code here.

use std::sync::Arc;

use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::html::{Input, Ul};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::Element;

use crate::chat::preferences::{Choices, Preferences};
use crate::library::backend::{Backend, use_backend};
use crate::protocol::{ModelChoice, PageInfo};
use crate::ui::composer::composer_field::ComposerField;

/// The most models that are shown at once. Typing more of a name finds others.
const MOST_SHOWN: usize = 100;

/// A model that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    model: String,
    /// The text after the name: the upstream, "default" or "as typed".
    note: String,
}

/// The offers for the typed text: the models whose names contain all of its words, and last the typed name itself,
/// unless it is one of them.
fn offers(models: &[ModelChoice], default: &str, typed: &str) -> Vec<Offer> {
    let typed = typed.trim();
    let lower = typed.to_ascii_lowercase();
    let fits = |name: &str| {
        let name = name.to_ascii_lowercase();
        lower.split(' ').all(|word| name.contains(word))
    };
    let mut offers = Vec::new();
    let mut offer = |model: &str, note: &str| {
        let note = if model == default { "default" } else { note };
        if fits(model) && offers.len() < MOST_SHOWN {
            offers.push(Offer {
                model: model.to_owned(),
                note: note.to_owned(),
            });
        }
    };
    let is_listed = |name: &str| models.iter().any(|model| model.id == name);
    if !default.is_empty() && !is_listed(default) {
        offer(default, "");
    }
    for model in models {
        offer(&model.id, &model.upstream);
    }
    if !typed.is_empty() && typed != default && !is_listed(typed) {
        offers.push(Offer {
            model: typed.to_owned(),
            note: "as typed".to_owned(),
        });
    }
    offers
}

/// The state of the picker.
#[derive(Clone, Copy)]
struct Picker {
    preferences: Preferences,
    composer: ComposerField,
    /// The source of the list; `None` while the server renders.
    backend: StoredValue<Option<Arc<dyn Backend>>>,
    default: StoredValue<String>,
    input: NodeRef<Input>,
    listbox: NodeRef<Ul>,
    models: StoredValue<Vec<ModelChoice>>,
    /// The offers that are shown; empty while the list is closed.
    offers: StoredValue<Vec<Offer>>,
    /// The index of the offer that Enter chooses.
    active: StoredValue<usize>,
    /// Whether the user has typed since the list was opened. Before that, the field shows the chosen model.
    has_typed: StoredValue<bool>,
    is_open: StoredValue<bool>,
}

impl Picker {
    fn chosen(self, choices: &Choices) -> String {
        choices.model().unwrap_or_else(|| self.default.get_value())
    }

    fn open(self) {
        if self.is_open.get_value() {
            return;
        }
        self.is_open.set_value(true);
        self.has_typed.set_value(false);
        self.active.set_value(0);
        if let Some(input) = self.input.get_untracked() {
            input.select();
        }
        self.show();
        if let Some(backend) = self.backend.get_value() {
            let list = backend.models();
            spawn_local(async move {
                if let Some(list) = list.await {
                    self.models.set_value(list.models);
                    if self.is_open.get_value() {
                        self.show();
                    }
                }
            });
        }
    }

    fn close(self) {
        self.is_open.set_value(false);
        self.has_typed.set_value(false);
        self.show();
        self.show_chosen(&self.preferences.get_untracked());
    }

    fn choose(self, number: usize) {
        let offer = self.offers.with_value(|offers| offers.get(number).cloned());
        let Some(Offer { model, .. }) = offer else {
            return;
        };
        let is_default = self.default.with_value(|default| *default == model);
        self.preferences.set(Choices {
            model: if is_default { String::new() } else { model },
            ..self.preferences.get_untracked()
        });
        self.close();
        self.composer.focus();
    }

    /// Moves to the next or the previous offer.
    fn step(self, is_down: bool) {
        let last = self.offers.with_value(Vec::len).saturating_sub(1);
        let at = self.active.get_value();
        self.active.set_value(if is_down {
            (at + 1).min(last)
        } else {
            at.saturating_sub(1)
        });
        self.show();
    }

    fn show_chosen(self, choices: &Choices) {
        if let Some(input) = self.input.get_untracked()
            && !self.has_typed.get_value()
        {
            input.set_value(&self.chosen(choices));
        }
    }

    /// Renders the list.
    fn show(self) {
        let (Some(input), Some(listbox)) =
            (self.input.get_untracked(), self.listbox.get_untracked())
        else {
            return;
        };
        let is_open = self.is_open.get_value();
        let typed = if self.has_typed.get_value() {
            input.value()
        } else {
            String::new()
        };
        let offers = if is_open {
            let default = self.default.get_value();
            self.models
                .with_value(|models| offers(models, &default, &typed))
        } else {
            Vec::new()
        };
        listbox.set_text_content(None);
        listbox.set_hidden(!is_open);
        let chosen = self.chosen(&self.preferences.get_untracked());
        let active = self.active.get_value();
        for (number, offer) in offers.iter().enumerate() {
            let option = element("li", &offer.model);
            let note = element("span", &offer.note);
            set(&note, "class", "note");
            // Appending fails only for a node that contains the parent.
            let _ = option.append_child(&note);
            set(&option, "role", "option");
            set(&option, "id", &format!("model-{number}"));
            set(&option, "aria-selected", bool_name(offer.model == chosen));
            let _ = listbox.append_child(&option);
            if number == active {
                set(&option, "class", "active");
                option.scroll_into_view_with_bool(false);
            }
        }
        set(&input, "aria-expanded", bool_name(is_open));
        let active = if is_open && !offers.is_empty() {
            format!("model-{active}")
        } else {
            String::new()
        };
        set(&input, "aria-activedescendant", &active);
        self.offers.set_value(offers);
    }
}

fn element(name: &str, text: &str) -> Element {
    let element = document()
        .create_element(name)
        .expect("a name of an element");
    element.set_text_content(Some(text));
    element
}

fn set(element: &Element, name: &str, value: &str) {
    // Setting fails only for an invalid attribute name.
    let _ = element.set_attribute(name, value);
}

fn bool_name(is_true: bool) -> &'static str {
    if is_true { "true" } else { "false" }
}

/// The model picker.
#[component]
pub fn ModelPicker() -> impl IntoView {
    let picker = Picker {
        preferences: expect_context(),
        composer: expect_context(),
        backend: StoredValue::new(use_backend()),
        default: StoredValue::new(use_context::<PageInfo>().unwrap_or_default().model),
        input: NodeRef::new(),
        listbox: NodeRef::new(),
        models: StoredValue::default(),
        offers: StoredValue::default(),
        active: StoredValue::default(),
        has_typed: StoredValue::default(),
        is_open: StoredValue::default(),
    };
    let Picker { input, listbox, .. } = picker;
    Effect::new(move |_| picker.show_chosen(&picker.preferences.get()));
    let on_key = move |key: KeyboardEvent| {
        if key.is_composing() {
            return;
        }
        let is_open = picker.is_open.get_value();
        match key.key().as_str() {
            name @ ("ArrowDown" | "ArrowUp") if is_open => picker.step(name == "ArrowDown"),
            "ArrowDown" | "ArrowUp" => picker.open(),
            "Enter" if is_open => picker.choose(picker.active.get_value()),
            // Escape closes the list and must not stop a reply.
            "Escape" if is_open => {
                key.stop_propagation();
                picker.close();
            }
            _ => return,
        }
        key.prevent_default();
    };
    let on_click = move |click: MouseEvent| {
        let option = click
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok()?.closest("li").ok()?);
        let number = option.and_then(|option| option.id().strip_prefix("model-")?.parse().ok());
        if let Some(number) = number {
            picker.choose(number);
        }
    };
    view! {
        <div class="models">
            <input
                node_ref=input
                type="text"
                role="combobox"
                aria-label="Model"
                aria-expanded="false"
                aria-controls="models"
                aria-autocomplete="list"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                on:focus=move |_| picker.open()
                on:click=move |_| picker.open()
                on:blur=move |_| picker.close()
                on:input=move |_| {
                    picker.is_open.set_value(true);
                    picker.has_typed.set_value(true);
                    picker.active.set_value(0);
                    picker.show();
                }
                on:keydown=on_key
            />
            // The field keeps the focus while an option is pressed.
            <ul
                node_ref=listbox
                id="models"
                role="listbox"
                aria-label="Models"
                hidden
                on:mousedown=move |press| press.prevent_default()
                on:click=on_click
            ></ul>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_filters_and_any_name_can_be_typed() {
        let models: Vec<ModelChoice> = [
            ("gpt-5", "openai"),
            ("gpt-5-mini", "openai"),
            ("llama3.2", "ollama"),
        ]
        .into_iter()
        .map(|(id, upstream)| ModelChoice {
            id: id.into(),
            upstream: upstream.into(),
        })
        .collect();
        let check = |default: &str, typed: &str, expect: &[(&str, &str)]| {
            let offers = offers(&models, default, typed);
            let got: Vec<_> = offers
                .iter()
                .map(|offer| (offer.model.as_str(), offer.note.as_str()))
                .collect();
            assert_eq!(got, expect, "{default} {typed}");
        };
        check(
            "gpt-5",
            "",
            &[
                ("gpt-5", "default"),
                ("gpt-5-mini", "openai"),
                ("llama3.2", "ollama"),
            ],
        );
        check(
            "gpt-5",
            "MINI gpt",
            &[("gpt-5-mini", "openai"), ("MINI gpt", "as typed")],
        );
        check("gpt-5", "llama3.2", &[("llama3.2", "ollama")]);
        check("other", "oth", &[("other", "default"), ("oth", "as typed")]);
        check("other", "other", &[("other", "default")]);
        check("gpt-5", "new", &[("new", "as typed")]);
    }
}
