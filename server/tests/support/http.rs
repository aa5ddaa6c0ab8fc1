//! A plain HTTP/1.1 client: it sends exactly the bytes of a test, returns the chunks of an answer as the server
//! wrote them, and disconnects when it is dropped.
//!
//! It does not follow redirects, decode, retry or keep connections, as an HTTP library would.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// A request, which is sent exactly as it is.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without a body and without any header; `Host` is added when it is sent.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A JSON body with its content type.
    pub(crate) fn post(target: &str, body: &Value) -> Self {
        Self::new("POST", target)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sets a header in the place of one of that name.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut request = self.without(name);
        request.headers.push((name.into(), value.into()));
        request
    }

    /// Takes a header away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// Sets the body, and `content-length` unless a header about the length is set.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// The bytes of the request as they are sent to this address.
    pub(crate) fn to_bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut add = |name: &str, value: &str| {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        };
        if !self.has("host") {
            add("host", &address.to_string());
        }
        if !self.has("content-length") && !self.has("transfer-encoding") && self.method != "GET" {
            add("content-length", &self.body.len().to_string());
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Sends a request on a connection of its own and reads the head of the answer.
pub(crate) async fn send(address: SocketAddr, request: &Request) -> io::Result<Answer> {
    send_bytes(address, &request.to_bytes(address)).await
}

/// Sends bytes that need not be a request.
pub(crate) async fn send_bytes(address: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    Answer::read_head(write_leniently(stream, bytes).await?).await
}

/// Sends a request from this address of the machine.
pub(crate) async fn send_from(
    source: Ipv4Addr,
    address: SocketAddr,
    request: &Request,
) -> io::Result<Answer> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let stream = socket.connect(address).await?;
    Answer::read_head(write_leniently(stream, &request.to_bytes(address)).await?).await
}

/// Sends a request from a socket that can hold only little of the answer.
pub(crate) async fn send_with_small_buffer(
    address: SocketAddr,
    request: &Request,
) -> io::Result<Answer> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let stream = socket.connect(address).await?;
    Answer::read_head(write_leniently(stream, &request.to_bytes(address)).await?).await
}

/// Writes a request. A server may refuse it and close before it has read all of it: its answer
/// counts then, not the failure to write.
async fn write_leniently(mut stream: TcpStream, bytes: &[u8]) -> io::Result<TcpStream> {
    let (mut reader, mut writer) = stream.split();
    let mut first = [0; 1];
    tokio::select! {
        written = writer.write_all(bytes) => match written {
            Err(error) if is_closed(&error) => {}
            written => written?,
        },
        answered = reader.peek(&mut first) => { answered?; }
    }
    Ok(stream)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// The answer to a request: its head, and its body as it comes. Dropping it closes the connection.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    stream: TcpStream,
    unread: BytesMut,
    framing: Framing,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Chunked,
    /// This many bytes are left.
    Length(usize),
    UntilClose,
    Ended,
}

impl Answer {
    async fn read_head(mut stream: TcpStream) -> io::Result<Self> {
        let mut unread = BytesMut::new();
        let head_length = loop {
            if let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            read_more(&mut stream, &mut unread).await?;
        };
        let head = String::from_utf8(unread.split_to(head_length).to_vec())
            .map_err(|_| malformed("a head that is not text"))?;
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| malformed("no status line"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self {
            status,
            headers,
            stream,
            unread,
            framing: Framing::UntilClose,
        };
        answer.framing = match (
            answer.header("transfer-encoding"),
            answer.header("content-length"),
        ) {
            _ if matches!(status, 204 | 304) => Framing::Ended,
            (Some("chunked"), _) => Framing::Chunked,
            (_, Some(length)) => {
                Framing::Length(length.parse().map_err(|_| malformed("a bad length"))?)
            }
            _ => Framing::UntilClose,
        };
        Ok(answer)
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The next piece of the body: of a chunked one, exactly one chunk, which is what the server
    /// wrote in one go. Nothing at the proper end; an error where the body was cut.
    pub(crate) async fn next_frame(&mut self) -> io::Result<Option<Bytes>> {
        match self.framing {
            Framing::Ended | Framing::Length(0) => Ok(None),
            Framing::Chunked => self.next_chunk().await,
            Framing::Length(left) => {
                if self.unread.is_empty() {
                    read_more(&mut self.stream, &mut self.unread).await?;
                }
                let part = self.unread.split_to(left.min(self.unread.len()));
                self.framing = Framing::Length(left - part.len());
                Ok(Some(part.freeze()))
            }
            Framing::UntilClose => {
                if self.unread.is_empty() && self.stream.read_buf(&mut self.unread).await? == 0 {
                    return Ok(None);
                }
                Ok(Some(self.unread.split().freeze()))
            }
        }
    }

    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let (start, length) = loop {
            if let Some(at) = self.unread.windows(2).position(|window| window == b"\r\n") {
                let size = std::str::from_utf8(&self.unread[..at]).ok();
                let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
                break (at + 2, size.ok_or_else(|| malformed("no size of a chunk"))?);
            }
            read_more(&mut self.stream, &mut self.unread).await?;
        };
        while self.unread.len() < start + length + 2 {
            read_more(&mut self.stream, &mut self.unread).await?;
        }
        self.unread.advance(start);
        let chunk = self.unread.split_to(length).freeze();
        self.unread.advance(2);
        if length == 0 {
            self.framing = Framing::Ended;
            return Ok(None);
        }
        Ok(Some(chunk))
    }

    /// The whole body.
    pub(crate) async fn body(mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(frame) = self.next_frame().await? {
            body.extend_from_slice(&frame);
        }
        Ok(body)
    }

    /// Waits until the server closes the connection, whatever comes before that.
    pub(crate) async fn until_closed(mut self) {
        while matches!(self.stream.read_buf(&mut self.unread).await, Ok(1..)) {
            self.unread.clear();
        }
    }

    /// The whole body as JSON.
    pub(crate) async fn json(self) -> Value {
        let body = self.body().await.expect("a whole body");
        serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
    }
}

async fn read_more(stream: &mut TcpStream, unread: &mut BytesMut) -> io::Result<()> {
    match stream.read_buf(unread).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
