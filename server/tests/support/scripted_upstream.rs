//! An upstream that plays a script on a TCP socket. Unlike an HTTP library, it can cut a body, reset a connection
//! or fall silent at any point.
//!
//! It keeps connections open between requests, as real providers do, and records each request, how much of the
//! answer it could send, and when the request ended. It checks nothing.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::BytesMut;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::scripts::{Content, End, Repeat, Response, Times};

/// How much is written in one go when a chunk is repeated without a pause.
const BATCH_BYTES: usize = 64 * 1024;

/// A running upstream. It stops when it is dropped.
pub(crate) struct ScriptedUpstream {
    address: SocketAddr,
    record: watch::Receiver<Vec<Exchange>>,
    running: Running,
}

/// The owner of the upstream's port.
enum Running {
    /// The task that accepts connections.
    Listening(#[expect(dead_code, reason = "held for its tasks")] JoinSet<()>),
    /// A socket that has the port but does not listen: connections are refused, and no other program gets
    /// the port.
    Refusing(#[expect(dead_code, reason = "held for its port")] TcpSocket),
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The first line of the request.
    pub(crate) request_line: String,
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    /// When the whole request had been read.
    pub(crate) asked_at: Instant,
    /// How much of the answer could be written so far, in bytes.
    pub(crate) written: usize,
    /// Whether the first chunk has been written, or all there is before a silence.
    pub(crate) has_begun: bool,
    pub(crate) end: Option<(Instant, Ending)>,
}

/// How a request came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer was played to its end.
    Played,
    /// The client closed the connection before that.
    ClosedByClient,
}

impl Exchange {
    /// The value of a header of the request.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// How far a response is played.
#[derive(Debug, Clone, Copy)]
enum Length {
    Whole,
    FirstChunk,
}

impl ScriptedUpstream {
    /// Answers the first request with the first response, and so on; the last one is played again
    /// for all further requests.
    pub(crate) async fn playing(responses: Vec<Response>) -> Self {
        Self::start(responses, Length::Whole).await
    }

    /// The same, but after the first chunk of each response it falls silent and waits for the
    /// client to leave.
    pub(crate) async fn pausing_after_first_chunk(responses: Vec<Response>) -> Self {
        Self::start(responses, Length::FirstChunk).await
    }

    async fn start(responses: Vec<Response>, length: Length) -> Self {
        let (recorder, record) = watch::channel(Vec::new());
        if responses.iter().any(|response| response.end == End::Refuse) {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket
                .bind(([127, 0, 0, 1], 0).into())
                .expect("a free port");
            let address = socket.local_addr().expect("a bound socket");
            return Self {
                address,
                record,
                running: Running::Refusing(socket),
            };
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let stage = Arc::new(Stage {
                responses,
                length,
                recorder,
            });
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve_connection(stream, stage.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            record,
            running: Running::Listening(accepting),
        }
    }

    /// The base URL to give to a client.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests so far, in order.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.record.borrow().clone()
    }

    /// How often it was asked so far.
    pub(crate) fn request_count(&self) -> usize {
        self.record.borrow().len()
    }

    /// Whether it refuses connections, and so cannot know how often it was asked.
    pub(crate) fn refuses_connections(&self) -> bool {
        matches!(self.running, Running::Refusing(_))
    }

    /// Waits until it has been asked.
    pub(crate) async fn was_asked(&self) {
        self.wait_for(|exchanges| !exchanges.is_empty()).await;
    }

    /// Waits until the first chunk of an answer has been written; where an answer begins with
    /// silence, until that has begun. A client that has seen enough in the head is waited for no
    /// longer: it left before a chunk could be written.
    pub(crate) async fn has_begun(&self) {
        let begun = |exchange: &Exchange| exchange.has_begun || exchange.end.is_some();
        self.wait_for(|exchanges| exchanges.iter().any(begun)).await;
    }

    /// Waits until it has been asked and no request is open.
    pub(crate) async fn is_free(&self) {
        let is_over = |exchange: &Exchange| exchange.end.is_some();
        self.wait_for(|exchanges| !exchanges.is_empty() && exchanges.iter().all(is_over))
            .await;
    }

    /// Waits until the written bytes satisfy the condition.
    pub(crate) async fn wait_for(&self, mut condition: impl FnMut(&[Exchange]) -> bool) {
        let mut record = self.record.clone();
        record
            .wait_for(|exchanges| condition(exchanges))
            .await
            .expect("the upstream runs as long as its owner");
    }
}

/// The state that all connections of an upstream share.
struct Stage {
    responses: Vec<Response>,
    length: Length,
    recorder: watch::Sender<Vec<Exchange>>,
}

impl Stage {
    /// Records a request, and returns its number and the answer to it.
    fn begin(&self, request: Request) -> (usize, Response) {
        let mut number = 0;
        self.recorder.send_modify(|exchanges| {
            number = exchanges.len();
            exchanges.push(Exchange {
                request_line: request.line,
                headers: request.headers,
                body: request.body,
                asked_at: Instant::now(),
                written: 0,
                has_begun: false,
                end: None,
            });
        });
        (
            number,
            self.responses[number.min(self.responses.len() - 1)].clone(),
        )
    }

    fn note(&self, number: usize, change: impl FnOnce(&mut Exchange)) {
        self.recorder
            .send_modify(|exchanges| change(&mut exchanges[number]));
    }
}

/// Answers the requests of one connection, one after the other, until one side closes it.
async fn serve_connection(mut stream: TcpStream, stage: Arc<Stage>) {
    stream.set_nodelay(true).expect("a fresh connection");
    let mut unread = BytesMut::new();
    loop {
        // Borrowed halves: dropping them says nothing to the peer, as a reset needs it.
        let (mut reader, mut writer) = stream.split();
        let Some(request) = read_request(&mut reader, &mut unread).await else {
            return;
        };
        let (number, response) = stage.begin(request);
        let ending = tokio::select! {
            played = play(&response, number, &stage, &mut writer) => match played {
                Ok(()) => Ending::Played,
                Err(_) => Ending::ClosedByClient,
            },
            () = closed(&mut reader, &mut unread) => Ending::ClosedByClient,
        };
        if ending == Ending::Played && response.end == End::Reset {
            stream.set_zero_linger().expect("an open connection");
        }
        // The connection ends before its end is known, so that whoever waits for it can rely on it.
        if ending == Ending::ClosedByClient || response.end != End::Fin {
            drop(stream);
            stage.note(number, |exchange| {
                exchange.end = Some((Instant::now(), ending))
            });
            return;
        }
        stage.note(number, |exchange| {
            exchange.end = Some((Instant::now(), ending))
        });
    }
}

/// Waits until the client closes the connection. Bytes that it sends meanwhile stay for the next request.
async fn closed(reader: &mut ReadHalf<'_>, unread: &mut BytesMut) {
    while matches!(reader.read_buf(unread).await, Ok(1..)) {}
}

/// Plays one answer, all but the way in which the connection ends.
async fn play(
    response: &Response,
    number: usize,
    stage: &Stage,
    writer: &mut WriteHalf<'_>,
) -> io::Result<()> {
    let begun = |written: usize| {
        stage.note(number, |exchange| {
            exchange.written += written;
            exchange.has_begun = true;
        });
    };
    if response.status != 0 {
        writer.write_all(head(response).as_bytes()).await?;
    }
    for chunk in &response.chunks {
        sleep(Duration::from_millis(chunk.delay_ms)).await;
        match (&chunk.content, stage.length) {
            (Content::Repeat(repeat), Length::Whole) => play_repeat(repeat, writer, &begun).await?,
            (content, length) => {
                let frame = framed(&content.bytes());
                writer.write_all(&frame).await?;
                begun(frame.len());
                if matches!(length, Length::FirstChunk) {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
    if response.chunks.is_empty() {
        begun(0);
    }
    match (response.end, stage.length) {
        (End::Fin, Length::Whole) => writer.write_all(b"0\r\n\r\n").await,
        (End::Cut | End::Reset, Length::Whole) => Ok(()),
        _ => std::future::pending().await,
    }
}

async fn play_repeat(
    repeat: &Repeat,
    writer: &mut WriteHalf<'_>,
    begun: &impl Fn(usize),
) -> io::Result<()> {
    let frame = framed(repeat.data.as_bytes());
    let per_write = match repeat.every_ms {
        0 => (BATCH_BYTES / frame.len()).max(1) as u64,
        _ => 1,
    };
    let batch = frame.repeat(usize::try_from(per_write).expect("a small number"));
    let mut left = match repeat.times {
        Times::Count(count) => count,
        Times::Forever(_) => u64::MAX,
    };
    while left > 0 {
        let count = left.min(per_write);
        let part = &batch[..frame.len() * usize::try_from(count).expect("a small number")];
        writer.write_all(part).await?;
        begun(part.len());
        left -= count;
        if left > 0 && repeat.every_ms > 0 {
            sleep(Duration::from_millis(repeat.every_ms)).await;
        }
    }
    Ok(())
}

/// One chunk of a chunked body. Nothing is written for no bytes: an empty chunk would be the end.
fn framed(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut frame = format!("{:x}\r\n", bytes.len()).into_bytes();
    frame.extend_from_slice(bytes);
    frame.extend_from_slice(b"\r\n");
    frame
}

fn head(response: &Response) -> String {
    let mut head = format!(
        "HTTP/1.1 {} Scripted\r\ntransfer-encoding: chunked\r\n",
        response.status
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {}\r\n", header_value(value)));
    }
    head + "\r\n"
}

/// The value of a header of a script, which may be a time to be written down now.
pub(crate) fn header_value(value: &str) -> String {
    match value {
        "{now+1s as IMF-fixdate}" => {
            httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1))
        }
        value => value.to_owned(),
    }
}

struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Value,
}

/// Reads one request, or nothing if the client is done with the connection.
async fn read_request(reader: &mut ReadHalf<'_>, unread: &mut BytesMut) -> Option<Request> {
    let head_length = loop {
        if let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if !matches!(reader.read_buf(unread).await, Ok(1..)) {
            return None;
        }
    };
    let head = String::from_utf8(unread.split_to(head_length).to_vec()).expect("a head in ASCII");
    let mut lines = head.lines();
    let line = lines.next().expect("a request line").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body_length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().expect("a length"));
    while unread.len() < body_length {
        if !matches!(reader.read_buf(unread).await, Ok(1..)) {
            return None;
        }
    }
    let body = serde_json::from_slice(&unread.split_to(body_length)).unwrap_or(Value::Null);
    Some(Request {
        line,
        headers,
        body,
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::support::{
        http::{self, Answer},
        scripts::{self, Chunk, Forever},
        soon,
    };

    async fn ask(upstream: &ScriptedUpstream) -> io::Result<Answer> {
        let request = http::Request::post("/v1/chat/completions", &serde_json::json!({ "a": 1 }));
        http::send(upstream.address, &request).await
    }

    async fn frames(answer: &mut Answer) -> (Vec<String>, io::Result<()>) {
        let mut frames = Vec::new();
        loop {
            match answer.next_frame().await {
                Ok(Some(frame)) => frames.push(String::from_utf8_lossy(&frame).into_owned()),
                Ok(None) => return (frames, Ok(())),
                Err(error) => return (frames, Err(error)),
            }
        }
    }

    async fn check_end(end: End, expect: Result<(), io::ErrorKind>) {
        let response = scripts::stream().then("one").then("two").ending(end);
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let mut answer = ask(&upstream).await.expect("a head");
        let (got, ended) = frames(&mut answer).await;
        assert_eq!(got, ["one", "two"], "{end:?}");
        assert_eq!(ended.map_err(|error| error.kind()), expect, "{end:?}");
        upstream.is_free().await;
        assert_eq!(
            upstream.exchanges()[0].end.expect("it is free").1,
            Ending::Played,
            "{end:?}"
        );
    }

    #[tokio::test]
    async fn an_answer_ends_as_its_script_says() {
        soon(check_end(End::Fin, Ok(()))).await;
        soon(check_end(End::Cut, Err(io::ErrorKind::UnexpectedEof))).await;
        soon(check_end(End::Reset, Err(io::ErrorKind::ConnectionReset))).await;
    }

    #[tokio::test]
    async fn a_hanging_answer_stays_open_until_the_client_leaves() {
        for end in [End::Hang, End::HangAfterEnd] {
            let response = scripts::stream().then("one").ending(end);
            let upstream = ScriptedUpstream::playing(vec![response]).await;
            let mut answer = ask(&upstream).await.expect("a head");
            assert_eq!(
                answer.next_frame().await.expect("a frame").expect("no end"),
                "one"
            );
            drop(answer);
            soon(upstream.is_free()).await;
            let ending = upstream.exchanges()[0].end.expect("it is free").1;
            assert_eq!(ending, Ending::ClosedByClient, "{end:?}");
        }
    }

    #[tokio::test]
    async fn a_silent_upstream_reads_the_request_and_sends_nothing() {
        let upstream = ScriptedUpstream::playing(vec![scripts::silence()]).await;
        let request = http::Request::post("/", &serde_json::json!({})).to_bytes(upstream.address);
        let mut stream = TcpStream::connect(upstream.address)
            .await
            .expect("a connection");
        stream.write_all(&request).await.expect("a written request");
        soon(upstream.has_begun()).await;
        drop(stream);
        soon(upstream.is_free()).await;
        let exchange = &upstream.exchanges()[0];
        assert_eq!(
            (exchange.written, exchange.end.expect("free").1),
            (0, Ending::ClosedByClient)
        );
    }

    #[tokio::test]
    async fn a_refusing_upstream_has_a_closed_port() {
        let response = scripts::silence().ending(End::Refuse);
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        assert!(upstream.refuses_connections());
        let error = TcpStream::connect(upstream.address)
            .await
            .expect_err("a closed port");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn each_chunk_is_one_write_after_its_pause() {
        let mut response = scripts::stream()
            .then("a")
            .after(Duration::from_millis(20), "b");
        response.chunks.push(Chunk {
            delay_ms: 0,
            content: Content::B64("/w==".into()),
        });
        response = response.then("").then_times(Times::Count(1000), "again");
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let mut answer = ask(&upstream).await.expect("a head");
        let (got, ended) = soon(frames(&mut answer)).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(got[..3], ["a", "b", "\u{fffd}"]);
        assert_eq!((got.len(), got[1002].as_str()), (1003, "again"));
        let exchange = &upstream.exchanges()[0];
        assert!(exchange.asked_at.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn requests_on_one_connection_get_one_response_each_and_the_last_one_again() {
        let responses = vec![
            scripts::refusal(429, &serde_json::json!("wait")),
            scripts::stream().then("fine"),
        ];
        let upstream = ScriptedUpstream::playing(responses).await;
        let request = http::Request::post("/", &serde_json::json!({ "n": 1 }));
        let mut stream = TcpStream::connect(upstream.address)
            .await
            .expect("a connection");
        for expect in ["wait", "fine", "fine"] {
            stream
                .write_all(&request.to_bytes(upstream.address))
                .await
                .expect("an open connection");
            let mut got = BytesMut::new();
            while !got.ends_with(b"0\r\n\r\n") {
                stream.read_buf(&mut got).await.expect("an answer");
            }
            let got = String::from_utf8_lossy(&got);
            assert!(got.contains(expect), "{expect} in {got}");
        }
        let exchanges = upstream.exchanges();
        assert_eq!(exchanges.len(), 3);
        assert_eq!(exchanges[2].body, serde_json::json!({ "n": 1 }));
        assert_eq!(
            exchanges[2].header("content-type"),
            Some("application/json")
        );
        assert!(
            exchanges
                .iter()
                .all(|exchange| matches!(exchange.end, Some((_, Ending::Played))))
        );
    }

    #[tokio::test]
    async fn a_date_in_a_header_is_one_second_ahead() {
        let mut response = scripts::stream();
        response
            .headers
            .insert("retry-after".into(), "{now+1s as IMF-fixdate}".into());
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let answer = ask(&upstream).await.expect("a head");
        let date = answer.header("retry-after").expect("the header");
        let date = httpdate::parse_http_date(date).expect("an HTTP date");
        let ahead = date.duration_since(SystemTime::now()).unwrap_or_default();
        assert!(ahead <= Duration::from_secs(1), "{ahead:?}");
    }

    #[tokio::test]
    async fn after_its_first_chunk_a_pausing_upstream_waits_for_the_client_to_leave() {
        let endless = Times::Forever(Forever::Forever);
        let response = scripts::stream().then("one").then_times(endless, "more");
        let upstream = ScriptedUpstream::pausing_after_first_chunk(vec![response]).await;
        let mut answer = ask(&upstream).await.expect("a head");
        soon(upstream.has_begun()).await;
        assert_eq!(
            answer.next_frame().await.expect("a frame").expect("no end"),
            "one"
        );
        drop(answer);
        soon(upstream.is_free()).await;
        let exchange = &upstream.exchanges()[0];
        assert_eq!(exchange.written, "3\r\none\r\n".len());
        assert_eq!(exchange.end.expect("it is free").1, Ending::ClosedByClient);
    }

    #[tokio::test]
    async fn an_endless_answer_is_sent_no_faster_than_it_is_read() {
        let endless = Times::Forever(Forever::Forever);
        let response = scripts::stream().then_times(endless, &"x".repeat(1024));
        let upstream = ScriptedUpstream::playing(vec![response]).await;
        let mut answer = ask(&upstream).await.expect("a head");
        for _ in 0..4096 {
            answer.next_frame().await.expect("a frame").expect("no end");
        }
        let ahead = upstream.exchanges()[0].written - 4096 * 1024;
        assert!(
            ahead < 16 * 1024 * 1024,
            "{ahead} bytes ahead of the reader"
        );
        drop(answer);
        soon(upstream.is_free()).await;
    }
}
