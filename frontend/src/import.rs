//! Uploads a file with `XMLHttpRequest`, which reports the progress of an upload; `fetch` does not.

use app::page::base::below;
use app::protocol::saved::{IMPORT_PATH, ImportReport};
use app::protocol::{ErrorBody, ErrorKind, NOT_THE_SERVER, ReplyError};
use futures::channel::oneshot;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{File, ProgressEvent, XmlHttpRequest};

use crate::fetch::failure;

/// Uploads a file of conversations. `on_progress` gets the percentage that has been sent.
///
/// # Errors
/// The server's error, or that the server could not be reached.
pub(crate) async fn upload(
    file: File,
    on_progress: Box<dyn Fn(u8)>,
) -> Result<ImportReport, ReplyError> {
    let unreachable = |_: JsValue| failure(ErrorKind::ServerUnreachable, "");
    let request = XmlHttpRequest::new().map_err(unreachable)?;
    let (end, ended) = oneshot::channel();
    let mut end = Some(end);
    let on_end = Closure::<dyn FnMut()>::new(move || {
        if let Some(end) = end.take() {
            // Sending fails only if the future was dropped.
            let _ = end.send(());
        }
    });
    let on_progress = Closure::<dyn FnMut(ProgressEvent)>::new(move |event| {
        on_progress(percent(&event));
    });
    request.set_onloadend(Some(on_end.as_ref().unchecked_ref()));
    let upload = request.upload().map_err(unreachable)?;
    upload.set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    request
        .open("POST", &below(IMPORT_PATH))
        .map_err(unreachable)?;
    request
        .set_request_header("content-type", "application/json")
        .map_err(unreachable)?;
    request
        .send_with_opt_blob(Some(&file))
        .map_err(unreachable)?;
    let _ = ended.await;
    let status = request.status().unwrap_or_default();
    let body = request.response_text().ok().flatten().unwrap_or_default();
    read_response(status, &body)
}

fn read_response(status: u16, body: &str) -> Result<ImportReport, ReplyError> {
    if status == 0 {
        return Err(failure(ErrorKind::ServerUnreachable, ""));
    }
    if let Ok(ErrorBody { error }) = serde_json::from_str(body) {
        return Err(failure(error.kind, &error.message));
    }
    serde_json::from_str(body).map_err(|_| failure(ErrorKind::Unknown, NOT_THE_SERVER))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 100"
)]
fn percent(event: &ProgressEvent) -> u8 {
    if event.total() > 0.0 {
        (event.loaded() / event.total() * 100.0).clamp(0.0, 100.0) as u8
    } else {
        0
    }
}
