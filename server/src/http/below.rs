//! Serving below a path of a host, as `/chat`: the path is removed from requests and added to answers.
//!
//! All other code knows the server's own paths only. The path is added where links are written: by the page in
//! `app::page::base`, by the pages of accounts in `account::page`. Cookies have it too.
//!
//! Some proxies remove the path before they pass a request on, others do not. Both are served, because none of the
//! server's own paths begins as the public one does (see `config/public_url.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, LOCATION};
use axum::http::uri::{PathAndQuery, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};

use super::access::host;
use super::routes::before_routes;
use crate::config::PublicUrl;

struct Below {
    public: PublicUrl,
    /// Whether the log says what the proxy does.
    is_told: AtomicBool,
}

/// The routes below the path of the public URL, and also without it.
pub(super) fn below(public: &PublicUrl, router: Router) -> Router {
    let below = Below {
        public: public.clone(),
        is_told: AtomicBool::new(false),
    };
    before_routes(router).layer(from_fn_with_state(Arc::new(below), translate))
}

/// Passes a request on without the path, and its answer back with it.
async fn translate(State(below): State<Arc<Below>>, mut request: Request, next: Next) -> Response {
    let base = below.public.path.as_str();
    let uri = request.uri();
    let host = host(uri, request.headers()).unwrap_or_default().to_owned();
    let is_public = host.eq_ignore_ascii_case(&below.public.host);
    let own = match uri.path().strip_prefix(base) {
        // With another address than its links expect, the page would not know where it is.
        Some("") => return add_slash(base, uri.query()),
        Some(path) if path.starts_with('/') => Some(path.to_owned()),
        _ => None,
    };
    if is_public && !is_of_health(own.as_deref().unwrap_or(uri.path())) {
        below.tell_once(own.is_some());
    }
    if let Some(path) = own {
        *request.uri_mut() = with_path(uri, &path);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    put_location_below(base, headers);
    let origin = match is_public {
        true => below.public.origin.clone(),
        false => format!("http://{host}"),
    };
    narrow_policy(&format!("{origin}{base}/"), headers);
    response
}

impl Below {
    /// Tells by the first request of a browser what the proxy does. So a wrong setting of the proxy is seen in the log.
    fn tell_once(&self, has_path: bool) {
        if self.is_told.swap(true, Relaxed) {
            return;
        }
        let path = &self.public.path;
        if has_path {
            tracing::info!(path, "requests come with the path, so no proxy removes it");
        } else {
            tracing::info!(
                path,
                "requests come without the path, so the proxy removes it"
            );
        }
    }
}

/// Whether a proxy may ask for this by itself, at an address of its own.
fn is_of_health(path: &str) -> bool {
    path.starts_with("/healthz") || path == "/readyz"
}

fn add_slash(base: &str, query: Option<&str>) -> Response {
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    Redirect::temporary(&format!("{base}/{query}")).into_response()
}

/// The same target with another path.
fn with_path(uri: &Uri, path: &str) -> Uri {
    let query = uri
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    let target = PathAndQuery::try_from(format!("{path}{query}"));
    parts.path_and_query = Some(target.expect("a part of a path and its query are valid"));
    Uri::from_parts(parts).expect("only the path differs")
}

/// Adds the path to where an answer leads, if that is one of the server's own paths.
fn put_location_below(base: &str, headers: &mut HeaderMap) {
    let path = headers.get(LOCATION).and_then(|to| to.to_str().ok());
    let Some(path) = path.filter(|path| path.starts_with('/') && !path.starts_with("//")) else {
        return;
    };
    let below = HeaderValue::try_from(format!("{base}{path}"));
    headers.insert(LOCATION, below.expect("both parts are valid"));
}

/// Allows a document what is below the path, instead of all that the host has. Which pages may frame a document is told
/// by their origin alone.
fn narrow_policy(own: &str, headers: &mut HeaderMap) {
    let policy = headers.get(CONTENT_SECURITY_POLICY);
    let Some(policy) = policy.and_then(|policy| policy.to_str().ok()) else {
        return;
    };
    let rules: Vec<String> = policy
        .split(';')
        .map(
            |rule| match rule.trim_start().starts_with("frame-ancestors") {
                true => rule.to_owned(),
                false => rule.replace("'self'", own),
            },
        )
        .collect();
    // A host that no header can hold was refused.
    if let Ok(policy) = HeaderValue::try_from(rules.join(";")) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_put_below() {
        let check = |to: &str, expect: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, to.parse().expect("a value"));
            put_location_below("/chat", &mut headers);
            assert_eq!(headers[LOCATION], expect);
        };
        check("/", "/chat/");
        check("/signin?next=%2Fc", "/chat/signin?next=%2Fc");
        check("//example.com/", "//example.com/");
        check("https://example.com/", "https://example.com/");
    }

    #[test]
    fn a_policy_allows_what_is_below_the_path() {
        let mut headers = HeaderMap::new();
        narrow_policy("https://h/chat/", &mut headers);
        assert!(headers.is_empty());
        let policy = "script-src 'self' 'nonce-a'; base-uri 'none'; frame-ancestors 'self'";
        headers.insert(CONTENT_SECURITY_POLICY, policy.parse().expect("a value"));
        narrow_policy("https://h/chat/", &mut headers);
        assert_eq!(
            headers[CONTENT_SECURITY_POLICY],
            "script-src https://h/chat/ 'nonce-a'; base-uri 'none'; frame-ancestors 'self'"
        );
    }

    #[test]
    fn a_target_keeps_all_but_its_path() {
        let check = |uri: &str, path: &str, expect: &str| {
            let uri: Uri = uri.parse().expect("a target");
            assert_eq!(with_path(&uri, path).to_string(), expect);
        };
        check("/chat/c/1?x=%20&y", "/c/1", "/c/1?x=%20&y");
        check("http://h:1/chat/?", "/", "http://h:1/?");
        check("/chat/%2e%2e/", "/%2e%2e/", "/%2e%2e/");
    }
}
