//! The headers that pass: two closed lists, one for requests and one for answers.

use axum::http::HeaderMap;
use axum::http::header::{self, HeaderName, HeaderValue};

use crate::http::streamed::X_ACCEL_BUFFERING;
use crate::providers::Secrets;

/// The headers of a request that pass. Keys, cookies and addresses of the client are not among them.
const OF_REQUEST: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::USER_AGENT,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("openai-beta"),
];
/// The prefixes of the headers in which OpenAI's libraries describe themselves.
const OF_LIBRARIES: [&str; 2] = ["x-stainless-", "x-client-request-id"];

/// The headers of an answer that pass: those that OpenAI's libraries read, and those that describe the body.
/// Organisation, project, cookies, addresses and the provider's software stay private.
const OF_ANSWER: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_DISPOSITION,
    header::CACHE_CONTROL,
    header::RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];
/// The prefix of the headers with the remaining rate limits.
const RATE_LIMITS: &str = "x-ratelimit-";

/// The headers of a request that pass to the upstream.
pub(super) fn of_request(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| {
        OF_REQUEST.contains(name)
            || OF_LIBRARIES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
    };
    let mut passed: HeaderMap = headers
        .iter()
        .filter(|(name, _)| passes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // A compressed stream arrives in blocks instead of token by token, and a compressed error could not be
    // searched for our key.
    passed.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    passed
}

/// The headers of an answer that pass to the client, without those that contain a secret.
pub(super) fn of_answer(headers: &HeaderMap, secrets: &Secrets) -> HeaderMap {
    let passes =
        |name: &HeaderName| OF_ANSWER.contains(name) || name.as_str().starts_with(RATE_LIMITS);
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if passes(name) && !secrets.are_in(value.as_bytes()) {
            passed.append(name.clone(), value.clone());
        }
    }
    // A proxy in front of this server must not buffer a stream.
    passed.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    passed
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    passed
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
                "accept-encoding",
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
            "openai-version",
            "retry-after-ms",
            "cache-control",
            "set-cookie",
            "alt-svc",
            "keep-alive",
            "transfer-encoding",
            "access-control-allow-origin",
            "openai-organization",
            "openai-project",
            "openai-model",
            "location",
            "content-location",
            "link",
            "refresh",
            "server",
            "via",
            "x-powered-by",
            "cf-ray",
            "www-authenticate",
            "x-anything-new",
            "trailer",
            "etag",
        ]);
        headers.insert("x-request-id", HeaderValue::from_static("r-1"));
        headers.insert(
            "x-ratelimit-reset",
            HeaderValue::from_static("for sk-test-SECRET"),
        );
        headers.append("retry-after", HeaderValue::from_static("sk-...CRET"));
        let passed = of_answer(&headers, &Secrets::for_tests("sk-test-SECRET"));
        assert_eq!(
            names(&passed),
            [
                "cache-control",
                "content-encoding",
                "content-length",
                "content-type",
                "openai-processing-ms",
                "openai-version",
                "retry-after",
                "retry-after-ms",
                "x-accel-buffering",
                "x-ratelimit-remaining-requests",
                "x-request-id",
                "x-should-retry",
            ]
        );
        assert_eq!(passed.get_all("retry-after").iter().count(), 1);
    }
}
