//! One HTTP request, and the bytes of its response as they arrive. Dropping the request or the response aborts it at any
//! point.

use app::protocol::{ErrorKind, ReplyError};
use gloo_net::http::{Headers, Method, RequestBuilder};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::js_sys::{Reflect, Uint8Array};
use web_sys::{AbortController, ReadableStreamDefaultReader};

/// Aborts a request when it is dropped.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The response to a request.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// `None` if the response has no body.
    reader: Option<ReadableStreamDefaultReader>,
    _abort: AbortOnDrop,
}

/// A request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) accept: &'a str,
    /// The JSON body.
    pub(crate) json: Option<String>,
}

/// Sends a request and waits for the headers of the response.
///
/// # Errors
/// The browser's error if the network failed.
pub(crate) async fn send(call: Call<'_>) -> Result<Response, JsValue> {
    let controller = AbortController::new()?;
    let signal = controller.signal();
    let abort = AbortOnDrop(controller);
    let failed = |error: gloo_net::Error| JsValue::from(error.to_string());
    let request = RequestBuilder::new(call.path)
        .method(call.method)
        .header("accept", call.accept)
        .abort_signal(Some(&signal));
    let request = match call.json {
        Some(json) => request
            .header("content-type", "application/json")
            .body(json),
        None => request.build(),
    };
    let response = request.map_err(failed)?.send().await.map_err(failed)?;
    let reader = response
        .body()
        .map(|body| body.get_reader().unchecked_into());
    Ok(Response {
        status: response.status(),
        headers: response.headers(),
        reader,
        _abort: abort,
    })
}

impl Response {
    /// The next bytes; `None` at the end of the body.
    ///
    /// # Errors
    /// The browser's error if the network failed before the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, JsValue> {
        let Some(reader) = &self.reader else {
            return Ok(None);
        };
        let read = JsFuture::from(reader.read()).await?;
        if Reflect::get(&read, &"done".into())?.is_truthy() {
            return Ok(None);
        }
        let bytes: Uint8Array = Reflect::get(&read, &"value".into())?.unchecked_into();
        Ok(Some(bytes.to_vec()))
    }

    /// The body as text, cut off soon after `limit` bytes.
    pub(crate) async fn text(mut self, limit: usize) -> String {
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await
            && bytes.len() < limit
        {
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// An error that the page reports: with the server's sentence, if there is one.
pub(crate) fn failure(kind: ErrorKind, message: &str) -> ReplyError {
    ReplyError {
        message: kind.sentence_or(message).to_owned(),
        retryable: true,
        ..ReplyError::of(kind)
    }
}
