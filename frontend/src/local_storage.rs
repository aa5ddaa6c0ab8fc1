//! The browser's local storage as the page's storage. It may be missing, full or forbidden; then
//! nothing is remembered, and that is all.

use app::platform::storage::{Storage, StorageKey};

/// What the browser keeps for this site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalStorage;

impl Storage for LocalStorage {
    fn get(&self, key: StorageKey) -> Option<String> {
        storage()?.get_item(key.name()).ok()?
    }

    fn set(&self, key: StorageKey, value: &str) {
        let Some(storage) = storage() else { return };
        // Failing is allowed, see above.
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
