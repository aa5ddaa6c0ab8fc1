//! One question to the server and its answer.

use app::library::requests::{Requests, not_the_server};
use app::protocol::{ErrorBody, ErrorKind};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use gloo_net::http::Method;

use crate::fetch::{self, Call};

/// Larger than any answer; what is longer is none of ours.
const ANSWER_LIMIT: usize = 256 * 1024 * 1024;

/// The way to the server over HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpRequests;

impl Requests for HttpRequests {
    fn post(
        &self,
        path: &'static str,
        json: String,
    ) -> LocalBoxFuture<'static, Result<String, ErrorBody>> {
        async move {
            let call = Call {
                method: Method::POST,
                path,
                accept: "application/json",
                json: Some(json),
            };
            let response = fetch::send(call)
                .await
                .map_err(|_| ErrorBody::of(ErrorKind::ServerUnreachable))?;
            let status = response.status;
            let text = response.text(ANSWER_LIMIT).await;
            match status {
                200..300 => Ok(text),
                _ => Err(serde_json::from_str(&text).unwrap_or_else(|_| not_the_server())),
            }
        }
        .boxed_local()
    }
}
