//! The WebAssembly library: everything that touches the browser's network and storage.

mod fetch;
mod local_storage;
mod models;
mod transport;

use app::memory::provide_memory;
use app::models::provide_models;
use app::transport::provide_transport;

/// Called by the page once the wasm is loaded: brings the server's HTML to life.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(|| {
        provide_transport(transport::HttpTransport);
        provide_memory(local_storage::LocalStorage);
        provide_models(models::HttpModels);
        app::App()
    });
}
