//! The server under test: the real router on a port of its own, over real HTTP.
//!
//! A test sends requests and reads each reply as a [`Reply`], which it then checks.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use app::protocol::{CHAT_PATH, ChatEvent, ErrorKind, Finish, ReplyError};
use app::reply::transcript::{ReplyEnd, Transcript};
use app::sse;
use clap::Parser;
use serde_json::{Value, json};
use server::config::Config;
use server::http::listen;
use server::http::state::AppState;
use server::http::tls::Tls;
use server::http::workers::Workers;
use server::providers::api::Api;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::http::{self, Answer, Request};
use super::scripted_upstream::ScriptedUpstream;
use super::{log, panics};

/// A running server. It stops when it is dropped. It must not have panicked, and nothing it logged may
/// hold a secret.
pub(crate) struct Rill {
    pub(crate) address: SocketAddr,
    pub(crate) state: AppState,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) tls: Option<Arc<Tls>>,
    /// The replies that nobody reads are made on them, also after the last connection.
    _workers: Arc<Workers>,
    /// The folder of its data, which no other server uses.
    pub(crate) data: Arc<TempDir>,
}

impl Rill {
    /// With time limits that no test of those limits reaches.
    pub(crate) async fn before(upstream: &ScriptedUpstream) -> Self {
        Self::with(upstream, &[]).await
    }

    /// With these flags.
    pub(crate) async fn with(upstream: &ScriptedUpstream, arguments: &[&str]) -> Self {
        Self::of_api(Api::ChatCompletions, upstream, arguments).await
    }

    /// With these flags, before an upstream of this API.
    pub(crate) async fn of_api(api: Api, upstream: &ScriptedUpstream, arguments: &[&str]) -> Self {
        Self::start(configured_before(api, upstream, arguments), new_folder()).await
    }

    /// With this configuration file and these flags. The variable `KEY` holds the key.
    pub(crate) async fn with_file(text: &str, arguments: &[&str]) -> Self {
        let variable = |name: &str| (name == "KEY").then(|| log::KEY.to_owned());
        let config = configured(arguments)
            .with_file(Path::new("rill.toml"), text, &variable)
            .expect("a file that is right");
        Self::start(config, new_folder()).await
    }

    async fn start(mut config: Config, data: Arc<TempDir>) -> Self {
        log::capture();
        panics::watch();
        config.saving.data_dir = Some(data.path().to_owned());
        let listener = TcpListener::bind(config.listen).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let files = config.tls.files().expect("both or none");
        let state = AppState::new(config).await.expect("a state");
        let router = server::http::router(state.clone());
        // One, so that requests one after the other meet the same connections to the provider.
        let workers = Arc::new(Workers::of(1).expect("threads"));
        let tls = files.map(|(cert, key)| Tls::load(cert, key).expect("a certificate"));
        let tls = tls.map(Arc::new);
        let serving = tokio::spawn(listen::serve_by(
            tls.clone(),
            listener,
            router,
            state.max_connections,
            Arc::clone(&workers),
            state.drain.clone(),
        ));
        Self {
            address,
            state,
            serving,
            tls,
            _workers: workers,
            data,
        }
    }

    /// Sends a request, and returns the head of the answer.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        http::send(self.address, request).await.expect("an answer")
    }

    /// Sends a question, and returns the reply as it streams.
    pub(crate) async fn begin(&self) -> OpenReply {
        open_reply(self.address).await
    }

    /// Sends this request, and returns the reply as it streams.
    pub(crate) async fn begin_with(&self, request: &Request) -> OpenReply {
        OpenReply::read(self.send(request).await)
    }

    /// Asks something and waits for the whole reply.
    pub(crate) async fn ask(&self) -> Reply {
        self.begin().await.finish().await
    }
}

impl Drop for Rill {
    fn drop(&mut self) {
        self.serving.abort();
        if !std::thread::panicking() {
            log::assert_no_secret_was_logged();
            panics::assert_none();
        }
    }
}

fn new_folder() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a folder"))
}

/// The configuration of these flags, on a port of its own and without looking for Ollama.
/// Titles are off unless a flag turns them on, so that the upstream gets requests for replies only.
fn configured(arguments: &[&str]) -> Config {
    let mut own = vec!["rill", "--listen=127.0.0.1:0", "--ollama=off"];
    if !arguments.contains(&"--titles=on") {
        own.push("--titles=off");
    }
    Config::try_parse_from(own.iter().chain(arguments)).expect("flags that are right")
}

/// The same, before an upstream of this API.
fn configured_before(api: Api, upstream: &ScriptedUpstream, arguments: &[&str]) -> Config {
    let base_url = upstream.base_url();
    let variable = |name: &str| match name {
        "OPENAI_BASE_URL" => Some(base_url.clone()),
        "OPENAI_API_KEY" => Some(log::KEY.to_owned()),
        _ => None,
    };
    let mut config = configured(arguments)
        .with_environment(&variable)
        .expect("an upstream that is right");
    config.upstreams[0].api = api;
    config
}

/// Reads an answer as a reply.
pub(crate) fn read_reply(answer: Answer) -> OpenReply {
    OpenReply::read(answer)
}

/// Asks the server at this address.
pub(crate) async fn open_reply(address: SocketAddr) -> OpenReply {
    OpenReply::read(
        http::send(address, &chat(&question()))
            .await
            .expect("an answer"),
    )
}

/// A question as its body.
pub(crate) fn question() -> Value {
    json!({ "messages": [{ "role": "user", "content": log::PROMPT }] })
}

/// The request that posts this body to the chat.
pub(crate) fn chat(body: &Value) -> Request {
    Request::post(CHAT_PATH, body)
}

/// The time limits of the conformance file as flags.
pub(crate) fn test_profile() -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct File {
        test_profile_ms: BTreeMap<String, u64>,
    }
    let file: File = serde_json::from_str(include_str!("../conformance/upstream_scripts.json"))
        .expect("the conformance file has a test profile");
    let flag = |(name, value): (String, u64)| match name.as_str() {
        "connect" => format!("--connect-timeout={value}ms"),
        "first_byte" => format!("--first-byte-timeout={value}ms"),
        "idle_payload" => format!("--idle-timeout={value}ms"),
        "comment_cap" => format!("--comment-timeout={value}ms"),
        "total" => format!("--total-timeout={value}ms"),
        "grace_after_finish" => format!("--grace-after-finish={value}ms"),
        "max_retries" => format!("--max-retries={value}"),
        "backoff_base" => format!("--backoff-base={value}ms"),
        "retry_after_cap" => format!("--retry-after-cap={value}ms"),
        other => panic!("the test profile has a limit that is not known here: {other}"),
    };
    file.test_profile_ms.into_iter().map(flag).collect()
}

/// A reply that is being read. Dropping it disconnects.
pub(crate) struct OpenReply {
    pub(crate) answer: Answer,
    decoder: sse::Decoder,
    pub(crate) reply: Reply,
}

/// The received part of a reply.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) events: Vec<ChatEvent<'static>>,
    /// The events, folded as the page folds them.
    pub(crate) transcript: Transcript,
    /// All bytes of the stream.
    bytes: Vec<u8>,
}

impl OpenReply {
    fn read(answer: Answer) -> Self {
        assert_eq!(answer.status, 200, "the chat was refused");
        Self {
            answer,
            decoder: sse::Decoder::new(usize::MAX),
            reply: Reply::default(),
        }
    }

    /// Reads the next chunk of the server. False at a proper end.
    async fn read_frame(&mut self) -> io::Result<bool> {
        let Some(frame) = self.answer.next_frame().await? else {
            return Ok(false);
        };
        let reply = &mut self.reply;
        self.decoder
            .feed(&frame, |event| {
                let event = ChatEvent::from_sse(event.name, event.data)
                    .expect("the JSON that the name promises")
                    .unwrap_or_else(|| {
                        panic!("an event that the protocol does not know: {event:?}")
                    });
                reply.transcript.apply(&event);
                reply.events.push(event);
            })
            .expect("there is no limit");
        reply.bytes.extend_from_slice(&frame);
        Ok(true)
    }

    /// Reads until the condition holds for the reply.
    pub(crate) async fn until(&mut self, has_come: impl Fn(&Reply) -> bool) {
        while !has_come(&self.reply) {
            assert!(
                self.read_frame().await.expect("no cut"),
                "the reply ended before that"
            );
        }
    }

    /// Reads to the end.
    pub(crate) async fn finish(mut self) -> Reply {
        while self.read_frame().await.expect("no cut") {}
        self.reply
    }
}

impl Reply {
    /// The ids of the events, in order.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.lines()
            .filter_map(|line| line.strip_prefix("id: "))
            .collect()
    }

    /// The names of the events that have one, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.lines()
            .filter_map(|line| line.strip_prefix("event: "))
            .collect()
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.raw().split('\n')
    }

    /// The stream as it was sent.
    pub(crate) fn raw(&self) -> &str {
        // A frame may end in the middle of a character, and so may a reply that is being read.
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(error) => {
                assert_eq!(error.error_len(), None, "what is sent is UTF-8");
                std::str::from_utf8(&self.bytes[..error.valid_up_to()]).expect("valid up to there")
            }
        }
    }

    /// The id of the reply.
    pub(crate) fn generation(&self) -> &str {
        self.transcript
            .generation
            .as_deref()
            .expect("a start event")
    }

    /// The word of the conformance file for how it ended.
    pub(crate) fn outcome(&self) -> &'static str {
        match &self.transcript.end {
            Some(ReplyEnd::Done(Finish::Stop)) => "complete",
            Some(ReplyEnd::Done(Finish::Length)) => "truncated",
            Some(ReplyEnd::Done(Finish::ContentFilter)) => "filtered",
            Some(ReplyEnd::Done(Finish::Refusal)) => "refused",
            Some(ReplyEnd::Done(Finish::ToolCalls)) => "tool_call",
            Some(ReplyEnd::Done(Finish::Stopped)) => "stopped",
            Some(ReplyEnd::Error(_)) if self.transcript.text.is_empty() => "failed",
            Some(ReplyEnd::Error(_)) => "partial",
            Some(ReplyEnd::Cut) | None => "cut",
        }
    }

    /// The error that ended it, if one did.
    pub(crate) fn error(&self) -> Option<&ReplyError> {
        match &self.transcript.end {
            Some(ReplyEnd::Error(error)) => Some(error),
            _ => None,
        }
    }

    /// The kind of the error that ended it.
    pub(crate) fn error_kind(&self) -> Option<ErrorKind> {
        self.error().map(|error| error.kind)
    }

    /// Whether the page offers to ask again.
    pub(crate) fn offers_retry(&self) -> bool {
        self.transcript.invites_retry()
    }
}
