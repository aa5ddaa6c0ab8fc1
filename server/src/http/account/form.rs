//! Forms that are sent: where they may come from, their fields, and where they lead.

use app::protocol::ErrorKind;
use axum::extract::Request;
use axum::http::header::{ORIGIN, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;

use crate::access::{Actor, Caller};
use crate::http::body::{BodyLimits, read_decoded};
use crate::http::error::AppError;
use crate::http::listen::Peer;
use crate::http::negotiate::has_content_type;
use crate::http::state::AppState;
use crate::http::{cookies, forwarded};

/// The largest form, in bytes.
const MOST: u64 = 16 * 1024;

/// A form that this server's own page has sent.
pub(super) struct Form {
    fields: Vec<(String, String)>,
    /// Who sends it; the name is not known yet.
    pub(super) actor: Actor,
    /// The secret of the session with which it came.
    pub(super) secret: Option<String>,
    /// The address of this server as its sender knows it.
    pub(super) address: String,
}

impl Form {
    /// Reads a form of a person who is signed in. The record names them as the one who acts.
    pub(super) async fn read_of(
        state: &AppState,
        caller: &Caller,
        request: Request,
    ) -> Result<Self, AppError> {
        let mut form = Self::read(state, request).await?;
        form.actor.name = caller.person().email().to_owned();
        Ok(form)
    }

    /// Reads a form. It must come from a page of this server: the guard has refused other origins, but lets requests
    /// without any origin through, since programs send none. Here a browser is expected, which sends one.
    pub(super) async fn read(state: &AppState, request: Request) -> Result<Self, AppError> {
        let headers = request.headers();
        let is_own = headers.contains_key(ORIGIN)
            || headers.get("sec-fetch-site").map(HeaderValue::as_bytes) == Some(b"same-origin");
        if !is_own {
            return Err(ErrorKind::NotAllowed.into());
        }
        if !has_content_type(headers, "application/x-www-form-urlencoded") {
            return Err(AppError::new(
                ErrorKind::UnsupportedMediaType,
                "This address takes forms only.",
            ));
        }
        let actor = actor(state, &request);
        let secret = cookies::session(headers, state.access.settings());
        let (secret, address) = (secret.map(str::to_owned), address_of(state, headers));
        let limits = BodyLimits {
            bytes: MOST,
            ..BodyLimits::of_request(&state.config)
        };
        let (parts, body) = request.into_parts();
        let body = read_decoded(&parts.headers, body, limits).await?;
        let fields = form_urlencoded::parse(&body)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Ok(Self {
            fields,
            actor,
            secret,
            address,
        })
    }

    /// The value of a field, or nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        let mut values = self.all(name);
        values.next().unwrap_or_default()
    }

    /// The values of a field that can be checked several times.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a field that is never printed.
    pub(super) fn secret(&self, name: &str) -> SecretString {
        self.get(name).into()
    }
}

/// Who sends a request, without the name.
pub(super) fn actor(state: &AppState, request: &Request) -> Actor {
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>().copied();
    let address = forwarded::address(state.access.settings(), peer, headers);
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Actor {
        name: "unknown".to_owned(),
        address: forwarded::counted(address),
        agent: agent.unwrap_or_default().to_owned(),
    }
}

/// The address that people open.
pub(super) fn address_of(state: &AppState, headers: &HeaderMap) -> String {
    match &state.config.public_url {
        Some(public) => public.address(),
        None => {
            let host = headers.get("host").and_then(|host| host.to_str().ok());
            format!(
                "{}://{}",
                state.config.scheme(),
                host.unwrap_or("localhost")
            )
        }
    }
}

/// A path of this server to return to, or the first page. Browsers take `//host` and `/\host` for other hosts.
pub(super) fn return_path(next: &str) -> &str {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && next
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_page = !["/api/", "/v1/", "/signin", "/signout", "/invite/"]
        .iter()
        .any(|prefix| next.starts_with(prefix));
    if is_path && is_page { next } else { "/" }
}

/// Leads the browser on by `GET`.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    super::never_stored(&mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_returns_to_a_page_of_this_server_only() {
        for page in [
            "/",
            "/c/0190a0b0-0000-7000-8000-000000000000?message=x",
            "/account",
            "/people/audit",
        ] {
            assert_eq!(return_path(page), page);
        }
        for other in [
            "",
            "https://evil.test/",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "/\t/evil.test",
            "\\\\evil.test",
            "javascript:alert(1)",
            "c/x",
            "/a\r\nset-cookie: x=y",
            "/ä",
            "/api/export",
            "/v1/models",
            "/signin?next=/signin",
            "/signout",
        ] {
            assert_eq!(return_path(other), "/", "{other:?}");
        }
    }
}
