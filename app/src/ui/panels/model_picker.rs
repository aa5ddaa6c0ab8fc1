//! The model picker: the list of models, grouped by upstream, with favourites first.
//!
//! The list is requested when it is opened. Any name can be typed, because some providers have no list.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::backend::use_backend;
use crate::platform::storage::{Storage, StorageKey, use_storage};
use crate::protocol::{ModelChoice, PageInfo};
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::panels::chooser::{Chooser, How, Row, Section, fits, marked};
use crate::ui::panels::{Panel, Panels};

/// The most models that are shown at once. Typing more of a name finds others.
const MOST_SHOWN: usize = 100;

/// What the list is made from.
struct Offers<'a> {
    models: &'a [ModelChoice],
    /// The model that the server chooses; empty if unknown.
    default: &'a str,
    /// The chosen model.
    chosen: &'a str,
    favourites: &'a [String],
}

impl Offers<'_> {
    /// The rows for the typed text: favourites, then the models of each upstream whose names contain all of its words,
    /// and last the typed name itself, unless it is one of them.
    fn sections(&self, typed: &str) -> Vec<Section<String>> {
        let typed = typed.trim();
        let row = |model: &str| Row {
            symbol: if self.is_favourite(model) { "star" } else { "" },
            label: marked(model, typed),
            note: self.note(model),
            is_chosen: model == self.chosen,
            ..Row::new(model.to_owned(), model)
        };
        let section = |heading: &str| Section {
            heading: heading.to_owned(),
            rows: Vec::new(),
        };
        let mut sections = Vec::new();
        let mut left = MOST_SHOWN;
        let mut add = |heading: &str, model: &str| {
            if left == 0 || !fits(model, typed) {
                return;
            }
            left -= 1;
            let at = sections
                .iter()
                .position(|one: &Section<String>| one.heading == heading);
            let at = at.unwrap_or_else(|| {
                sections.push(section(heading));
                sections.len() - 1
            });
            sections[at].rows.push(row(model));
        };
        for model in self.favourites {
            add("Favourites", model);
        }
        if !self.default.is_empty()
            && !self.is_listed(self.default)
            && !self.is_favourite(self.default)
        {
            add("Default", self.default);
        }
        for model in self
            .models
            .iter()
            .filter(|model| !self.is_favourite(&model.id))
        {
            add(&model.upstream, &model.id);
        }
        let is_known = typed == self.default || self.is_listed(typed) || self.is_favourite(typed);
        if !typed.is_empty() && !is_known {
            let mut typed_name = section("As typed");
            typed_name.rows.push(row(typed));
            sections.push(typed_name);
        }
        sections
    }

    /// What is known of a model, in a few words.
    fn note(&self, model: &str) -> String {
        let listed = self.models.iter().find(|listed| listed.id == model);
        let context = listed.and_then(|listed| listed.context).map(tokens);
        let images = listed.is_some_and(|listed| listed.images);
        let words = [
            (model == self.default).then(|| "default".to_owned()),
            context,
            images.then(|| "images".to_owned()),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    fn is_listed(&self, name: &str) -> bool {
        self.models.iter().any(|model| model.id == name)
    }

    fn is_favourite(&self, name: &str) -> bool {
        self.favourites.iter().any(|favourite| favourite == name)
    }
}

/// A number of tokens, as models are advertised: `128K`, `1M`.
fn tokens(count: u64) -> String {
    match count {
        0..1000 => count.to_string(),
        1000..1_000_000 if count.is_multiple_of(1024) => format!("{}K", count / 1024),
        1000..1_000_000 => format!("{}K", count / 1000),
        _ if count.is_multiple_of(1024 * 1024) => format!("{}M", count / (1024 * 1024)),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// The favourite models, kept in the browser's storage, one per line.
#[derive(Clone, Copy)]
struct Favourites(StoredValue<Option<Arc<dyn Storage>>>);

impl Favourites {
    fn get(self) -> Vec<String> {
        let stored = self
            .0
            .with_value(|storage| storage.as_ref()?.get(StorageKey::FavouriteModels));
        let stored = stored.unwrap_or_default();
        stored.lines().map(str::to_owned).collect()
    }

    /// Adds the model, or removes it.
    fn toggle(self, model: &str) {
        let mut names = self.get();
        match names.iter().position(|name| name == model) {
            Some(at) => drop(names.remove(at)),
            None => names.push(model.to_owned()),
        }
        self.0.with_value(|storage| {
            if let Some(storage) = storage {
                storage.set(StorageKey::FavouriteModels, &names.join("\n"));
            }
        });
    }
}

/// Chooses a model for the next messages.
fn choose_model(chat: Chat, default: &str, model: &str) {
    let name = if default == model { "" } else { model };
    chat.choose(|choices| name.clone_into(&mut choices.model));
}

/// The model picker.
#[component]
pub fn ModelPicker() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let composer = expect_context::<ComposerField>();
    let panels = expect_context::<Panels>();
    let backend = StoredValue::new(use_backend());
    let default = StoredValue::new(use_context::<PageInfo>().unwrap_or_default().model);
    let models = StoredValue::new(Vec::<ModelChoice>::new());
    let favourites = Favourites(StoredValue::new(use_storage()));
    let find = move |typed: &str| {
        let default = default.get_value();
        let chosen = chat
            .choices_untracked()
            .model()
            .unwrap_or_else(|| default.clone());
        models.with_value(|models| {
            let offers = Offers {
                models,
                default: &default,
                chosen: &chosen,
                favourites: &favourites.get(),
            };
            offers.sections(typed)
        })
    };
    let choose = move |model: String, how: How| {
        if how == How::WithAlt {
            favourites.toggle(&model);
            return false;
        }
        choose_model(chat, &default.get_value(), &model);
        composer.focus();
        true
    };
    let chooser = Chooser::new(Panel::Models, "models", find, choose);
    Effect::new(move |_| {
        let backend = backend.get_value();
        if let Some(backend) = backend.filter(|_| panels.is_open(Panel::Models)) {
            let list = backend.models();
            spawn_local(async move {
                if let Some(list) = list.await {
                    models.set_value(list.models);
                    chooser.show(true);
                }
            });
        }
    });
    let hints = view! {
        <span><b>"↵"</b>" choose"</span>
        <span><b>"Alt ↵"</b>" favourite"</span>
        <span>"Any other name can be typed."</span>
    };
    chooser.view("models", "Model", "Find a model", hints.into_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_context_is_written_as_it_is_advertised() {
        let check = |count: u64, expect: &str| assert_eq!(tokens(count), expect);
        check(512, "512");
        check(8192, "8K");
        check(131_072, "128K");
        check(200_000, "200K");
        check(1_048_576, "1M");
        check(1_000_000, "1M");
    }

    #[test]
    fn typing_filters_favourites_come_first_and_any_name_can_be_typed() {
        let models: Vec<ModelChoice> = [
            ("gpt-5", "openai"),
            ("llama3.2", "ollama"),
            ("gpt-5-mini", "openai"),
        ]
        .into_iter()
        .map(|(id, upstream)| ModelChoice {
            id: id.into(),
            upstream: upstream.into(),
            context: (id == "gpt-5").then_some(131_072),
            images: id == "gpt-5",
        })
        .collect();
        let check = |default: &str, favourites: &[&str], typed: &str, expect: &[&str]| {
            let favourites: Vec<_> = favourites.iter().map(|&name| name.to_owned()).collect();
            let offers = Offers {
                models: &models,
                default,
                chosen: default,
                favourites: &favourites,
            };
            let sections = offers.sections(typed);
            let got: Vec<_> = sections
                .iter()
                .map(|section| {
                    let names = section.rows.iter().map(|row| row.action.as_str());
                    format!(
                        "{}: {}",
                        section.heading,
                        names.collect::<Vec<_>>().join(", ")
                    )
                })
                .collect();
            assert_eq!(got, expect, "{default} {typed}");
        };
        check(
            "gpt-5",
            &[],
            "",
            &["openai: gpt-5, gpt-5-mini", "ollama: llama3.2"],
        );
        check(
            "gpt-5",
            &["llama3.2"],
            "",
            &["Favourites: llama3.2", "openai: gpt-5, gpt-5-mini"],
        );
        check(
            "gpt-5",
            &[],
            "MINI gpt",
            &["openai: gpt-5-mini", "As typed: MINI gpt"],
        );
        check("gpt-5", &[], "llama3.2", &["ollama: llama3.2"]);
        check("other", &[], "oth", &["Default: other", "As typed: oth"]);
        check("other", &[], "other", &["Default: other"]);
        check("gpt-5", &["kept"], "kept", &["Favourites: kept"]);
        check("gpt-5", &[], "new", &["As typed: new"]);
    }
}
