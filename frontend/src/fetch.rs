//! One HTTP request, and the bytes of its response as they arrive. Dropping the request or the response aborts it at any
//! point.

use app::page::base::below;
use app::protocol::{ErrorKind, ReplyError};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::js_sys::{Reflect, Uint8Array};
use web_sys::{AbortController, Headers, ReadableStreamDefaultReader, RequestInit};

/// The longest body of a request that outlives its page, in bytes. Browsers refuse such requests if the bodies under way
/// have more than 64 KiB together (Fetch standard, "HTTP-network-or-cache fetch").
const KEEPALIVE_LIMIT: usize = 16 * 1024;

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
    headers: Headers,
    /// `None` if the response has no body.
    reader: Option<ReadableStreamDefaultReader>,
    _abort: AbortOnDrop,
}

/// A request.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    /// One of the server's own paths.
    pub(crate) path: &'a str,
    pub(crate) accept: &'a str,
    /// The JSON body.
    pub(crate) json: Option<String>,
    /// If a small request arrives even if the page is left or reloaded meanwhile: a change that the person sees as made.
    pub(crate) outlives_page: bool,
}

/// Sends a request and waits for the headers of the response.
///
/// # Errors
/// The browser's error if the network failed.
pub(crate) async fn send(call: Call<'_>) -> Result<Response, JsValue> {
    let controller = AbortController::new()?;
    let signal = controller.signal();
    let abort = AbortOnDrop(controller);
    let headers = Headers::new()?;
    headers.set("accept", call.accept)?;
    let init = RequestInit::new();
    init.set_method(call.method);
    init.set_signal(Some(&signal));
    if let Some(json) = &call.json {
        headers.set("content-type", "application/json")?;
        init.set_body(&json.into());
    }
    if call.outlives_page && call.json.as_ref().map_or(0, String::len) <= KEEPALIVE_LIMIT {
        Reflect::set(&init, &"keepalive".into(), &true.into())?;
    }
    init.set_headers(&headers);
    let window = web_sys::window().ok_or(JsValue::UNDEFINED)?;
    let response = JsFuture::from(window.fetch_with_str_and_init(&below(call.path), &init)).await?;
    let response: web_sys::Response = response.unchecked_into();
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
    /// A header of the response, if it has it.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).ok().flatten()
    }

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
