//! As much HTTP as is needed here: one request a connection, and the body as it comes.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The server says something at least every 15 s. What is silent for longer hangs.
const SILENCE: Duration = Duration::from_secs(30);

/// An answer whose body is being read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    stream: TcpStream,
    buffer: Vec<u8>,
    body: Body,
}

enum Body {
    Chunked,
    Length(usize),
    Over,
}

/// Sends a request and reads the head of the answer.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\naccept: */*\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    let mut answer = Answer {
        status: 0,
        stream,
        buffer: Vec::new(),
        body: Body::Over,
    };
    let head = loop {
        let end = answer
            .buffer
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head: Vec<u8> = answer.buffer.drain(..end + 4).collect();
            break String::from_utf8_lossy(&head).to_lowercase();
        }
        answer.fill().await?;
    };
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    answer.status = status.ok_or(ErrorKind::InvalidData)?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.trim().parse().ok());
    answer.body = match length {
        Some(length) => Body::Length(length),
        None if head.contains("transfer-encoding: chunked") => Body::Chunked,
        None => Body::Over,
    };
    Ok(answer)
}

/// The status that a request is answered with.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<u16> {
    Ok(send(address, "GET", path, None).await?.status)
}

impl Answer {
    /// The next bytes of the body; nothing at its proper end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.body {
                Body::Over | Body::Length(0) => return Ok(None),
                Body::Length(left) if !self.buffer.is_empty() => {
                    let taken = left.min(self.buffer.len());
                    self.body = Body::Length(left - taken);
                    return Ok(Some(self.buffer.drain(..taken).collect()));
                }
                Body::Chunked => {
                    if let Some(chunk) = self.take_chunk()? {
                        if chunk.is_empty() {
                            self.body = Body::Over;
                            return Ok(None);
                        }
                        return Ok(Some(chunk));
                    }
                }
                Body::Length(_) => {}
            }
            self.fill().await?;
        }
    }

    /// The whole body.
    pub(crate) async fn all(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    fn take_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(line) = self.buffer.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&self.buffer[..line])
            .ok()
            .and_then(|size| usize::from_str_radix(size, 16).ok())
            .ok_or(ErrorKind::InvalidData)?;
        if self.buffer.len() < line + 2 + size + 2 {
            return Ok(None);
        }
        let chunk = self.buffer[line + 2..line + 2 + size].to_vec();
        self.buffer.drain(..line + 2 + size + 2);
        Ok(Some(chunk))
    }

    async fn fill(&mut self) -> Result<()> {
        let mut bytes = [0; 16 * 1024];
        let read = timeout(SILENCE, self.stream.read(&mut bytes))
            .await
            .map_err(|_| Error::from(ErrorKind::TimedOut))??;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&bytes[..read]);
        Ok(())
    }
}
