//! The cost of a whole proxy: CPU time of the server process for each event, with a burst of 16 streams, for
//! Rill's chat, for its OpenAI-compatible API, and in the same run for a bare pipe that copies bytes from
//! reqwest to axum.
//!
//! `cargo bench -p server --bench proxy`. The upstream and the readers are in this process, and each server is
//! in one of its own. Only the servers' CPU time is counted, as the kernel reports it. Linux only, because it
//! reads `/proc`. The chat parses and encodes each event; the API and the pipe do not parse them.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "support/bare_pipe.rs"]
mod bare_pipe;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STREAMS: usize = 16;
const EVENTS: usize = 20_000;
const ROUNDS: usize = 9;
const EVENT: &str = "data: {\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\
    \"created\":1741569952,\"model\":\"gpt-5-mini\",\"service_tier\":\"default\",\"system_fingerprint\":null,\
    \"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],\
    \"usage\":null}\n\n";
const REQUEST: &str = r#"{"messages":[{"role":"user","content":"Hi"}]}"#;

fn main() {
    if let Ok(upstream) = std::env::var("BARE_PIPE_TO") {
        return bare_pipe(&upstream);
    }
    let upstream = start_upstream();
    // Each has a folder of its own.
    let data = tempfile::TempDir::new().expect("a folder");
    let rill = |port: u16, path| {
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
        command
            .args(["--listen", &address, "--ollama", "off"])
            .env("OPENAI_BASE_URL", format!("http://{upstream}/v1"))
            .env("RILL_DATA_DIR", data.path().join(port.to_string()))
            .env("RUST_LOG", "warn");
        Proxy::start(&mut command, port, path)
    };
    let chat = rill(39117, "/api/chat");
    let surface = rill(39119, "/v1/chat/completions");
    let pipe = Proxy::start(
        Command::new(std::env::current_exe().expect("this program"))
            .env("BARE_PIPE_TO", upstream.to_string()),
        39118,
        "/v1/chat/completions",
    );
    println!(
        "{STREAMS} streams of {EVENTS} events at once, {ROUNDS} rounds; CPU of the server process"
    );
    println!(
        "{:<12} {:>14} {:>14} {:>12}",
        "", "CPU us/event", "events/s", "peak MiB"
    );
    let proxies = [("chat", &chat), ("surface", &surface), ("bare pipe", &pipe)];
    for (_, proxy) in proxies {
        proxy.burst();
    }
    // One after the other in each round, so that a busy moment of the machine meets all of them.
    let mut rounds: [Vec<(f64, f64)>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for ((_, proxy), measured) in proxies.iter().zip(&mut rounds) {
            measured.push(proxy.measure());
        }
    }
    let [_, surface, pipe] = &rounds;
    let ratios: Vec<f64> = surface.iter().zip(pipe).map(|(a, b)| a.0 / b.0).collect();
    for ((name, proxy), measured) in proxies.iter().zip(&mut rounds) {
        print_row(name, measured, proxy);
    }
    print_ratio(ratios);
}

/// The CPU of the surface in relation to that of the pipe, as the rounds have it.
fn print_ratio(mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    let (last, middle) = (ratios.len() - 1, ratios.len() / 2);
    println!(
        "CPU of surface / bare pipe: median {:.3}, {:.3} to {:.3}",
        ratios[middle], ratios[0], ratios[last]
    );
}

fn print_row(name: &str, rounds: &mut [(f64, f64)], proxy: &Proxy) {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (cpu, rate) = rounds[rounds.len() / 2];
    println!(
        "{name:<12} {cpu:>14.3} {rate:>14.0} {:>12.1}",
        proxy.peak_memory()
    );
}

/// A server in a process of its own.
struct Proxy {
    child: Child,
    address: SocketAddr,
    path: &'static str,
}

impl Proxy {
    fn start(command: &mut Command, port: u16, path: &'static str) -> Self {
        let child = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self {
            child,
            address,
            path,
        }
    }

    /// CPU microseconds an event, and events a second.
    fn measure(&self) -> (f64, f64) {
        let (cpu, wall) = (self.cpu_time(), Instant::now());
        self.burst();
        let (cpu, wall) = (self.cpu_time() - cpu, wall.elapsed().as_secs_f64());
        let events = (STREAMS * EVENTS) as f64;
        (cpu * 1e6 / events, events / wall)
    }

    /// Reads all streams to their end.
    fn burst(&self) {
        std::thread::scope(|scope| {
            for _ in 0..STREAMS {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(self.address).expect("the server listens");
                    write!(
                        stream,
                        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
                         connection: close\r\ncontent-length: {}\r\n\r\n{REQUEST}",
                        self.path,
                        self.address,
                        REQUEST.len()
                    )
                    .expect("the server reads");
                    let mut buffer = vec![0; 64 * 1024];
                    let mut tail = Vec::new();
                    loop {
                        match stream.read(&mut buffer).expect("the server answers") {
                            0 => break,
                            read => {
                                tail.extend_from_slice(&buffer[..read]);
                                let cut = tail.len().saturating_sub(400);
                                tail.drain(..cut);
                            }
                        }
                    }
                    let tail = String::from_utf8_lossy(&tail);
                    assert!(
                        tail.contains("done") || tail.contains("[DONE]"),
                        "a whole reply: {tail}"
                    );
                });
            }
        });
    }

    /// User and system time so far, in seconds.
    fn cpu_time(&self) -> f64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux");
        let fields: Vec<&str> = stat
            .rsplit(") ")
            .next()
            .expect("a line")
            .split(' ')
            .collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        // The kernel counts these in hundredths of a second on all that we run on.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// The most memory that the process has had, in MiB.
    fn peak_memory(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .expect("a process has memory");
        line.split_whitespace()
            .nth(1)
            .expect("a number")
            .parse::<f64>()
            .expect("a number")
            / 1024.0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let batch = chunk(EVENT).repeat(50);
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    for _ in 0..EVENTS / 50 {
        stream.write_all(batch.as_bytes())?;
    }
    stream.write_all(chunk("data: [DONE]\n\n").as_bytes())?;
    stream.write_all(b"0\r\n\r\n")
}

/// The comparison, in a process of its own.
#[tokio::main]
async fn bare_pipe(upstream: &str) {
    let upstream = upstream.parse().expect("an address");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:39118")
        .await
        .expect("a port");
    bare_pipe::serve(listener, upstream, "/v1/chat/completions").await;
}
