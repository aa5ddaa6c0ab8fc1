//! What the handlers share.

use std::sync::Arc;

use app::protocol::PageInfo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, OPENAI};
use crate::upstream::settings::Settings;
use crate::upstream::{Limits, Upstream, demo};

/// The state of the server; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The configuration, read once.
    pub config: Arc<Config>,
    /// Who answers.
    pub upstream: Arc<Upstream>,
    /// What the page is told.
    pub page: PageInfo,
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
        let demo = config.is_demo();
        let base_url = if demo {
            demo::MODEL.clone_into(&mut config.model);
            demo::start().await?
        } else {
            config
                .openai_base_url
                .clone()
                .unwrap_or_else(|| OPENAI.parse().expect("a URL"))
        };
        let settings = Settings {
            key: config.openai_api_key.clone(),
            ..Settings::new("openai", config.openai_kind, base_url)
        };
        let upstream = Upstream::new(settings, Limits::from(&config))?;
        Ok(Self {
            page: PageInfo {
                model: config.model.clone(),
                demo,
            },
            config: Arc::new(config),
            upstream: Arc::new(upstream),
            replies: TaskTracker::new(),
            drain: CancellationToken::new(),
            shutdown: CancellationToken::new(),
        })
    }
}
