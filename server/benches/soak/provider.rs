//! A provider that does what the question says: so many words, at this pace, with this end. Words are
//! numbered, so that a text shows by itself whether anything is missing.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use rand::random_range;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What a reply is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) words: u32,
    /// The pause before each word.
    pub(crate) pace: Duration,
    /// Whether the connection breaks in the middle of the stream.
    pub(crate) is_cut: bool,
}

impl Script {
    /// The question that makes the provider do this.
    pub(crate) fn question(self) -> String {
        let (words, pace, cut) = (self.words, self.pace.as_millis(), u8::from(self.is_cut));
        format!("Say words {words} {pace} {cut} please.")
    }

    fn read(request: &str) -> Option<Self> {
        let (_, rest) = request.rsplit_once("Say words ")?;
        let mut numbers = rest.split(' ').map_while(|word| word.parse::<u64>().ok());
        Some(Self {
            words: u32::try_from(numbers.next()?).ok()?,
            pace: Duration::from_millis(numbers.next()?),
            is_cut: numbers.next()? == 1,
        })
    }
}

/// A word of a reply.
fn word(number: u32) -> String {
    format!("w{number} ")
}

/// Whether a text is what this provider says, from its first word on and without a gap; a reply that was
/// continued begins again with the first word.
pub(crate) fn is_said(text: &str) -> bool {
    let mut expect = 0;
    for said in text.split_inclusive(' ') {
        if said == word(0) {
            expect = 0;
        }
        if said != word(expect) {
            return false;
        }
        expect += 1;
    }
    true
}

pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Answers the requests of one connection.
async fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let request = read_request(&mut stream).await?;
        let script = Script::read(&request).ok_or(ErrorKind::InvalidData)?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        for number in 0..script.words {
            if !script.pace.is_zero() {
                sleep(script.pace).await;
            }
            let delta = format!(r#"{{"content":"{}"}}"#, word(number));
            write_event(&mut stream, &delta, "null").await?;
            if script.is_cut && number == script.words / 2 {
                return Ok(());
            }
        }
        write_event(&mut stream, "{}", "\"stop\"").await?;
        stream
            .write_all(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            .await?;
        // A connection that is kept is closed by some providers just when it is used again.
        match random_range(0..5) {
            0 => return Ok(()),
            1 => {
                sleep(Duration::from_millis(random_range(0..50))).await;
                return Ok(());
            }
            _ => {}
        }
    }
}

async fn write_event(stream: &mut TcpStream, delta: &str, finish: &str) -> Result<()> {
    let event = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    );
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    stream.write_all(chunk.as_bytes()).await
}

/// Reads one request, and gives its body.
async fn read_request(stream: &mut TcpStream) -> Result<String> {
    let mut request = Vec::new();
    let mut bytes = [0; 16 * 1024];
    loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|length| length.trim().parse().ok())
                .unwrap_or(0);
            if request.len() >= end + 4 + length {
                return Ok(String::from_utf8_lossy(&request[end + 4..]).into_owned());
            }
        }
        match stream.read(&mut bytes).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => request.extend_from_slice(&bytes[..read]),
        }
    }
}
