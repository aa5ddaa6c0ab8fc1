//! The WebAssembly library: everything that touches the browser's network and storage.

mod changes;
mod fetch;
mod import;
mod lifecycle;
mod local_storage;
mod models;
mod network;
mod requests;
mod transport;

use app::library::changes::provide_changes;
use app::library::import::provide_import;
use app::library::models::provide_models;
use app::library::requests::provide_requests;
use app::platform::lifecycle::provide_lifecycle;
use app::platform::storage::provide_storage;
use app::reply::transport::provide_transport;
use leptos::prelude::provide_context;
use wasm_bindgen_futures::spawn_local;

use crate::network::Network;

/// Room for the splitter. It lays out the data of each file anew, and where that takes some bytes more
/// than before (files begin at multiples of eight), it leaves the data of all files in the first one.
/// Nothing uses this, so it is in none of them.
#[cfg(feature = "split")]
#[used]
static SPLIT_PADDING: [u8; 4096] = [1; 4096];

/// Called by the page once the wasm is loaded: brings the server's HTML to life.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    spawn_local(async {
        let opened = network::read_saved_data().await;
        leptos::mount::hydrate_body(|| {
            provide_context(opened);
            provide_transport(Network);
            provide_requests(Network);
            provide_changes(Network);
            provide_import(Network);
            provide_models(Network);
            provide_lifecycle(lifecycle::BrowserLifecycle);
            provide_storage(local_storage::LocalStorage);
            app::App()
        });
    });
}
