//! One conversation of the list: a link to it and its menu.

use leptos::html::Button;
use leptos::prelude::*;

use super::SidebarState;
use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::page::navigation::Address;
use crate::protocol::saved::ConversationSummary;
use crate::ui::controls::icon::icon;
use crate::ui::controls::link::{Link, is_plain_click};
use crate::ui::dom::focus_in_place;
use crate::ui::sidebar::menu::Menu;
use crate::ui::sidebar::rename::Rename;

/// A conversation of the list.
#[component]
pub fn Entry(
    /// The id of the conversation.
    id: String,
) -> impl IntoView {
    let id = StoredValue::new(id);
    let conversations = expect_context::<Conversations>();
    let summary = Memo::new(move |_| id.with_value(|id| conversations.get(id)));
    let title = Memo::new(move |_| {
        summary.with(|one| {
            one.as_ref()
                .map_or_else(String::new, |one| one.title.clone())
        })
    });
    let chat = expect_context::<Chat>();
    let is_open = Memo::new(move |_| {
        chat.id()
            .is_some_and(|open| id.with_value(|id| *id == open))
    });
    let is_unread = Memo::new(move |_| {
        summary.with(|one| one.as_ref().is_some_and(|one| one.unread && !one.running))
    });
    let is_renaming = RwSignal::new(false);
    let has_menu = RwSignal::new(false);
    let button = NodeRef::<Button>::new();
    let focus_button = move || {
        if let Some(button) = button.get_untracked() {
            focus_in_place(&button);
        }
    };
    let renamed = move |title: Option<String>| {
        is_renaming.set(false);
        if let Some(title) = title {
            conversations.rename(id.get_value(), title);
        }
        focus_button();
    };
    let close_menu = move |moves_focus: bool| {
        has_menu.set(false);
        if moves_focus {
            focus_button();
        }
    };
    view! {
        <li class="entry" class:current=move || is_open.get() class:unread=move || is_unread.get()>
            {move || if is_renaming.get() {
                view! { <Rename title=title.get_untracked() done=renamed/> }.into_any()
            } else {
                link(id.get_value(), is_open, title, summary).into_any()
            }}
            <button
                type="button"
                class="icon-button menu-button"
                aria-label="Conversation menu"
                aria-haspopup="menu"
                aria-expanded=move || has_menu.get().to_string()
                title=move || title.get()
                node_ref=button
                on:click=move |click| if is_plain_click(&click) { has_menu.update(|has| *has = !*has) }
            >{icon("more")}</button>
            {move || if has_menu.get() {
                view! { <Menu id=id.get_value() button is_renaming close=close_menu/> }.into_any()
            } else {
                ().into_any()
            }}
        </li>
    }
}

/// The link to the conversation, with a mark while a reply streams in it or something in it is unread.
fn link(
    id: String,
    is_open: Memo<bool>,
    title: Memo<String>,
    summary: Memo<Option<ConversationSummary>>,
) -> impl IntoView {
    let sidebar = expect_context::<SidebarState>();
    let mark = Memo::new(move |_| {
        summary.with(|one| match one {
            Some(one) if one.running => Some(("running", "answering")),
            Some(one) if one.unread => Some(("unread", "unread")),
            _ => None,
        })
    });
    view! {
        <Link
            to=Address::Conversation(id)
            is_current=Signal::from(is_open)
            class="row"
            on_go=move || sidebar.close_drawer()
        >
            <span class="words" dir="auto">{move || title.get()}</span>
            {move || match mark.get() {
                Some((class, word)) => view! {
                    <span class=format!("dot {class}")>
                        <span class="visually-hidden">{format!(", {word}")}</span>
                    </span>
                }.into_any(),
                None => ().into_any(),
            }}
        </Link>
    }
}
