//! The OpenAI-compatible API compared with a bare pipe that copies bytes from reqwest to axum, in one run: a
//! burst of streams from the same upstream to the same reader through either of them.
//!
//! `cargo bench -p server --bench pass`. Everything is in this process, with a runtime for each server.
//! `proxy.rs` measures the servers' CPU time separately. The figures include sockets and vary with the system,
//! so only the comparison counts. The two are measured in pairs, one right after the other, so that a busy
//! moment of the machine affects both. The ratio within the pairs is printed beside criterion's figures.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "support/bare_pipe.rs"]
mod bare_pipe;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use clap::Parser;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use server::config::Config;
use server::http::listen;
use server::http::state::AppState;
use server::http::workers::Workers;

const STREAMS: usize = 4;
const EVENTS: usize = 5_000;
const EVENT: &str = "data: {\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\
    \"created\":1741569952,\"model\":\"gpt-5-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\
    \"finish_reason\":null}]}\n\n";
const REQUEST: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
const PATH: &str = "/v1/chat/completions";

/// An upstream that writes each reply as fast as it is read, each event as a chunk of its own.
fn start_upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || while answer(&mut stream).is_ok() {});
        }
    });
    address
}

fn answer(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&request).contains("\"Hi\"") {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let chunk = format!("{:x}\r\n{EVENT}\r\n", EVENT.len());
    let batch = chunk.repeat(50);
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    for _ in 0..EVENTS / 50 {
        stream.write_all(batch.as_bytes())?;
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Runs a server on threads of its own and gives its address.
fn serve<F>(serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()>,
{
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a port");
            tell.send(listener.local_addr().expect("bound"))
                .expect("somebody waits");
            serve(listener).await;
        });
    });
    told.recv().expect("it starts")
}

async fn surface(listener: tokio::net::TcpListener, upstream: SocketAddr) {
    let variable =
        |name: &str| (name == "OPENAI_BASE_URL").then(|| format!("http://{upstream}/v1"));
    let config = Config::parse_from(["rill", "--ollama=off"])
        .with_environment(&variable)
        .expect("an upstream");
    let state = AppState::new(config).await.expect("a state");
    let router = server::http::router(state.clone());
    let workers = Arc::new(Workers::start().expect("threads"));
    let (most, stop) = (state.max_connections, state.drain.clone());
    listen::serve(listener, router, most, workers, stop).await;
}

/// Reads some streams at once, each to its end, and says how many bytes there were.
fn read_all(address: SocketAddr) -> usize {
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..STREAMS)
            .map(|_| {
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(address).expect("it listens");
                    write!(
                        stream,
                        "POST {PATH} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
                         connection: close\r\ncontent-length: {}\r\n\r\n{REQUEST}",
                        REQUEST.len()
                    )
                    .expect("it reads");
                    let mut buffer = vec![0; 64 * 1024];
                    let mut bytes = 0;
                    loop {
                        match stream.read(&mut buffer).expect("it answers") {
                            0 => return bytes,
                            read => bytes += read,
                        }
                    }
                })
            })
            .collect();
        readers
            .into_iter()
            .map(|reader| reader.join().expect("it reads"))
            .sum()
    })
}

/// How long reading them takes.
fn time(address: SocketAddr) -> Duration {
    let whole = STREAMS * EVENTS * EVENT.len();
    let start = Instant::now();
    assert!(read_all(address) >= whole, "whole replies");
    start.elapsed()
}

fn bench(criterion: &mut Criterion) {
    let upstream = start_upstream();
    let pipe = serve(move |listener| bare_pipe::serve(listener, upstream, PATH));
    let surface = serve(move |listener| surface(listener, upstream));
    let mut ratios = Vec::new();
    let mut group = criterion.benchmark_group("pass-through");
    group.sample_size(30);
    group.throughput(Throughput::Elements((STREAMS * EVENTS) as u64));
    for is_pipe in [true, false] {
        let name = if is_pipe { "bare pipe" } else { "surface" };
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut sum = Duration::ZERO;
                for round in 0..rounds {
                    // Who goes second may find the machine as the first has left it.
                    let (of_pipe, of_surface) = if round % 2 == 0 {
                        let of_pipe = time(pipe);
                        (of_pipe, time(surface))
                    } else {
                        let of_surface = time(surface);
                        (time(pipe), of_surface)
                    };
                    ratios.push(of_surface.as_secs_f64() / of_pipe.as_secs_f64());
                    sum += if is_pipe { of_pipe } else { of_surface };
                }
                sum
            });
        });
    }
    group.finish();
    ratios.sort_by(f64::total_cmp);
    if let Some(last) = ratios.len().checked_sub(1) {
        let at = |part: f64| ratios[(last as f64 * part) as usize];
        println!(
            "surface / bare pipe, of {} pairs: median {:.3}, middle half {:.3} to {:.3}",
            ratios.len(),
            at(0.5),
            at(0.25),
            at(0.75)
        );
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
