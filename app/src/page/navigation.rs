//! Navigation: the address of the page as a signal, and changing it.
//!
//! There are two kinds of addresses, so this is all the routing; a router would make the wasm a third larger. On the
//! server the request has the address; in the browser the address bar has it.

use leptos::prelude::*;
use leptos_router::location::RequestUrl;
use wasm_bindgen::JsValue;

use crate::page::base::base;
use crate::protocol::Id;

/// The query parameter of a conversation's URL that names a message.
pub const MESSAGE: &str = "message";

/// An address in the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A new conversation.
    New,
    /// The saved conversation with this id.
    Conversation(String),
    /// An unknown path.
    Missing,
}

impl Address {
    /// The address of a URL. Query and fragment are ignored.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let path = path_of(url);
        match path.strip_prefix("/c/").map(plain) {
            Some(id) => Id::parse(&id).map_or(Self::Missing, |id| Self::Conversation(id.into())),
            None if path == "/" => Self::New,
            None => Self::Missing,
        }
    }

    /// The path of the address on the host.
    #[must_use]
    pub fn path(&self) -> String {
        let base = base();
        match self {
            Self::New | Self::Missing => base + "/",
            Self::Conversation(id) => base + "/c/" + id,
        }
    }
}

/// Unescapes the characters that spellings of an id can contain and that a browser escapes.
fn plain(part: &str) -> String {
    const ESCAPES: [(&str, &str); 6] = [
        ("%7B", "{"),
        ("%7b", "{"),
        ("%7D", "}"),
        ("%7d", "}"),
        ("%3A", ":"),
        ("%3a", ":"),
    ];
    ESCAPES
        .iter()
        .fold(part.to_owned(), |part, (escape, character)| {
            part.replace(escape, character)
        })
}

/// The path of a URL, which may be absolute.
fn path_of(url: &str) -> &str {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    };
    path.split(['?', '#']).next().unwrap_or(path)
}

/// The message that a query string names.
fn message_in(query: &str) -> Option<String> {
    let pairs = query.trim_start_matches('?').split('&');
    let message = pairs
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, value)| (name == MESSAGE).then(|| Id::parse(value))?)?;
    Some(message.into())
}

/// The address as a signal.
#[derive(Debug, Clone, Copy)]
pub struct Navigation(RwSignal<Address>);

impl Navigation {
    /// The current address, updated by the browser's back and forward from now on.
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

    /// The current address.
    #[must_use]
    pub fn address(self) -> Address {
        self.0.get()
    }

    /// [`Navigation::address`] without subscribing.
    #[must_use]
    pub fn address_untracked(self) -> Address {
        self.0.get_untracked()
    }

    /// Goes to an address, and adds an entry to the browser's history.
    pub fn go(self, address: Address) {
        if self.0.get_untracked() != address {
            self.write(&address, |history, path| {
                history.push_state_with_url(&JsValue::NULL, "", Some(path))
            });
            self.0.set(address);
        }
    }

    /// Goes to an address, and replaces the current entry of the browser's history.
    pub fn replace(self, address: Address) {
        if self.0.get_untracked() != address {
            self.write(&address, |history, path| {
                history.replace_state_with_url(&JsValue::NULL, "", Some(path))
            });
            self.0.set(address);
        }
    }

    /// The message that the URL names. The parameter is removed from the URL, because the view scrolls on.
    #[must_use]
    pub fn take_message(self) -> Option<String> {
        let query = window().location().search().ok()?;
        let message = message_in(&query)?;
        self.write(&self.0.get_untracked(), |history, path| {
            history.replace_state_with_url(&JsValue::NULL, "", Some(path))
        });
        Some(message)
    }

    fn write(
        self,
        address: &Address,
        write: impl FnOnce(&web_sys::History, &str) -> Result<(), JsValue>,
    ) {
        // Native tests have no browser. A browser can refuse after too many changes; then only the address bar is out
        // of date.
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

/// The address in the address bar.
fn here() -> Address {
    if is_server() {
        return Address::New;
    }
    location_pathname().map_or(Address::New, |path| {
        // Without the path, if somebody opens the server and not its proxy.
        Address::of(path.strip_prefix(&base()).unwrap_or(&path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_form_of_a_url_is_parsed() {
        let check = |url: &str, expect: Address| {
            assert_eq!(Address::of(url), expect, "{url}");
        };
        let conversation = |id: &str| Address::Conversation(id.to_owned());
        check("/", Address::New);
        check("/?q=1", Address::New);
        check("http://leptos.dev/", Address::New);
        check("http://leptos.dev", Address::New);
        let id = "0190a0a0-00bc-7def-8000-0123456789ab";
        check(&format!("http://leptos.dev/c/{id}?x#y"), conversation(id));
        for spelling in [
            id.to_owned(),
            id.replace('-', ""),
            id.to_uppercase(),
            format!("{{{id}}}"),
            format!("%7B{id}%7d"),
            format!("urn:uuid:{id}"),
            format!("urn%3auuid%3A{id}"),
        ] {
            check(&format!("/c/{spelling}"), conversation(id));
        }
        for missing in [
            "/c/", "/c", "/c/1", "/c/1/2", "/c/%2e", "/c/..", "/c/%", "/c/%7", "/x", "//",
        ] {
            check(missing, Address::Missing);
        }
    }

    #[test]
    fn a_query_may_name_a_message() {
        let check = |query: &str, expect: Option<&str>| {
            assert_eq!(message_in(query).as_deref(), expect, "{query}");
        };
        let id = "0190a0a0-00bc-7def-8000-0123456789ab";
        check(&format!("?message={id}"), Some(id));
        check(&format!("?x=1&message={}&y", id.to_uppercase()), Some(id));
        for none in ["", "?", "?message", "?message=", "?message=a", "?m=1"] {
            check(none, None);
        }
    }

    #[test]
    fn an_address_is_parsed_from_its_own_path() {
        let id = "0190a0a0-00bc-7def-8000-0123456789ab";
        for address in [Address::New, Address::Conversation(id.into())] {
            assert_eq!(Address::of(&address.path()), address);
        }
    }
}
