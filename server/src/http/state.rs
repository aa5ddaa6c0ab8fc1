//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use app::protocol::PageInfo;
use app::protocol::saved::Change;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::http::descriptors;
use crate::http::limits::{self, Numbers};
use crate::providers::api::Kind;
use crate::providers::settings::Settings;
use crate::providers::{Directory, Limits, Upstream, demo, ollama};
use crate::replies::Generations;
use crate::store::{self, Store, StoreError};

/// The state of the server; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The configuration, read once.
    pub config: Arc<Config>,
    /// Who answers.
    pub upstreams: Arc<Directory>,
    /// How much may go on at once.
    pub limits: Arc<limits::Limits>,
    /// The most connections at one time.
    pub max_connections: usize,
    /// The replies that are being made.
    pub replies: TaskTracker,
    /// Those of them that are saved, by their ids.
    pub generations: Arc<Generations>,
    /// Where conversations are kept.
    pub store: Arc<dyn Store>,
    /// Whether they are still there when the server has ended.
    pub keeps: bool,
    /// What changes in the lists of conversations, with its owner.
    pub changes: broadcast::Sender<(String, Change)>,
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
        let numbers = Numbers::for_descriptors(descriptors::limit(), config.capacity);
        tracing::debug!(?numbers, "what may go on at once");
        numbers.warn_of_less_than(config.capacity);
        let limits = Limits {
            // Both of an upstream's clients may keep as many as are in use at once.
            idle_connections: numbers.replies.div_ceil(2 * config.upstreams.len().max(1)),
            ..Limits::from(&config)
        };
        let mut settings = std::mem::take(&mut config.upstreams);
        if settings.is_empty() {
            settings.push(Settings {
                models: vec![demo::NAME.to_owned()],
                ..Settings::new(demo::NAME, Kind::ChatCompletions, demo::start().await?)
            });
        }
        let upstreams = settings
            .into_iter()
            .map(|settings| Upstream::new(settings, limits).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let fallback = std::mem::take(&mut config.fallback);
        let upstreams = Directory::new(upstreams, config.model.clone(), fallback, limits);
        let opened = store::open(&config.saving)
            .await
            .map_err(StartError::Store)?;
        if let Some(place) = &opened.place {
            tracing::info!("conversations are kept in {place}");
        }
        let drain = CancellationToken::new();
        let store: Arc<dyn Store> = Arc::new(opened.store);
        tokio::spawn(purge(Arc::clone(&store), drain.clone()));
        Ok(Self {
            config: Arc::new(config),
            upstreams: Arc::new(upstreams),
            limits: Arc::new(limits::Limits::new(&numbers)),
            max_connections: numbers.connections,
            replies: TaskTracker::new(),
            generations: Arc::default(),
            store,
            keeps: opened.place.is_some(),
            changes: broadcast::Sender::new(CHANGES),
            drain,
            shutdown: CancellationToken::new(),
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
            unsaved: !self.keeps,
        }
    }

    /// Tells the lists what a conversation looks like now.
    pub(crate) async fn tell_changed(&self, owner: &str, id: &str) {
        match self.store.summary(owner, id).await {
            Ok(summary) => self.tell(owner, Change::Changed(summary)),
            // It is in no list any more.
            Err(StoreError::NotFound) => {}
            Err(error) => tracing::debug!(%error, "a change was not told"),
        }
    }

    /// Tells the lists of a change.
    pub(crate) fn tell(&self, owner: &str, change: Change) {
        // Perhaps nobody listens.
        let _ = self.changes.send((owner.to_owned(), change));
    }
}

/// How many changes may wait for a list that is slow, before it is told to read all anew.
const CHANGES: usize = 256;
/// How long what was deleted can be restored, and how often it is looked after.
const KEPT_DELETED: Duration = Duration::from_secs(24 * 60 * 60);
const PURGE: Duration = Duration::from_secs(60 * 60);

/// Removes for good what was deleted long ago and what is left of imports, at the start and again and
/// again.
async fn purge(store: Arc<dyn Store>, drain: CancellationToken) {
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
