//! Answers that end when the session or the key of their caller ends.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use app::protocol::ErrorKind;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::error::AppError;
use crate::access::Caller;

/// Makes the answer. If the caller's session or key ends later, the body is cut off. If it ends before the head is there,
/// the request is cancelled and refused where `is_cancelled` says so: a request that ends its own session must go on. A
/// saved reply is not made by the request and is finished.
pub(super) async fn until_ended(
    caller: &Caller,
    is_cancelled: bool,
    answer: impl Future<Output = Response>,
) -> Response {
    let Some(ended) = caller.ended() else {
        return answer.await;
    };
    let response = tokio::select! {
        biased;
        response = answer => response,
        () = ended.cancelled(), if is_cancelled => return AppError::from(ErrorKind::NotSignedIn).into_response(),
    };
    // What has a length is there already.
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::new(UntilEnded::new(body, ended.clone())))
}

/// A body that is never waited for is checked at each of so many frames.
const UNCHECKED: u8 = 16;

/// A body that fails when its token is cancelled, so that no reader takes it for a whole one.
struct UntilEnded {
    body: Body,
    token: CancellationToken,
    /// How many frames were passed on without looking at the token.
    unchecked: u8,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl UntilEnded {
    fn new(body: Body, token: CancellationToken) -> Self {
        Self {
            body,
            ended: Box::pin(token.clone().cancelled_owned()),
            token,
            unchecked: 0,
        }
    }
}

impl HttpBody for UntilEnded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Looking at the token takes a lock, so not every frame does. A body that waits is woken by the end.
        self.unchecked = self.unchecked.wrapping_add(1) % UNCHECKED;
        if self.unchecked != 0 || !self.token.is_cancelled() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(frame) => return Poll::Ready(frame),
                Poll::Pending if self.ended.as_mut().poll(context).is_pending() => {
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
        }
        // Whatever makes the body ends with it.
        self.body = Body::empty();
        Poll::Ready(Some(Err(axum::Error::new(io::Error::other(
            "the session has ended",
        )))))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
