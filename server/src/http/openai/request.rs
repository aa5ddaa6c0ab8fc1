//! The fields that are read from a request's body: the model and `stream`.

use std::borrow::Cow;
use std::ops::Range;

use axum::body::Bytes;
use bytes::{BufMut, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::OpenAiError;

/// The fields of a request that are read.
pub(super) struct RequestHead {
    /// The model, if the request names one.
    pub(super) model: Option<NamedModel>,
    /// Whether the request asks for a stream.
    pub(super) is_stream: bool,
}

/// The name of a model, and its range in the body.
pub(super) struct NamedModel {
    pub(super) name: String,
    place: Range<usize>,
}

impl RequestHead {
    /// Reads the fields from a body.
    ///
    /// # Errors
    /// When the body is not a JSON object, or its model is not a string.
    pub(super) fn read(body: &[u8]) -> Result<Self, OpenAiError> {
        #[derive(Deserialize)]
        struct RequestFields<'a> {
            #[serde(borrow)]
            model: Option<&'a RawValue>,
            #[serde(borrow)]
            stream: Option<&'a RawValue>,
        }
        let invalid = |cause: serde_json::Error| {
            OpenAiError::invalid(format!("This is no request of this API: {cause}."))
        };
        let fields: RequestFields<'_> = serde_json::from_slice(body).map_err(invalid)?;
        let model = fields.model.filter(|model| model.get() != "null");
        let model = match model {
            None => None,
            Some(raw) => {
                let name: Cow<'_, str> = serde_json::from_str(raw.get())
                    .map_err(|_| OpenAiError::invalid("model must be the name of a model."))?;
                let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
                Some(NamedModel {
                    name: name.into_owned(),
                    place: start..start + raw.get().len(),
                })
            }
        };
        Ok(Self {
            model,
            is_stream: fields.stream.is_some_and(|stream| stream.get() == "true"),
        })
    }

    /// The body for the upstream: the same bytes, with the upstream's name of the model.
    pub(super) fn with_model(&self, body: Bytes, name: &str) -> Bytes {
        match &self.model {
            Some(model) if model.name != name => {
                let name = serde_json::to_vec(name).expect("a string is JSON");
                let mut changed = BytesMut::with_capacity(body.len() + name.len());
                changed.put_slice(&body[..model.place.start]);
                changed.put_slice(&name);
                changed.put_slice(&body[model.place.end..]);
                changed.freeze()
            }
            _ => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_changed_in_its_model_alone_and_only_where_that_has_another_name() {
        let check = |body: &'static str, name: &str, expect: &str| {
            let head = RequestHead::read(body.as_bytes()).unwrap_or_else(|_| panic!("{body}"));
            let got = head.with_model(Bytes::from_static(body.as_bytes()), name);
            assert_eq!(got, expect, "{body}");
        };
        let same = " {\"model\" : \"m\", \"n\":1e400,\n \"x\":\"\\ud83d\"} ";
        check(same, "m", same);
        check(
            " {\"model\" : \"a/m\", \"n\":1.50,\n \"model_\":\"a/m\"} ",
            "m",
            " {\"model\" : \"m\", \"n\":1.50,\n \"model_\":\"a/m\"} ",
        );
        check(
            r#"{"x":{"model":"no"},"model":"a\/m"}"#,
            "m",
            r#"{"x":{"model":"no"},"model":"m"}"#,
        );
        check(r#"{"messages":[]}"#, "m", r#"{"messages":[]}"#);
        check(r#"{"model":null}"#, "m", r#"{"model":null}"#);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for body in [
            "",
            "[]",
            "null",
            "5",
            "{\"model\":5}",
            "{\"model\":\"a\",\"model\":\"b\"}",
            "{",
        ] {
            assert!(RequestHead::read(body.as_bytes()).is_err(), "{body}");
        }
        let deep = format!("{{\"x\":{}", "[".repeat(200_000));
        assert!(RequestHead::read(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_stream_is_one_that_was_asked_for() {
        let is_stream = |body: &str| {
            RequestHead::read(body.as_bytes())
                .expect("a body")
                .is_stream
        };
        assert!(is_stream(r#"{"stream":true}"#));
        assert!(!is_stream(r#"{"stream":false}"#));
        assert!(!is_stream(r#"{"stream":"true"}"#));
        assert!(!is_stream("{}"));
    }
}
