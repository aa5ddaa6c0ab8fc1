//! Finds an Ollama that runs on this machine: who has one need not say so.
//!
//! It is looked for at the start, beside everything else, and again whenever somebody wants to know
//! which models there are. It counts as found when it has a model.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::time::timeout;

use crate::providers::Registry;
use crate::providers::Upstream;
use crate::providers::api::Api;
use crate::providers::settings::UpstreamSettings;

/// Where it listens unless it is told otherwise.
pub const URL: &str = "http://127.0.0.1:11434";
/// What its upstream is called.
const NAME: &str = "ollama";
/// It is near, or it is not there.
const TIME_LIMIT: Duration = Duration::from_millis(500);

/// Adds the Ollama at this address to the upstreams, if it is there and none of them already.
pub(crate) async fn look_for(url: &Url, registry: &Registry) {
    let base_url = url.join("/v1").expect("a path");
    let is_known = |upstream: &Arc<Upstream>| {
        let settings = upstream.settings();
        settings.name == NAME || settings.base_url == base_url
    };
    if registry.upstreams().iter().any(is_known) {
        return;
    }
    let settings = UpstreamSettings::new(NAME, Api::ChatCompletions, base_url);
    let Ok(upstream) = Upstream::new(settings, registry.limits) else {
        return;
    };
    let is_there = timeout(TIME_LIMIT, upstream.refresh_models()).await == Ok(true);
    let has_models = upstream
        .known_models()
        .is_some_and(|models| !models.is_empty());
    if is_there && has_models {
        tracing::info!("found Ollama");
        registry.add(Arc::new(upstream));
    }
}
