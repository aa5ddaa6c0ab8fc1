//! The memory of a running saved reply beyond its text, with one reader each.
//!
//! `cargo bench -p server --bench memory`. The server is the real program in a process of its own. The figure
//! is its resident memory as the kernel reports it, before and while all replies are in the middle of their
//! text. The upstream and the readers are in this process. The figure includes everything of the server:
//! connections, buffers, tasks, the caches of the store and the overhead of the allocator. Linux only, because
//! it reads `/proc`.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use app::protocol::saved::messages_path;
use server::store::new_id;

const REPLIES: usize = 200;
/// The replies that run before the measurement. With this many the caches of the store are full.
const FIRST: usize = 400;
/// The pieces of each reply before it halts, and the text of each.
const PIECES: usize = 256;
const PIECE: &str = "sixteen letters ";
/// The last piece, by which a reader knows that it has all.
const LAST: &str = "that is all";

fn main() {
    measure("as providers write, event by event", Pieces::EventByEvent);
    measure("in one burst", Pieces::AtOnce);
}

/// How the upstream writes a reply. In a burst the HTTP client takes a larger buffer, and keeps it.
#[derive(Clone, Copy)]
enum Pieces {
    EventByEvent,
    AtOnce,
}

fn measure(how: &str, pieces: Pieces) {
    let gate = Arc::new(Gate::default());
    let upstream = start_upstream(Arc::clone(&gate), pieces);
    let data = tempfile::TempDir::new().expect("a folder");
    let server = Server::start(upstream, data.path());
    // What is needed once is not a reply's: code that was never used, caches of the store. These fill
    // with the first replies, which run on while the others are measured.
    let first: Vec<TcpStream> = (0..FIRST).map(|_| server.begin()).collect();
    std::thread::sleep(Duration::from_secs(2));
    let before = server.memory();
    let readers: Vec<TcpStream> = (0..REPLIES).map(|_| server.begin()).collect();
    // New pieces are stored about once a second.
    std::thread::sleep(Duration::from_secs(3));
    let after = server.memory();
    let text = PIECES * PIECE.len() + LAST.len();
    let each = (after - before) as f64 / REPLIES as f64;
    println!(
        "{REPLIES} running replies with a reader each, {how}: {:.1} MiB before, {:.1} MiB after; \
         {:.1} KiB each, of which {:.1} KiB are its text; beyond it {:.1} KiB",
        before as f64 / 1024.0 / 1024.0,
        after as f64 / 1024.0 / 1024.0,
        each / 1024.0,
        text as f64 / 1024.0,
        (each - text as f64) / 1024.0
    );
    gate.open();
    drop((first, readers));
}

/// Holds the replies back until all were measured.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().expect("nobody panics") = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut is_open = self.is_open.lock().expect("nobody panics");
        while !*is_open {
            is_open = self.opened.wait(is_open).expect("nobody panics");
        }
    }
}

/// An upstream that halts before the end of each reply.
fn start_upstream(gate: Arc<Gate>, pieces: Pieces) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || answer(&mut stream, &gate, pieces));
        }
    });
    address
}

fn answer(stream: &mut TcpStream, gate: &Gate, pieces: Pieces) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&request).contains("\"Hi\"") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let event = |text: &str| {
        let delta =
            format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}");
        chunk(&format!("data: {delta}\n\n"))
    };
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    match pieces {
        Pieces::EventByEvent => {
            for _ in 0..PIECES {
                stream.write_all(event(PIECE).as_bytes())?;
                std::thread::sleep(Duration::from_micros(50));
            }
            stream.write_all(event(LAST).as_bytes())?;
        }
        Pieces::AtOnce => {
            let all = event(PIECE).repeat(PIECES) + &event(LAST);
            stream.write_all(all.as_bytes())?;
        }
    }
    gate.wait();
    stream.write_all(chunk("data: [DONE]\n\n").as_bytes())?;
    stream.write_all(b"0\r\n\r\n")
}

/// The program.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(upstream: SocketAddr, data: &std::path::Path) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 39120));
        let child = Command::new(env!("CARGO_BIN_EXE_rill"))
            .args(["--listen", &address.to_string(), "--ollama", "off"])
            .args(["--titles", "off"])
            .env("OPENAI_BASE_URL", format!("http://{upstream}/v1"))
            .env("RILL_DATA_DIR", data)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, address }
    }

    /// Asks in a new conversation, and reads all that comes before the reply halts.
    fn begin(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let body = format!("{{\"request_id\":\"{}\",\"content\":\"Hi\"}}", new_id());
        write!(
            stream,
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            messages_path(&new_id()),
            self.address,
            body.len()
        )
        .expect("it reads");
        let mut got = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while !String::from_utf8_lossy(&got).contains(LAST) {
            let read = stream.read(&mut buffer).expect("it answers");
            assert!(read > 0, "a reply: {}", String::from_utf8_lossy(&got));
            got.extend_from_slice(&buffer[..read]);
        }
        stream
    }

    /// The memory that the process has now, in bytes.
    fn memory(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .expect("a process has memory");
        let kib = line.split_whitespace().nth(1).expect("a number");
        kib.parse::<usize>().expect("a number") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
