//! Where in the app one is, as the browser's address says it, and the way to somewhere else.
//!
//! There are two pages, so this is all the routing there is: a router would make the wasm larger by a
//! third. The server says which address was asked for; in the browser the address bar is the truth.

use leptos::prelude::*;
use leptos_router::location::RequestUrl;
use wasm_bindgen::JsValue;

/// A place in the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A conversation that has not begun.
    New,
    /// A saved conversation, by its id.
    Conversation(String),
    /// Nothing.
    Missing,
}

impl Address {
    /// The place that a URL names; its query and fragment name none.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let path = path_of(url);
        match path.strip_prefix("/c/") {
            Some(id) if is_id(id) => Self::Conversation(id.to_owned()),
            _ if path == "/" => Self::New,
            _ => Self::Missing,
        }
    }

    /// The path that names it.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::New | Self::Missing => "/".to_owned(),
            Self::Conversation(id) => format!("/c/{id}"),
        }
    }
}

/// Whether a text can be the id of a conversation: it goes into paths as it is.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The path of an address, which may begin with a scheme and a host.
fn path_of(url: &str) -> &str {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    };
    path.split(['?', '#']).next().unwrap_or(path)
}

/// The address as a signal, and the verbs that change it.
#[derive(Debug, Clone, Copy)]
pub struct Navigation(RwSignal<Address>);

impl Navigation {
    /// Where one is now; from here on the browser's back and forward are followed.
    #[must_use]
    pub fn new() -> Self {
        let asked_for = use_context::<RequestUrl>().map(|url| Address::of(url.as_ref()));
        let address = RwSignal::new(asked_for.unwrap_or_else(here));
        Effect::new(move |_| {
            let listener =
                window_event_listener(leptos::ev::popstate, move |_| address.set(here()));
            on_cleanup(move || listener.remove());
        });
        Self(address)
    }

    /// Where one is.
    #[must_use]
    pub fn address(self) -> Address {
        self.0.get()
    }

    /// The same, for those who want to know it once.
    #[must_use]
    pub fn address_untracked(self) -> Address {
        self.0.get_untracked()
    }

    /// Goes somewhere else, so that Back leads here.
    pub fn go(self, address: Address) {
        if self.0.get_untracked() != address {
            self.write(&address, |history, path| {
                history.push_state_with_url(&JsValue::NULL, "", Some(path))
            });
            self.0.set(address);
        }
    }

    /// Goes somewhere else as if one had never been here.
    pub fn replace(self, address: Address) {
        if self.0.get_untracked() != address {
            self.write(&address, |history, path| {
                history.replace_state_with_url(&JsValue::NULL, "", Some(path))
            });
            self.0.set(address);
        }
    }

    fn write(
        self,
        address: &Address,
        write: impl FnOnce(&web_sys::History, &str) -> Result<(), JsValue>,
    ) {
        // There is no browser where the verbs are tested. And where a browser refuses, because it was
        // asked too often, the page is right and only the address is old.
        if cfg!(target_arch = "wasm32")
            && let Ok(history) = window().history()
        {
            let _ = write(&history, &address.path());
        }
    }
}

impl Default for Navigation {
    fn default() -> Self {
        Self::new()
    }
}

/// What the address bar says.
fn here() -> Address {
    if is_server() {
        return Address::New;
    }
    location_pathname().map_or(Address::New, |path| Address::of(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_found_in_any_form_of_an_address() {
        let check = |url: &str, expect: Address| {
            assert_eq!(Address::of(url), expect, "{url}");
        };
        let conversation = |id: &str| Address::Conversation(id.to_owned());
        check("/", Address::New);
        check("/?q=1", Address::New);
        check("http://leptos.dev/", Address::New);
        check("http://leptos.dev", Address::New);
        check("http://leptos.dev/c/1?x#y", conversation("1"));
        check("/c/0192-ab", conversation("0192-ab"));
        for missing in ["/c/", "/c", "/c/1/2", "/c/%2e", "/c/..", "/x", "//"] {
            check(missing, Address::Missing);
        }
    }

    #[test]
    fn a_place_is_at_the_address_that_names_it() {
        for address in [Address::New, Address::Conversation("1-a".into())] {
            assert_eq!(Address::of(&address.path()), address);
        }
    }
}
