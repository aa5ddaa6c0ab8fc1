//! Accepts connections and serves them, within limits on time and number.
//!
//! `axum::serve` has no deadline for headers and no limit on connections, so this module has its own loop.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::http::limits::Client;
use crate::http::workers::Workers;

/// The other end of the connection, as the system names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The time limit for the head of a request, and for an idle connection.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;
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
    let connections = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_HEADER_BYTES);

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
            let service = TowerToHyperService::new(service);
            let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
            // A connection error is the client's concern. Replies log their own outcome.
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
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
