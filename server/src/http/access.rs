//! Access control: without a public address, only pages and programs of this machine may use the server.
//!
//! Otherwise a page of another site could spend the key through the visitor's browser, directly or with a host
//! name that resolves to this machine (DNS rebinding). Only headers are checked. The body of a refused request
//! is not read. [`crate::http::authorize`] finds out later who sends the request.

use app::protocol::ErrorKind;
use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::PublicUrl;
use crate::http::error::AppError;
use crate::http::state::AppState;

/// Lets a request through, or responds with 421 or 403. Requests without a path (`CONNECT` and `OPTIONS *`, RFC
/// 9112, sections 3.2.3 and 3.2.4) are also refused here, because routes and the renderer of the page rely on a
/// path.
pub(crate) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match check(
        request.method(),
        request.uri(),
        request.headers(),
        state.config.public_url.as_ref(),
        state.config.scheme(),
        state.access.only_person().is_none(),
    ) {
        Ok(()) if request.method() == Method::CONNECT => {
            AppError::from(ErrorKind::MethodNotAllowed).into_response()
        }
        Ok(()) if !request.uri().path().starts_with('/') => {
            AppError::invalid("The target of a request must be a path.").into_response()
        }
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

fn check(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    public: Option<&PublicUrl>,
    scheme: &str,
    has_accounts: bool,
) -> Result<(), AppError> {
    let host = host(uri, headers).ok_or(ErrorKind::WrongHost)?;
    let origin = match public {
        Some(public) if host.eq_ignore_ascii_case(&public.host) => public.origin.clone(),
        _ if is_loopback(host) => format!("{scheme}://{host}"),
        _ => return Err(ErrorKind::WrongHost.into()),
    };
    for value in headers.get_all(ORIGIN) {
        if !value.as_bytes().eq_ignore_ascii_case(origin.as_bytes()) {
            return Err(ErrorKind::NotAllowed.into());
        }
    }
    let text = |name| headers.get(name).map(axum::http::HeaderValue::as_bytes);
    match text(SEC_FETCH_SITE) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        // A link on another site may open the page, which costs nothing.
        Some(_)
            if *method == Method::GET
                && text(SEC_FETCH_MODE) == Some(b"navigate")
                && text(SEC_FETCH_DEST) == Some(b"document")
                && !is_interface(uri.path(), has_accounts) =>
        {
            Ok(())
        }
        Some(_) => Err(ErrorKind::NotAllowed.into()),
    }
}

/// Whether the path belongs to the API rather than the page. Unusual spellings of API paths count too.
fn is_interface(path: &str, has_accounts: bool) -> bool {
    let first = path
        .split('/')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    // Links to these are sent by email.
    let is_of_accounts = matches!(first, "signin" | "invite" | "account" | "people");
    !matches!(first, "" | "c") && !(has_accounts && is_of_accounts)
}

/// The host that the request names, in its target or its header, if it is unambiguous.
pub(super) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut values = headers.get_all(HOST).iter();
    let header = values.next().map(|value| value.to_str());
    if values.next().is_some() {
        return None;
    }
    match (uri.authority(), header) {
        (Some(authority), None) => Some(authority.as_str()),
        (Some(authority), Some(Ok(host))) if authority.as_str() == host => Some(host),
        (None, Some(Ok(host))) => Some(host),
        _ => None,
    }
}

/// Whether a host, with or without a port, always means this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || (name.starts_with('[')
            && address
                .parse::<std::net::Ipv6Addr>()
                .is_ok_and(|ip| ip.is_loopback()))
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    fn status(request: &str, headers: &[(&str, &str)]) -> StatusCode {
        let (method, uri) = request.split_once(' ').expect("a method and a target");
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().expect("name"),
                    value.parse().expect("value"),
                )
            })
            .collect();
        let public = PublicUrl {
            origin: "https://chat.example.com".into(),
            host: "chat.example.com".into(),
            path: String::new(),
        };
        let uri: Uri = uri.parse().expect("a URI");
        match check(
            &method.parse().expect("a method"),
            &uri,
            &headers,
            Some(&public),
            "http",
            false,
        ) {
            Ok(()) => StatusCode::OK,
            Err(refusal) => refusal.into_response().status(),
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let check = |host: &str, expect: u16| {
            assert_eq!(status("GET /", &[("host", host)]), expect, "{host}");
        };
        for own in [
            "127.0.0.1:3000",
            "localhost:3000",
            "LOCALHOST",
            "[::1]:3000",
            "[::1]",
            "127.0.0.1",
            "chat.example.com",
        ] {
            check(own, 200);
        }
        for other in [
            "evil.test",
            "evil.test:3000",
            "localhost.",
            "localhost.evil.test",
            "127.0.0.1.nip.io",
            "0.0.0.0",
            "2130706433",
            "127.1",
            "192.168.0.2:3000",
            "::1",
            "[::ffff:127.0.0.1]",
            "chat.example.com:81",
            "a@127.0.0.1",
            "",
        ] {
            check(other, 421);
        }
        assert_eq!(status("GET /", &[]), 421);
        assert_eq!(
            status("GET /", &[("host", "localhost"), ("host", "evil.test")]),
            421
        );
        assert_eq!(
            status("GET http://evil.test/", &[("host", "localhost")]),
            421
        );
    }

    #[test]
    fn only_the_own_origin_is_allowed() {
        let check = |host: &str, origin: &str, expect: u16| {
            assert_eq!(
                status("POST /api/chat", &[("host", host), ("origin", origin)]),
                expect,
                "{host} {origin}"
            );
        };
        check("127.0.0.1:3000", "http://127.0.0.1:3000", 200);
        check("localhost:3000", "http://localhost:3000", 200);
        check("chat.example.com", "https://chat.example.com", 200);
        for other in [
            "http://localhost:3000",
            "http://127.0.0.1:4000",
            "https://127.0.0.1:3000",
            "null",
            "",
            "https://attacker.example",
        ] {
            check("127.0.0.1:3000", other, 403);
        }
        check("chat.example.com", "http://chat.example.com", 403);
        check("localhost:3000", "https://chat.example.com", 403);
    }

    #[test]
    fn what_another_site_caused_is_refused_unless_it_opens_the_page() {
        let check = |request: &str, site: &str, more: &[(&str, &str)], expect: u16| {
            let headers: Vec<_> = [("host", "localhost"), ("sec-fetch-site", site)]
                .into_iter()
                .chain(more.iter().copied())
                .collect();
            assert_eq!(status(request, &headers), expect, "{request} {headers:?}");
        };
        let navigation = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        for site in ["cross-site", "same-site"] {
            check("POST /api/chat", site, &[], 403);
            check(
                "POST /api/chat",
                site,
                &[("origin", "http://localhost")],
                403,
            );
            check("GET /", site, &navigation, 200);
            check("GET /c/1", site, &navigation, 200);
            check("GET /", site, &frame, 403);
            check("POST /", site, &navigation, 403);
            check("GET /api/chat?q=x", site, &navigation, 403);
            check("GET //api/chat?q=x", site, &navigation, 403);
            check("GET /v1/models", site, &navigation, 403);
            for document in ["GET /image?src=x", "GET /diagram/page.html"] {
                check(document, site, &navigation, 403);
                check(document, site, &frame, 403);
            }
        }
        check("POST /api/chat", "same-origin", &[], 200);
        check("GET /", "none", &navigation, 200);
    }
}
