//! Looks for an error in JSON or text that a provider sends in place of an answer.

use app::protocol::ErrorKind;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Failure;
use super::body::{ProviderError, plain};

/// The result of looking for an error in JSON.
#[derive(Debug)]
pub(in crate::providers) enum ErrorSearch {
    /// No error.
    Nothing,
    /// A failure, unless the answer goes on after it.
    Suspected(Failure),
    /// A failure.
    Failed(Failure),
}

/// Looks for an error in JSON that came in place of a piece of an answer.
pub(in crate::providers) fn error_in(value: &Value) -> ErrorSearch {
    let Value::Object(fields) = value else {
        return ErrorSearch::Nothing;
    };
    let read = || ProviderError::from_json(value).unwrap_or_default();
    let names_itself = |name: &str| fields.get(name).is_some_and(|value| value == "error");
    if fields.get("error").is_some_and(|error| !is_nothing(error))
        || names_itself("object")
        || names_itself("type")
    {
        return ErrorSearch::Failed(read().in_answer());
    }
    match error_without_envelope(fields) {
        Some(true) => ErrorSearch::Failed(read().without_envelope()),
        Some(false) => ErrorSearch::Suspected(read().without_envelope()),
        None => ErrorSearch::Nothing,
    }
}

/// The failure in an event that is named `error`, or in an object that is known to be an error.
pub(in crate::providers) fn error_frame(value: &Value) -> Failure {
    ProviderError::from_json(value)
        .unwrap_or_default()
        .in_answer()
}

/// Whether an object is an error without the usual envelope. `false` means that it may be one.
fn error_without_envelope(fields: &Map<String, Value>) -> Option<bool> {
    let (mut code, mut message, mut certain) = (false, false, false);
    for (name, value) in fields {
        match plain(name).as_str() {
            "code" | "errorcode" | "errcode" | "statuscode" => code |= !is_success(value),
            "status" => code |= !is_success(value) && value.is_number(),
            "message" | "msg" | "errormsg" | "errmsg" | "errormessage" => {
                let says_ok = value.as_str().is_some_and(says_success);
                message |= !is_nothing(value) && !says_ok;
            }
            "detail" | "errors" => certain |= !is_nothing(value),
            "success" => certain |= *value == Value::Bool(false),
            "baseresp" => {
                let code = value.get("status_code").or_else(|| value.get("statusCode"));
                certain |= code.is_some_and(|code| !is_success(code));
            }
            _ => {}
        }
    }
    match (certain || (code && message), message) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// Whether a code means success.
fn is_success(code: &Value) -> bool {
    match code {
        Value::Number(number) => number
            .as_u64()
            .is_some_and(|number| matches!(number, 0 | 200..=299 | 20_000)),
        Value::String(text) => says_success(text),
        _ => true,
    }
}

fn says_success(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    matches!(
        text.as_str(),
        "" | "0" | "200" | "20000" | "ok" | "success" | "succeeded" | "none" | "null"
    )
}

/// Whether a value is null, false, 0, an empty string, or a list or an object of such values.
pub(in crate::providers) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_nothing),
        Value::Object(fields) => fields.values().all(is_nothing),
    }
}

/// The sentence for a body without any event, found in the beginning of the body: a plain `error: {…}` line, as
/// llama.cpp and others send it, or text.
pub(in crate::providers) fn explain(head: &[u8]) -> Option<&'static str> {
    let error = error_in_raw_text(head)
        .or_else(|| ProviderError::from_text(&String::from_utf8_lossy(head)))?;
    error.sentence().or_else(|| {
        let kind = error.classify(None);
        (kind != ErrorKind::UpstreamError).then(|| kind.sentence())
    })
}

/// JSON after a field name that no parser of event streams knows.
pub(super) fn error_in_raw_text(head: &[u8]) -> Option<ProviderError> {
    let text = String::from_utf8_lossy(head);
    let at = text.find("error").filter(|at| {
        text[..*at]
            .trim_matches(|c: char| "{\" \n\r".contains(c))
            .is_empty()
    })?;
    let json = &text[text[at..].find('{').map(|brace| at + brace)?..];
    let mut stream = serde_json::Deserializer::from_str(json);
    let value = Value::deserialize(&mut stream).ok()?;
    ProviderError::from_json(&value)
}
