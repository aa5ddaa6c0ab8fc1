//! Which headers pass: of a request the few that say something about its body and its answer, of an
//! answer all but those that are about one connection, about a browser's site, or about who one is.

use axum::http::HeaderMap;
use axum::http::header::{self, HeaderName, HeaderValue};

/// Of a request nothing passes that is not named here: no key of the client's, no cookie, no address.
const OF_REQUEST: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::USER_AGENT,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("openai-beta"),
];
/// What OpenAI's libraries say of themselves.
const OF_LIBRARIES: [&str; 2] = ["x-stainless-", "x-client-request-id"];

/// Of an answer these do not pass.
const NOT_OF_ANSWER: [HeaderName; 14] = [
    // About one connection (RFC 9110, 7.6.1).
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // About the provider's site, not about ours.
    header::SET_COOKIE,
    header::ALT_SVC,
    header::STRICT_TRANSPORT_SECURITY,
    header::CONTENT_SECURITY_POLICY,
    header::SERVER,
    // About us at the provider.
    header::WWW_AUTHENTICATE,
];

/// The headers that pass to the upstream.
pub(super) fn of_request(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| {
        OF_REQUEST.contains(name)
            || OF_LIBRARIES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
    };
    filtered(headers, passes)
}

/// The headers that pass to the client.
pub(super) fn of_answer(headers: &HeaderMap) -> HeaderMap {
    // What `Connection` names is about that connection too.
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let passes = |name: &HeaderName| {
        !NOT_OF_ANSWER.contains(name)
            && !name.as_str().starts_with("access-control-")
            && !named.iter().any(|other| other == name.as_str())
    };
    let mut passing = filtered(headers, passes);
    // A proxy in front of us must not gather what comes in pieces.
    passing.insert("x-accel-buffering", HeaderValue::from_static("no"));
    passing
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    passing
}

fn filtered(headers: &HeaderMap, passes: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut passing = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if passes(name) {
            passing.append(name.clone(), value.clone());
        }
    }
    passing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    fn all(names: &[&'static str]) -> HeaderMap {
        names
            .iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")))
            .collect()
    }

    #[test]
    fn nothing_that_says_who_the_client_is_passes() {
        let headers = all(&[
            "authorization",
            "cookie",
            "x-api-key",
            "api-key",
            "openai-organization",
            "origin",
            "referer",
            "forwarded",
            "x-forwarded-for",
            "host",
            "connection",
            "content-length",
            "sec-fetch-site",
            "accept",
            "content-type",
            "user-agent",
            "x-stainless-lang",
            "openai-beta",
        ]);
        assert_eq!(
            names(&of_request(&headers)),
            [
                "accept",
                "content-type",
                "openai-beta",
                "user-agent",
                "x-stainless-lang"
            ]
        );
    }

    #[test]
    fn of_an_answer_passes_what_is_about_the_answer() {
        let mut headers = all(&[
            "content-type",
            "content-length",
            "content-encoding",
            "x-request-id",
            "retry-after",
            "x-ratelimit-remaining-requests",
            "x-should-retry",
            "openai-processing-ms",
            "cache-control",
            "set-cookie",
            "alt-svc",
            "keep-alive",
            "transfer-encoding",
            "access-control-allow-origin",
            "x-hop",
        ]);
        headers.insert("connection", HeaderValue::from_static("close, X-Hop"));
        assert_eq!(
            names(&of_answer(&headers)),
            [
                "cache-control",
                "content-encoding",
                "content-length",
                "content-type",
                "openai-processing-ms",
                "retry-after",
                "x-accel-buffering",
                "x-ratelimit-remaining-requests",
                "x-request-id",
                "x-should-retry",
            ]
        );
    }
}
