//! The cookie that holds the secret of a session.
//!
//! With HTTPS its name begins with `__Host-`: browsers take such a cookie only from this host, by HTTPS, for every
//! path. So no other host of the domain, and nobody between, can put a session of their own into it. Below a path
//! the cookie is sent there only, and its name begins with `__Secure-`, since the other prefix needs the path `/`.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};

use crate::access::AccessSettings;

fn name(settings: &AccessSettings) -> &'static str {
    match (settings.is_https, settings.base.as_str()) {
        (true, "") => "__Host-rill",
        (true, _) => "__Secure-rill",
        (false, _) => "rill",
    }
}

/// The secret in the cookie, if there is exactly one cookie of that name.
pub(super) fn session<'a>(headers: &'a HeaderMap, settings: &AccessSettings) -> Option<&'a str> {
    let name = name(settings);
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let secret = found.next()?;
    found.next().is_none().then_some(secret)
}

/// The header that sets the cookie.
pub(super) fn set(secret: &str, settings: &AccessSettings) -> HeaderValue {
    cookie(secret, settings, settings.longest)
}

/// The header that removes the cookie.
pub(super) fn remove(settings: &AccessSettings) -> HeaderValue {
    cookie("", settings, Duration::ZERO)
}

fn cookie(value: &str, settings: &AccessSettings, lives: Duration) -> HeaderValue {
    let (name, base, seconds) = (name(settings), &settings.base, lives.as_secs());
    let secure = if settings.is_https { "; Secure" } else { "" };
    let text =
        format!("{name}={value}; Path={base}/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut header = HeaderValue::from_str(&text).expect("a secret is hexadecimal");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(is_https: bool, base: &str) -> AccessSettings {
        AccessSettings {
            is_https,
            base: base.to_owned(),
            longest: Duration::from_secs(86400),
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
            text(set("a1", &settings(true, ""))),
            "__Host-rill=a1; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            text(remove(&settings(false, ""))),
            "rill=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            text(set("a1", &settings(true, "/chat"))),
            "__Secure-rill=a1; Path=/chat/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            text(set("a1", &settings(false, "/chat"))),
            "rill=a1; Path=/chat/; Max-Age=86400; HttpOnly; SameSite=Lax"
        );
    }
}
