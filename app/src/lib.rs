//! What browser and server share. In reading order: what crosses the wire, how bytes become
//! events, how events become a reply, and the page that shows it.
//!
//! This crate does no I/O. What the page needs from the network it asks a [`transport`] for.

pub mod protocol;
pub mod sse;
pub mod transcript;
pub mod wording;

pub mod clock;
pub mod library;
pub mod memory;
pub mod models;
pub mod transport;

pub mod conversation;
pub mod draft;
pub mod markdown;
pub mod preferences;
pub mod reply;

pub mod chat;
pub mod components;
pub mod page;
pub mod part;

use leptos::either::Either;
use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags};
use leptos_router::location::RequestUrl;

use crate::page::ChatPage;
use crate::protocol::PageInfo;

/// The HTML document around the page, rendered by the server only.
#[must_use]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content"/>
                <title>"Rill"</title>
                <meta name="description" content="Chat with a language model. Replies appear as they are written."/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="theme-color" content="#fbfaf7" media="(prefers-color-scheme: light)"/>
                <meta name="theme-color" content="#171819" media="(prefers-color-scheme: dark)"/>
                // It sets the chosen theme before anything is drawn, so it must not wait.
                <script src="/theme.js" nonce=use_nonce()></script>
                <link rel="icon" href="/favicon.ico" sizes="32x32"/>
                <link rel="icon" href="/icon.svg" type="image/svg+xml"/>
                <link rel="apple-touch-icon" href="/icon-180.png"/>
                <link rel="manifest" href="/manifest.webmanifest"/>
                <HashedStylesheet options=options.clone() id="style"/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    // The server knows it; the browser reads what the server wrote into the page.
    provide_context(
        SharedValue::new(|| use_context::<PageInfo>().unwrap_or_default()).into_inner(),
    );
    if is_home() {
        Either::Left(view! { <ChatPage/> })
    } else {
        Either::Right(view! {
            <main class="missing">
                <h1>"There is no such page."</h1>
                <a href="/">"To the chat"</a>
            </main>
        })
    }
}

/// Whether the address is that of the chat. There is one page so far, so this is all the routing there
/// is: a router would make the wasm larger by a third. The server says which address was asked for, the
/// browser knows it.
fn is_home() -> bool {
    match use_context::<RequestUrl>() {
        Some(url) => path_of(url.as_ref()) == "/",
        None => is_server() || location_pathname().as_deref() == Some("/"),
    }
}

/// The path of an address, which may begin with a scheme and a host.
fn path_of(url: &str) -> &str {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    };
    path.split(['?', '#']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_found_in_any_form_of_an_address() {
        let check = |url: &str, expect: &str| assert_eq!(path_of(url), expect, "{url}");
        check("/", "/");
        check("/?q=1", "/");
        check("http://leptos.dev/", "/");
        check("http://leptos.dev", "/");
        check("http://leptos.dev/c/1?x#y", "/c/1");
    }
}
