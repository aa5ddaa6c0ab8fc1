//! The scripted upstream over HTTP/2 without TLS and without negotiation.
//!
//! A cut resets the stream, and a reset closes the connection. Each chunk of a script is one piece of the body; the
//! library decides about frames.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::scripts::{Content, End, Response, Times};

/// A running upstream. It stops when it is dropped.
pub(crate) struct Http2Upstream {
    address: SocketAddr,
    asked: watch::Receiver<usize>,
    #[expect(dead_code, reason = "held for its tasks")]
    running: JoinSet<()>,
}

type Body = Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>;

impl Http2Upstream {
    /// Answers the first request with the first response, and so on; the last one is played again for
    /// all further requests.
    pub(crate) async fn playing(responses: Vec<Response>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (counter, asked) = watch::channel(0);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (responses, counter) = (responses.clone(), counter.clone());
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let mut number = 0;
                        counter.send_modify(|count| {
                            number = *count;
                            *count += 1;
                        });
                        let response = responses[number.min(responses.len() - 1)].clone();
                        answer(request, response)
                    });
                    // How a connection ends is its client's affair.
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            asked,
            running,
        }
    }

    /// The base URL to give to a client.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How often it was asked so far.
    pub(crate) fn request_count(&self) -> usize {
        *self.asked.borrow()
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    response: Response,
) -> Result<hyper::Response<StreamBody<Body>>, Infallible> {
    assert_eq!(request.version(), hyper::Version::HTTP_2);
    let _ = request.into_body().collect().await;
    if response.status == 0 {
        std::future::pending::<()>().await;
    }
    let mut answer = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        // Headers of a connection have no place in HTTP/2.
        if !matches!(name.as_str(), "connection" | "transfer-encoding") {
            answer = answer.header(name, super::scripted_upstream::header_value(value));
        }
    }
    Ok(answer
        .body(StreamBody::new(body(response)))
        .expect("headers of a script"))
}

fn body(response: Response) -> Body {
    let pieces = stream::iter(response.chunks).flat_map(|chunk| {
        let (times, every_ms) = match &chunk.content {
            Content::Repeat(repeat) => match repeat.times {
                Times::Count(count) => (count, repeat.every_ms),
                Times::Forever(_) => (u64::MAX, repeat.every_ms),
            },
            _ => (1, 0),
        };
        let bytes = Bytes::from(chunk.content.bytes());
        let first = Duration::from_millis(chunk.delay_ms);
        stream::unfold(0, move |number| {
            let bytes = bytes.clone();
            async move {
                if number == times {
                    return None;
                }
                let pause = if number == 0 {
                    first
                } else {
                    Duration::from_millis(every_ms)
                };
                if !pause.is_zero() {
                    sleep(pause).await;
                }
                Some((Ok(Frame::data(bytes)), number + 1))
            }
        })
        .boxed()
    });
    let end = stream::once(async move {
        match response.end {
            End::Fin => None,
            // The library resets a stream whose body fails, once what came before has left.
            End::Cut | End::Reset => {
                sleep(Duration::from_millis(50)).await;
                Some(Err(io::ErrorKind::ConnectionReset.into()))
            }
            End::Hang | End::HangAfterEnd | End::Refuse => std::future::pending().await,
        }
    })
    .filter_map(std::future::ready);
    Box::pin(pieces.chain(end))
}
