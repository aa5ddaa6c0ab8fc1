//! What browser and server share. In reading order: what crosses the wire, how bytes become
//! events, how events become a reply, and the page that shows it.
//!
//! This crate does no I/O. What the page needs from the network it asks a [`reply::transport`] for.

pub mod protocol;
pub mod sse;

pub mod markdown;
pub mod platform;
pub mod reply;

pub mod chat;
pub mod library;

pub mod page;
pub mod ui;

use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags};

use crate::page::ChatPage;
use crate::page::navigation::{Address, Navigation};
use crate::protocol::PageInfo;
use crate::protocol::saved::InitialData;

/// The HTML document around the page, rendered by the server only.
#[must_use]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content"/>
                // The page puts the conversation's title before it; no text of a person is written here.
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
                {saved_data()}
            </body>
        </html>
    }
}

/// The id of the element that holds what is saved, as the JSON of an [`InitialData`].
pub const SAVED_DATA: &str = "saved";

/// What the browser needs to know of what the server shows; nothing where nothing is saved. It is data,
/// which no browser runs, and holds nothing that could end it.
fn saved_data() -> Option<impl IntoView> {
    let opened = use_context::<InitialData>().filter(|opened| *opened != InitialData::default())?;
    let json = serde_json::to_string(&opened).expect("what is saved is text and numbers");
    let json = json.replace('<', "\\u003c");
    Some(view! { <script type="application/json" id=SAVED_DATA inner_html=json></script> })
}

/// The whole page. Both sides put what is saved into its context: the server has it from the store, the
/// browser from [`SAVED_DATA`].
#[component]
pub fn App() -> impl IntoView {
    // The server knows it; the browser reads what the server wrote into the page. Not as JSON, which
    // an empty page has no other need of.
    let info = || use_context::<PageInfo>().unwrap_or_default();
    provide_context(PageInfo {
        model: SharedValue::new_str(|| info().model).into_inner(),
        demo: SharedValue::new_str(|| info().demo).into_inner(),
        unsaved: SharedValue::new_str(|| info().unsaved).into_inner(),
    });
    let rendered_at = SharedValue::new_str(now_on_the_server).into_inner();
    let opened = use_context::<InitialData>().unwrap_or_default();
    let navigation = Navigation::new();
    provide_context(navigation);
    if navigation.address_untracked() == Address::Missing {
        view! {
            <main class="missing">
                <h1>"There is no such page."</h1>
                <a href="/">"To the chat"</a>
            </main>
        }
        .into_any()
    } else {
        view! { <ChatPage opened rendered_at/> }.into_any()
    }
}

/// The server's time, in milliseconds since 1970.
fn now_on_the_server() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
}
