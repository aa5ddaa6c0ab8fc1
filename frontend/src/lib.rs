//! The WebAssembly library: the implementations of the traits of `app` for the browser's network, storage and lifecycle.

mod backend;
mod changes;
mod fetch;
mod import;
mod lifecycle;
mod local_storage;
mod network;
mod transport;

use app::library::backend::provide_backend;
use app::platform::lifecycle::provide_lifecycle;
use app::platform::storage::provide_storage;
use app::reply::transport::provide_transport;
use leptos::prelude::provide_context;
use wasm_bindgen_futures::spawn_local;

use crate::network::Network;

/// Padding for the splitter. It lays out the data of each file anew; if that needs more bytes than before (files
/// begin at multiples of eight), it leaves the data of all files in the first one. No code uses the padding, so it
/// is in none of the files.
#[cfg(feature = "split")]
#[used]
static SPLIT_PADDING: [u8; 4096] = [1; 4096];

/// Called by the page once the wasm is loaded: hydrates the server's HTML.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    spawn_local(async {
        let initial = network::read_saved_data().await;
        leptos::mount::hydrate_body(|| {
            provide_context(initial);
            provide_transport(Network);
            provide_backend(Network);
            provide_lifecycle(lifecycle::BrowserLifecycle);
            provide_storage(local_storage::LocalStorage);
            app::App()
        });
    });
}
