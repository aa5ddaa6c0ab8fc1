//! Connections to a provider: kept open between requests, and what to do when the provider has closed
//! one just then.
//!
//! A provider may close an idle connection at any moment, so a request that is sent over one may meet
//! its end. hyper sends it again where it has not written any of it. Where it has, RFC 9110, 9.2.2,
//! lets a client repeat a `POST` by itself only if it has some means to know that the first one was not
//! applied. Go's client has none and gives up. Browsers take the end of a connection that had carried
//! an answer before, and ended before the head of another, for that means, whatever the method. So does
//! this client, but only within the few seconds in which a close that was under way is seen. A request
//! over the connection that was made for it is never repeated here.

use std::cell::Cell;
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Extensions;
use h2::Reason;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpInfo};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use tokio::time::Instant;
use tower::{Layer, Service};

/// The close of an idle connection crosses with a request, so it is seen within a round trip. What ends
/// later may have been worked on, and paid for.
const CROSSING: Duration = Duration::from_secs(3);

tokio::task_local! {
    /// Our end of the connection that was made for the request that is being sent, if one was. It need
    /// not be the one that is used: another may become free before it is ready.
    static MADE: Cell<Option<SocketAddr>>;
}

/// The connections to one provider.
#[derive(Debug)]
pub(super) struct Connections {
    kept: Client,
    /// Makes a connection for each request. Built when it is needed first.
    new: OnceLock<Client>,
}

impl Connections {
    /// Connections that are made as this says.
    ///
    /// # Errors
    /// When no client can be made.
    pub(super) fn new(builder: ClientBuilder) -> Result<Self, reqwest::Error> {
        Ok(Self {
            kept: builder.connector_layer(NoteNew).build()?,
            new: OnceLock::new(),
        })
    }

    /// Sends a request, and once more over a new connection if the one that was used had been closed.
    /// Counts in `sent` each time. `builder` makes the client for that.
    ///
    /// # Errors
    /// When no answer has begun.
    pub(super) async fn send(
        &self,
        request: impl Fn(&Client) -> RequestBuilder,
        builder: impl FnOnce() -> ClientBuilder,
        sent: &mut u32,
    ) -> Result<Response, reqwest::Error> {
        *sent += 1;
        let began = Instant::now();
        let sending = async {
            let answer = request(&self.kept).send().await;
            (answer, MADE.with(Cell::get))
        };
        let (answer, made) = MADE.scope(Cell::new(None), sending).await;
        let error = match answer {
            Err(error) if was_used(&error, made) && was_not_begun(&error, began.elapsed()) => error,
            answer => return answer,
        };
        tracing::debug!("the connection had been closed: asking over a new one");
        let Some(client) = self.for_new(builder) else {
            return Err(error);
        };
        *sent += 1;
        request(client).send().await
    }

    fn for_new(&self, builder: impl FnOnce() -> ClientBuilder) -> Option<&Client> {
        if let Some(client) = self.new.get() {
            return Some(client);
        }
        let client = builder().pool_max_idle_per_host(0).build().ok()?;
        Some(self.new.get_or_init(|| client))
    }
}

/// Whether the connection on which a request failed was there before it, and is not the one that was
/// made for it.
fn was_used(error: &reqwest::Error, made: Option<SocketAddr>) -> bool {
    let Some(made) = made else {
        return true;
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<legacy::Error>() {
            let used = error.connect_info().and_then(local_address);
            return used.is_some_and(|used| used != made);
        }
        cause = error.source();
    }
    false
}

fn local_address(connected: &Connected) -> Option<SocketAddr> {
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::local_addr)
}

/// Whether a request that failed over a connection that was used before was surely not begun, or failed
/// so soon that the end of the connection had crossed with it.
fn was_not_begun(error: &reqwest::Error, after: Duration) -> bool {
    if error.is_connect() || error.is_timeout() {
        return false;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return is_refused_stream(error) || (error.is_io() && after < CROSSING);
        }
        let is_end = match error.downcast_ref::<hyper::Error>() {
            Some(error) => {
                error.is_incomplete_message() || error.is_canceled() || error.is_closed()
            }
            None => error.downcast_ref::<io::Error>().is_some_and(is_closed),
        };
        if is_end {
            return after < CROSSING;
        }
        cause = error.source();
    }
    false
}

/// Whether the provider says itself that it has not begun (RFC 9113, 8.7): a stream that it refused, or
/// one beyond the last of which its `GOAWAY` says that it was.
fn is_refused_stream(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
    )
}

/// Notes at a request that a connection was made for it.
#[derive(Debug, Clone, Copy)]
struct NoteNew;

impl<S> Layer<S> for NoteNew {
    type Service = NotingNew<S>;

    fn layer(&self, connector: S) -> NotingNew<S> {
        NotingNew(connector)
    }
}

#[derive(Debug, Clone)]
struct NotingNew<S>(S);

impl<S, R> Service<R> for NotingNew<S>
where
    S: Service<R>,
    S::Response: Connection,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.0.call(request);
        Box::pin(async move {
            let connection = connecting.await?;
            let address = local_address(&connection.connected());
            // Where another connection became free before, this one is finished by a task of its own.
            let _ = MADE.try_with(|made| made.set(address));
            Ok(connection)
        })
    }
}
