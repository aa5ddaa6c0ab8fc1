//! The code that browser and server share. In reading order: the types of the wire, the decoder of event streams, the
//! fold of events into a reply, and the page.
//!
//! This crate does no I/O. The page reaches the network through [`reply::transport`] and [`library::backend`].

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
use leptos_meta::MetaTags;

use crate::page::ChatPage;
use crate::page::base::{base, below};
use crate::page::navigation::{Address, Navigation};
use crate::protocol::PageInfo;
use crate::protocol::saved::InitialData;
use crate::ui::controls::icon::sprite;

/// The files of the build that a page loads: their names in `/pkg`, without extensions, such as `rill.Ab1c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFiles {
    /// The styles.
    pub style: String,
    /// The script that starts the WebAssembly.
    pub script: String,
    /// The WebAssembly.
    pub wasm: String,
}

/// The HTML document around the page. Only the server renders it. Leptos would read the names of the files from the
/// disk for each page, where a server that is one file has none.
#[must_use]
pub fn shell(options: LeptosOptions, files: &BuildFiles) -> impl IntoView + use<> {
    let file = |name: &str| below(&format!("/{name}"));
    let style = file(&format!("pkg/{}.css", files.style));
    let script = file(&format!("pkg/{}.js", files.script));
    let wasm = file(&format!("pkg/{}.wasm", files.wasm));
    let base = Some(base()).filter(|base| !base.is_empty());
    let start = format!(
        "import({script:?}).then(page => page.default({{module_or_path: {wasm:?}}}).then(() => page.hydrate()));"
    );
    view! {
        <!DOCTYPE html>
        <html lang="en" data-base=base>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content"/>
                // The page adds the title of the conversation. User text is never written here.
                <title>"Rill"</title>
                <meta name="description" content="Chat with a language model. Replies appear as they are written."/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="theme-color" content="#fcfbf8" media="(prefers-color-scheme: light)"/>
                <meta name="theme-color" content="#161919" media="(prefers-color-scheme: dark)"/>
                // The script sets the theme before the first paint, so it must not be deferred.
                <script src=file("theme.js") nonce=use_nonce()></script>
                <link rel="icon" href=file("favicon.ico") sizes="32x32"/>
                <link rel="icon" href=file("icon.svg") type="image/svg+xml"/>
                <link rel="apple-touch-icon" href=file("icon-180.png")/>
                <link rel="manifest" href=file("manifest.webmanifest")/>
                <link id="style" rel="stylesheet" href=style/>
                <AutoReload options/>
                <link rel="modulepreload" href=script crossorigin="anonymous"/>
                <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="anonymous"/>
                <script type="module" nonce=use_nonce()>{start}</script>
                <MetaTags/>
            </head>
            <body>
                // Hydration begins at the first child of the body.
                <App/>
                {sprite()}
                {saved_data()}
            </body>
        </html>
    }
}

/// The id of the element that contains the [`InitialData`] as JSON.
pub const SAVED_DATA: &str = "saved";

/// The [`InitialData`] as a data block, which no browser runs; nothing if it is empty. `<` is escaped, so that the
/// data cannot end the block.
fn saved_data() -> Option<impl IntoView> {
    let initial =
        use_context::<InitialData>().filter(|initial| *initial != InitialData::default())?;
    let json = serde_json::to_string(&initial).expect("initial data is made of text and numbers");
    let json = json.replace('<', "\\u003c");
    Some(view! { <script type="application/json" id=SAVED_DATA inner_html=json></script> })
}

/// The whole page. Both sides provide the [`InitialData`] as a context: the server from the store, the browser from
/// [`SAVED_DATA`].
#[component]
pub fn App() -> impl IntoView {
    // The server writes these values into the page, and the browser reads them there. They are not JSON, because an
    // empty page does not need the code that reads JSON.
    let info = || use_context::<PageInfo>().unwrap_or_default();
    provide_context(PageInfo {
        model: SharedValue::new_str(|| info().model).into_inner(),
        demo: SharedValue::new_str(|| info().demo).into_inner(),
        unsaved: SharedValue::new_str(|| info().unsaved).into_inner(),
        base: base(),
        person: SharedValue::new_str(|| info().person).into_inner(),
    });
    let rendered_at = SharedValue::new_str(now_on_the_server).into_inner();
    let initial = use_context::<InitialData>().unwrap_or_default();
    let navigation = Navigation::new();
    provide_context(navigation);
    if navigation.address_untracked() == Address::Missing {
        view! {
            <main class="missing">
                <h1>"There is no such page."</h1>
                <a href=below("/")>"To the chat"</a>
            </main>
        }
        .into_any()
    } else {
        view! { <ChatPage initial rendered_at/> }.into_any()
    }
}

/// The server's time, in milliseconds since 1970.
fn now_on_the_server() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
}
