//! The server as the page sees it: everything that the page requests besides replies.
//!
//! The trait is here and its implementation in `frontend`, because this crate does no I/O. There is no backend
//! while the server renders a page. Requests about saved conversations are the server functions of
//! [`library`](crate::library): their structs are the arguments, their paths the URLs. They are sent through
//! [`Backend::post`] and not through the client of `server_fn`, which would make the wasm a third larger.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use leptos::prelude::{provide_context, use_context};
use leptos::server_fn::ServerFn;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::saved::{Change, ImportReport};
use crate::protocol::{ErrorBody, ErrorKind, ModelList, NOT_THE_SERVER, Refusal, ReplyError};

/// Requests to the server. Dropping a future or a stream cancels its request.
pub trait Backend: Send + Sync {
    /// Posts JSON and returns the JSON of the response. A response with an error status is an `Err`.
    fn post(
        &self,
        path: &'static str,
        json: String,
    ) -> LocalBoxFuture<'static, Result<String, ErrorBody>>;

    /// The changes to saved conversations from now on, made by this page or elsewhere. The stream reconnects by
    /// itself, and yields [`Change::Reload`] after each connect, since changes may have been missed.
    fn changes(&self) -> LocalBoxStream<'static, Change>;

    /// Uploads a file of conversations. The browser reads the file while it sends it, so the file is never in
    /// the page's memory. `on_progress` gets the percentage that has been sent.
    fn import(
        &self,
        file: web_sys::File,
        on_progress: Box<dyn Fn(u8)>,
    ) -> LocalBoxFuture<'static, Result<ImportReport, ReplyError>>;

    /// The models that can be chosen. `None` if the server does not answer with a list.
    fn models(&self) -> LocalBoxFuture<'static, Option<ModelList>>;
}

/// A handle on the backend. Without a backend, every call fails with [`ErrorKind::ServerUnreachable`].
#[derive(Clone, Default)]
pub struct Server(Option<Arc<dyn Backend>>);

impl Server {
    /// Calls a server function.
    ///
    /// # Errors
    /// The server's error, or that the server could not be reached.
    pub async fn call<F>(&self, arguments: F) -> Result<F::Output, ErrorBody>
    where
        F: ServerFn<Error = ErrorBody> + Serialize,
        F::Output: DeserializeOwned,
    {
        let backend = self
            .0
            .as_ref()
            .ok_or_else(|| ErrorBody::of(ErrorKind::ServerUnreachable))?;
        let json =
            serde_json::to_string(&arguments).expect("arguments are made of text and numbers");
        let response = backend.post(F::PATH, json).await?;
        serde_json::from_str(&response).map_err(|_| not_the_server())
    }
}

/// The error for a response that is not from our server, such as the page of a proxy.
#[must_use]
pub fn not_the_server() -> ErrorBody {
    ErrorBody {
        error: Refusal {
            kind: ErrorKind::Unknown,
            message: NOT_THE_SERVER.to_owned(),
        },
    }
}

/// Provides the backend as a context.
pub fn provide_backend(backend: impl Backend + 'static) {
    provide_context::<Arc<dyn Backend>>(Arc::new(backend));
}

/// The backend; `None` while the server renders.
#[must_use]
pub fn use_backend() -> Option<Arc<dyn Backend>> {
    use_context()
}

/// The backend as a handle for calls.
#[must_use]
pub fn use_server() -> Server {
    Server(use_backend())
}
