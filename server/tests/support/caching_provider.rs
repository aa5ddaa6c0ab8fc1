//! A provider with a prompt cache, which charges as Anthropic and OpenAI do.
//!
//! A token is four bytes. Prices are in thousandths of the price of a token that no cache is involved
//! in. Both providers cache no fewer than 1024 tokens.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const LEAST_TOKENS: usize = 1024;
const PLAIN: usize = 1000;
/// Anthropic charges this for writing to the cache. OpenAI charges only the usual price.
const WRITE: usize = 1250;
/// Anthropic's price, and that of OpenAI's models from `gpt-5` on.
const READ: usize = 100;

/// A running provider. It stops when it is dropped.
pub(crate) struct CachingProvider {
    address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Ledger {
    /// The prefixes that are cached, by their hashes.
    cached: HashSet<u64>,
    charges: Vec<Charge>,
    bodies: Vec<Value>,
}

/// The cost of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    /// All tokens of the input.
    pub(crate) input: usize,
    /// Those that were read from the cache.
    pub(crate) read: usize,
    /// Those that were written to it.
    pub(crate) written: usize,
    /// The price of all of them, in thousandths.
    pub(crate) price: usize,
}

impl CachingProvider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let router = Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/chat/completions", post(chat_completions))
            .with_state(Arc::clone(&ledger));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            address,
            ledger,
            serving,
        }
    }

    /// The base URL to give to a client.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The costs of the requests so far.
    pub(crate) fn charges(&self) -> Vec<Charge> {
        self.ledger.lock().expect("no panic").charges.clone()
    }

    /// The bodies of the requests so far.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.ledger.lock().expect("no panic").bodies.clone()
    }
}

impl Drop for CachingProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn tokens(text: &str) -> usize {
    text.len().div_ceil(4)
}

/// The answer to a request with this many messages: 1600 bytes, of which no two are alike.
fn answer(messages: usize) -> String {
    format!("answer {messages:03} ").repeat(160)[..1600].to_owned()
}

/// A block of the prompt as the cache sees it.
struct Block {
    text: String,
    is_marked: bool,
}

/// The blocks of a content in either form.
fn blocks(role: &str, content: &Value) -> Vec<Block> {
    let block = |text: &Value, is_marked| Block {
        text: format!("{role}: {}", text.as_str().expect("a text")),
        is_marked,
    };
    match content {
        Value::String(_) => vec![block(content, false)],
        Value::Array(list) => list
            .iter()
            .map(|one| {
                let mark = one.get("cache_control");
                assert!(
                    mark.is_none_or(|mark| mark["type"] == "ephemeral"),
                    "an unknown mark: {one}"
                );
                block(&one["text"], mark.is_some())
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn stream(events: String) -> Response {
    ([(CONTENT_TYPE, "text/event-stream")], events).into_response()
}

/// Anthropic's cache: marked prefixes are cached, and found up to 20 blocks before a mark.
async fn messages(State(ledger): State<Arc<Mutex<Ledger>>>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let mut prompt = blocks("system", body.get("system").unwrap_or(&Value::Null));
    let messages = body["messages"].as_array().expect("messages");
    for message in messages {
        let role = message["role"].as_str().expect("a role");
        prompt.extend(blocks(role, &message["content"]));
    }
    let marks: Vec<usize> = (0..prompt.len())
        .filter(|at| prompt[*at].is_marked)
        .collect();
    assert!(marks.len() <= 4, "at most four marks are allowed");
    // For each block: the tokens up to it, and the hash of all up to it.
    let (mut sum, mut hasher) = (0, DefaultHasher::new());
    let prefixes: Vec<(usize, u64)> = prompt
        .iter()
        .map(|block| {
            sum += tokens(&block.text);
            block.text.hash(&mut hasher);
            (sum, hasher.finish())
        })
        .collect();
    let mut ledger = ledger.lock().expect("no panic");
    let found = marks
        .iter()
        .flat_map(|mark| (0..20).filter_map(|back| mark.checked_sub(back)))
        .filter(|at| ledger.cached.contains(&prefixes[*at].1))
        .map(|at| prefixes[at].0)
        .max();
    let cacheable = marks.iter().map(|at| prefixes[*at]);
    let written: Vec<_> = cacheable.filter(|(sum, _)| *sum >= LEAST_TOKENS).collect();
    ledger.cached.extend(written.iter().map(|(_, hash)| hash));
    let read = found.unwrap_or(0);
    let end = written.iter().map(|(sum, _)| *sum).max().unwrap_or(0);
    let written = end.saturating_sub(read);
    let plain = sum - read - written;
    ledger.charges.push(Charge {
        input: sum,
        read,
        written,
        price: plain * PLAIN + written * WRITE + read * READ,
    });
    let text = answer(messages.len());
    let events = [
        json!({"type": "message_start", "message": {"usage": {
            "input_tokens": plain, "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written, "output_tokens": 1,
        }}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 400}}),
        json!({"type": "message_stop"}),
    ];
    ledger.bodies.push(body);
    let lines = events.map(|event| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().expect("a type")
        )
    });
    stream(lines.concat())
}

/// OpenAI's: all is cached that begins equal, in steps of 128 tokens.
async fn chat_completions(State(ledger): State<Arc<Mutex<Ledger>>>, body: String) -> Response {
    const STEP: usize = 128;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let messages = body["messages"].as_array().expect("messages");
    let prompt = messages.iter().flat_map(|message| {
        let role = message["role"].as_str().expect("a role");
        blocks(role, &message["content"])
    });
    let prompt: String = prompt.map(|block| block.text + "\n").collect();
    let input = tokens(&prompt);
    let prefix = |tokens: usize| {
        let mut hasher = DefaultHasher::new();
        prompt.as_bytes()[..tokens * 4].hash(&mut hasher);
        hasher.finish()
    };
    let steps = (LEAST_TOKENS..=prompt.len() / 4).step_by(STEP);
    let mut ledger = ledger.lock().expect("no panic");
    let read = steps
        .clone()
        .take_while(|tokens| ledger.cached.contains(&prefix(*tokens)))
        .last()
        .unwrap_or(0);
    ledger.cached.extend(steps.map(prefix));
    ledger.charges.push(Charge {
        input,
        read,
        written: 0,
        price: (input - read) * PLAIN + read * READ,
    });
    let text = answer(messages.len());
    let events = [
        json!({"choices": [{"index": 0, "delta": {"content": text}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {
            "prompt_tokens": input, "completion_tokens": 400,
            "prompt_tokens_details": {"cached_tokens": read},
        }}),
    ];
    ledger.bodies.push(body);
    let lines = events.map(|event| format!("data: {event}\n\n"));
    stream(lines.concat() + "data: [DONE]\n\n")
}
