//! Finds an Ollama on this machine without configuration.
//!
//! It is looked for at the start in the background, and again whenever the list of models is requested. It
//! counts as found if it has a model.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::time::timeout;

use crate::providers::Registry;
use crate::providers::Upstream;
use crate::providers::api::Api;
use crate::providers::settings::UpstreamSettings;

/// Its default address.
pub const URL: &str = "http://127.0.0.1:11434";
/// The name of its upstream.
const NAME: &str = "ollama";
/// The time limit. A local server answers at once.
const TIME_LIMIT: Duration = Duration::from_millis(500);

/// Adds the Ollama at this address to the upstreams, if it is there and not configured already.
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
    let Ok(upstream) = Upstream::new(settings, registry.current().limits, &registry.metrics) else {
        return;
    };
    let is_there = timeout(TIME_LIMIT, upstream.refresh_models()).await == Ok(true);
    let has_models = upstream
        .known_models()
        .is_some_and(|models| !models.is_empty());
    if is_there && has_models {
        tracing::info!("found Ollama");
        registry.add(Arc::new(upstream.found_at_run_time()));
    }
}
