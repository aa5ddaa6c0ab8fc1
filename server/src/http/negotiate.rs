//! Media types in requests: the format of a reply, negotiated by `Accept` (RFC 9110, section 12.5.1), and the
//! `Content-Type` of a body.

use app::protocol::EVENT_STREAM;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};

/// The formats of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyFormat {
    /// Server-Sent Events, the default.
    Events,
    /// The text only.
    Text,
    /// Chat Completions chunks, one a line.
    Chunks,
    /// One object when the reply is complete.
    Whole,
}

/// All formats in order of preference, where a client weighs several equally.
const FORMATS: [ReplyFormat; 4] = [
    ReplyFormat::Events,
    ReplyFormat::Text,
    ReplyFormat::Chunks,
    ReplyFormat::Whole,
];

impl ReplyFormat {
    /// The media type of the format.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Events => EVENT_STREAM,
            Self::Text => "text/plain",
            Self::Chunks => "application/x-ndjson",
            Self::Whole => "application/json",
        }
    }

    /// The format that the headers prefer. `None` if they accept none.
    pub(super) fn requested(headers: &HeaderMap) -> Option<Self> {
        let accept = accept(headers);
        if accept.trim().is_empty() {
            return Some(Self::Events);
        }
        let mut best = None;
        for format in FORMATS {
            let weight = weight(&accept, format.media_type());
            if weight > 0.0 && best.is_none_or(|(_, so_far)| weight > so_far) {
                best = Some((format, weight));
            }
        }
        best.map(|(format, _)| format)
    }
}

/// Whether `Accept` names an event stream, as a browser's `EventSource` does. A wildcard does not count.
pub(super) fn names_event_stream(headers: &HeaderMap) -> bool {
    accepts_by_name(headers, EVENT_STREAM)
}

/// Whether `Accept` names this media type. A wildcard does not count.
pub(super) fn accepts_by_name(headers: &HeaderMap, media_type: &str) -> bool {
    accept(headers).split(',').any(|range| {
        let (name, weight) = read_range(range);
        name == media_type && weight > 0.0
    })
}

/// Whether `Content-Type` is this media type, with any parameters.
pub(super) fn has_content_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(media_type))
}

fn accept(headers: &HeaderMap) -> String {
    let values: Vec<_> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    values.join(",")
}

/// The weight of a media type. The most specific range decides, in any order.
fn weight(accept: &str, media_type: &str) -> f32 {
    let mut best: Option<(u8, f32)> = None;
    for range in accept.split(',') {
        let (name, weight) = read_range(range);
        let specificity = match name.strip_suffix('*') {
            None if name == media_type => 2,
            Some("*/") => 0,
            Some(group) if group.ends_with('/') && media_type.starts_with(group) => 1,
            _ => continue,
        };
        if best.is_none_or(|(so_far, _)| specificity >= so_far) {
            best = Some((specificity, weight));
        }
    }
    best.map_or(0.0, |(_, weight)| weight)
}

/// The name of a media range in lower case, and its weight. An invalid weight counts as 0.
fn read_range(range: &str) -> (String, f32) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts
        .find_map(|part| part.strip_prefix("q="))
        .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
    (name, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a header"));
        headers
    }

    #[test]
    fn the_form_is_the_one_that_is_liked_best() {
        let check = |accept: &str, expect| {
            assert_eq!(ReplyFormat::requested(&headers(accept)), expect, "{accept}");
        };
        for any in [
            "",
            "*/*",
            "text/event-stream",
            "Text/Event-Stream",
            "text/*",
            "application/json, text/event-stream",
            "text/html,application/xml;q=0.9,*/*;q=0.8",
            "text/event-stream; charset=utf-8",
        ] {
            check(any, Some(ReplyFormat::Events));
        }
        check("text/plain", Some(ReplyFormat::Text));
        check(
            "text/plain, text/event-stream;q=0.1",
            Some(ReplyFormat::Text),
        );
        check("text/event-stream;q=0, */*", Some(ReplyFormat::Text));
        check("application/x-ndjson", Some(ReplyFormat::Chunks));
        check("application/json", Some(ReplyFormat::Whole));
        check("application/json;q=0.9,*/*;q=0.1", Some(ReplyFormat::Whole));
        check(
            "application/*;q=0.5, application/x-ndjson;q=0",
            Some(ReplyFormat::Whole),
        );
        for none in [
            "text/event-stream;q=0",
            "*/*;q=0",
            "text/html",
            "image/*",
            "text/event-streams",
            "text/event-stream;q=x",
            "*",
        ] {
            check(none, None);
        }
        assert_eq!(
            ReplyFormat::requested(&HeaderMap::new()),
            Some(ReplyFormat::Events)
        );
    }

    #[test]
    fn a_wildcard_does_not_name_an_event_stream() {
        let check = |accept: &str, expect| {
            assert_eq!(names_event_stream(&headers(accept)), expect, "{accept}");
        };
        check("text/event-stream", true);
        check("text/html, TEXT/EVENT-STREAM;q=0.1", true);
        check("text/event-stream;q=0", false);
        check("*/*", false);
        check("text/*", false);
        assert!(!names_event_stream(&HeaderMap::new()));
    }
}
