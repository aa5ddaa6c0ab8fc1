//! The baseline of the benchmarks: it only copies bytes from reqwest to axum as they arrive.
//!
//! It has Rill's settings where they are not a proxy's work: `TCP_NODELAY` on both sides, the same settings of
//! hyper, and no decompression. It lacks what Rill adds: limits, checks, routes, the log.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// Answers each `POST` of this path with what the upstream answers there.
pub(crate) async fn serve(listener: TcpListener, upstream: SocketAddr, path: &'static str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("http://{upstream}{path}");
    let client = reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .tcp_nodelay(true)
        .build()
        .expect("a client");
    let handler = async move |body: Bytes| {
        let request = client.post(&url).body(body);
        let response = request.send().await.expect("the upstream answers");
        Body::from_stream(response.bytes_stream())
    };
    let router = Router::new().route(path, post(handler));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .max_buf_size(64 * 1024);
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}
