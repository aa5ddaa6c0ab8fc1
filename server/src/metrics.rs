//! What the program counts, in the formats of Prometheus and OpenMetrics.
//!
//! Counting is a few atomic additions. The time series of an answer are looked up once, when it is requested, so
//! a piece of it takes no lock and allocates nothing.
//!
//! Names follow OpenTelemetry's conventions (`gen_ai.client.…`, `http.server.…`, `db.client.…`) where they have
//! one, written as Prometheus does. Values of labels are names of the configuration or of closed lists, never
//! what people send: a model that the configuration does not name counts as `other`.

mod histogram;
mod operation;
mod process;

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use self::histogram::Histogram;
use self::histogram::{Buckets, NewHistogram};
pub use self::operation::OperationTimer;

/// The label of a model that the configuration does not name.
pub const OTHER_MODEL: &str = "other";

/// Limits of buckets, in nanoseconds or tokens, as OpenTelemetry recommends them.
const REQUEST_TIME: Buckets = Buckets::seconds(&[
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
]);
const OPERATION_TIME: Buckets = Buckets::seconds(&[
    10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920, 163_840,
    327_680, 655_360,
]);
const FIRST_TIME: Buckets = Buckets::seconds(&[
    1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000, 30_000,
    60_000, 120_000,
]);
const GAP_TIME: Buckets = Buckets::seconds(&[
    1, 2, 5, 10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1_000, 2_500, 10_000, 30_000,
]);
const WAIT_TIME: Buckets = Buckets::seconds(&[1, 5, 10, 50, 100, 500, 1_000, 5_000]);
const TOKENS: Buckets = Buckets::counts(&[
    1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304,
]);

/// A kind of reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// It is saved, and goes on without a reader.
    Saved,
    /// It ends with its reader.
    Stateless,
}

/// A request to this server that was answered.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) http_request_method: &'static str,
    /// The pattern of the route, not the path.
    pub(crate) http_route: Arc<str>,
    pub(crate) http_response_status_code: u16,
}

/// The outcome of a reply. `error_type` is empty unless the outcome is `error`.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReplyLabels {
    reply: &'static str,
    outcome: &'static str,
    error_type: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReplyKindLabel {
    reply: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabel {
    gen_ai_provider_name: Arc<str>,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabel {
    db_client_connection_pool_name: &'static str,
}

/// The metrics of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The models that may be the value of a label.
    models: RwLock<BTreeSet<String>>,
    requests: Family<RequestLabels, Histogram, NewHistogram>,
    replies: Family<ReplyLabels, Counter>,
    reply_time: Family<ReplyKindLabel, Histogram, NewHistogram>,
    reply_first: Family<ReplyKindLabel, Histogram, NewHistogram>,
    operations: Arc<operation::Operations>,
    retries: Family<ProviderLabel, Counter>,
    fallbacks: Family<ProviderLabel, Counter>,
    connections: Family<ProviderLabel, Counter>,
    failed_statements: Family<PoolLabel, Counter>,
    waiting: Family<PoolLabel, Gauge>,
    waits: Family<PoolLabel, Histogram, NewHistogram>,
    /// Streams of saved replies that were continued after an event that the reader had.
    pub(crate) resumes: Counter,
    /// Open streams of saved replies.
    pub(crate) readers: Gauge,
    /// Replies whose end could not be saved in time.
    pub(crate) unsaved: Counter,
    /// The following are set when the metrics are read.
    pub(crate) open_streams: Gauge,
    pub(crate) most_streams: Gauge,
    pub(crate) running_replies: Gauge,
    pub(crate) most_replies: Gauge,
    pub(crate) queued_pieces: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(BTreeSet::new())
    }
}

impl Metrics {
    /// Metrics whose labels may name these models.
    #[must_use]
    pub fn new(models: BTreeSet<String>) -> Self {
        let mut registry = Registry::default();
        let mut all = Registrar(&mut registry);
        let metrics = Self {
            models: RwLock::new(models),
            requests: all.times(
                "http_server_request_duration",
                "Time from a request to the head of its response",
                REQUEST_TIME,
            ),
            replies: all.add("rill_replies", "Replies that have ended"),
            reply_time: all.times(
                "rill_reply_duration",
                "Time of a reply from its request to its end",
                OPERATION_TIME,
            ),
            reply_first: all.times(
                "rill_reply_time_to_first_token",
                "Time from the request of a reply to its first text or reasoning, with all retries",
                FIRST_TIME,
            ),
            operations: Arc::new(operation::Operations::register(&mut all)),
            retries: all.add(
                "rill_retries",
                "Requests to a provider that are repeated after a pause",
            ),
            fallbacks: all.add(
                "rill_fallbacks",
                "Replies that another model answers because this provider failed",
            ),
            connections: all.add(
                "rill_provider_connections_opened",
                "Connections that were opened to a provider",
            ),
            failed_statements: all.add(
                "rill_store_failures",
                "Statements and connections that the database failed",
            ),
            waiting: all.add(
                "db_client_connection_pending_requests",
                "Transactions that wait for a connection to the database",
            ),
            waits: all.times(
                "db_client_connection_wait_time",
                "Time that a transaction waited for a connection to the database",
                WAIT_TIME,
            ),
            resumes: all.add(
                "rill_resumes",
                "Streams of saved replies that were continued after an event that the reader had",
            ),
            readers: all.add("rill_readers_open", "Open streams of saved replies"),
            unsaved: all.add(
                "rill_replies_unsaved",
                "Replies whose end could not be saved in time",
            ),
            open_streams: all.add("rill_streams_open", "Open streams"),
            most_streams: all.add("rill_streams_limit", "The most open streams"),
            running_replies: all.add("rill_replies_running", "Running replies"),
            most_replies: all.add("rill_replies_limit", "The most running replies"),
            queued_pieces: all.add(
                "rill_store_pieces_queued",
                "Pieces of running replies that wait for a transaction",
            ),
            registry: Registry::default(),
        };
        registry.register(
            "rill_build",
            "The running version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register_collector(Box::new(process::Process::new()));
        Self {
            registry,
            ..metrics
        }
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut written = String::new();
        prometheus_text::encode(&mut written, &self.registry).expect("a string takes all");
        written
    }

    /// All metrics as OpenMetrics 1.0.
    #[must_use]
    pub fn open_metrics(&self) -> String {
        let mut written = String::new();
        text::encode(&mut written, &self.registry).expect("a string takes all");
        written
    }

    /// Counts a request to this server.
    pub(crate) fn request(&self, labels: &RequestLabels, time: std::time::Duration) {
        self.requests.get_or_create(labels).observe_time(time);
    }

    /// Counts a reply that has ended. `error_type` is the kind of its error, if it failed.
    pub(crate) fn reply(
        &self,
        kind: ReplyKind,
        outcome: &'static str,
        error_type: Option<&'static str>,
        time: std::time::Duration,
        first_token: Option<std::time::Duration>,
    ) {
        let reply = match kind {
            ReplyKind::Saved => "saved",
            ReplyKind::Stateless => "stateless",
        };
        let error_type = error_type.unwrap_or_default();
        let labels = ReplyLabels {
            reply,
            outcome,
            error_type,
        };
        self.replies.get_or_create(&labels).inc();
        let label = ReplyKindLabel { reply };
        self.reply_time.get_or_create(&label).observe_time(time);
        if let Some(first) = first_token {
            self.reply_first.get_or_create(&label).observe_time(first);
        }
    }

    /// The metrics of a provider with this configured name.
    #[must_use]
    pub fn provider(self: &Arc<Self>, name: &str) -> ProviderMetrics {
        let label = ProviderLabel {
            gen_ai_provider_name: name.into(),
        };
        ProviderMetrics {
            retries: self.retries.get_or_create_owned(&label),
            fallbacks: self.fallbacks.get_or_create_owned(&label),
            connections: self.connections.get_or_create_owned(&label),
            name: label.gen_ai_provider_name,
            metrics: Arc::clone(self),
        }
    }

    /// The metrics of a pool of connections to the database.
    pub(crate) fn pool(&self, name: &'static str) -> PoolMetrics {
        let label = PoolLabel {
            db_client_connection_pool_name: name,
        };
        PoolMetrics {
            failures: self.failed_statements.get_or_create_owned(&label),
            waiting: self.waiting.get_or_create_owned(&label),
            waits: self.waits.get_or_create_owned(&label),
        }
    }

    /// Lets labels name these models from now on.
    pub(crate) fn set_models(&self, models: BTreeSet<String>) {
        *self.models.write().expect("no holder of the lock panics") = models;
    }

    /// Whether a label may name this model.
    fn knows(&self, model: &str) -> bool {
        let models = self.models.read().expect("no holder of the lock panics");
        models.contains(model)
    }
}

/// The metrics of a provider.
#[derive(Debug, Clone)]
pub struct ProviderMetrics {
    name: Arc<str>,
    metrics: Arc<Metrics>,
    /// Requests that are repeated after a pause.
    pub(crate) retries: Counter,
    /// Replies that another model answers.
    pub(crate) fallbacks: Counter,
    /// Connections that were opened.
    pub(crate) connections: Counter,
}

impl ProviderMetrics {
    /// Begins to measure a request for an answer of a model.
    #[must_use]
    pub fn operation(&self, model: &str) -> OperationTimer {
        let model = if self.metrics.knows(model) {
            model
        } else {
            OTHER_MODEL
        };
        OperationTimer::new(&self.metrics.operations, &self.name, model)
    }
}

/// The metrics of a pool of connections to the database.
#[derive(Debug, Clone, Default)]
pub(crate) struct PoolMetrics {
    /// Statements and connections that failed.
    pub(crate) failures: Counter,
    waiting: Gauge,
    waits: Histogram,
}

impl PoolMetrics {
    /// Measures the wait for a connection, also one that is given up.
    pub(crate) async fn waiting<T>(&self, connection: impl Future<Output = T>) -> T {
        struct Waiting<'a>(&'a PoolMetrics, std::time::Instant);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.waiting.dec();
                self.0.waits.observe_time(self.1.elapsed());
            }
        }
        self.waiting.inc();
        let _waiting = Waiting(self, std::time::Instant::now());
        connection.await
    }
}

/// Registers metrics and returns them.
struct Registrar<'a>(&'a mut Registry);

impl Registrar<'_> {
    fn add<M>(&mut self, name: &str, help: &str) -> M
    where
        M: prometheus_client::registry::Metric + Clone + Default,
    {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    fn histograms<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Family<L, Histogram, NewHistogram> {
        let family = Family::new_with_constructor(NewHistogram(buckets));
        self.0.register(name, help, family.clone());
        family
    }

    /// Histograms of times in seconds. The unit becomes part of the name.
    fn times<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Family<L, Histogram, NewHistogram> {
        let family = Family::new_with_constructor(NewHistogram(buckets));
        self.0
            .register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    }
}

/// What the labels of a family have to be.
trait Labels:
    Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static
{
}

impl<L> Labels for L where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static
{
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn filled() -> Arc<Metrics> {
        let metrics = Arc::new(Metrics::new(["gpt-5-mini".to_owned()].into()));
        let provider = metrics.provider("openai");
        provider.operation("gpt-5-mini").complete();
        provider.operation("my \"secret\" model\n").complete();
        metrics.reply(
            ReplyKind::Saved,
            "stop",
            None,
            Duration::from_millis(30),
            Some(Duration::from_millis(7)),
        );
        metrics
    }

    #[test]
    fn a_model_that_the_configuration_does_not_name_is_no_label() {
        let text = filled().prometheus();
        assert!(!text.contains("secret"), "{text}");
        for model in ["gpt-5-mini", OTHER_MODEL] {
            let label = format!("gen_ai_request_model=\"{model}\"");
            assert!(text.contains(&label), "{label} in {text}");
        }
    }

    #[test]
    fn each_format_names_counters_as_it_prescribes() {
        let metrics = filled();
        let check = |text: &str, lines: &[&str]| {
            for line in lines {
                assert!(text.lines().any(|found| found == *line), "{line} in {text}");
            }
        };
        let sample = r#"rill_replies_total{reply="saved",outcome="stop",error_type=""} 1"#;
        // The order of labels has no meaning.
        let bucket =
            |labels: &str| format!("rill_reply_time_to_first_token_seconds_bucket{{{labels}}} 1");
        let prometheus = metrics.prometheus();
        check(
            &prometheus,
            &[
                "# TYPE rill_replies_total counter",
                sample,
                &bucket(r#"reply="saved",le="0.01""#),
            ],
        );
        let open_metrics = metrics.open_metrics();
        check(
            &open_metrics,
            &[
                "# TYPE rill_replies counter",
                sample,
                &bucket(r#"le="0.01",reply="saved""#),
                "# EOF",
            ],
        );
        assert!(open_metrics.ends_with("# EOF\n"));
    }
}
