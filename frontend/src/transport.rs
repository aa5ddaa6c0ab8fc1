//! The transport of replies over HTTP: sends a request, checks the status, and decodes the bytes of the response.

use app::protocol::saved::{events_path, generation_path, messages_path};
use app::protocol::{CHAT_PATH, EVENT_STREAM, ErrorBody, ErrorKind, NOT_THE_SERVER, ReplyError};
use app::reply::decode::ReplyDecoder;
use app::reply::transport::{ChatTransport, Connection, ConnectionError, Received, ReplyRequest};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use futures::stream::{StreamExt, unfold};
use serde::Serialize;

use crate::fetch::{self, Call, Response, failure};

/// The most bytes of an error response that are read.
const ERROR_LIMIT: usize = 64 * 1024;

/// The transport over HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpTransport;

impl ChatTransport for HttpTransport {
    fn open(&self, request: ReplyRequest) -> Connection {
        unfold(RequestState::Requested(request), next).boxed_local()
    }

    fn stop(&self, generation: String) -> LocalBoxFuture<'static, Result<(), ConnectionError>> {
        async move {
            let path = generation_path(&generation);
            let call = Call {
                method: "DELETE",
                path: &path,
                accept: "application/json",
                json: None,
                outlives_page: true,
            };
            let response = fetch::send(call)
                .await
                .map_err(|_| ConnectionError::unreachable())?;
            match response.status {
                200..300 => Ok(()),
                _ => Err(rejection(response).await),
            }
        }
        .boxed_local()
    }
}

/// The state of a request. Dropping it aborts the request.
enum RequestState {
    Requested(ReplyRequest),
    Read(Response, ReplyDecoder),
    Over,
}

/// The next item of a request, and the state after it.
async fn next(state: RequestState) -> Option<(Result<Received, ConnectionError>, RequestState)> {
    let (mut response, mut incoming) = match state {
        RequestState::Requested(request) => {
            return Some(match open(request).await {
                Ok(response) => (
                    Ok(Received::Accepted),
                    RequestState::Read(response, ReplyDecoder::default()),
                ),
                Err(why) => (Err(why), RequestState::Over),
            });
        }
        RequestState::Read(response, incoming) => (response, incoming),
        RequestState::Over => return None,
    };
    if let Some(event) = incoming.next() {
        return Some((
            Ok(Received::Event(event)),
            RequestState::Read(response, incoming),
        ));
    }
    match response.chunk().await {
        Ok(Some(bytes)) => {
            incoming.feed(&bytes);
            Some((Ok(Received::Bytes), RequestState::Read(response, incoming)))
        }
        Ok(None) => None,
        Err(_) => Some((Err(ConnectionError::unreachable()), RequestState::Over)),
    }
}

/// Sends the request and waits until the server has accepted or rejected it.
async fn open(request: ReplyRequest) -> Result<Response, ConnectionError> {
    let (method, path, json) = match request {
        ReplyRequest::Ephemeral(request) => ("POST", CHAT_PATH.to_owned(), Some(json(&request))),
        ReplyRequest::Send {
            conversation,
            message,
        } => ("POST", messages_path(&conversation), Some(json(&message))),
        ReplyRequest::Resume { generation, after } => {
            let after = after.map_or_else(String::new, |after| format!("?after={after}"));
            ("GET", events_path(&generation) + &after, None)
        }
    };
    let call = Call {
        method,
        path: &path,
        accept: EVENT_STREAM,
        json,
        outlives_page: false,
    };
    let response = fetch::send(call)
        .await
        .map_err(|_| ConnectionError::unreachable())?;
    let content_type = response.header("content-type").unwrap_or_default();
    if response.status == 200 && content_type.starts_with(EVENT_STREAM) {
        return Ok(response);
    }
    Err(rejection(response).await)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a request is made of text, numbers and lists")
}

/// The error of a response: the server's, or a general one if something else answered.
async fn rejection(response: Response) -> ConnectionError {
    let status = response.status;
    let retry_after = response.header("retry-after");
    let retry_after_ms =
        retry_after.and_then(|seconds| seconds.parse::<u64>().ok()?.checked_mul(1000));
    let body = response.text(ERROR_LIMIT).await;
    let error = match serde_json::from_str::<ErrorBody>(&body) {
        Ok(ErrorBody { error }) => ReplyError {
            retry_after_ms,
            ..failure(error.kind, &error.message)
        },
        Err(_) => failure(ErrorKind::Unknown, NOT_THE_SERVER),
    };
    // The server is overloaded or restarting, or the proxy in front of it says so.
    match status {
        429 | 502..=504 => ConnectionError::Transient(error),
        _ => ConnectionError::Rejected(error),
    }
}
