//! The cookies: one that holds the secret of a session, and short-lived ones of attempts to sign in.
//!
//! With HTTPS its name begins with `__Host-`: browsers take such a cookie only from this host, by HTTPS, for every
//! path. So no other host of the domain, and nobody between, can put a session of their own into it. Below a path
//! the cookies are sent there only, and their names begin with `__Secure-`, since the other prefix needs the path `/`.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};

use crate::access::AccessSettings;

/// A cookie of this server. The ends of its names are the same with HTTPS and without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie([&'static str; 3]);

/// The secret of a session.
pub(super) const SESSION: Cookie = Cookie(["__Host-rill", "__Secure-rill", "rill"]);

/// An attempt to sign in by OpenID Connect.
pub(super) const OPENID: Cookie =
    Cookie(["__Host-rill-openid", "__Secure-rill-openid", "rill-openid"]);

/// An attempt to sign in with a passkey.
pub(super) const PASSKEY: Cookie = Cookie([
    "__Host-rill-passkey",
    "__Secure-rill-passkey",
    "rill-passkey",
]);

impl Cookie {
    fn name(self, settings: &AccessSettings) -> &'static str {
        let [host, secure, plain] = self.0;
        match (settings.is_https, settings.base.as_str()) {
            (true, "") => host,
            (true, _) => secure,
            (false, _) => plain,
        }
    }

    /// The value of the cookie, if there is exactly one of its name.
    pub(super) fn get<'a>(
        self,
        headers: &'a HeaderMap,
        settings: &AccessSettings,
    ) -> Option<&'a str> {
        let name = self.name(settings);
        let mut found = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        let value = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// The header that sets the cookie.
    pub(super) fn set(
        self,
        value: &str,
        settings: &AccessSettings,
        lives: Duration,
    ) -> HeaderValue {
        let (name, base, seconds) = (self.name(settings), &settings.base, lives.as_secs());
        let secure = if settings.is_https { "; Secure" } else { "" };
        let text = format!(
            "{name}={value}; Path={base}/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
        );
        let mut header = HeaderValue::from_str(&text).expect("values are made of plain characters");
        header.set_sensitive(true);
        header
    }

    /// The header that removes the cookie.
    pub(super) fn remove(self, settings: &AccessSettings) -> HeaderValue {
        self.set("", settings, Duration::ZERO)
    }
}

/// The secret of a session in its cookie.
pub(super) fn session<'a>(headers: &'a HeaderMap, settings: &AccessSettings) -> Option<&'a str> {
    SESSION.get(headers, settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86400);

    fn settings(is_https: bool, base: &str) -> AccessSettings {
        AccessSettings {
            is_https,
            base: base.to_owned(),
            ..AccessSettings::default()
        }
    }

    #[test]
    fn a_session_is_in_the_one_cookie_of_its_name() {
        let check_below = |base: &str, cookies: &[&'static str], is_https, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(COOKIE, HeaderValue::from_static(cookie));
            }
            assert_eq!(
                session(&headers, &settings(is_https, base)),
                expect,
                "{base} {cookies:?}"
            );
        };
        let check = |cookies: &[&'static str], is_https, expect| {
            check_below("", cookies, is_https, expect);
        };
        check(&[], true, None);
        check(&["__Host-rill=a"], true, Some("a"));
        check(&["x=1; __Host-rill=a; y=2"], true, Some("a"));
        check(&["x=1", "__Host-rill=a"], true, Some("a"));
        check(&["rill=a"], true, None);
        check(&["rill=a"], false, Some("a"));
        check(&["__Host-rill=a"], false, None);
        check(&["__Host-rill=a; __Host-rill=b"], true, None);
        check(&["__Host-rill=a", "__Host-rill=b"], true, None);
        check(&["__Host-rill"], true, None);
        check_below(
            "/chat",
            &["__Secure-rill=a; __Host-rill=b"],
            true,
            Some("a"),
        );
        check_below("/chat", &["rill=a"], false, Some("a"));
        check_below("/chat", &["__Host-rill=a"], true, None);
    }

    #[test]
    fn the_cookie_is_for_this_host_and_its_path_alone() {
        let text = |header: HeaderValue| header.to_str().expect("ASCII").to_owned();
        assert_eq!(
            text(SESSION.set("a1", &settings(true, ""), DAY)),
            "__Host-rill=a1; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            text(SESSION.remove(&settings(false, ""))),
            "rill=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            text(SESSION.set("a1", &settings(true, "/chat"), DAY)),
            "__Secure-rill=a1; Path=/chat/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            text(SESSION.set("a1", &settings(false, "/chat"), DAY)),
            "rill=a1; Path=/chat/; Max-Age=86400; HttpOnly; SameSite=Lax"
        );
    }
}
