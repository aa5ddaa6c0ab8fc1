//! The sidebar: new conversations, a search, and the list by day. On a narrow screen it is a drawer over the
//! conversation.
//!
//! The server renders the list as links. The code that makes the list interactive is a lazy part (`rest`), loaded
//! when the list changes or at the first interaction.

pub mod entry;
pub mod foot;
pub mod found;
pub mod menu;
pub mod rest;

use leptos::html::{Button, Div, Input, Nav};
use leptos::prelude::*;

use self::rest::{Rest, rest};
use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::page::lazy::{FIRST_INTERACTION, LazyPart, on_each};
use crate::page::navigation::{Address, Navigation};
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::dom::focus_in_place;
use crate::ui::server_rendered::ServerRendered;

/// Whether the drawer is open on a narrow screen, and the button that opens it.
#[derive(Clone, Copy)]
pub struct Drawer(pub RwSignal<bool>, pub NodeRef<Button>);

impl Drawer {
    fn focus_button(self) {
        if let Some(button) = self.1.get_untracked() {
            focus_in_place(&button);
        }
    }

    /// Closes the drawer, after something in it was chosen.
    pub fn close(self) {
        self.0.set(false);
    }
}

/// The sidebar.
#[component]
pub fn Sidebar() -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    let drawer = expect_context::<Drawer>();
    let nav = NodeRef::<Nav>::new();
    let search = NodeRef::<Input>::new();
    let place = NodeRef::<Div>::new();
    let part = LazyPart::new();
    let owner = Owner::current().expect("a component has one");
    // If loading fails, the server's list stays and its links work.
    let load = move || {
        if let Some(place) = place.get_untracked() {
            part.load(rest(place, owner.clone()));
        }
    };
    // A new message will soon add an entry to the list, when there is enough to do already.
    on_each(FIRST_INTERACTION, load.clone());
    load_on_change(conversations, drawer, load.clone());
    move_focus_with_drawer(drawer, nav, search);
    let (on_pointer, on_focus) = (load.clone(), load);
    view! {
        <nav
            id="conversations"
            class="sidebar"
            class:open=move || drawer.0.get()
            aria-label="Conversations"
            aria-busy=move || (!part.is_live()).to_string()
            node_ref=nav
            on:pointerenter=move |_| on_pointer()
            on:focusin=move |_| on_focus()
            on:keydown=move |key| {
                if key.key() == "Escape" && drawer.0.get_untracked() {
                    key.prevent_default();
                    drawer.close();
                }
            }
        >
            <div class="begin">
                <NewChatButton/>
                <TemporaryButton/>
            </div>
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
            <div class="rest" node_ref=place>{ServerRendered::new(|| view! { <Rest/> })}</div>
        </nav>
        <div class="scrim" hidden=move || !drawer.0.get() on:click=move |_| drawer.close()></div>
    }
}

/// Loads the interactive list when it differs from what the server rendered, or when the drawer is open.
fn load_on_change(conversations: Conversations, drawer: Drawer, load: impl Fn() + 'static) {
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
        if is_later.is_some() || drawer.0.get() {
            load();
        }
        true
    });
}

/// Moves the focus into the drawer when it opens, and back to its button when it closes.
fn move_focus_with_drawer(drawer: Drawer, nav: NodeRef<Nav>, search: NodeRef<Input>) {
    Effect::new(move |before: Option<bool>| {
        let is_open = drawer.0.get();
        match before {
            // Hidden and inert elements take no focus, so it is moved after the change is rendered.
            Some(false) if is_open => request_animation_frame(move || {
                if let Some(search) = search.get_untracked() {
                    focus_in_place(&search);
                }
            }),
            Some(true) if !is_open && is_within(nav) => {
                request_animation_frame(move || drawer.focus_button());
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

/// Starts a conversation that will be saved.
#[component]
pub fn NewChatButton() -> impl IntoView {
    let begin = begin();
    view! { <button type="button" class="new-chat" on:click=move |_| begin(false)>"New chat"</button> }
}

/// Starts a temporary conversation, which is not saved.
#[component]
fn TemporaryButton() -> impl IntoView {
    let begin = begin();
    view! {
        <button type="button" class="temporary" title="Not saved anywhere" on:click=move |_| begin(true)>
            "Temporary chat"
        </button>
    }
}

/// A function that starts a new conversation; its argument is whether the conversation is temporary.
fn begin() -> impl Fn(bool) + Copy + 'static {
    let chat = expect_context::<Chat>();
    let navigation = expect_context::<Navigation>();
    let field = expect_context::<ComposerField>();
    let drawer = use_context::<Drawer>();
    move |is_temporary| {
        chat.start_anew(is_temporary);
        navigation.go(Address::New);
        if let Some(drawer) = drawer {
            drawer.close();
        }
        field.focus();
    }
}
