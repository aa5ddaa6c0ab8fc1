//! The cookie that holds the secret of a session.
//!
//! With HTTPS its name begins with `__Host-`: browsers take such a cookie only from this host, by HTTPS, for every
//! path. So no other host of the domain, and nobody between, can put a session of their own into it.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};

const SECURE: &str = "__Host-rill";
const PLAIN: &str = "rill";

fn name(is_https: bool) -> &'static str {
    if is_https { SECURE } else { PLAIN }
}

/// The secret in the cookie, if there is exactly one cookie of that name.
pub(super) fn session(headers: &HeaderMap, is_https: bool) -> Option<&str> {
    let name = name(is_https);
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
pub(super) fn set(secret: &str, is_https: bool, lives: Duration) -> HeaderValue {
    cookie(secret, is_https, lives.as_secs())
}

/// The header that removes the cookie.
pub(super) fn remove(is_https: bool) -> HeaderValue {
    cookie("", is_https, 0)
}

fn cookie(value: &str, is_https: bool, seconds: u64) -> HeaderValue {
    let name = name(is_https);
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut header = HeaderValue::from_str(&text).expect("a secret is hexadecimal");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_in_the_one_cookie_of_its_name() {
        let check = |cookies: &[&'static str], is_https: bool, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(COOKIE, HeaderValue::from_static(cookie));
            }
            assert_eq!(session(&headers, is_https), expect, "{cookies:?}");
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
    }

    #[test]
    fn the_cookie_is_for_this_host_alone() {
        let text = |header: HeaderValue| header.to_str().expect("ASCII").to_owned();
        let day = Duration::from_secs(86400);
        assert_eq!(
            text(set("a1", true, day)),
            "__Host-rill=a1; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            text(remove(false)),
            "rill=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }
}
