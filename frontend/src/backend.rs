//! The [`Backend`] over HTTP. Uploads and the stream of changes have modules of their own.

use app::library::backend::{Backend, not_the_server};
use app::protocol::saved::{Change, ImportReport};
use app::protocol::{ErrorBody, ErrorKind, MODELS_PATH, ModelList, ReplyError};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use web_sys::File;

use crate::changes::shared_changes;
use crate::fetch::{self, Call};
use crate::import::upload;

/// The most bytes of a response that are read. It is larger than any response of our server.
const RESPONSE_LIMIT: usize = 256 * 1024 * 1024;

/// The backend over HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpBackend;

impl Backend for HttpBackend {
    fn post(
        &self,
        path: &'static str,
        json: String,
    ) -> LocalBoxFuture<'static, Result<String, ErrorBody>> {
        async move {
            let call = Call {
                method: "POST",
                path,
                accept: "application/json",
                json: Some(json),
                outlives_page: true,
            };
            let response = fetch::send(call)
                .await
                .map_err(|_| ErrorBody::of(ErrorKind::ServerUnreachable))?;
            let status = response.status;
            let text = response.text(RESPONSE_LIMIT).await;
            match status {
                200..300 => Ok(text),
                _ => Err(serde_json::from_str(&text).unwrap_or_else(|_| not_the_server())),
            }
        }
        .boxed_local()
    }

    fn changes(&self) -> LocalBoxStream<'static, Change> {
        shared_changes()
    }

    fn import(
        &self,
        file: File,
        on_progress: Box<dyn Fn(u8)>,
    ) -> LocalBoxFuture<'static, Result<ImportReport, ReplyError>> {
        upload(file, on_progress).boxed_local()
    }

    fn models(&self) -> LocalBoxFuture<'static, Option<ModelList>> {
        async {
            let call = Call {
                method: "GET",
                path: MODELS_PATH,
                accept: "application/json",
                json: None,
                outlives_page: false,
            };
            let text = fetch::send(call).await.ok()?.text(RESPONSE_LIMIT).await;
            serde_json::from_str(&text).ok()
        }
        .boxed_local()
    }
}
