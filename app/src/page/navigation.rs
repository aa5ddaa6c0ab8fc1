//! Where in the app one is, as the browser's address says it, and the way to somewhere else.
//!
//! There are two pages, so this is all the routing there is: a router would make the wasm larger by a
//! third. The server says which address was asked for; in the browser the address bar is the truth.

use leptos::prelude::*;
use leptos_router::location::RequestUrl;
use wasm_bindgen::JsValue;

use crate::protocol::Id;

/// What names a message in the query of a conversation's address.
pub const MESSAGE: &str = "message";

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
        match path.strip_prefix("/c/").map(plain) {
            Some(id) => Id::parse(&id).map_or(Self::Missing, |id| Self::Conversation(id.into())),
            None if path == "/" => Self::New,
            None => Self::Missing,
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

/// A part of a path without the escapes that a browser writes for what some spellings of an id hold.
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

/// The path of an address, which may begin with a scheme and a host.
fn path_of(url: &str) -> &str {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    };
    path.split(['?', '#']).next().unwrap_or(path)
}

/// The message that a query names.
fn message_in(query: &str) -> Option<String> {
    let pairs = query.trim_start_matches('?').split('&');
    let message = pairs
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, value)| (name == MESSAGE).then(|| Id::parse(value))?)?;
    Some(message.into())
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

    /// The message that the browser's address names. It names none from then on: where one is goes on
    /// changing.
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
    fn a_place_is_at_the_address_that_names_it() {
        let id = "0190a0a0-00bc-7def-8000-0123456789ab";
        for address in [Address::New, Address::Conversation(id.into())] {
            assert_eq!(Address::of(&address.path()), address);
        }
    }
}
