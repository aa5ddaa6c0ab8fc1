//! Accepts connections and serves them, within limits on time and number.
//!
//! `axum::serve` has no deadline for headers and no limit on connections, so this module has its own loop.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::http::limits::Client;
use crate::http::tls::Tls;
use crate::http::workers::Workers;

/// The other end of the connection, as the system names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The time limit for the head of a request, and for an idle connection.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The time limit for the handshake of TLS.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// The most requests of one connection at a time, with HTTP/2.
const MAX_CONCURRENT_STREAMS: u32 = 200;
/// The longest time in which a reader takes none of the bytes that wait for it.
const WRITE_DEADLINE: Duration = Duration::from_secs(120);

/// Serves until `stop` is cancelled, then until the open connections have ended. Connections beyond
/// `max_connections` wait in the system's queue.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    workers: Arc<Workers>,
    stop: CancellationToken,
) {
    serve_by(None, listener, router, max_connections, workers, stop).await;
}

/// The same, by HTTPS if there is a certificate.
pub async fn serve_by(
    tls: Option<Arc<Tls>>,
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    workers: Arc<Workers>,
    stop: CancellationToken,
) {
    let connections = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    let http = Protocols::new();

    loop {
        let permit = Arc::clone(&connections)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        // Each event must be sent when it is written.
        let _ = stream.set_nodelay(true);
        // The thread that serves the connection must also wait for its bytes.
        let Ok(stream) = stream.into_std() else {
            continue;
        };
        let client = Client::from(peer.0);
        let (http, watcher) = (http.clone(), graceful.watcher());
        let acceptor = tls.as_ref().map(|tls| tls.acceptor());
        let service = router
            .clone()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(client.clone());
                request.extensions_mut().insert(peer);
                request
            });
        workers.spawn(async move {
            let _permit = permit;
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "cannot serve a connection"),
            };
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(WRITE_DEADLINE));
            let stream = Box::pin(stream);
            let service = TowerToHyperService::new(service);
            let ended = match acceptor {
                None => http.serve_plain(stream, service, watcher).await,
                Some(acceptor) => http.serve_tls(&acceptor, stream, service, watcher).await,
            };
            // A connection error is the client's concern. Replies log their own outcome.
            if let Err(error) = ended {
                tracing::debug!(error, "connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The protocols of connections, with their limits.
#[derive(Clone)]
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(MAX_HEADER_BYTES);
        // The requests of a connection are tasks of the thread that serves it.
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).expect("it is small"))
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .keep_alive_interval(HEADER_DEADLINE)
            .keep_alive_timeout(HEADER_DEADLINE);
        Self { http1, http2 }
    }

    async fn serve_plain<I, S>(&self, stream: I, service: S, watcher: Watcher) -> Result<(), String>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: RouterService,
    {
        let connection = self.http1.serve_connection(TokioIo::new(stream), service);
        let ended = watcher.watch(connection).await;
        ended.map_err(|error| error.to_string())
    }

    /// Serves HTTP/2 or HTTP/1.1, as the client chooses in the handshake.
    async fn serve_tls<I, S>(
        &self,
        acceptor: &TlsAcceptor,
        stream: I,
        service: S,
        watcher: Watcher,
    ) -> Result<(), String>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: RouterService,
    {
        let accepted = timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await;
        let stream = accepted
            .map_err(|_| "the handshake took too long".to_owned())?
            .map_err(|error| error.to_string())?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return self.serve_plain(stream, service, watcher).await;
        }
        let connection = self.http2.serve_connection(TokioIo::new(stream), service);
        let ended = watcher.watch(connection).await;
        ended.map_err(|error| error.to_string())
    }
}

/// The service of a connection.
trait RouterService:
    Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = Infallible,
        Future: Send + 'static,
    > + Send
    + 'static
{
}

impl<S> RouterService for S where
    S: Service<
            Request<Incoming>,
            Response = axum::response::Response,
            Error = Infallible,
            Future: Send + 'static,
        > + Send
        + 'static
{
}

/// The next connection. An error of a single connection is ignored. If the system has no resources for another
/// connection, the loop pauses.
async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, Peer(peer.ip())),
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
