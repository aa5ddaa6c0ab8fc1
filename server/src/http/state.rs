//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use app::protocol::PageInfo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Switch};
use crate::http::descriptors;
use crate::http::limits::{self, LimitCounts};
use crate::providers::api::Api;
use crate::providers::settings::UpstreamSettings;
use crate::providers::{Registry, Upstream, UpstreamLimits, demo, ollama};
use crate::replies::{self, Replies};
use crate::store::{self, ChangeFeed, Store};

/// The state of the server; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The configuration, read once.
    pub config: Arc<Config>,
    /// The models that can be asked.
    pub upstreams: Arc<Registry>,
    /// How much may go on at once.
    pub limits: Arc<limits::ServerLimits>,
    /// The most connections at one time.
    pub max_connections: usize,
    /// What makes replies.
    pub replies: Replies,
    /// Where conversations are kept.
    pub store: Arc<Store>,
    /// Where changes of conversations are announced.
    pub changes: ChangeFeed,
    /// Replies that are being made, and imports: what a server that ends waits for.
    pub tasks: TaskTracker,
    /// Cancelled when no new replies are to begin.
    pub drain: CancellationToken,
    /// Cancelled when the running replies are to end.
    pub shutdown: CancellationToken,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No HTTP client for the upstream.
    #[error("no connection to providers can be made: {0}")]
    Client(#[from] reqwest::Error),
    /// No place for conversations.
    #[error("{0}")]
    Store(String),
    /// The demo found no port.
    #[error("the demo upstream found no free port: {0}")]
    Demo(#[from] std::io::Error),
}

impl AppState {
    /// Makes the state; starts the demo upstream if no other is configured.
    ///
    /// # Errors
    /// When there is no way to reach any upstream.
    pub async fn new(mut config: Config) -> Result<Self, StartError> {
        // The first to come decides which cryptography TLS uses; that it is decided is all we need.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let counts = LimitCounts::for_descriptors(descriptors::limit(), config.capacity);
        tracing::debug!(?counts, "what may go on at once");
        counts.warn_of_less_than(config.capacity);
        let limits = UpstreamLimits {
            // Both of an upstream's clients may keep as many as are in use at once.
            idle_connections: counts.replies.div_ceil(2 * config.upstreams.len().max(1)),
            ..UpstreamLimits::from(&config)
        };
        let mut settings = std::mem::take(&mut config.upstreams);
        if settings.is_empty() {
            settings.push(UpstreamSettings {
                models: vec![demo::NAME.to_owned()],
                ..UpstreamSettings::new(demo::NAME, Api::ChatCompletions, demo::start().await?)
            });
        }
        let upstreams = settings
            .into_iter()
            .map(|settings| Upstream::new(settings, limits).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let fallback = std::mem::take(&mut config.fallback);
        let upstreams = Registry::new(upstreams, config.model.clone(), fallback, limits);
        let opened = store::open(&config.saving.store())
            .await
            .map_err(StartError::Store)?;
        if let Some(place) = &opened.place {
            tracing::info!("conversations are kept in {place}");
        }
        let drain = CancellationToken::new();
        let shutdown = CancellationToken::new();
        let upstreams = Arc::new(upstreams);
        let store = Arc::new(opened.store);
        let changes = ChangeFeed::new(Arc::clone(&store));
        let tasks = TaskTracker::new();
        let replies = Replies {
            providers: Arc::clone(&upstreams),
            store: Arc::clone(&store),
            changes: changes.clone(),
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
        tokio::spawn(purge(Arc::clone(&store), drain.clone()));
        Ok(Self {
            config: Arc::new(config),
            upstreams,
            limits: Arc::new(limits::ServerLimits::new(&counts)),
            max_connections: counts.connections,
            replies,
            store,
            changes,
            tasks,
            drain,
            shutdown,
        })
    }

    /// Looks for an Ollama on this machine, where that is wanted.
    pub async fn look_for_ollama(&self) {
        if let Some(url) = &self.config.ollama.0 {
            ollama::look_for(url, &self.upstreams).await;
        }
    }

    /// What the page is told now.
    #[must_use]
    pub fn page_info(&self) -> PageInfo {
        PageInfo {
            model: self.upstreams.default_model(),
            demo: self.upstreams.is_demo(),
            unsaved: !self.replies.settings.keeps,
        }
    }
}

/// How long what was deleted can be restored, and how often it is looked after.
const KEPT_DELETED: Duration = Duration::from_secs(24 * 60 * 60);
const PURGE: Duration = Duration::from_secs(60 * 60);

/// Removes for good what was deleted long ago and what is left of imports, at the start and again and
/// again.
async fn purge(store: Arc<Store>, drain: CancellationToken) {
    loop {
        let kept = i64::try_from(KEPT_DELETED.as_millis()).expect("a day is short");
        let purged = tokio::select! {
            purged = store.purge(store::now() - kept) => purged,
            // What is left is removed after the next start.
            () = drain.cancelled() => return,
        };
        match purged {
            Ok(0) => {}
            Ok(conversations) => tracing::info!(conversations, "removed what was deleted"),
            Err(error) => tracing::error!(%error, "what was deleted could not be removed"),
        }
        tokio::select! {
            () = tokio::time::sleep(PURGE) => {}
            () = drain.cancelled() => return,
        }
    }
}
