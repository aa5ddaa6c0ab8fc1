//! Measures requests and gives each a reference, and serves the metrics on a listener of their own.

use std::sync::Arc;
use std::time::Instant;

use app::protocol::ErrorKind;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::Entry;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::metrics::gauge::Gauge;

use super::access::is_loopback;
use super::error::AppError;
use super::limits::Gate;
use super::state::AppState;
use crate::metrics::RequestLabels;
use crate::reference::Reference;
use crate::traces::CurrentSpan;

/// The most connections of readers of the metrics.
pub const MOST_CONNECTIONS: usize = 16;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts a request when the head of its response is known, and gives it a reference and a span. A path without a route
/// is one label, whatever it is.
pub(super) async fn measure(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let http_request_method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "_OTHER",
    };
    let route = request.extensions().get::<MatchedPath>();
    let http_route: Arc<str> = route.map_or("", MatchedPath::as_str).into();
    let given = request.headers().get(X_REQUEST_ID);
    let given = given.and_then(|value| Reference::given(value.to_str().ok()?));
    let reference = given.unwrap_or_else(Reference::new);
    let mut span = state.traces.request(traceparent(request.headers()), || {
        format!("{http_request_method} {http_route}")
            .trim_end()
            .to_owned()
    });
    let handled = CurrentSpan::carried(span.as_current(), next.run(request));
    let mut response = reference.clone().scope(handled).await;
    // The provider's own id of a request that was passed on is of more use to a program.
    if let Entry::Vacant(header) = response.headers_mut().entry(X_REQUEST_ID)
        && let Ok(value) = HeaderValue::from_str(reference.as_str())
    {
        header.insert(value);
    }
    let labels = RequestLabels {
        http_request_method,
        http_route,
        http_response_status_code: response.status().as_u16(),
    };
    state.metrics.request(&labels, began.elapsed());
    let status = labels.http_response_status_code;
    span.set("http.request.method", || labels.http_request_method);
    span.set("http.route", || labels.http_route.to_string());
    span.set("http.response.status_code", || status);
    span.set("rill.reference", || reference.to_string());
    if status >= 500 {
        span.fail(status.to_string());
    }
    response
}

/// The header that names the span of the caller, if there is exactly one.
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// What the listener for metrics answers. It has one path and is no part of the table of routes.
pub fn router(state: AppState) -> Router {
    Router::new().fallback(metrics).with_state(state)
}

async fn metrics(
    State(state): State<AppState>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    check(&headers)?;
    if uri.path() != "/metrics" {
        return Err(ErrorKind::NotFound.into());
    }
    if method != Method::GET && method != Method::HEAD {
        return Err(ErrorKind::MethodNotAllowed.into());
    }
    read_state(&state);
    let (media_type, text) = if wants_open_metrics(&headers) {
        (OPEN_METRICS, state.metrics.open_metrics())
    } else {
        (PROMETHEUS, state.metrics.prometheus())
    };
    let headers = [(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-store")];
    Ok((headers, text).into_response())
}

/// Refuses other host names (DNS rebinding) and requests of pages.
fn check(headers: &HeaderMap) -> Result<(), AppError> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let mut hosts = headers.get_all(HOST).iter().map(text);
    if !hosts.next().is_some_and(|host| is_loopback(&host)) || hosts.next().is_some() {
        return Err(ErrorKind::WrongHost.into());
    }
    // A person may open it in a browser, and the browser says so.
    let site = headers.get("sec-fetch-site");
    if headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none") {
        return Err(ErrorKind::NotAllowed.into());
    }
    Ok(())
}

/// Sets the metrics that others keep.
fn read_state(state: &AppState) {
    let metrics = &state.metrics;
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let set = |gate: &Gate, open: &Gauge, most: &Gauge| {
        let (in_use, limit) = gate.in_use();
        open.set(number(in_use));
        most.set(number(limit));
    };
    let limits = &state.limits;
    set(
        &limits.streams,
        &metrics.open_streams,
        &metrics.most_streams,
    );
    set(
        &limits.replies,
        &metrics.running_replies,
        &metrics.most_replies,
    );
    let queued = state.replies.pieces.queued();
    metrics.queued_pieces.set(number(queued));
}

/// Whether a reader prefers OpenMetrics, by the weights in its `Accept`.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let weight = |media_type: &str| {
        let ranges = headers.get_all(ACCEPT).iter();
        let ranges = ranges.filter_map(|value| value.to_str().ok());
        ranges
            .flat_map(|value| value.split(','))
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next()?;
                let version = |text: &str| text.strip_prefix("version=").map(str::to_owned);
                let parts: Vec<&str> = parts.collect();
                let is_other_version =
                    parts
                        .iter()
                        .filter_map(|part| version(part))
                        .any(|version| {
                            media_type == "application/openmetrics-text"
                                && !version.trim_matches('"').starts_with("1.")
                        });
                if !name.eq_ignore_ascii_case(media_type) || is_other_version {
                    return None;
                }
                let weight = parts.iter().find_map(|part| part.strip_prefix("q="));
                Some(weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0)))
            })
            .fold(0.0, f32::max)
    };
    let open_metrics = weight("application/openmetrics-text");
    open_metrics > 0.0 && open_metrics >= weight("text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values
            .map(|value| (name.parse().expect("a name"), value))
            .collect()
    }

    #[test]
    fn the_format_is_the_one_that_the_reader_prefers() {
        let check = |accept: &[&'static str], expect: bool| {
            let headers = headers("accept", accept);
            assert_eq!(wants_open_metrics(&headers), expect, "{accept:?}");
        };
        check(&[], false);
        check(&["*/*"], false);
        check(&["text/plain"], false);
        check(&["application/openmetrics-text"], true);
        check(&["application/openmetrics-text; version=1.0.0"], true);
        check(
            &["application/openmetrics-text;version=2.0.0;q=0.9,text/plain;q=0.1"],
            false,
        );
        check(&["application/openmetrics-text;q=0"], false);
        // What Prometheus sends.
        check(
            &[
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
            true,
        );
        check(
            &["text/plain;version=0.0.4;q=0.8,application/openmetrics-text;version=1.0.0;q=0.5"],
            false,
        );
        check(
            &["text/html", "application/openmetrics-text;version=1.0.0"],
            true,
        );
    }

    #[test]
    fn only_programs_of_this_machine_read_metrics() {
        let check = |fields: &[(&'static str, &'static str)], expect: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(super::check(&headers).is_ok(), expect, "{fields:?}");
        };
        check(&[("host", "127.0.0.1:9464")], true);
        check(
            &[("host", "localhost:9464"), ("sec-fetch-site", "none")],
            true,
        );
        check(&[], false);
        check(&[("host", "evil.test")], false);
        check(&[("host", "localhost"), ("host", "evil.test")], false);
        check(
            &[("host", "localhost"), ("origin", "http://localhost")],
            false,
        );
        check(
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
            false,
        );
    }
}
