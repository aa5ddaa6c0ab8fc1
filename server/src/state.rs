//! What the handlers share.

use std::sync::Arc;

use app::protocol::PageInfo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::upstream::kind::Kind;
use crate::upstream::settings::Settings;
use crate::upstream::{Directory, Limits, Upstream, demo, ollama};

/// The state of the server; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The configuration, read once.
    pub config: Arc<Config>,
    /// Who answers.
    pub upstreams: Arc<Directory>,
    /// The replies that are being made.
    pub replies: TaskTracker,
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
        let limits = Limits::from(&config);
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
        Ok(Self {
            config: Arc::new(config),
            upstreams: Arc::new(upstreams),
            replies: TaskTracker::new(),
            drain: CancellationToken::new(),
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
        }
    }
}
