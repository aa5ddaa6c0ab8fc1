//! The sidebar: new conversations, a search, and the list by day. It can be hidden, and on a narrow screen it is a
//! drawer over the conversation.
//!
//! The server renders the list as links. The code that makes the list interactive is a lazy part (`rest`), loaded
//! when the list changes or at the first interaction.

pub mod entry;
pub mod foot;
pub mod found;
pub mod menu;
pub mod rename;
pub mod rest;

use std::sync::Arc;

use leptos::html::{Button, Div, Input, Nav};
use leptos::prelude::*;

use self::rest::{EarlyClick, Rest, rest};
use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::page::lazy::{FIRST_INTERACTION, LazyPart, on_each};
use crate::page::navigation::{Address, Navigation};
use crate::platform::storage::{Storage, StorageKey, use_storage};
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::icon::{icon, mark};
use crate::ui::dom::focus_in_place;
use crate::ui::server_rendered::ServerRendered;

/// Whether the sidebar is shown. On a wide screen it stands beside the conversation unless it was hidden, which the
/// document's `data-sidebar` says; on a narrow one it is a drawer.
#[derive(Clone, Copy)]
pub struct SidebarState {
    /// Whether the drawer is open.
    pub is_drawer_open: RwSignal<bool>,
    /// The button in the header that shows the sidebar.
    pub show_button: NodeRef<Button>,
    hide_button: NodeRef<Button>,
    storage: StoredValue<Option<Arc<dyn Storage>>>,
}

impl SidebarState {
    /// The state of an earlier visit, which `public/theme.js` has set; the drawer is closed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            is_drawer_open: RwSignal::new(false),
            show_button: NodeRef::new(),
            hide_button: NodeRef::new(),
            storage: StoredValue::new(use_storage()),
        }
    }

    /// Closes the drawer, after something in it was chosen.
    pub fn close_drawer(self) {
        self.is_drawer_open.set(false);
    }

    /// Shows the sidebar, or hides it.
    pub fn toggle(self) {
        if !is_wide() {
            return self.is_drawer_open.update(|is_open| *is_open = !*is_open);
        }
        let Some(root) = document().document_element() else {
            return;
        };
        let is_hidden = root
            .get_attribute("data-sidebar")
            .is_some_and(|name| !name.is_empty());
        let name = if is_hidden { "" } else { "closed" };
        // Setting fails only for an invalid attribute name.
        let _ = root.set_attribute("data-sidebar", name);
        self.storage.with_value(|storage| {
            if let Some(storage) = storage {
                storage.set(StorageKey::Sidebar, name);
            }
        });
        // The button that had the focus may be gone; the one that undoes it takes it over.
        let button = if is_hidden {
            self.hide_button
        } else {
            self.show_button
        };
        if let Some(button) = button.get_untracked().filter(|_| had_focus_on_a_button()) {
            focus_in_place(&button);
        }
    }

    fn focus_button(self) {
        if let Some(button) = self.show_button.get_untracked() {
            focus_in_place(&button);
        }
    }
}

impl Default for SidebarState {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the sidebar stands beside the conversation. `style/narrow.css` has the same width.
fn is_wide() -> bool {
    let query = window().match_media("(width >= 60rem)");
    query.ok().flatten().is_some_and(|query| query.matches())
}

fn had_focus_on_a_button() -> bool {
    let active = document().active_element();
    active.is_some_and(|active| active.tag_name() == "BUTTON")
}

/// The sidebar.
#[component]
pub fn Sidebar() -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    let state = expect_context::<SidebarState>();
    let nav = NodeRef::<Nav>::new();
    let search = NodeRef::<Input>::new();
    let place = NodeRef::<Div>::new();
    let part = LazyPart::new();
    let owner = Owner::current().expect("a component has one");
    let early_click = EarlyClick::new();
    // If loading fails, the server's list stays and its links work.
    let load = move || {
        if let Some(place) = place.get_untracked() {
            part.load(rest(place, owner.clone(), early_click));
        }
    };
    // A new message will soon add an entry to the list, when there is enough to do already.
    on_each(FIRST_INTERACTION, load.clone());
    load_on_change(conversations, state, load.clone());
    move_focus_with_drawer(state, nav, search);
    let (on_pointer, on_focus) = (load.clone(), load);
    let begin_chat = begin_chat();
    view! {
        <nav
            id="conversations"
            class="sidebar"
            class:open=move || state.is_drawer_open.get()
            aria-label="Conversations"
            aria-busy=move || (!part.is_live()).to_string()
            node_ref=nav
            on:pointerenter=move |_| on_pointer()
            on:focusin=move |_| on_focus()
            on:keydown=move |key| {
                if key.key() == "Escape" && state.is_drawer_open.get_untracked() {
                    key.prevent_default();
                    state.close_drawer();
                }
            }
        >
            <div class="brand">
                {mark()}
                <span>"Rill"</span>
                <button
                    type="button"
                    class="icon-button tip below from-end"
                    aria-label="Hide conversations"
                    node_ref=state.hide_button
                    on:click=move |_| state.toggle()
                >
                    {icon("sidebar")}
                </button>
            </div>
            <div class="begin">
                <button type="button" class="row new-chat" on:click=move |_| begin_chat()>
                    {icon("new")}<span class="words">"New chat"</span>
                </button>
                <div class="searching">
                    {icon("search")}
                    <input
                        type="search"
                        class="search"
                        aria-label="Search conversations"
                        placeholder="Search"
                        autocomplete="off"
                        node_ref=search
                        prop:value=move || conversations.query().get()
                        on:input=move |input| conversations.query().set(event_target_value(&input))
                        on:keydown=move |key| {
                            if key.key() == "Escape" && !conversations.query().with_untracked(String::is_empty) {
                                key.prevent_default();
                                key.stop_propagation();
                                conversations.query().set(String::new());
                            }
                        }
                    />
                </div>
            </div>
            <div class="rest" node_ref=place on:click=move |click| if !untrack(|| part.is_live()) { early_click.note(&click) }>{ServerRendered::new(|| view! { <Rest/> })}</div>
        </nav>
        <div class="scrim" hidden=move || !state.is_drawer_open.get() on:click=move |_| state.close_drawer()></div>
    }
}

/// Loads the interactive list when it differs from what the server rendered, or when the drawer is open.
fn load_on_change(conversations: Conversations, state: SidebarState, load: impl Fn() + 'static) {
    let shown = Memo::new(move |_| {
        let today = conversations.today().get();
        let listed = conversations
            .index()
            .with(|index| (index.clone(), index.groups(today)));
        (
            listed,
            conversations.hits().is_some(),
            conversations.toast().is_some(),
        )
    });
    Effect::new(move |is_later: Option<bool>| {
        // Reading the memo subscribes to it.
        shown.with(|_| ());
        if is_later.is_some() || state.is_drawer_open.get() {
            load();
        }
        true
    });
}

/// Moves the focus into the drawer when it opens, and back to its button when it closes.
fn move_focus_with_drawer(state: SidebarState, nav: NodeRef<Nav>, search: NodeRef<Input>) {
    Effect::new(move |before: Option<bool>| {
        let is_open = state.is_drawer_open.get();
        match before {
            // Hidden and inert elements take no focus, so it is moved after the change is rendered.
            Some(false) if is_open => request_animation_frame(move || {
                if let Some(search) = search.get_untracked() {
                    focus_in_place(&search);
                }
            }),
            Some(true) if !is_open && is_within(nav) => {
                request_animation_frame(move || state.focus_button());
            }
            _ => {}
        }
        is_open
    });
}

/// Whether the focus is in the sidebar, or nowhere because the focused element was removed.
fn is_within(nav: NodeRef<Nav>) -> bool {
    let (Some(nav), Some(active)) = (nav.get_untracked(), document().active_element()) else {
        return true;
    };
    nav.contains(Some(&active)) || document().body().is_some_and(|body| *body == active)
}

/// A function that starts a conversation that will be saved.
pub fn begin_chat() -> impl Fn() + Copy + 'static {
    let chat = expect_context();
    let navigation = expect_context();
    let state = expect_context();
    let field = expect_context();
    move || begin(chat, navigation, state, field, false)
}

/// Starts a new conversation. A temporary one is not saved.
pub fn begin(
    chat: Chat,
    navigation: Navigation,
    state: SidebarState,
    field: ComposerField,
    is_temporary: bool,
) {
    chat.start_anew(is_temporary);
    navigation.go(Address::New);
    state.close_drawer();
    field.focus();
}
