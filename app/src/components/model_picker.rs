//! Which model answers: a field that shows it, and a list that typing filters.
//!
//! The list is asked for when it is opened. A name that no list holds can be typed: some providers
//! give none.

use leptos::ev::KeyboardEvent;
use leptos::html::Input;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::composer_field::ComposerField;
use crate::models::use_models;
use crate::preferences::Preferences;
use crate::protocol::{ModelChoice, PageInfo};

/// The most models that are shown at once; whoever wants another one types more of its name.
const MOST_SHOWN: usize = 100;

/// A model that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    model: String,
    /// What stands behind it: its upstream, or what it is.
    note: String,
}

/// The offers for what has been typed: the models that have all of its words, and last the typed name
/// itself, unless it is one of them.
fn offers(models: &[ModelChoice], default: &str, typed: &str) -> Vec<Offer> {
    let typed = typed.trim();
    let lower = typed.to_lowercase();
    let fits = |name: &str| {
        let name = name.to_lowercase();
        lower.split_whitespace().all(|word| name.contains(word))
    };
    let is_listed = |name: &str| models.iter().any(|model| model.id == name);
    let unlisted = (!default.is_empty() && !is_listed(default)).then(|| Offer {
        model: default.to_owned(),
        note: String::new(),
    });
    let listed = models.iter().map(|model| Offer {
        model: model.id.clone(),
        note: model.upstream.clone(),
    });
    let mut offers: Vec<Offer> = unlisted
        .into_iter()
        .chain(listed)
        .filter(|offer| fits(&offer.model))
        .take(MOST_SHOWN)
        .collect();
    for offer in &mut offers {
        if offer.model == default {
            offer.note = "default".to_owned();
        }
    }
    if !typed.is_empty() && typed != default && !is_listed(typed) {
        offers.push(Offer {
            model: typed.to_owned(),
            note: "as typed".to_owned(),
        });
    }
    offers
}

/// The model picker.
#[component]
pub fn ModelPicker() -> impl IntoView {
    let preferences = expect_context::<Preferences>();
    let composer = expect_context::<ComposerField>();
    let default = StoredValue::new(use_context::<PageInfo>().unwrap_or_default().model);
    let models = StoredValue::new(use_models());
    let input = NodeRef::<Input>::new();

    let list = RwSignal::new(Vec::<ModelChoice>::new());
    let is_open = RwSignal::new(false);
    // What stands in the field while somebody types; else it shows what was chosen.
    let typed = RwSignal::new(None::<String>);
    let active = RwSignal::new(0_usize);
    let chosen = move || {
        preferences
            .with(|choices| choices.model())
            .unwrap_or_else(|| default.get_value())
    };
    let offers = Memo::new(move |_| {
        let typed = typed.get().unwrap_or_default();
        list.with(|list| default.with_value(|default| offers(list, default, &typed)))
    });

    let open = move || {
        if is_open.get_untracked() {
            return;
        }
        is_open.set(true);
        active.set(0);
        if let Some(models) = models.get_value() {
            spawn_local(async move {
                if let Some(found) = models.list().await {
                    list.set(found.models);
                }
            });
        }
        if let Some(input) = input.get_untracked() {
            input.select();
        }
    };
    let close = move || {
        is_open.set(false);
        typed.set(None);
    };
    let choose = move |model: String| {
        let is_default = default.with_value(|default| *default == model);
        preferences.change(|choices| {
            choices.model = if is_default { String::new() } else { model };
        });
        close();
        composer.focus();
    };
    let step = move |by: isize| {
        let count = offers.with(Vec::len);
        if count > 0 {
            active.update(|at| *at = at.saturating_add_signed(by).min(count - 1));
            scroll_to(active.get_untracked());
        }
    };
    let on_key = move |key: KeyboardEvent| {
        if key.is_composing() {
            return;
        }
        match key.key().as_str() {
            "ArrowDown" | "ArrowUp" => {
                key.prevent_default();
                if is_open.get_untracked() {
                    step(if key.key() == "ArrowDown" { 1 } else { -1 });
                } else {
                    open();
                }
            }
            "Enter" if is_open.get_untracked() => {
                key.prevent_default();
                let offer = offers.with(|offers| offers.get(active.get_untracked()).cloned());
                if let Some(offer) = offer {
                    choose(offer.model);
                }
            }
            "Escape" if is_open.get_untracked() => {
                // It closes the list, and stops no answer.
                key.prevent_default();
                key.stop_propagation();
                close();
            }
            _ => {}
        }
    };
    let option = move |(number, offer): (usize, Offer)| {
        let model = offer.model.clone();
        let is_chosen = chosen() == offer.model;
        view! {
            <li
                role="option"
                id=format!("model-{number}")
                class:active=move || active.get() == number
                aria-selected=is_chosen.to_string()
                // The field keeps the focus.
                on:pointerdown=move |press| press.prevent_default()
                on:click=move |_| choose(model.clone())
            >
                <span>{offer.model}</span>
                <span class="note">{offer.note}</span>
            </li>
        }
    };
    view! {
        <div class="models">
            <input
                node_ref=input
                type="text"
                role="combobox"
                aria-label="Model"
                aria-expanded=move || is_open.get().to_string()
                aria-controls="models"
                aria-autocomplete="list"
                aria-activedescendant=move || is_open.get().then(|| format!("model-{}", active.get()))
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                prop:value=move || typed.get().unwrap_or_else(chosen)
                on:focus=move |_| open()
                on:click=move |_| open()
                on:blur=move |_| close()
                on:input=move |input| {
                    is_open.set(true);
                    active.set(0);
                    typed.set(Some(event_target_value(&input)));
                }
                on:keydown=on_key
            />
            <ul id="models" role="listbox" aria-label="Models" hidden=move || !is_open.get()>
                {move || is_open.get().then(|| {
                    offers.get().into_iter().enumerate().map(option).collect_view()
                })}
            </ul>
        </div>
    }
}

/// Brings an option into sight that keys have gone to.
fn scroll_to(number: usize) {
    if let Some(option) = document().get_element_by_id(&format!("model-{number}")) {
        option.scroll_into_view_with_bool(false);
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
