//! The settings of an upstream: its address, its API and our credentials.

use reqwest::Url;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::providers::api::Api;
use crate::providers::caching::Cache;

/// The settings of one upstream.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Its name in the names of models and in the log.
    pub name: String,
    /// Its API.
    pub api: Api,
    /// The base URL of the API.
    pub base_url: Url,
    /// Whether the version in the base URL was guessed.
    pub is_version_guessed: bool,
    /// The key.
    pub key: Option<SecretString>,
    /// Additional headers. Their values are as secret as the key.
    pub headers: HeaderMap,
    /// Additional fields of the request body. They replace ours.
    pub body: Map<String, Value>,
    /// The models that may be used. If empty, any model may, and the upstream is asked for its list.
    pub models: Vec<String>,
    /// Whether its models write their reasoning into the text, in `<think>` tags.
    pub think_tags: bool,
    /// Whether HTTP/2 is used without TLS. With TLS it is negotiated.
    pub http2: bool,
    /// How long the provider should cache the beginning of a prompt. `None` uses the default time where the
    /// provider is known to accept the field, and no caching elsewhere.
    pub cache: Option<Cache>,
}

impl UpstreamSettings {
    /// An upstream with defaults for everything else.
    #[must_use]
    pub fn new(name: &str, api: Api, base_url: Url) -> Self {
        Self {
            name: name.to_owned(),
            api,
            base_url,
            is_version_guessed: false,
            key: None,
            headers: HeaderMap::new(),
            body: Map::new(),
            models: Vec::new(),
            think_tags: false,
            http2: false,
            cache: None,
        }
    }

    /// Whether two settings are the same in everything.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let key = |settings: &Self| {
            settings
                .key
                .as_ref()
                .map(|key| key.expose_secret().to_owned())
        };
        let Self {
            name,
            api,
            base_url,
            is_version_guessed,
            key: _,
            headers,
            body,
            models,
            think_tags,
            http2,
            cache,
        } = self;
        key(self) == key(other)
            && (name, api, base_url) == (&other.name, &other.api, &other.base_url)
            && (headers, body, models) == (&other.headers, &other.body, &other.models)
            && (is_version_guessed, think_tags, http2, cache)
                == (
                    &other.is_version_guessed,
                    &other.think_tags,
                    &other.http2,
                    &other.cache,
                )
    }

    /// The URL of a path of the API.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let base = self.base_url.path().trim_end_matches('/');
        // Anthropic's base URLs usually have no version, those of other providers do.
        let version = match self.api {
            Api::Messages if !base.ends_with("/v1") => "/v1",
            _ => "",
        };
        let mut url = self.base_url.clone();
        url.set_path(&format!("{base}{version}/{path}"));
        url
    }

    /// Whether this is OpenAI itself, and not a compatible provider.
    #[must_use]
    pub fn is_openai(&self) -> bool {
        self.base_url.host_str() == Some("api.openai.com")
    }

    /// Adds the configured fields to the body of a request.
    #[must_use]
    pub fn with_extra_fields(&self, body: Vec<u8>) -> Vec<u8> {
        if self.body.is_empty() {
            return body;
        }
        let mut fields: Map<String, Value> =
            serde_json::from_slice(&body).expect("what we wrote is a JSON object");
        for (name, value) in &self.body {
            fields.insert(name.clone(), value.clone());
        }
        serde_json::to_vec(&fields).expect("JSON can be written again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(api: Api, base_url: &str) -> UpstreamSettings {
        UpstreamSettings::new("x", api, base_url.parse().expect("a URL"))
    }

    #[test]
    fn a_path_stands_below_the_base_url_whichever_way_that_is_written() {
        let check = |api, base_url: &str, expect: &str| {
            let url = settings(api, base_url).url("p");
            assert_eq!(url.as_str(), expect, "{base_url}");
        };
        check(Api::ChatCompletions, "http://h/v1", "http://h/v1/p");
        check(Api::Responses, "http://h/api/v1/", "http://h/api/v1/p");
        check(Api::ChatCompletions, "http://h", "http://h/p");
        check(Api::Messages, "http://h", "http://h/v1/p");
        check(Api::Messages, "http://h/v1/", "http://h/v1/p");
        check(
            Api::Messages,
            "http://h/anthropic",
            "http://h/anthropic/v1/p",
        );
    }

    #[test]
    fn configured_fields_stand_beside_ours_and_win_over_them() {
        let mut settings = settings(Api::ChatCompletions, "http://h/v1");
        let body = br#"{"model":"m","stream":true}"#;
        assert_eq!(settings.with_extra_fields(body.to_vec()), body);
        settings.body.insert("model".into(), "other".into());
        settings.body.insert("tier".into(), "flex".into());
        let got: Value =
            serde_json::from_slice(&settings.with_extra_fields(body.to_vec())).expect("JSON");
        assert_eq!(
            got,
            serde_json::json!({"model": "other", "stream": true, "tier": "flex"})
        );
    }
}
