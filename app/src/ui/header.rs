//! The header: the model, the title of the conversation, and whether a new one is temporary.

use leptos::html::Span;
use leptos::prelude::*;

use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::page::navigation::{Address, Navigation};
use crate::protocol::PageInfo;
use crate::ui::composer::composer_field::ComposerField;
use crate::ui::controls::icon::{icon, small_icon};
use crate::ui::panels::conversation_title::title_of;
use crate::ui::panels::{Panel, Panels};
use crate::ui::server_rendered::ServerRendered;
use crate::ui::sidebar::{SidebarState, begin_chat};

/// The header.
#[component]
pub fn Header() -> impl IntoView {
    let panels = expect_context::<Panels>();
    let sidebar = expect_context::<SidebarState>();
    let begin_chat = begin_chat();
    view! {
        <header>
            <h1 class="visually-hidden">"Rill"</h1>
            <div>
                <button
                    type="button"
                    class="icon-button tip below from-start when-closed"
                    aria-label="Show conversations"
                    aria-controls="conversations"
                    node_ref=sidebar.show_button
                    aria-expanded=move || sidebar.is_drawer_open.get().to_string()
                    on:click=move |_| sidebar.toggle()
                >
                    {icon("sidebar")}
                </button>
                <button
                    type="button"
                    class="quiet model-button"
                    aria-haspopup="dialog"
                    on:click=move |_| panels.open(Panel::Models)
                >
                    <span class="visually-hidden">"Model: "</span>
                    <ModelName/>
                    {small_icon("down")}
                </button>
            </div>
            <div class="middle" node_ref=panels.title>{ServerRendered::new(title_on_server)}</div>
            <div>
                <TemporarySwitch/>
                <button
                    type="button"
                    class="icon-button tip below from-end when-closed"
                    aria-label="New chat"
                    on:click=move |_| begin_chat()
                >
                    {icon("new")}
                </button>
            </div>
        </header>
    }
}

/// The title as text, until the part that makes it a button is loaded.
fn title_on_server() -> impl IntoView {
    let title = title_of(expect_context::<Chat>(), expect_context::<Conversations>());
    view! { <span class="quiet conversation-title" dir="auto">{title}</span> }
}

/// The name of the chosen model.
#[component]
fn ModelName() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let default = use_context::<PageInfo>().unwrap_or_default().model;
    let default = if default.is_empty() {
        "the model".to_owned()
    } else {
        default
    };
    let name = NodeRef::<Span>::new();
    {
        let default = default.clone();
        // The text is set rather than rendered, because the server does not know the choice.
        Effect::new(move |_| {
            let model = chat.choices().model().unwrap_or_else(|| default.clone());
            if let Some(name) = name.get() {
                name.set_text_content(Some(&model));
            }
        });
    }
    view! { <span class="words" node_ref=name>{default}</span> }
}

/// Makes a new chat a temporary one, and tells that a chat is.
#[component]
fn TemporarySwitch() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let navigation = expect_context::<Navigation>();
    let field = expect_context::<ComposerField>();
    let toggle = move |_| {
        if untrack(|| chat.is_empty()) {
            chat.start_anew(!untrack(|| chat.is_temporary()));
            navigation.go(Address::New);
            field.focus();
        }
    };
    view! {
        <button
            type="button"
            class="quiet temporary-switch"
            title="Not saved anywhere"
            aria-pressed=move || chat.is_temporary().to_string()
            hidden=move || !(chat.is_empty() || chat.is_temporary())
            on:click=toggle
        >
            {icon("temporary")}<span class="words">"Temporary"</span>
        </button>
    }
}
