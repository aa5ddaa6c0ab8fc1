//! Scripts of providers as data: those of the conformance files, and functions to write one in a test.
//!
//! [`super::scripted_upstream`] plays a script to the server. [`super::script_player`] compares the reply
//! with what the script expects.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use server::providers::api::Api;

/// All scripts of the conformance file.
pub(crate) fn all_scripts() -> Vec<Script> {
    scripts_of(include_str!("../conformance/upstream_scripts.json"))
}

/// The scripts made from public reports of users of comparable software.
pub(crate) fn reported_scripts() -> Vec<Script> {
    scripts_of(include_str!("../conformance/world_upstreams.json"))
}

fn scripts_of(file: &str) -> Vec<Script> {
    #[derive(Deserialize)]
    struct File {
        scripts: Vec<Script>,
    }
    let file: File =
        serde_json::from_str(file).expect("the conformance file has the form described here");
    file.scripts
}

/// One script: the behaviour of the upstream, and the expected reply.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) api: String,
    /// One for each request; the last one is played again for all further requests.
    pub(crate) responses: Vec<Response>,
    pub(crate) expect: Expect,
}

impl Script {
    /// The API of the upstream that sends this.
    pub(crate) fn api(&self) -> Api {
        match self.api.as_str() {
            "chat" => Api::ChatCompletions,
            "responses" => Api::Responses,
            "anthropic" => Api::Messages,
            other => panic!("an API that is not known here: {other}"),
        }
    }

    /// The same script of another API.
    pub(crate) fn of(mut self, api: &str) -> Self {
        self.api = api.into();
        self
    }

    pub(crate) fn after_requests(mut self, count: usize) -> Self {
        self.expect.upstream_requests = Some(count);
        self
    }

    pub(crate) fn for_good(self) -> Self {
        self.offering_retry(false)
    }

    pub(crate) fn offering_retry(mut self, retry: bool) -> Self {
        self.expect.retry_button = Some(retry);
        self
    }

    /// Does not expect whether a retry is offered.
    pub(crate) fn with_any_retry(mut self) -> Self {
        self.expect.retry_button = None;
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: &str) -> Self {
        self.expect.outcome = outcome.into();
        self
    }

    pub(crate) fn with_reasoning(mut self, reasoning: &str) -> Self {
        self.expect.reasoning = Some(reasoning.into());
        self
    }

    /// Expects some reasoning, whatever its text.
    pub(crate) fn with_any_reasoning(self) -> Self {
        self.with_reasoning("…")
    }
}

/// The expected reply to a script.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Expect {
    pub(crate) outcome: String,
    pub(crate) text: String,
    /// These four may be left open.
    pub(crate) reasoning: Option<String>,
    pub(crate) error_kind: Option<String>,
    pub(crate) upstream_requests: Option<usize>,
    pub(crate) retry_button: Option<bool>,
    pub(crate) usage: Option<Value>,
}

/// The answer to one request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Response {
    /// 0: the request is read, and nothing is sent.
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) end: End,
}

/// One write of the body.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Chunk {
    /// The pause before it.
    pub(crate) delay_ms: u64,
    #[serde(flatten)]
    pub(crate) content: Content,
}

/// The content of a chunk.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    /// Text.
    Data(String),
    /// Bytes that need not be text.
    B64(String),
    /// The same text many times.
    Repeat(Repeat),
}

impl Content {
    /// The bytes of the chunk; of a repeated one, the bytes of one time.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Data(text) => text.clone().into_bytes(),
            Self::B64(text) => BASE64_STANDARD.decode(text).expect("b64 holds base64"),
            Self::Repeat(repeat) => repeat.data.clone().into_bytes(),
        }
    }
}

/// A chunk that is sent many times.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Repeat {
    pub(crate) data: String,
    /// The pause between two times; 0: as fast as the reader reads.
    pub(crate) every_ms: u64,
    pub(crate) times: Times,
}

/// How often a chunk is repeated.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Times {
    Count(u64),
    Forever(Forever),
}

/// The word "forever".
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Forever {
    Forever,
}

/// How an answer ends.
#[expect(clippy::enum_variant_names, reason = "the names are those of the file")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// As HTTP wants it; the connection stays open for the next request.
    Fin,
    /// The connection is closed in the middle of the body.
    Cut,
    /// The connection is reset in the middle of the body.
    Reset,
    /// The connection stays open, and nothing more is sent.
    Hang,
    /// The same, after a complete answer.
    HangAfterEnd,
    /// No program listens on the port.
    Refuse,
}

/// A chunk that is repeated without end.
pub(crate) const FOREVER: Times = Times::Forever(Forever::Forever);

/// A script that ends well, with this text.
pub(crate) fn completes(name: &str, responses: Vec<Response>, text: &str) -> Script {
    let expect = Expect {
        outcome: "complete".into(),
        text: text.into(),
        reasoning: Some(String::new()),
        error_kind: None,
        upstream_requests: Some(responses.len()),
        retry_button: Some(text.is_empty()),
        usage: None,
    };
    Script {
        name: name.into(),
        api: "chat".into(),
        responses,
        expect,
    }
}

/// A script that ends with an error of this kind, after this text.
pub(crate) fn fails(name: &str, responses: Vec<Response>, text: &str, kind: &str) -> Script {
    let mut script = completes(name, responses, text);
    script.expect.outcome = if text.is_empty() {
        "failed".into()
    } else {
        "partial".into()
    };
    script.expect.error_kind = Some(kind.into());
    script.expect.retry_button = Some(true);
    script
}

/// An event stream without events, which ends properly.
pub(crate) fn stream() -> Response {
    Response {
        status: 200,
        headers: BTreeMap::from([("content-type".into(), "text/event-stream".into())]),
        chunks: Vec::new(),
        end: End::Fin,
    }
}

/// A complete event stream with this text in one event.
pub(crate) fn saying(text: &str) -> Response {
    stream().then(&delta(text)).then(STOP).then(DONE)
}

/// A body of JSON.
pub(crate) fn json(body: &Value) -> Response {
    let mut response = stream().then(&body.to_string());
    response
        .headers
        .insert("content-type".into(), "application/json".into());
    response
}

/// A refusal of the upstream.
pub(crate) fn refusal(status: u16, error: &Value) -> Response {
    Response {
        status,
        headers: BTreeMap::from([("content-type".into(), "application/json".into())]),
        chunks: Vec::new(),
        end: End::Fin,
    }
    .then(&json!({ "error": error }).to_string())
}

/// An upstream that reads the request and never answers.
pub(crate) fn silence() -> Response {
    Response {
        status: 0,
        headers: BTreeMap::new(),
        chunks: Vec::new(),
        end: End::Hang,
    }
}

impl Response {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sends this at once.
    pub(crate) fn then(self, data: &str) -> Self {
        self.after(Duration::ZERO, data)
    }

    /// Sends this after a pause.
    pub(crate) fn after(mut self, pause: Duration, data: &str) -> Self {
        let delay_ms = u64::try_from(pause.as_millis()).expect("a short pause");
        self.chunks.push(Chunk {
            delay_ms,
            content: Content::Data(data.into()),
        });
        self
    }

    /// Sends this many times, as fast as the client reads.
    pub(crate) fn then_times(mut self, times: Times, data: &str) -> Self {
        let repeat = Repeat {
            data: data.into(),
            every_ms: 0,
            times,
        };
        self.chunks.push(Chunk {
            delay_ms: 0,
            content: Content::Repeat(repeat),
        });
        self
    }

    /// Ends in this way.
    pub(crate) fn ending(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

/// The event that ends an answer for the reason `stop`.
pub(crate) const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

/// The event after which an upstream sends no more.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// An event with a piece of the answer.
pub(crate) fn delta(text: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({ "choices": [{ "index": 0, "delta": { "content": text } }] })
    )
}
