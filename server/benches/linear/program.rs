//! The program in a process of its own, and what it takes while it works.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Took;

/// The program.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    pub(super) fn start(arguments: &[String]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 39121));
        let child = Command::new(env!("CARGO_BIN_EXE_rill"))
            .args(["--listen", &address.to_string(), "--ollama", "off"])
            .args(["--titles", "off"])
            .args(arguments)
            .env_remove("OPENAI_BASE_URL")
            .env_remove("OPENAI_API_KEY")
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, address }
    }

    /// Does something, while others write and ask.
    pub(super) fn watch(&self, small: &str, work: impl FnOnce()) -> Took {
        // The peak counts from here on.
        let peak = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(peak, "5").expect("Linux");
        let is_over = AtomicBool::new(false);
        let longest = |ask: &(dyn Fn() + Sync)| {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                ask();
                longest = longest.max(begun.elapsed());
                std::thread::sleep(Duration::from_millis(20));
            }
            longest
        };
        let pin = format!("{{\"id\":\"{small}\",\"pinned\":true}}");
        std::thread::scope(|scope| {
            let write = scope.spawn(|| {
                longest(&|| {
                    self.post("/api/conversations/pin", &pin);
                })
            });
            let health = scope.spawn(|| longest(&|| assert_eq!(self.get("/healthz"), 200)));
            let begun = Instant::now();
            work();
            let time = begun.elapsed();
            is_over.store(true, Ordering::Relaxed);
            Took {
                time,
                peak_mib: self.peak_mib(),
                write: write.join().expect("it writes"),
                health: health.join().expect("it asks"),
            }
        })
    }

    pub(super) fn get(&self, path: &str) -> u16 {
        self.ask(
            &format!("GET {path} HTTP/1.1\r\n"),
            0,
            &mut std::io::empty(),
        )
    }

    pub(super) fn post(&self, path: &str, body: &str) -> u16 {
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\n");
        self.ask(&head, body.len() as u64, &mut body.as_bytes())
    }

    pub(super) fn post_file(&self, path: &str, file: &Path) -> u16 {
        let mut file = File::open(file).expect("it is there");
        let length = file.metadata().expect("a file").len();
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\n");
        self.ask(&head, length, &mut file)
    }

    /// Sends a request, reads the whole answer, and gives its status.
    fn ask(&self, head: &str, length: u64, body: &mut impl Read) -> u16 {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        write!(
            stream,
            "{head}host: {}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
            self.address
        )
        .expect("it reads");
        std::io::copy(body, &mut stream).expect("it reads");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("it answers");
        std::io::copy(&mut stream, &mut std::io::sink()).expect("a whole answer");
        let status = String::from_utf8_lossy(&status[9..]).into_owned();
        status.parse().expect("a status")
    }

    fn peak_mib(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .expect("a process has memory");
        let kib = line.split_whitespace().nth(1).expect("a number");
        kib.parse::<f64>().expect("a number") / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
