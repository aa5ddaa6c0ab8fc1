//! Presets: the list to choose from, and the names that are typed after a slash.

use leptos::ev::KeyboardEvent;
use leptos::html::Div;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::HtmlElement;

use crate::chat::Chat;
use crate::chat::preferences::Choices;
use crate::library::ListPresets;
use crate::library::backend::{Server, use_server};
use crate::library::list::Conversations;
use crate::protocol::{ChatSettings, Preset};
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::icon::icon;
use crate::ui::panels::chooser::{Chooser, How, Row, Section, fits, marked};
use crate::ui::panels::preset_form::FormTarget;
use crate::ui::panels::{Panel, Panels};

/// The longest text in the composer, in UTF-16 units, that can be the name of a preset.
const MOST_TYPED: u32 = 64;
/// The space between the composer and what is offered, in pixels.
const GAP: f64 = 16.0;

/// The presets of the person, loaded when they are first needed. The handle is `Copy`.
#[derive(Clone, Copy)]
pub struct PresetList {
    chat: Chat,
    conversations: Conversations,
    field: ComposerField,
    server: StoredValue<Server>,
    presets: RwSignal<Vec<Preset>>,
    /// The name that is typed after a slash.
    typed: RwSignal<Option<String>>,
    /// What the form edits.
    pub target: RwSignal<FormTarget>,
}

impl PresetList {
    /// An empty list for the page around the component that is being built.
    #[must_use]
    pub fn of_page() -> Self {
        Self {
            chat: expect_context(),
            conversations: expect_context(),
            field: expect_context(),
            server: StoredValue::new(use_server()),
            presets: RwSignal::new(Vec::new()),
            typed: RwSignal::new(None),
            target: RwSignal::new(FormTarget::New),
        }
    }

    /// The server.
    pub fn server(self) -> Server {
        self.server.get_value()
    }

    /// Loads the list.
    pub fn load(self) {
        let server = self.server();
        spawn_local(async move {
            match server.call(ListPresets {}).await {
                Ok(presets) => self.presets.set(presets),
                Err(refusal) => self.conversations.say(refusal.error.message),
            }
        });
    }

    /// Uses a preset in the open conversation from the next message on.
    fn apply(self, preset: Preset) {
        self.chat.choose_here(Some(choices_of(preset)));
        self.after();
    }

    /// Removes a name that was typed after a slash, and goes back to the text.
    fn after(self) {
        // The draft is changed only if there is a name in it: it may not have read the last keys.
        if self.typed.with_untracked(Option::is_some) {
            self.chat.draft().update(|draft| draft.write(String::new()));
        }
        self.typed.set(None);
        self.field.focus();
    }

    /// Reads the name that is typed after a slash from the composer. The draft does not tell of each key.
    fn read_typed(self) {
        let text = self
            .field
            .0
            .get_untracked()
            .filter(|field| field.text_length() <= MOST_TYPED);
        let text = text.map_or_else(String::new, |field| field.value());
        let typed = slash_name(&text).map(str::to_lowercase);
        if self.typed.with_untracked(|before| *before != typed) {
            self.typed.set(typed);
        }
    }

    /// The presets whose names begin with what was typed after a slash.
    fn slashed(self) -> Vec<Preset> {
        let Some(typed) = self.typed.get() else {
            return Vec::new();
        };
        self.presets.with(|presets| {
            let found = presets
                .iter()
                .filter(|preset| as_slash_name(&preset.name).starts_with(&typed));
            found.cloned().collect()
        })
    }
}

/// What a conversation with this preset asks for.
#[must_use]
pub fn choices_of(preset: Preset) -> Choices {
    Choices::from(ChatSettings {
        preset: Some(preset.name),
        model: preset.model,
        temperature: preset.temperature,
        max_tokens: preset.max_tokens,
        reasoning_effort: preset.reasoning_effort,
        system: preset.system,
    })
}

/// The name after a slash, if a text is nothing else: a path has more slashes, and a sentence has spaces.
fn slash_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix('/')?;
    (!name.contains(|c: char| c == '/' || c.is_whitespace())).then_some(name)
}

/// A name as it is typed after a slash.
fn as_slash_name(name: &str) -> String {
    name.to_lowercase().replace(char::is_whitespace, "-")
}

/// What a row does.
#[derive(Debug, Clone, PartialEq)]
enum Action {
    Default,
    Apply(Preset),
    New,
    Here,
}

/// The list of presets.
#[component]
pub fn Presets() -> impl IntoView {
    let list = expect_context::<PresetList>();
    let panels = expect_context::<Panels>();
    let chat = list.chat;
    let find = move |typed: &str| {
        let chosen = chat.choices_untracked().preset;
        let row = |action, label: &str, is_chosen| Row {
            label: marked(label, typed),
            is_chosen,
            ..Row::new(action, "")
        };
        let mut rows = Vec::new();
        if fits("Default", typed) {
            rows.push(row(Action::Default, "Default", chosen.is_empty()));
        }
        let presets = list.presets.get_untracked();
        for preset in presets.into_iter().filter(|one| fits(&one.name, typed)) {
            let detail = preset
                .system
                .as_deref()
                .and_then(|text| text.lines().next());
            rows.push(Row {
                detail: detail.map_or_else(Vec::new, |line| vec![(line.to_owned(), false)]),
                note: if preset.shared { "for all" } else { "" }.to_owned(),
                ..row(
                    Action::Apply(preset.clone()),
                    &preset.name,
                    preset.name == chosen,
                )
            });
        }
        let more = [
            (Action::Here, "Settings of this chat", "settings"),
            (Action::New, "New preset", "plus"),
        ];
        let more = more.into_iter().filter(|(_, label, _)| fits(label, typed));
        let section = |heading: &str, rows| Section {
            heading: heading.to_owned(),
            rows,
        };
        vec![
            section("Presets", rows),
            section(
                "More",
                more.map(|(action, label, symbol)| Row {
                    symbol,
                    ..row(action, label, false)
                })
                .collect(),
            ),
        ]
    };
    let edit = move |target| {
        list.target.set(target);
        panels.open(Panel::PresetForm);
        false
    };
    let choose = move |action: Action, how: How| match action {
        Action::Default => {
            chat.choose_here(None);
            list.after();
            true
        }
        Action::Apply(preset) if how == How::WithAlt && !preset.shared => {
            edit(FormTarget::Preset(preset))
        }
        Action::Apply(preset) => {
            list.apply(preset);
            true
        }
        Action::New => edit(FormTarget::New),
        Action::Here => edit(FormTarget::Here),
    };
    let chooser = Chooser::new(Panel::Presets, "presets", find, choose);
    Effect::new(move |_| {
        if panels.is_open(Panel::Presets) {
            list.load();
        }
    });
    Effect::new(move |_| {
        list.presets.track();
        chooser.show(true);
    });
    let hints = view! {
        <span><b>"↵"</b>" use it in this chat"</span>
        <span><b>"Alt ↵"</b>" edit"</span>
        <span><b>"/name"</b>" in a message does the same"</span>
    };
    chooser.view("palette", "Presets", "Find a preset", hints.into_any())
}

/// The presets that are offered while a name is typed after a slash. Enter and Tab choose the first.
#[component]
pub fn SlashPresets() -> impl IntoView {
    let list = expect_context::<PresetList>();
    let is_wanted = Memo::new(move |_| list.typed.with(Option::is_some));
    // The panels live as long as the page.
    let _ = window_event_listener(leptos::ev::input, move |_| list.read_typed());
    Effect::new(move |_| {
        if is_wanted.get() {
            list.load();
        }
    });
    let offered = Memo::new(move |_| list.slashed());
    choose_first_by_key(list, offered);
    let menu = NodeRef::<Div>::new();
    // It stands above the composer, wherever that is.
    Effect::new(move |_| {
        offered.track();
        if let (Some(menu), Some(field)) = (menu.get(), list.field.0.get_untracked()) {
            let place = field.get_bounding_client_rect();
            let height = window()
                .inner_height()
                .ok()
                .and_then(|height| height.as_f64());
            let bottom = height.unwrap_or_default() - place.top() + GAP;
            let style = HtmlElement::style(&menu);
            for (property, value) in [("left", place.left()), ("bottom", bottom)] {
                // Setting fails only for an invalid property.
                let _ = style.set_property(property, &format!("{value}px"));
            }
        }
    });
    let rows = move || {
        let row = |preset: Preset| {
            let name = preset.name.clone();
            view! {
                <button type="button" class="row" on:click=move |_| list.apply(preset.clone())>
                    {icon("person")}<span class="words" dir="auto">{name}</span>
                </button>
            }
        };
        offered.get().into_iter().map(row).collect_view()
    };
    view! {
        <div class="menu slash" role="group" aria-label="Presets" node_ref=menu hidden=move || offered.with(Vec::is_empty)>
            {rows}
        </div>
    }
}

/// Lets Enter and Tab in the composer choose the first of the offered presets, before the composer gets the key.
fn choose_first_by_key(list: PresetList, offered: Memo<Vec<Preset>>) {
    let on_key = Closure::<dyn Fn(KeyboardEvent)>::new(move |key: KeyboardEvent| {
        let is_in_composer = list.field.0.get_untracked().is_some_and(|field| {
            key.target().as_ref() == Some(field.unchecked_ref::<web_sys::EventTarget>())
        });
        let is_choice = matches!(key.key().as_str(), "Enter" | "Tab")
            && !key.shift_key()
            && !key.is_composing();
        if !is_in_composer || !is_choice {
            return;
        }
        if let Some(first) = offered.get_untracked().into_iter().next() {
            key.prevent_default();
            key.stop_immediate_propagation();
            list.apply(first);
        }
    });
    // The panels live as long as the page.
    let _ = document().add_event_listener_with_callback_and_bool(
        "keydown",
        on_key.as_ref().unchecked_ref(),
        true,
    );
    on_key.forget();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_after_a_slash_is_no_path_and_no_sentence() {
        for (text, name) in [
            ("/", Some("")),
            ("/trans", Some("trans")),
            ("/etc/hosts", None),
            ("/why is it so", None),
            ("a/b", None),
            ("", None),
        ] {
            assert_eq!(slash_name(text), name, "{text}");
        }
        assert_eq!(as_slash_name("Proof Reader"), "proof-reader");
    }
}
