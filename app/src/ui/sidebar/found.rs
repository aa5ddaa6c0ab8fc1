//! The hits of a search, with the matches marked.

use leptos::prelude::*;

use super::SidebarState;
use crate::chat::Chat;
use crate::library::list::Conversations;
use crate::page::navigation::Address;
use crate::protocol::saved::{SearchHit, SnippetPart};
use crate::ui::controls::link::Link;

/// The list of hits.
#[component]
pub fn Found() -> impl IntoView {
    let conversations = expect_context::<Conversations>();
    move || {
        let hits = conversations.hits().unwrap_or_default();
        if hits.is_empty() {
            return view! { <p class="nothing">"Nothing was found."</p> }.into_any();
        }
        let count = match hits.len() {
            1 => "1 place found".to_owned(),
            count => format!("{count} places found"),
        };
        view! {
            <section>
                <h2>{count}</h2>
                <ul>{hits.into_iter().map(|hit| view! { <Hit hit/> }.into_any()).collect_view()}</ul>
            </section>
        }.into_any()
    }
}

#[component]
fn Hit(hit: SearchHit) -> impl IntoView {
    let chat = expect_context::<Chat>();
    let sidebar = expect_context::<SidebarState>();
    let id = hit.conversation.clone();
    let message = hit.message.clone();
    let on_go = {
        let (id, message) = (id.clone(), message.clone());
        move || {
            sidebar.close_drawer();
            if let Some(message) = &message {
                chat.seek(id.clone(), message.clone());
            }
        }
    };
    let is_open = Memo::new(move |_| chat.id().as_ref() == Some(&id));
    view! {
        <li class="entry" class:current=move || is_open.get()>
            <Link to=Address::Conversation(hit.conversation) message is_current=Signal::from(is_open) class="hit" on_go>
                <span class="words" dir="auto">{hit.title}</span>
                <span class="snippet" dir="auto">{hit.snippet.into_iter().map(part).collect_view()}</span>
            </Link>
        </li>
    }
}

fn part(part: SnippetPart) -> AnyView {
    if part.marked {
        view! { <mark>{part.text}</mark> }.into_any()
    } else {
        part.text.into_any()
    }
}
