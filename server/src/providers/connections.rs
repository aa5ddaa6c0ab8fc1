//! Keep-alive connections to a provider, and the retry of a request whose connection was closed.
//!
//! A provider may close an idle connection at any time, so that a request over it fails. hyper repeats the
//! request if it has not written any of it. Otherwise, RFC 9110, section 9.2.2, lets a client repeat a `POST`
//! only if it can tell that the first one was not applied. Go's client never repeats it. Browsers do, with any
//! method, if the connection had carried an answer before and ended before the head of the next one. This
//! client does so only within a few seconds, because a close that crossed with the request shows in that time.
//! A request over its own new connection is never repeated here.

use std::cell::Cell;
use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Extensions;
use h2::Reason;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpInfo};
use prometheus_client::metrics::counter::Counter;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use tokio::runtime::{self, Handle};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::roots;

/// A close that crossed with a request shows within a round trip. A later failure may mean that the request was
/// processed and charged.
const CROSSING: Duration = Duration::from_secs(3);

tokio::task_local! {
    /// The local address of the connection that was opened for this request, if one was. The request may use
    /// another connection that became free earlier.
    static MADE: Cell<Option<SocketAddr>>;
}

/// The connections to one provider. A connection belongs to the runtime that opened it, whose thread reads its
/// socket, so each runtime has a client of its own.
#[derive(Debug)]
pub(super) struct Connections {
    kept: RwLock<HashMap<Option<runtime::Id>, Client>>,
    /// A client without keep-alive. Built at the first use.
    new: OnceLock<Client>,
    /// Counts the connections that are opened.
    opened: Counter,
}

impl Connections {
    /// Connections with this configuration. `opened` counts them.
    ///
    /// # Errors
    /// When no client can be built.
    pub(super) fn new(
        builder: impl Fn() -> ClientBuilder,
        opened: Counter,
    ) -> Result<Self, reqwest::Error> {
        let connections = Self {
            kept: RwLock::default(),
            new: OnceLock::new(),
            opened,
        };
        // A client that cannot be built is an error at the start.
        connections.kept(builder)?;
        Ok(connections)
    }

    /// The client of the runtime that this is called on, if there is one.
    fn kept(&self, builder: impl Fn() -> ClientBuilder) -> Result<Client, reqwest::Error> {
        let runtime = Handle::try_current().ok().map(|handle| handle.id());
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = kept.get(&runtime) {
            return Ok(client.clone());
        }
        drop(kept);
        let client = roots::build(|| builder().connector_layer(NoteNew(self.opened.clone())))?;
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.entry(runtime).or_insert(client).clone())
    }

    /// Sends a request, and once more over a new connection if the used one had been closed. Counts each
    /// request in `sent`. `builder` configures the client for the second one.
    ///
    /// # Errors
    /// When no answer began.
    pub(super) async fn send(
        &self,
        request: impl Fn(&Client) -> RequestBuilder,
        builder: impl Fn() -> ClientBuilder,
        sent: &mut u32,
    ) -> Result<Response, reqwest::Error> {
        *sent += 1;
        let began = Instant::now();
        let kept = self.kept(&builder)?;
        let sending = async {
            let answer = request(&kept).send().await;
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

    fn for_new(&self, builder: impl Fn() -> ClientBuilder) -> Option<&Client> {
        if let Some(client) = self.new.get() {
            return Some(client);
        }
        let note = || NoteNew(self.opened.clone());
        let builder = || builder().pool_max_idle_per_host(0);
        let client = roots::build(|| builder().connector_layer(note())).ok()?;
        Some(self.new.get_or_init(|| client))
    }
}

/// Whether a request failed on a connection that existed before it.
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

/// Whether a request on a reused connection certainly was not processed, or failed so soon that the close
/// crossed with it.
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

/// Whether the provider reports that it did not process the request (RFC 9113, section 8.7): a refused stream,
/// or a stream above the last one in `GOAWAY`.
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

/// Counts the connections that are opened, and records for which request.
#[derive(Debug, Clone)]
struct NoteNew(Counter);

impl<S> Layer<S> for NoteNew {
    type Service = NotingNew<S>;

    fn layer(&self, connector: S) -> NotingNew<S> {
        NotingNew(connector, self.0.clone())
    }
}

#[derive(Debug, Clone)]
struct NotingNew<S>(S, Counter);

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
        let opened = self.1.clone();
        Box::pin(async move {
            let connection = connecting.await?;
            opened.inc();
            let address = local_address(&connection.connected());
            // If another connection became free earlier, a separate task completes this one.
            let _ = MADE.try_with(|made| made.set(address));
            Ok(connection)
        })
    }
}
