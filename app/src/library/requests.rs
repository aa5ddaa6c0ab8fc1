//! What the page asks the server about saved conversations, beside the replies.
//!
//! What can be asked are the server functions of [`library`](crate::library): their structs say what is
//! sent, their paths where. They are sent by a transport of ours and not by the client that comes with
//! them, which would make the wasm larger by a third. The trait stands here and its real
//! implementation in `frontend`; on the server there is none.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use leptos::prelude::{provide_context, use_context};
use leptos::server_fn::ServerFn;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::{ErrorBody, ErrorKind, NOT_THE_SERVER, Refusal};

/// A way to the server for one question and one answer.
pub trait Requests: Send + Sync {
    /// Posts JSON and gives the JSON of the answer.
    fn post(
        &self,
        path: &'static str,
        json: String,
    ) -> LocalBoxFuture<'static, Result<String, ErrorBody>>;
}

/// The way to the server, as a handle to keep. Without one, every question fails.
#[derive(Clone, Default)]
pub struct Server(Option<Arc<dyn Requests>>);

impl Server {
    /// Calls a server function.
    ///
    /// # Errors
    /// What the server says, or that it could not be asked.
    pub async fn call<F>(&self, arguments: F) -> Result<F::Output, ErrorBody>
    where
        F: ServerFn<Error = ErrorBody> + Serialize,
        F::Output: DeserializeOwned,
    {
        let requests = self
            .0
            .as_ref()
            .ok_or_else(|| ErrorBody::of(ErrorKind::ServerUnreachable))?;
        let json =
            serde_json::to_string(&arguments).expect("arguments are made of text and numbers");
        let answer = requests.post(F::PATH, json).await?;
        serde_json::from_str(&answer).map_err(|_| not_the_server())
    }
}

/// Something else answered.
#[must_use]
pub fn not_the_server() -> ErrorBody {
    ErrorBody {
        error: Refusal {
            kind: ErrorKind::Unknown,
            message: NOT_THE_SERVER.to_owned(),
        },
    }
}

/// Makes the way to the server available to the page.
pub fn provide_requests(requests: impl Requests + 'static) {
    provide_context::<Arc<dyn Requests>>(Arc::new(requests));
}

/// The way to the server, if there is one here.
#[must_use]
pub fn use_server() -> Server {
    Server(use_context())
}
