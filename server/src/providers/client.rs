//! Sends a request to a provider, with its key and within the time limits, until it is accepted or refused.
//! `answer` reads the answer.
//!
//! Dropping the future closes the connection to the provider.

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

use crate::metrics::{Metrics, OperationTimer, ProviderMetrics};
use crate::providers::UpstreamLimits;
use crate::providers::answer::UpstreamAnswer;
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

/// The most bytes of an error body that are read.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The flow-control window of a stream in HTTP/2, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The flow-control window of a connection in HTTP/2, in bytes.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The most models whose quirks and habits are kept. Clients name the models, so their number has no bound.
const MAX_MODELS: usize = 256;
/// The key of the quirks that hold for all models. No model has this name.
const SERVER: &str = "";

/// A provider with its connections.
#[derive(Debug)]
pub struct Upstream {
    settings: UpstreamSettings,
    connections: Connections,
    /// The connections whose answers are not decompressed. Built at the first use.
    raw: OnceLock<Connections>,
    limits: UpstreamLimits,
    metrics: ProviderMetrics,
    /// Whether it was found at run time, and is in no configuration.
    is_found: bool,
    secrets: Secrets,
    pub(super) models: ModelCache,
    pub(super) usual_model: OnceLock<String>,
    /// The quirks that were learnt for each model. They are kept until the process ends.
    quirks: Mutex<HashMap<String, Quirks>>,
    /// How each model begins its answers, if it writes tags.
    habits: Mutex<HashMap<String, Arc<Habit>>>,
    /// Whether the API is directly below the host, although a version was guessed.
    lacks_version: AtomicBool,
}

impl Upstream {
    /// A provider with these settings, whose requests are counted in `metrics`.
    ///
    /// # Errors
    /// When no HTTP client can be built, because of TLS or the system's certificates.
    pub fn new(
        settings: UpstreamSettings,
        limits: UpstreamLimits,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, reqwest::Error> {
        let metrics = metrics.provider(&settings.name);
        let opened = metrics.connections.clone();
        Ok(Self {
            connections: Connections::new(|| client(&settings, limits), opened)?,
            metrics,
            is_found: false,
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

    /// The same provider, as one that is in no configuration.
    pub(super) fn found_at_run_time(self) -> Self {
        Self {
            is_found: true,
            ..self
        }
    }

    /// Whether it was found at run time.
    pub(super) fn is_found(&self) -> bool {
        self.is_found
    }

    /// The URL of a path of the API.
    fn url(&self, path: &str) -> reqwest::Url {
        if self.lacks_version.load(Ordering::Relaxed) {
            let mut url = self.settings.base_url.clone();
            url.set_path(path);
            url
        } else {
            self.settings.url(path)
        }
    }

    /// The settings of the provider.
    pub(crate) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// Sends a request once. It is repeated only with other quirks if a field was refused, or below another
    /// path if the version was guessed. Counts each request in `attempts`.
    pub(super) async fn attempt(
        &self,
        prompt: &ChatRequest,
        reuse: &Reuse,
        model: &str,
        deadline: Instant,
        attempts: &mut u32,
    ) -> Result<UpstreamAnswer, Failure> {
        let mut quirks = self.quirks(model);
        let caching = Caching::new(&self.settings, model, reuse);
        let mut body = self.body(prompt, model, quirks, caching);
        let mut has_other_path = self.settings.is_version_guessed;
        loop {
            let first_byte = (Instant::now() + self.limits.first_byte).min(deadline);
            let operation = self.metrics.operation(model);
            let sent = self.send(body.clone(), operation.traceparent(), attempts);
            let failure = match timeout_at(first_byte, sent).await {
                Ok(Ok(response)) if response.status().is_success() => {
                    self.learn(model, quirks);
                    let limit = quirks.limit(prompt.max_tokens);
                    let mapper = self.mapper(model).with_limit(limit);
                    return Ok(UpstreamAnswer::read(
                        response,
                        mapper,
                        self.limits,
                        first_byte,
                        deadline,
                        operation,
                    ));
                }
                Ok(Ok(response)) => {
                    let (failure, status, error) = refused(response, first_byte).await;
                    if status == 404
                        && failure.kind != ErrorKind::ModelNotFound
                        && std::mem::take(&mut has_other_path)
                    {
                        self.lacks_version.fetch_xor(true, Ordering::Relaxed);
                        operation.fail(failure.kind.as_str());
                        continue;
                    }
                    let api = self.settings.api;
                    if let Some(learnt) = quirks.learn(api, prompt, status, &error) {
                        quirks = learnt;
                        let translated = self.body(prompt, model, quirks, caching);
                        // A configured field may replace the field that was left out.
                        if translated != body {
                            body = translated;
                            operation.fail(failure.kind.as_str());
                            continue;
                        }
                    }
                    failure
                }
                Ok(Err(error)) => not_sent(&error),
                Err(_) if Instant::now() >= deadline => {
                    Failure::request(ErrorKind::UpstreamTimeoutTotal, "before an answer")
                }
                // The request is not repeated, because it may already have been charged.
                Err(_) => Failure::request(ErrorKind::UpstreamTimeoutFirstByte, "no headers"),
            };
            operation.fail(failure.kind.as_str());
            return Err(failure);
        }
    }

    /// The metrics of this provider.
    pub(crate) fn metrics(&self) -> &ProviderMetrics {
        &self.metrics
    }

    /// Begins to measure a request that is passed on.
    pub(crate) fn operation(&self, model: &str) -> OperationTimer {
        self.metrics.operation(model)
    }

    /// The limits for this provider.
    pub(crate) fn limits(&self) -> UpstreamLimits {
        self.limits
    }

    /// The secrets that must not be passed on.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The key of this provider.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        let key = self.settings.key.as_ref()?;
        Some(key.expose_secret().as_bytes())
    }

    /// Passes a request of another program on, with our key.
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
                let opened = self.metrics.connections.clone();
                let connections = Connections::new(builder, opened)?;
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

    /// Sends a `GET` request, such as for the list of models.
    pub(super) async fn get(&self, path: &str) -> Result<Response, reqwest::Error> {
        let url = self.url(path);
        let request = |client: &reqwest::Client| {
            self.identify(client.get(url.clone()).header(ACCEPT, "application/json"))
        };
        let builder = || client(&self.settings, self.limits);
        self.connections.send(request, builder, &mut 0).await
    }

    /// Sends a request for an answer. Counts each request in `sent`.
    async fn send(
        &self,
        body: Bytes,
        traceparent: Option<String>,
        sent: &mut u32,
    ) -> Result<Response, reqwest::Error> {
        let url = self.url(self.settings.api.path());
        let request = |client: &reqwest::Client| {
            let request = client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "text/event-stream, application/json;q=0.9")
                // A compressed stream arrives in blocks instead of token by token.
                .header(ACCEPT_ENCODING, "identity")
                .body(body.clone());
            let request = match &traceparent {
                Some(traceparent) => request.header(TRACEPARENT, traceparent),
                None => request,
            };
            self.identify(request)
        };
        let builder = || client(&self.settings, self.limits);
        self.connections.send(request, builder, sent).await
    }

    /// Adds the key and the configured headers.
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
                    // The configuration has validated the key.
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
        let mut habits = self.habits.lock().expect("no holder of the lock panics");
        if habits.len() >= MAX_MODELS {
            habits.clear();
        }
        Arc::clone(habits.entry(model.to_owned()).or_default())
    }

    fn quirks(&self, model: &str) -> Quirks {
        let known = self.quirks.lock().expect("no holder of the lock panics");
        let of_server = known.get(SERVER).copied().unwrap_or_default();
        let of_model = known.get(model).copied().unwrap_or_default();
        of_model.and(of_server)
    }

    fn learn(&self, model: &str, quirks: Quirks) {
        if quirks == self.quirks(model) {
            return;
        }
        let mut known = self.quirks.lock().expect("no holder of the lock panics");
        if known.len() >= MAX_MODELS {
            // They are learnt again when they are needed.
            known.clear();
        }
        known.insert(SERVER.to_owned(), quirks.of_server());
        known.insert(model.to_owned(), quirks);
    }
}

/// The header that names the span of the request (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// A header value that is hidden in logs.
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
        // A redirect could send the key to another host.
        .redirect(reqwest::redirect::Policy::none())
        // In HTTP/2 this is how far a provider may be ahead of a slow reader. With larger windows, tens of
        // thousands of small frames could wait. hyper takes that for an attack and closes the connection with
        // all its replies.
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

/// The failure of a request without an answer.
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

/// The failure of a request that was refused. If the body does not arrive in time, the status alone decides.
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
        // A permanent failure is not retried, whatever the status suggests.
        may_retry: retry::may_retry(status.as_u16(), &headers)
            && !is_permanent(kind, status.as_u16()),
        retry_after: retry::retry_after(&headers, SystemTime::now()),
        sentence: error.sentence(),
        ..Failure::request(kind, format!("status {} {}", status.as_u16(), error.code()))
    };
    (failure, status.as_u16(), error)
}

/// Whether a failure of this kind is permanent, although its status usually means a temporary one.
fn is_permanent(kind: ErrorKind, status: u16) -> bool {
    match kind {
        ErrorKind::Quota | ErrorKind::ContextLength | ErrorKind::ModelNotFound => true,
        ErrorKind::Auth => status >= 429,
        _ => false,
    }
}

/// Reads the body of an error up to the limits of time and size.
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
