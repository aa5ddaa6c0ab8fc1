//! Asks the server which models there are.

use app::library::models::Models;
use app::protocol::{MODELS_PATH, ModelList};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use gloo_net::http::Request;

/// The server's list over HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpModels;

impl Models for HttpModels {
    fn list(&self) -> LocalBoxFuture<'static, Option<ModelList>> {
        async {
            let text = Request::get(MODELS_PATH).send().await.ok()?.text().await;
            serde_json::from_str(&text.ok()?).ok()
        }
        .boxed_local()
    }
}
