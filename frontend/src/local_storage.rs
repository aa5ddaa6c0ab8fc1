//! The page's storage in the browser's `localStorage`. It may be missing, full or forbidden; then nothing is
//! stored, and the page works without it.

use app::platform::storage::{Storage, StorageKey};

/// The `localStorage` of this site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalStorage;

impl Storage for LocalStorage {
    fn get(&self, key: StorageKey) -> Option<String> {
        storage()?.get_item(key.name()).ok()?
    }

    fn set(&self, key: StorageKey, value: &str) {
        let Some(storage) = storage() else { return };
        // Failures are ignored, see above.
        let _ = if value.is_empty() {
            storage.remove_item(key.name())
        } else {
            storage.set_item(key.name(), value)
        };
    }
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}
