//! Sends a question to a provider, with its key and within the time limits, until it is accepted or
//! refused. The answer is read in `answer`.
//!
//! Dropping the future that opens an [`Answer`] closes the connection to the provider.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use app::protocol::{ChatRequest, ErrorKind};
use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue,
};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

use crate::providers::UpstreamLimits;
use crate::providers::answer::Answer;
use crate::providers::api::messages;
use crate::providers::api::think_tags::Habit;
use crate::providers::api::{Api, Mapper};
use crate::providers::caching::{Caching, Reuse};
use crate::providers::connections::Connections;
use crate::providers::error::Failure;
use crate::providers::error::body::ProviderError;
use crate::providers::models::ModelCache;
use crate::providers::quirks::Quirks;
use crate::providers::retry;
use crate::providers::secrets::Secrets;
use crate::providers::settings::UpstreamSettings;

/// The most bytes of an answer that is an error, of which only the kind is of interest.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How much of one answer may wait unread on a connection of HTTP/2, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;
/// And of all answers on it together.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The most models whose quirks and habits are kept. Clients name the models, so their number has no bound.
const MAX_MODELS: usize = 256;
/// The key of the quirks that hold for all models. No model has this name.
const SERVER: &str = "";

/// A provider that can be asked.
#[derive(Debug)]
pub struct Upstream {
    settings: UpstreamSettings,
    connections: Connections,
    /// Those whose answers stay compressed where they are. Made when they are needed first.
    raw: OnceLock<Connections>,
    limits: UpstreamLimits,
    secrets: Secrets,
    pub(super) models: ModelCache,
    pub(super) usual_model: OnceLock<String>,
    /// What each model was found to accept, where it is not the usual. Learnt once, kept as long as
    /// we run.
    quirks: Mutex<HashMap<String, Quirks>>,
    /// How each model begins its answers, where it writes tags into them.
    habits: Mutex<HashMap<String, Arc<Habit>>>,
    /// Whether the API lies below the host itself, although a version was guessed.
    lacks_version: AtomicBool,
}

impl Upstream {
    /// A provider of these settings.
    ///
    /// # Errors
    /// When no HTTP client can be made, which is a matter of TLS and the system's certificates.
    pub fn new(settings: UpstreamSettings, limits: UpstreamLimits) -> Result<Self, reqwest::Error> {
        Ok(Self {
            connections: Connections::new(client(&settings, limits))?,
            raw: OnceLock::new(),
            secrets: Secrets::of(&settings),
            models: ModelCache::configured(&settings.models),
            usual_model: OnceLock::new(),
            settings,
            limits,
            quirks: Mutex::default(),
            habits: Mutex::default(),
            lacks_version: AtomicBool::new(false),
        })
    }

    /// The address of a path of the API.
    fn url(&self, path: &str) -> reqwest::Url {
        if self.lacks_version.load(Ordering::Relaxed) {
            let mut url = self.settings.base_url.clone();
            url.set_path(path);
            url
        } else {
            self.settings.url(path)
        }
    }

    /// What is configured of it.
    pub(crate) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// Sends a question once; again only with other quirks, where these were refused, or below
    /// another path, where that was only guessed. Counts each request that is sent in `attempts`.
    pub(super) async fn attempt(
        &self,
        prompt: &ChatRequest,
        reuse: &Reuse,
        model: &str,
        deadline: Instant,
        attempts: &mut u32,
    ) -> Result<Answer, Failure> {
        let mut quirks = self.quirks(model);
        let caching = Caching::new(&self.settings, model, reuse);
        let mut body = self.body(prompt, model, quirks, caching);
        let mut has_other_path = self.settings.is_version_guessed;
        loop {
            let first_byte = (Instant::now() + self.limits.first_byte).min(deadline);
            return match timeout_at(first_byte, self.send(body.clone(), attempts)).await {
                Ok(Ok(response)) if response.status().is_success() => {
                    self.learn(model, quirks);
                    let limit = quirks.limit(prompt.max_tokens);
                    let mapper = self.mapper(model).with_limit(limit);
                    Ok(Answer::read(
                        response,
                        mapper,
                        self.limits,
                        first_byte,
                        deadline,
                    ))
                }
                Ok(Ok(response)) => {
                    let (failure, status, error) = refused(response, first_byte).await;
                    if status == 404
                        && failure.kind != ErrorKind::ModelNotFound
                        && std::mem::take(&mut has_other_path)
                    {
                        self.lacks_version.fetch_xor(true, Ordering::Relaxed);
                        continue;
                    }
                    let api = self.settings.api;
                    if let Some(learnt) = quirks.learn(api, prompt, status, &error) {
                        quirks = learnt;
                        let translated = self.body(prompt, model, quirks, caching);
                        // A configured field may stand in the place of what was left out.
                        if translated != body {
                            body = translated;
                            continue;
                        }
                    }
                    Err(failure)
                }
                Ok(Err(error)) => Err(not_sent(&error)),
                Err(_) if Instant::now() >= deadline => Err(Failure::request(
                    ErrorKind::UpstreamTimeoutTotal,
                    "before an answer",
                )),
                // No second request: the first may already be paid for.
                Err(_) => Err(Failure::request(
                    ErrorKind::UpstreamTimeoutFirstByte,
                    "no headers",
                )),
            };
        }
    }

    /// The limits that it is held to.
    pub(crate) fn limits(&self) -> UpstreamLimits {
        self.limits
    }

    /// What must not be told of what it answers.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The key for it.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        let key = self.settings.key.as_ref()?;
        Some(key.expose_secret().as_bytes())
    }

    /// Passes a request of another program on, as it is but for the key.
    pub(crate) async fn pass(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, reqwest::Error> {
        let builder = || {
            client(&self.settings, self.limits)
                .no_gzip()
                .no_brotli()
                .no_deflate()
        };
        let connections = match self.raw.get() {
            Some(connections) => connections,
            None => {
                let connections = Connections::new(builder())?;
                self.raw.get_or_init(|| connections)
            }
        };
        let url = self.url(path);
        let request = |client: &reqwest::Client| {
            let request = client.post(url.clone());
            self.identify(request.headers(headers.clone()).body(body.clone()))
        };
        connections.send(request, builder, &mut 0).await
    }

    /// Asks for something that costs nothing.
    pub(super) async fn get(&self, path: &str) -> Result<Response, reqwest::Error> {
        let url = self.url(path);
        let request = |client: &reqwest::Client| {
            self.identify(client.get(url.clone()).header(ACCEPT, "application/json"))
        };
        let builder = || client(&self.settings, self.limits);
        self.connections.send(request, builder, &mut 0).await
    }

    /// Sends a question. Counts in `sent` each time that it is.
    async fn send(&self, body: Bytes, sent: &mut u32) -> Result<Response, reqwest::Error> {
        let url = self.url(self.settings.api.path());
        let request = |client: &reqwest::Client| {
            let request = client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "text/event-stream, application/json;q=0.9")
                // A compressed stream arrives in blocks, not as it is written.
                .header(ACCEPT_ENCODING, "identity")
                .body(body.clone());
            self.identify(request)
        };
        let builder = || client(&self.settings, self.limits);
        self.connections.send(request, builder, sent).await
    }

    /// Adds the key, and the headers that the configuration wants.
    fn identify(&self, mut request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let key = self
            .settings
            .key
            .as_ref()
            .map(secrecy::SecretBox::expose_secret);
        request = match (self.settings.api, key) {
            (Api::ChatCompletions | Api::Responses, Some(key)) => request.bearer_auth(key),
            (Api::Messages, Some(key)) => {
                match sensitive(key) {
                    Ok(value) => request.header(X_API_KEY, value),
                    // The configuration has made sure of it.
                    Err(_) => request,
                }
            }
            (_, None) => request,
        };
        if self.settings.api == Api::Messages {
            request = request.header(ANTHROPIC_VERSION, messages::VERSION);
        }
        request.headers(self.settings.headers.clone())
    }

    fn body(
        &self,
        prompt: &ChatRequest,
        model: &str,
        quirks: Quirks,
        caching: Caching<'_>,
    ) -> Bytes {
        let body = self.settings.api.request(prompt, model, quirks, caching);
        self.settings.with_extra_fields(body).into()
    }

    fn mapper(&self, model: &str) -> Mapper {
        let mapper = self.settings.api.mapper();
        if self.settings.think_tags {
            mapper.with_think_tags(self.habit(model))
        } else {
            mapper
        }
    }

    fn habit(&self, model: &str) -> Arc<Habit> {
        let mut habits = self.habits.lock().expect("nobody panics while holding it");
        if habits.len() >= MAX_MODELS {
            habits.clear();
        }
        Arc::clone(habits.entry(model.to_owned()).or_default())
    }

    fn quirks(&self, model: &str) -> Quirks {
        let known = self.quirks.lock().expect("nobody panics while holding it");
        let of_server = known.get(SERVER).copied().unwrap_or_default();
        let of_model = known.get(model).copied().unwrap_or_default();
        of_model.and(of_server)
    }

    fn learn(&self, model: &str, quirks: Quirks) {
        if quirks == self.quirks(model) {
            return;
        }
        let mut known = self.quirks.lock().expect("nobody panics while holding it");
        if known.len() >= MAX_MODELS {
            // They are learnt again where they are needed again.
            known.clear();
        }
        known.insert(SERVER.to_owned(), quirks.of_server());
        known.insert(model.to_owned(), quirks);
    }
}

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// A header's value that no log shows.
fn sensitive(key: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(key)?;
    value.set_sensitive(true);
    Ok(value)
}

fn client(settings: &UpstreamSettings, limits: UpstreamLimits) -> reqwest::ClientBuilder {
    let mut client = reqwest::Client::builder()
        .user_agent(concat!("rill/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .pool_max_idle_per_host(limits.idle_connections)
        // A redirect could carry the key to another host.
        .redirect(reqwest::redirect::Policy::none())
        // In HTTP/2 a provider may be this far ahead of a reader who is slow. With more, tens of
        // thousands of small frames would wait, which the library takes for an attack: it would end
        // the connection, and with it everybody's replies.
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .tcp_nodelay(true);
    if is_loopback(&settings.base_url) {
        client = client.no_proxy();
    }
    if settings.http2 {
        client = client.http2_prior_knowledge();
    }
    client
}

fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// The failure of a request that brought no answer.
fn not_sent(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        Failure {
            may_retry: true,
            ..Failure::request(ErrorKind::UpstreamUnreachable, "no connection")
        }
    } else {
        Failure::request(ErrorKind::UpstreamCut, "connection lost before an answer")
    }
}

/// The failure of a request that was answered, but not with 200. The status says enough where the
/// body, which explains it, does not come to its end in time.
async fn refused(mut response: Response, deadline: Instant) -> (Failure, u16, ProviderError) {
    let status = response.status();
    if status.is_redirection() {
        let failure = Failure::request(
            ErrorKind::UpstreamRedirect,
            format!("status {}", status.as_u16()),
        );
        return (failure, status.as_u16(), ProviderError::default());
    }
    let headers: HeaderMap = std::mem::take(response.headers_mut());
    let body = read_error(&mut response, deadline).await;
    let error = ProviderError::from_body(&body).unwrap_or_default();
    let kind = error.classify(Some(status.as_u16()));
    let failure = Failure {
        // What stays as it is until somebody acts is not asked again, whatever the status suggests.
        may_retry: retry::may_retry(status.as_u16(), &headers) && !stays(kind, status.as_u16()),
        retry_after: retry::retry_after(&headers, SystemTime::now()),
        sentence: error.sentence(),
        ..Failure::request(kind, format!("status {} {}", status.as_u16(), error.code()))
    };
    (failure, status.as_u16(), error)
}

/// Whether a failure of this kind is the same a moment later, although the status says that it passes.
fn stays(kind: ErrorKind, status: u16) -> bool {
    match kind {
        ErrorKind::Quota | ErrorKind::ContextLength | ErrorKind::ModelNotFound => true,
        ErrorKind::Auth => status >= 429,
        _ => false,
    }
}

/// Reads the body of an error to its end, or as far as the limits of time and size let it.
async fn read_error(response: &mut Response, deadline: Instant) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        if body.len() + chunk.len() > MAX_ERROR_BYTES {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    body
}
