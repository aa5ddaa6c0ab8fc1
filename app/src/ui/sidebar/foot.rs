//! The foot of the sidebar: a button with a menu for the settings, the theme, import and export.

use leptos::ev::MouseEvent;
use leptos::html::{Button, Input};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::chat::Chat;
use crate::library::backend::use_backend;
use crate::library::list::Conversations;
use crate::page::base::below;
use crate::protocol::PageInfo;
use crate::protocol::saved::EXPORT_PATH;
use crate::ui::controls::icon::{icon, small_icon};
use crate::ui::controls::popup_menu::PopupMenu;
use crate::ui::controls::theme_switch::ThemeSwitch;
use crate::ui::panels::{Panel, Panels};
use crate::ui::text;

/// The button and its menu, and the progress of an import.
#[component]
pub fn Foot() -> impl IntoView {
    let panels = expect_context::<Panels>();
    let person = StoredValue::new(use_context::<PageInfo>().unwrap_or_default().person);
    let has_menu = RwSignal::new(false);
    let button = NodeRef::<Button>::new();
    let file = NodeRef::<Input>::new();
    let progress = RwSignal::new(None::<u8>);
    let close = move |moves_focus: bool| {
        has_menu.set(false);
        if let Some(button) = button.get_untracked().filter(|_| moves_focus) {
            crate::ui::dom::focus_in_place(&button);
        }
    };
    let open = move |panel: Panel| {
        // The focus returns to the button when the panel is closed.
        close(true);
        panels.open(panel);
    };
    let choose_file = move |_| {
        close(true);
        if let Some(file) = file.get_untracked() {
            file.click();
        }
    };
    view! {
        <div class="foot">
            <button
                type="button"
                class="row"
                aria-haspopup="menu"
                title="Menu"
                aria-expanded=move || has_menu.get().to_string()
                node_ref=button
                on:click=move |_| has_menu.update(|has| *has = !*has)
            >
                <span class="initials" aria-hidden="true">{small_icon("person")}</span>
                <span class="words">
                    {move || match progress.get() {
                        Some(percent) => text::importing(percent),
                        None if person.with_value(String::is_empty) => "Menu".to_owned(),
                        None => person.get_value(),
                    }}
                </span>
                {small_icon("up")}
            </button>
            {move || if has_menu.get() {
                view! {
                    <PopupMenu label="Menu" button close>
                        {menu_items(person, progress, close, open, choose_file)}
                    </PopupMenu>
                }.into_any()
            } else {
                ().into_any()
            }}
            <ImportField file progress/>
        </div>
    }
}

/// The entries of the menu.
fn menu_items(
    person: StoredValue<String>,
    progress: RwSignal<Option<u8>>,
    close: impl Fn(bool) + 'static,
    open: impl Fn(Panel) + Copy + 'static,
    choose_file: impl Fn(MouseEvent) + 'static,
) -> impl IntoView {
    view! {
        {(!person.with_value(String::is_empty)).then(|| view! {
            <a class="row" role="menuitem" tabindex="-1" href=below("/account") rel="external">
                {icon("person")}<span class="words">"Account"</span>
            </a>
        }.into_any())}
        <button type="button" class="row" role="menuitem" tabindex="-1" on:click=move |_| open(Panel::Settings)>
            {icon("settings")}<span class="words">"Settings"</span>
        </button>
        <button type="button" class="row" role="menuitem" tabindex="-1" on:click=move |_| open(Panel::Shortcuts)>
            {icon("keyboard")}<span class="words">"Keyboard shortcuts"</span><kbd aria-hidden="true">"?"</kbd>
        </button>
        <hr/>
        <div class="choice"><span>"Theme"</span><ThemeSwitch group="theme-in-menu" is_in_menu=true/></div>
        <hr/>
        <button
            type="button"
            class="row"
            role="menuitem"
            tabindex="-1"
            disabled=move || progress.get().is_some()
            on:click=choose_file
        >
            {icon("upload")}<span class="words">"Import…"</span>
        </button>
        <a class="row" role="menuitem" tabindex="-1" href=below(EXPORT_PATH) download="" on:click=move |_| close(true)>
            {icon("download")}<span class="words">"Export all"</span>
        </a>
        {(!person.with_value(String::is_empty)).then(|| view! {
            <hr/>
            <form method="post" action=below("/signout")>
                <button class="row" role="menuitem" tabindex="-1">
                    {icon("leave")}<span class="words">"Sign out"</span>
                </button>
            </form>
        }.into_any())}
    }
}

/// The percentage of all files that is sent, when this percentage of one of them is.
fn of_all(place: usize, count: usize, percent: u8) -> u8 {
    let percent = (place * 100 + usize::from(percent)) / count.max(1);
    u8::try_from(percent.min(100)).expect("it is a percentage")
}

/// The field that takes the files, and uploads them when they are chosen. The menu opens it.
#[component]
fn ImportField(
    file: NodeRef<Input>,
    /// The percentage that is sent, while files are being imported.
    progress: RwSignal<Option<u8>>,
) -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    let chat = expect_context::<Chat>();
    let backend = StoredValue::new(use_backend());
    let field = file;
    let send = move |_| {
        let Some(field) = field.get_untracked() else {
            return;
        };
        let Some((list, backend)) = field.files().zip(backend.get_value()) else {
            return;
        };
        let files: Vec<_> = (0..list.length()).filter_map(|at| list.get(at)).collect();
        if files.is_empty() {
            return;
        }
        progress.set(Some(0));
        spawn_local(async move {
            let count = files.len();
            let mut outcomes = Vec::with_capacity(count);
            // Uploads are sequential, because the server imports one file at a time.
            for (place, file) in files.into_iter().enumerate() {
                let name = file.name();
                let on_progress = move |percent| progress.set(Some(of_all(place, count, percent)));
                let outcome = backend.import(file, Box::new(on_progress)).await;
                let outcome =
                    outcome.map_err(|error| error.kind.sentence_or(&error.message).to_owned());
                outcomes.push((name, outcome));
            }
            progress.set(None);
            // Resetting the field allows to choose the same file again.
            field.set_value("");
            let sentence = text::imported_files(outcomes);
            chat.announce(sentence.clone());
            conversations.say(sentence);
            conversations.reload();
        });
    };
    view! {
        <input
            type="file"
            class="visually-hidden"
            aria-label="File to import"
            tabindex="-1"
            accept=".json,.jsonl,.zip,application/json,application/zip"
            multiple
            node_ref=field
            on:change=send
        />
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn progress_is_a_percentage_of_all_files() {
        for (place, count, percent, expect) in [
            (0, 1, 40, 40),
            (0, 1, 100, 100),
            (0, 4, 100, 25),
            (3, 4, 50, 87),
            (3, 4, 100, 100),
        ] {
            assert_eq!(of_all(place, count, percent), expect);
        }
    }
}
