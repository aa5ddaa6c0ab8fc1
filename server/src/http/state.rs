//! The state that all handlers share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use app::protocol::PageInfo;
use app::protocol::saved::Change;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, Caller};
use crate::config::{Config, Switch};
use crate::http::descriptors;
use crate::http::health::Readiness;
use crate::http::limits::{self, LimitCounts};
use crate::http::workers;
use crate::metrics::Metrics;
use crate::providers::api::Api;
use crate::providers::settings::UpstreamSettings;
use crate::providers::{Registry, Upstream, UpstreamLimits, demo, ollama};
use crate::replies::pieces::PieceWriter;
use crate::replies::{self, Replies};
use crate::store::{self, ChangeFeed, Store};
use crate::traces::Traces;

/// The state of the server. It is cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The configuration, read once.
    pub config: Arc<Config>,
    /// The models of the configured providers.
    pub upstreams: Arc<Registry>,
    /// Who may use the server.
    pub access: Arc<Access>,
    /// The limits of streams and replies.
    pub limits: Arc<limits::ServerLimits>,
    /// The most connections at one time.
    pub max_connections: usize,
    /// The last look at the store.
    pub readiness: Arc<Readiness>,
    /// What the server counts.
    pub metrics: Arc<Metrics>,
    /// Where the spans of requests go.
    pub(crate) traces: Traces,
    /// The engine of replies.
    pub replies: Replies,
    /// The store of conversations.
    pub store: Arc<Store>,
    /// The feed of changes of conversations.
    pub changes: ChangeFeed,
    /// The tasks that a shutdown waits for: replies and imports.
    pub tasks: TaskTracker,
    /// Cancelled when no new reply may begin.
    pub drain: CancellationToken,
    /// Cancelled when the running replies must end.
    pub shutdown: CancellationToken,
}

/// The reason why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No HTTP client for an upstream or the collector of traces could be built.
    #[error("no connection to providers can be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The store could not be opened.
    #[error("{0}")]
    Store(String),
    /// The demo could not bind a port.
    #[error("the demo upstream found no free port: {0}")]
    Demo(#[from] std::io::Error),
}

impl AppState {
    /// Builds the state, and starts the demo if no upstream is configured.
    ///
    /// # Errors
    /// When no upstream can be reached at all.
    pub async fn new(mut config: Config) -> Result<Self, StartError> {
        // Installs the cryptography for TLS. An error means that it was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let counts = LimitCounts::for_descriptors(descriptors::limit(), config.capacity);
        tracing::debug!(?counts, "what may go on at once");
        counts.warn_if_below(config.capacity);
        let limits = UpstreamLimits {
            // Each of an upstream's two clients may keep as many connections as are in use at once.
            idle_connections: counts
                .replies
                .div_ceil(2 * config.upstreams.len().max(1) * workers::count()),
            ..UpstreamLimits::from(&config)
        };
        let mut settings = std::mem::take(&mut config.upstreams);
        if settings.is_empty() {
            settings.push(demo_settings().await?);
        }
        let metrics = Arc::new(Metrics::new(known_models(&config, &settings)));
        let upstreams = settings
            .into_iter()
            .map(|settings| Upstream::new(settings, limits, &metrics).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let traces = Traces::start(config.traces.clone())?;
        let fallback = std::mem::take(&mut config.fallback);
        let model = config.model.clone();
        let upstreams = Registry::new(upstreams, model, fallback, limits, Arc::clone(&metrics));
        let opened = store::open(&config.saving.store())
            .await
            .map_err(StartError::Store)?;
        if let Some(place) = &opened.place {
            tracing::info!("conversations are kept in {place}");
        }
        let drain = CancellationToken::new();
        let shutdown = CancellationToken::new();
        let upstreams = Arc::new(upstreams);
        let store = Arc::new(opened.store.counted_in(&metrics));
        let changes = ChangeFeed::new(Arc::clone(&store));
        let tasks = TaskTracker::new();
        let replies = Replies {
            providers: Arc::clone(&upstreams),
            store: Arc::clone(&store),
            pieces: PieceWriter::start(Arc::clone(&store)),
            changes: changes.clone(),
            metrics: Arc::clone(&metrics),
            running: Arc::default(),
            tasks: tasks.clone(),
            drain: drain.clone(),
            shutdown: shutdown.clone(),
            settings: replies::ReplySettings {
                total_timeout: config.total_timeout,
                titles_by_model: config.saving.titles == Switch::On,
                keeps: opened.place.is_some(),
            },
        };
        let retention = config.retention.conversations;
        tokio::spawn(purge(
            changes.clone(),
            Arc::clone(&store),
            retention,
            drain.clone(),
        ));
        let access = Arc::new(Access::new(config.access_settings(), Arc::clone(&store)));
        tokio::spawn(Arc::clone(&access).watch(drain.clone()));
        Ok(Self {
            config: Arc::new(config),
            access,
            upstreams,
            limits: Arc::new(limits::ServerLimits::new(&counts)),
            max_connections: counts.connections,
            readiness: Arc::default(),
            metrics,
            traces,
            replies,
            store,
            changes,
            tasks,
            drain,
            shutdown,
        })
    }

    /// Uses a configuration that was read again. New replies use its upstreams, fallbacks and default model, and those
    /// that are being made keep theirs. Returns the names of other settings that differ and need a restart.
    ///
    /// # Errors
    /// When an upstream cannot be used. Nothing is changed then.
    pub async fn reload(&self, mut config: Config) -> Result<Vec<&'static str>, StartError> {
        let mut settings = std::mem::take(&mut config.upstreams);
        if settings.is_empty() {
            let demo = self.upstreams.settings_of(demo::NAME);
            settings.push(match demo {
                Some(running) => running,
                None => demo_settings().await?,
            });
        }
        let models = known_models(&config, &settings);
        let fallback = std::mem::take(&mut config.fallback);
        let model = config.model.clone();
        self.upstreams.replace(settings, model, fallback)?;
        self.metrics.set_models(models);
        let differs = |part: fn(&Config) -> String| part(&self.config) != part(&config);
        let mut needs_restart = Vec::new();
        if differs(|config| format!("{:?}", config.capacity)) {
            needs_restart.push("the limits of streams and replies");
        }
        if differs(|config| format!("{:?}", config.observing)) {
            needs_restart.push("metrics_listen and log_format");
        }
        if differs(|config| format!("{:?}", config.traces)) {
            needs_restart.push("the variables OTEL_…");
        }
        if differs(|config| format!("{:?}", config.retention)) {
            needs_restart.push("[retention]");
        }
        if differs(|config| format!("{:?}", config.access_settings())) {
            needs_restart.push("[access]");
        }
        Ok(needs_restart)
    }

    /// Sends the spans that have ended to the collector, within a time limit.
    pub async fn flush_traces(&self) {
        self.traces.flush().await;
    }

    /// Looks for an Ollama on this machine, if that is configured.
    pub async fn look_for_ollama(&self) {
        if let Some(url) = &self.config.ollama.0 {
            ollama::look_for(url, &self.upstreams).await;
        }
    }

    /// The facts that the page of this caller needs.
    #[must_use]
    pub fn page_info(&self, caller: &Caller) -> PageInfo {
        let person = caller.person();
        let name = if person.name().is_empty() {
            person.email()
        } else {
            person.name()
        };
        PageInfo {
            base: self.config.base().to_owned(),
            person: name.to_owned(),
            model: self.upstreams.default_model(),
            demo: self.upstreams.is_demo(),
            unsaved: !self.replies.settings.keeps,
        }
    }
}

/// Starts the demo, and returns its settings as an upstream.
async fn demo_settings() -> Result<UpstreamSettings, StartError> {
    Ok(UpstreamSettings {
        models: vec![demo::NAME.to_owned()],
        ..UpstreamSettings::new(demo::NAME, Api::ChatCompletions, demo::start().await?)
    })
}

/// The models that the configuration names, by the names that their upstreams know.
fn known_models(config: &Config, upstreams: &[UpstreamSettings]) -> BTreeSet<String> {
    let fallbacks = config.fallback.iter();
    let fallbacks = fallbacks.flat_map(|(model, others)| others.iter().chain([model]));
    let named = fallbacks.chain(&config.model).map(|name| {
        let of_upstream = upstreams
            .iter()
            .find_map(|upstream| name.strip_prefix(&upstream.name)?.strip_prefix('/'));
        of_upstream.unwrap_or(name)
    });
    let listed = upstreams.iter().flat_map(|upstream| &upstream.models);
    named
        .chain(listed.map(String::as_str))
        .map(str::to_owned)
        .collect()
}

/// How long deleted conversations can be restored, and how often they are purged.
const KEPT_DELETED: Duration = Duration::from_secs(24 * 60 * 60);
const PURGE: Duration = Duration::from_secs(60 * 60);

/// Deletes conversations that were not used for a long time.
async fn expire(store: &Store, changes: &ChangeFeed, retention: Duration) {
    let kept = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let now = store::now();
    match store.expire(now.saturating_sub(kept), now).await {
        Ok(deleted) if deleted.is_empty() => {}
        Ok(deleted) => {
            let conversations = deleted.len();
            tracing::info!(
                conversations,
                "deleted what was not used for the time of --retention"
            );
            for (owner, id) in deleted {
                changes.announce(&owner, Change::Removed(id));
            }
        }
        Err(error) => tracing::error!(%error, "conversations could not be deleted by --retention"),
    }
}

/// Deletes conversations by their age, and purges those that were deleted long ago and unfinished imports, at the
/// start and then regularly. What is left of them in the file is overwritten.
async fn purge(
    changes: ChangeFeed,
    store: Arc<Store>,
    retention: Option<Duration>,
    drain: CancellationToken,
) {
    let mut has_remains = false;
    loop {
        if let Some(retention) = retention {
            tokio::select! {
                () = expire(&store, &changes, retention) => {}
                () = drain.cancelled() => return,
            }
        }
        let kept = i64::try_from(KEPT_DELETED.as_millis()).expect("a day is short");
        let purged = tokio::select! {
            purged = store.purge(store::now() - kept) => purged,
            // The rest is purged after the next start.
            () = drain.cancelled() => return,
        };
        match purged {
            Ok(0) => {}
            Ok(conversations) => {
                tracing::info!(conversations, "removed what was deleted");
                has_remains = true;
            }
            Err(error) => tracing::error!(%error, "what was deleted could not be removed"),
        }
        if has_remains {
            has_remains = tokio::select! {
                scrubbed = store.scrub() => !scrubbed.unwrap_or_else(|error| {
                    tracing::error!(%error, "what was removed could not be overwritten");
                    false
                }),
                () = drain.cancelled() => return,
            };
        }
        tokio::select! {
            () = tokio::time::sleep(PURGE) => {}
            () = drain.cancelled() => return,
        }
    }
}
