//! The models of an upstream, as configured or as listed by the upstream. A list is cached and refreshed in the
//! background.
//!
//! No list is requested at the start, but only when a list or a route is needed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::DATE;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::providers::Upstream;

/// How long a list counts as fresh.
const FRESH: Duration = Duration::from_secs(300);
/// The pause before an upstream without a list is asked again.
const PATIENCE: Duration = Duration::from_secs(15);
/// The time limit of a request for a list.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// The largest list, in bytes.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// A model of an upstream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    /// Its name at the upstream.
    pub(crate) id: String,
    /// The upstream's description of it.
    pub(crate) entry: Value,
}

impl Model {
    /// A model without a description.
    pub(crate) fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            entry: Value::Null,
        }
    }
}

/// What an upstream answered to a request for its models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamProbe {
    /// Its models, and its clock.
    Models {
        /// Their names.
        names: Vec<String>,
        /// The time of the answer by the upstream's clock.
        date: Option<std::time::SystemTime>,
    },
    /// It refused the key, with this status.
    KeyRefused(u16),
    /// It answers with this status, without a list. Some upstreams have none.
    NoList(u16),
    /// It does not answer in time, or breaks the connection.
    Silent,
    /// There is no connection to it.
    Unreachable,
}

/// The known models of one upstream.
#[derive(Debug, Default)]
pub(super) struct ModelCache {
    known: Mutex<KnownModels>,
    /// Held during a request, so that the list is requested once.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default, Clone)]
struct KnownModels {
    list: Option<Arc<[Model]>>,
    asked_at: Option<Instant>,
}

impl KnownModels {
    /// Whether no request is needed now.
    fn is_enough(&self) -> bool {
        let limit = if self.list.is_some() { FRESH } else { PATIENCE };
        self.asked_at.is_some_and(|asked| asked.elapsed() < limit)
    }
}

impl ModelCache {
    /// The models from the configuration, which never change.
    pub(super) fn configured(names: &[String]) -> Self {
        let models = Self::default();
        if !names.is_empty() {
            models.learn(names.iter().map(|name| Model::named(name)).collect());
        }
        models
    }

    fn learn(&self, list: Arc<[Model]>) {
        let mut known = self.known.lock().expect("no holder of the lock panics");
        known.list = Some(list);
    }

    fn known(&self) -> KnownModels {
        self.known
            .lock()
            .expect("no holder of the lock panics")
            .clone()
    }

    fn note_asked(&self) {
        let mut known = self.known.lock().expect("no holder of the lock panics");
        known.asked_at = Some(Instant::now());
    }
}

impl Upstream {
    /// The models that are known without a request.
    pub(crate) fn known_models(&self) -> Option<Arc<[Model]>> {
        self.models.known().list
    }

    /// The models, with a request if needed. None if the upstream has no list.
    pub(crate) async fn list_models(self: &Arc<Self>) -> Arc<[Model]> {
        let known = self.models.known();
        let is_enough = !self.settings().models.is_empty() || known.is_enough();
        match known.list {
            Some(list) if is_enough => list,
            // A stale list is better than a wait.
            Some(list) => {
                let upstream = Arc::clone(self);
                tokio::spawn(async move { upstream.refresh_models().await });
                list
            }
            None if is_enough => Arc::default(),
            None => {
                self.refresh_models().await;
                self.known_models().unwrap_or_default()
            }
        }
    }

    /// Requests the list. Returns whether the upstream sent one.
    pub(crate) async fn refresh_models(&self) -> bool {
        let _fetching = self.models.fetching.lock().await;
        if self.models.known().is_enough() {
            return self.known_models().is_some();
        }
        self.models.note_asked();
        match timeout(TIME_LIMIT, self.ask_for_models()).await {
            Ok(Some(list)) => {
                self.models.learn(list.into());
                true
            }
            _ => {
                let upstream = self.settings().name.as_str();
                tracing::debug!(upstream, "no list of models");
                false
            }
        }
    }

    async fn ask_for_models(&self) -> Option<Vec<Model>> {
        let response = self.get("models").await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        self.read_models(response).await
    }

    /// Asks the upstream for its models, to find out what is wrong with it. The request costs nothing.
    pub async fn probe(&self) -> UpstreamProbe {
        let response = match timeout(TIME_LIMIT, self.get("models")).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return UpstreamProbe::Unreachable,
            Ok(Err(_)) | Err(_) => return UpstreamProbe::Silent,
        };
        let date = response.headers().get(DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let status = response.status();
        if matches!(status.as_u16(), 401 | 403) {
            return UpstreamProbe::KeyRefused(status.as_u16());
        }
        let models = match timeout(TIME_LIMIT, self.read_models(response)).await {
            Ok(Some(models)) if status.is_success() => models,
            _ => return UpstreamProbe::NoList(status.as_u16()),
        };
        UpstreamProbe::Models {
            names: models.into_iter().map(|model| model.id).collect(),
            date,
        }
    }

    async fn read_models(&self, mut response: reqwest::Response) -> Option<Vec<Model>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if body.len() + chunk.len() > MAX_LIST_BYTES {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        let mut list = read_list(&body)?;
        if self.settings().is_openai() {
            list.retain(|model| can_chat(&model.id));
        }
        list.sort_by(|a, b| a.id.cmp(&b.id));
        list.dedup_by(|a, b| a.id == b.id);
        Some(list)
    }
}

/// Reads a list in the common format: `{"data":[{"id":"…"},…]}`.
fn read_list(body: &[u8]) -> Option<Vec<Model>> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let entries = match &mut value {
        Value::Array(entries) => std::mem::take(entries),
        other => match other.get_mut("data")? {
            Value::Array(entries) => std::mem::take(entries),
            _ => return None,
        },
    };
    let models = entries.into_iter().filter_map(|entry| {
        let id = entry.get("id")?.as_str()?.to_owned();
        Some(Model { id, entry })
    });
    Some(models.collect())
}

/// Whether a model of OpenAI is for chats, by its name: the list also has models for speech, pictures and
/// search, and does not say which is which.
fn can_chat(id: &str) -> bool {
    const OTHERS: &[&str] = &[
        "audio",
        "babbage",
        "dall-e",
        "davinci",
        "embedding",
        "image",
        "instruct",
        "moderation",
        "realtime",
        "sora",
        "transcribe",
        "tts",
        "whisper",
    ];
    !OTHERS.iter().any(|word| id.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_any_form() {
        let check = |body: &str, expect: Option<&[&str]>| {
            let ids = read_list(body.as_bytes());
            let ids: Option<Vec<String>> =
                ids.map(|models| models.into_iter().map(|model| model.id).collect());
            let expect: Option<Vec<String>> =
                expect.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
            assert_eq!(ids, expect, "{body}");
        };
        check(
            r#"{"object":"list","data":[{"id":"b","object":"model"},{"id":"a"},{"name":"no id"}]}"#,
            Some(&["b", "a"]),
        );
        check(r#"{"data":[],"has_more":false}"#, Some(&[]));
        check(r#"[{"id":"a"}]"#, Some(&["a"]));
        check(r#"{"data":null}"#, None);
        check(r#"{"error":{"message":"no"}}"#, None);
        check("<html>", None);
    }

    #[test]
    fn models_for_other_things_than_chat_are_left_out() {
        for yes in ["gpt-5-mini", "o3", "chatgpt-4o-latest"] {
            assert!(can_chat(yes), "{yes}");
        }
        for no in [
            "text-embedding-3-small",
            "whisper-1",
            "gpt-4o-realtime",
            "dall-e-3",
        ] {
            assert!(!can_chat(no), "{no}");
        }
    }
}
