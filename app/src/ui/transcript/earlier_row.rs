//! The row above the first loaded message of a long conversation: a link that works without scripts.
//! With scripts, the earlier messages are loaded as soon as the row comes near the view.
//!
//! The browser's own search and "select all" reach loaded messages only, so the keys for them (see
//! [`crate::page`]) load all messages first. A search from the browser's menu, or by Firefox's `/`,
//! sends no key that a page could see.

use leptos::ev;
use leptos::html::A;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, IntersectionObserver, IntersectionObserverInit};

use crate::chat::Chat;
use crate::page::earlier::{Earlier, Loading};
use crate::page::navigation::{Address, MESSAGE};
use crate::ui::controls::copy_button::copy_to_clipboard;
use crate::ui::controls::link::is_plain_click;
use crate::ui::text;
use crate::ui::transcript::follow::Follow;

/// Earlier messages are loaded when the row is nearer to the view than this.
const NEAR: &str = "1200px 0px 0px 0px";

/// The row above the first loaded message. There is none where the conversation begins.
#[component]
pub fn EarlierRow() -> impl IntoView {
    let chat = expect_context::<Chat>();
    load_all_when_wanted(chat, expect_context::<Earlier>());
    let is_there = Memo::new(move |_| chat.earlier().is_some());
    move || {
        if is_there.get() {
            view! { <EarlierLink/> }.into_any()
        } else {
            ().into_any()
        }
    }
}

#[component]
fn EarlierLink() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let earlier = expect_context::<Earlier>();
    let link = NodeRef::<A>::new();
    load_when_near(link, earlier);
    let address = move || {
        let (id, message) = (chat.id()?, chat.earlier()?);
        Some(format!(
            "{}?{MESSAGE}={message}",
            Address::Conversation(id).path()
        ))
    };
    view! {
        <p class="earlier" class:all=move || earlier.loading() == Loading::All>
            <a
                href=address
                node_ref=link
                on:click=move |click| {
                    if is_plain_click(&click) {
                        click.prevent_default();
                        spawn_local(earlier.load_part());
                    }
                }
            >
                {move || text::earlier(earlier.loading())}
            </a>
        </p>
    }
}

/// The link to the end, where a page was opened that ends before it.
#[component]
pub fn LaterRow() -> impl IntoView {
    let chat = expect_context::<Chat>();
    let is_there = Memo::new(move |_| chat.has_later());
    move || {
        if is_there.get() {
            let address = move || chat.id().map(|id| Address::Conversation(id).path());
            view! { <p class="earlier"><a href=address>{text::LATEST}</a></p> }.into_any()
        } else {
            ().into_any()
        }
    }
}

fn load_when_near(link: NodeRef<A>, earlier: Earlier) {
    let follow = expect_context::<Follow>();
    Effect::new(move |_| {
        let (Some(link), Some(scroller)) = (link.get(), follow.scroller.get()) else {
            return;
        };
        let link: Element = link.unchecked_into();
        let on_change = {
            let link = link.clone();
            Closure::<dyn FnMut(js_sys::Array, IntersectionObserver)>::new(
                move |changes: js_sys::Array, observer: IntersectionObserver| {
                    let last: web_sys::IntersectionObserverEntry =
                        changes.get(changes.length() - 1).unchecked_into();
                    if !last.is_intersecting() {
                        return;
                    }
                    let link = link.clone();
                    spawn_local(async move {
                        earlier.load_part().await;
                        // Observing again reports whether the row is still near the view.
                        observer.unobserve(&link);
                        if !earlier.has_failed() && link.is_connected() {
                            observer.observe(&link);
                        }
                    });
                },
            )
            // The browser owns the closure, since the observer may call it after the row is gone.
            .into_js_value()
        };
        let options = IntersectionObserverInit::new();
        options.set_root(Some(&scroller));
        options.set_root_margin(NEAR);
        let observer = IntersectionObserver::new_with_options(on_change.unchecked_ref(), &options);
        let Ok(observer) = observer else { return };
        observer.observe(&link);
        let kept = StoredValue::new_local(observer);
        on_cleanup(move || kept.with_value(IntersectionObserver::disconnect));
    });
}

/// Loads all messages when the browser is about to search or to select all. A copy during that time is done again when
/// all are loaded.
fn load_all_when_wanted(chat: Chat, earlier: Earlier) {
    let wants_copy = StoredValue::new(false);
    Effect::new(move |_| {
        if earlier.wants_all() {
            spawn_local(async move {
                let is_news = untrack(|| chat.earlier().is_some());
                let are_loaded = earlier.load_all().await;
                if are_loaded && is_news {
                    chat.announce(text::ALL_LOADED.to_owned());
                }
                let wants_copy = wants_copy.try_update_value(std::mem::take);
                if are_loaded
                    && wants_copy == Some(true)
                    && let Some(text) = selected_text()
                    && copy_to_clipboard(&text).await.is_ok()
                {
                    chat.announce(text::ALL_COPIED.to_owned());
                }
                earlier.want_all(false);
            });
        }
    });
    Effect::new(move |_| {
        let copies = window_event_listener(ev::copy, move |copy| {
            if untrack(|| earlier.wants_all()) && is_all_selected() {
                copy.prevent_default();
                wants_copy.set_value(true);
            }
        });
        on_cleanup(move || copies.remove());
    });
}

/// Whether the selection begins before the first message.
fn is_all_selected() -> bool {
    let link = document().query_selector(".earlier a");
    match (window().get_selection(), link) {
        (Ok(Some(selection)), Ok(Some(link))) => selection
            .contains_node_with_allow_partial_containment(&link, true)
            .unwrap_or(false),
        _ => false,
    }
}

fn selected_text() -> Option<String> {
    let selection = window().get_selection().ok()??;
    JsValue::from(selection.to_string()).as_string()
}
