//! The page: the sidebar, the header, the conversation, the composer.

pub mod base;
pub mod earlier;
pub mod lazy;
pub mod navigation;
pub mod render_budget;
pub mod sync;
pub mod tab;

use std::sync::Arc;

use leptos::prelude::*;

use crate::chat::preferences::Preferences;
use crate::chat::{Chat, Deps};
use crate::library::backend::use_server;
use crate::library::index::Today;
use crate::library::list::Conversations;
use crate::page::earlier::Earlier;
use crate::page::navigation::{Address, Navigation};
use crate::page::sync::Sync;
use crate::platform::clock::{BrowserClock, Clock};
use crate::platform::lifecycle::use_lifecycle;
use crate::protocol::saved::InitialData;
use crate::reply::transport::use_transport;
use crate::ui::composer::Composer;
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::link::Link;
use crate::ui::controls::local_number::local_number;
use crate::ui::controls::theme_switch::ChosenTheme;
use crate::ui::header::Header;
use crate::ui::panels::{PanelHost, Panels};
use crate::ui::sidebar::{Sidebar, SidebarState};
use crate::ui::suggestions::Suggestions;
use crate::ui::text;
use crate::ui::transcript::Transcript;
use crate::ui::transcript::follow::Follow;

/// The page of a conversation.
#[component]
pub fn ChatPage(
    /// The data that the server has put into the page.
    initial: InitialData,
    /// When the server rendered the page, in milliseconds since 1970.
    rendered_at: i64,
) -> impl IntoView {
    let clock: Arc<dyn Clock> = Arc::new(BrowserClock);
    let deps = Deps {
        transport: use_transport(),
        clock: Arc::clone(&clock),
        lifecycle: use_lifecycle(),
    };
    let preferences = Preferences::new();
    preferences.load();
    provide_context(preferences);
    provide_context(ChosenTheme::new());
    let chat = Chat::new(deps, preferences);
    let navigation = expect_context::<Navigation>();
    // Hydration needs the same content as on the server; the day in the user's time zone is set after it.
    let today = Today {
        now: rendered_at,
        ahead: 0,
    };
    let conversations = Conversations::new(initial.list, today, clock, use_server());
    let address = navigation.address_untracked();
    let is_missing = initial.conversation.is_none() && matches!(address, Address::Conversation(_));
    if let Some(detail) = &initial.conversation {
        chat.open(detail);
    }
    let follow = Follow::new();
    let earlier = Earlier::new(chat, follow, use_server());
    let sync = Sync {
        chat,
        earlier,
        follow,
        conversations,
        navigation,
        is_missing: RwSignal::new(is_missing),
        server: StoredValue::new(use_server()),
    };
    let field = ComposerField::new();
    let sidebar = SidebarState::new();
    let panels = Panels::new();
    provide_context(chat);
    provide_context(conversations);
    provide_context(field);
    provide_context(sidebar);
    provide_context(panels);
    provide_context(follow);
    provide_context(earlier);
    sync.begin(initial.conversation);
    listen_to_keys(chat, field, earlier);
    // Memos, so that views are built again only when the value changes.
    let is_missing = Memo::new(move |_| sync.is_missing.get());
    let is_empty = Memo::new(move |_| chat.is_empty() && !sync.is_missing.get());

    view! {
        <a class="skip" href="#message" on:click=move |click| {
            click.prevent_default();
            field.focus();
        }>
            {text::SKIP_LINK}
        </a>
        <Sidebar/>
        <div class="page" inert=move || sidebar.is_drawer_open.get()>
            <Header/>
            <main class:empty=move || is_empty.get() class:temporary=move || chat.is_temporary()>
                <noscript>{text::NO_SCRIPT}</noscript>
                {move || if is_missing.get() {
                    view! { <MissingConversation/> }.into_any()
                } else {
                    view! { <Transcript/> }.into_any()
                }}
                <Composer/>
                <Suggestions is_shown=is_empty/>
                <p role="status" class="visually-hidden">
                    {move || text::announcement(&chat.announcement(), local_number)}
                </p>
            </main>
        </div>
        <PanelHost/>
    }
}

/// The view for the URL of a conversation that does not exist, or belongs to another owner.
#[component]
fn MissingConversation() -> impl IntoView {
    view! {
        <div class="view">
            <div class="nowhere">
                <h2>"There is no such conversation."</h2>
                <p>"It may have been deleted."</p>
                <p><Link to=Address::New is_current=Signal::stored(false) on_go=|| ()>"Begin a new one"</Link></p>
            </div>
        </div>
    }
}

/// Handles keys that work anywhere on the page: Escape stops the reply, and typing focuses the composer.
fn listen_to_keys(chat: Chat, field: ComposerField, earlier: Earlier) {
    // Effects run in the browser only.
    Effect::new(move |_| {
        let listener = window_event_listener(leptos::ev::keydown, move |key| {
            chat.note_key();
            if key.is_composing() || key.default_prevented() {
                return;
            }
            if key.key() == "Escape" && chat.is_streaming_untracked() {
                chat.stop();
                return;
            }
            if is_search_or_select_all(&key) {
                earlier.want_all(true);
            }
            let name = key.key();
            let is_typing = name.chars().count() == 1 && name != " " && name != "?";
            if is_typing
                && !(key.ctrl_key() || key.meta_key() || key.alt_key())
                && nothing_has_focus()
            {
                field.focus();
            }
        });
        on_cleanup(move || listener.remove());
    });
}

/// Whether a key opens the browser's search or selects the whole page.
fn is_search_or_select_all(key: &web_sys::KeyboardEvent) -> bool {
    let is_command = (key.ctrl_key() || key.meta_key()) && !key.alt_key();
    match key.key().as_str() {
        "F3" => true,
        "f" | "F" | "g" | "G" => is_command,
        "a" | "A" => is_command && !is_in_a_field(),
        _ => false,
    }
}

fn is_in_a_field() -> bool {
    let active = document().active_element();
    active.is_some_and(|active| matches!(active.tag_name().as_str(), "INPUT" | "TEXTAREA"))
}

fn nothing_has_focus() -> bool {
    let document = document();
    match (document.active_element(), document.body()) {
        (Some(active), Some(body)) => active == *body,
        _ => true,
    }
}
