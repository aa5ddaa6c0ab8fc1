//! The configuration file, `rill.toml`: upstreams, fallbacks, and suggestions.
//!
//! A mistake is reported with its line and column. The message does not repeat the text of the line, which may
//! contain a key. Keys are read from variables or files.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};

use app::protocol::{Preset, Suggestion};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;

use super::access::{AccessFile, AccessSection};
use super::models::NamesSection;
use super::observing::{LogFormat, parse_loopback};
use super::retention::{Retention, RetentionSection};
use super::{Capacity, Observing, parse_key};
use crate::providers::api::Api;
use crate::providers::base_url;
use crate::providers::caching::Cache;
use crate::providers::settings::UpstreamSettings;

/// The content of a configuration file.
#[derive(Debug, Default)]
pub struct File {
    /// The default model for requests without one.
    pub model: Option<String>,
    /// The upstreams. The first one is the default.
    pub upstreams: Vec<UpstreamSettings>,
    /// The fallbacks of each model.
    pub fallback: BTreeMap<String, Vec<String>>,
    /// The limits of streams and replies.
    pub capacity: Capacity,
    /// How people are let in.
    pub access: AccessFile,
    /// What the server tells about itself.
    pub observing: Observing,
    /// How long conversations are kept.
    pub retention: Retention,
    /// The suggestions of an empty page; `None` for the built-in ones.
    pub suggestions: Option<Vec<Suggestion>>,
    /// The presets for all people.
    pub presets: Vec<Preset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    model: Option<Spanned<String>>,
    max_replies: Option<NonZeroUsize>,
    max_replies_per_client: Option<NonZeroUsize>,
    max_streams: Option<NonZeroUsize>,
    max_streams_per_client: Option<NonZeroUsize>,
    access: Option<AccessSection>,
    metrics_listen: Option<Spanned<String>>,
    log_format: Option<LogFormat>,
    retention: Option<RetentionSection>,
    #[serde(default)]
    groups: NamesSection,
    #[serde(default)]
    models: NamesSection,
    #[serde(default)]
    upstream: Vec<Entry>,
    #[serde(default)]
    fallback: BTreeMap<String, Spanned<Vec<String>>>,
    suggestion: Option<Vec<Suggestion>>,
    #[serde(default)]
    preset: Vec<Spanned<Preset>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    #[serde(rename = "kind", default = "chat_completions")]
    api: Api,
    base_url: Option<Spanned<String>>,
    key_env: Option<Spanned<String>>,
    key_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    models: Vec<Spanned<String>>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    body: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    think_tags: bool,
    #[serde(default)]
    http2: bool,
    cache: Option<Cache>,
}

fn chat_completions() -> Api {
    Api::ChatCompletions
}

/// Reads the text of a configuration file. `path` is its path, for messages and for relative paths in it, and
/// `variable` returns the values of environment variables.
///
/// # Errors
/// A sentence that begins with the file, the line and the column of the mistake.
pub fn read(
    path: &Path,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<File, String> {
    let at = |span: Range<usize>, message: String| {
        let (line, column) = position(text, span.start);
        format!("{}:{line}:{column}: {message}", path.display())
    };
    let place = Place {
        file: path,
        variable,
    };
    let document: Document = toml::from_str(text)
        .map_err(|error| at(error.span().unwrap_or(0..0), without_value(error.message())))?;
    let metrics_listen = document.metrics_listen.map(|address| {
        parse_loopback(address.get_ref()).map_err(|message| at(address.span(), message))
    });
    let retention = document.retention.map(RetentionSection::read).transpose();
    let retention = retention.map_err(|(span, message)| at(span, message))?;
    let mut file = File {
        retention: retention.unwrap_or_default(),
        observing: Observing {
            metrics_listen: metrics_listen.transpose()?,
            log_format: document.log_format,
        },
        model: document.model.map(Spanned::into_inner),
        capacity: Capacity {
            max_replies: document.max_replies.map(NonZeroUsize::get),
            max_replies_per_client: document.max_replies_per_client.map(NonZeroUsize::get),
            max_streams: document.max_streams.map(NonZeroUsize::get),
            max_streams_per_client: document.max_streams_per_client.map(NonZeroUsize::get),
        },
        suggestions: document.suggestion,
        ..File::default()
    };
    if let Some(section) = document.access {
        file.access = section
            .read(&place)
            .map_err(|(span, message)| at(span, message))?;
    }
    for preset in document.preset {
        let span = preset.span();
        let preset = Preset {
            shared: true,
            ..preset.into_inner()
        };
        if let Some(fault) = preset.fault() {
            return Err(at(span, fault.to_owned()));
        }
        file.presets.push(preset);
    }
    let rules = super::models::read(document.groups, document.models);
    file.access.models = rules.map_err(|(span, message)| at(span, message))?;
    for entry in document.upstream {
        let span = entry.name.span();
        let settings = settings(entry, &place).map_err(|(span, message)| at(span, message))?;
        if file
            .upstreams
            .iter()
            .any(|other| other.name == settings.name)
        {
            return Err(at(span, "another upstream has this name".to_owned()));
        }
        file.upstreams.push(settings);
    }
    for (model, others) in document.fallback {
        if others.get_ref().is_empty() {
            return Err(at(
                others.span(),
                "name at least one other model".to_owned(),
            ));
        }
        let rules = &file.access.models;
        let is_open = |other: &&String| !rules.allow_fallback(&model, other);
        if let Some(other) = others.get_ref().iter().find(is_open) {
            let message =
                format!("{other} is for some groups only, and {model} would open it to others");
            return Err(at(others.span(), message));
        }
        file.fallback.insert(model, others.into_inner());
    }
    Ok(file)
}

/// A mistake and its range in the text.
type Mistake = (Range<usize>, String);

/// Where secrets come from.
pub(super) struct Place<'a> {
    /// The configuration file. A relative path in it is relative to its folder.
    pub(super) file: &'a Path,
    /// Returns the values of environment variables.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
}

/// Reads a secret that the configuration names by a variable or a file. `names` are those of the two fields.
pub(super) fn read_secret(
    variable: Option<Spanned<String>>,
    file: Option<Spanned<PathBuf>>,
    names: (&str, &str),
    place: &Place<'_>,
) -> Result<Option<SecretString>, Mistake> {
    match (variable, file) {
        (None, None) => Ok(None),
        (Some(name), None) => {
            let key = (place.variable)(name.get_ref()).filter(|key| !key.trim().is_empty());
            let key = key.ok_or_else(|| {
                let message = format!("the variable {} is not set", name.get_ref());
                (name.span(), message)
            })?;
            let key = parse_key(&key).map_err(|message| (name.span(), message))?;
            Ok(Some(key))
        }
        (None, Some(file)) => {
            let folder = place.file.parent().unwrap_or(Path::new(""));
            let key = std::fs::read_to_string(folder.join(file.get_ref()))
                .map_err(|error| (file.span(), format!("the key cannot be read: {error}")))?;
            let key = parse_key(&key).map_err(|message| (file.span(), message))?;
            Ok(Some(key))
        }
        (Some(_), Some(file)) => Err((
            file.span(),
            format!(
                "the key comes by {} or by {}, not by both",
                names.0, names.1
            ),
        )),
    }
}

fn settings(entry: Entry, place: &Place<'_>) -> Result<UpstreamSettings, Mistake> {
    let name = entry.name.get_ref();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err((
            entry.name.span(),
            "name an upstream with letters, digits, `-`, `_` and `.`".to_owned(),
        ));
    }
    let base_url = match &entry.base_url {
        Some(url) => {
            base_url::read(url.get_ref(), entry.api).map_err(|message| (url.span(), message))?
        }
        None => entry.api.usual_base_url(),
    };
    let mut models = Vec::new();
    for model in entry.models {
        if model.get_ref().trim().is_empty() {
            return Err((model.span(), "a model has a name".to_owned()));
        }
        models.push(model.into_inner());
    }
    let mut headers = HeaderMap::new();
    for (name, value) in entry.headers {
        let (span, value) = (value.span(), value.into_inner());
        let no_header = |_| (span.clone(), "this cannot be a header".to_owned());
        let name = HeaderName::try_from(name).map_err(|_| no_header(()))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| no_header(()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let names = ("key_env", "key_file");
    let key = read_secret(entry.key_env, entry.key_file, names, place)?;
    let is_version_guessed = entry
        .base_url
        .as_ref()
        .is_some_and(|text| base_url::is_version_guessed(text.get_ref(), &base_url));
    Ok(UpstreamSettings {
        is_version_guessed,
        key,
        headers,
        body: entry.body,
        models,
        think_tags: entry.think_tags,
        http2: entry.http2,
        cache: entry.cache,
        ..UpstreamSettings::new(entry.name.get_ref(), entry.api, base_url)
    })
}

/// The line and the column of an offset in a text, both from 1, in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// The parser's message without the value that it may repeat, which could be a misplaced key.
fn without_value(message: &str) -> String {
    match message.split_once("string \"") {
        Some((before, after)) => {
            let rest = after.rsplit_once('"').map_or("", |(_, rest)| rest);
            format!("{before}a string{rest}")
        }
        None if message.contains("unknown field `key`") || message.contains("api_key") => {
            "a key does not belong into this file: name the variable that holds it by key_env, or a file by key_file"
                .to_owned()
        }
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn read_text(text: &str) -> Result<File, String> {
        let variable = |name: &str| (name == "KEY").then(|| "sk-1".to_owned());
        read(Path::new("rill.toml"), text, &variable)
    }

    #[test]
    fn suggestions_replace_the_built_in_ones() {
        let file = read_text("[[suggestion]]\ntitle = \"a\"\nprompt = \"b\"").expect("it is right");
        let suggestions = file.suggestions.expect("there is one");
        assert_eq!(suggestions.len(), 1);
        assert_eq!(
            (&*suggestions[0].title, &*suggestions[0].prompt),
            ("a", "b")
        );
        assert!(read_text("").expect("it is right").suggestions.is_none());
        let without_prompt = read_text("[[suggestion]]\ntitle = \"a\"");
        assert!(without_prompt.is_err_and(|error| error.contains("prompt")));
    }

    #[test]
    fn presets_are_for_all_people_and_a_wrong_one_is_named_by_its_line() {
        let file =
            read_text("[[preset]]\nname = \"Brief\"\nsystem = \"Be brief.\"\ntemperature = 0.5");
        let presets = file.expect("it is right").presets;
        assert!(presets.len() == 1 && presets[0].shared);
        assert_eq!(presets[0].temperature, Some(0.5));
        for wrong in [
            "[[preset]]\nsystem = \"a\"",
            "[[preset]]\nname = \"\"",
            "[[preset]]\nname = \"a\"\ntemperature = 3.0",
            "[[preset]]\nname = \"a\"\nprompt = \"b\"",
        ] {
            let error = read_text(wrong).expect_err("it is wrong");
            assert!(error.starts_with("rill.toml:"), "{error}");
        }
    }

    #[test]
    fn an_upstream_is_described_field_by_field() {
        let file = read_text(
            r#"
            model = "gpt-5-mini"

            [[upstream]]
            name = "work"
            kind = "responses"
            base_url = "https://example.com/v1"
            key_env = "KEY"
            models = ["gpt-5", "gpt-5-mini"]
            headers = { "openai-organization" = "org-1" }
            body = { service_tier = "flex", metadata = { a = "b" } }
            think_tags = true
            http2 = true
            cache = "1h"

            [[upstream]]
            name = "claude"
            kind = "anthropic"

            [fallback]
            "gpt-5" = ["claude/claude-haiku-4-5", "gpt-5-mini"]
            "#,
        )
        .expect("a good file");
        assert_eq!(file.model.as_deref(), Some("gpt-5-mini"));
        assert_eq!(file.fallback["gpt-5"].len(), 2);
        let [work, claude] = file.upstreams.as_slice() else {
            panic!("two upstreams");
        };
        assert_eq!((work.name.as_str(), work.api), ("work", Api::Responses));
        assert_eq!(
            work.key.as_ref().map(ExposeSecret::expose_secret),
            Some("sk-1")
        );
        assert_eq!(work.models, ["gpt-5", "gpt-5-mini"]);
        assert_eq!(work.headers["openai-organization"], "org-1");
        assert_eq!(work.body["metadata"]["a"], "b");
        assert!(work.think_tags && work.http2);
        assert_eq!((work.cache, claude.cache), (Some(Cache::Hour), None));
        assert_eq!(claude.api, Api::Messages);
        assert_eq!(claude.base_url.as_str(), "https://api.anthropic.com/");
        assert!(claude.key.is_none() && claude.models.is_empty());
        assert!(read_text("").expect("an empty file").upstreams.is_empty());
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_column() {
        let check = |text: &str, place: &str, words: &str| {
            let error = read_text(text).expect_err(text);
            assert!(
                error.starts_with(&format!("rill.toml:{place}: ")) && error.contains(words),
                "{error}"
            );
            assert!(!error.contains("sk-"), "{error}");
        };
        let entry = |fields: &str| format!("[[upstream]]\nname = \"a\"\n{fields}\n");
        check("model = ", "1:9", "");
        check("modell = \"x\"", "1:1", "unknown field");
        check(&entry("knid = \"chat\""), "3:1", "unknown field");
        check(&entry("kind = \"chatt\""), "3:8", "unknown variant");
        check(&entry("key = \"sk-1\""), "3:1", "key_env");
        check(&entry("api_key = \"sk-1\""), "3:1", "key_env");
        check(&entry("think_tags = \"sk-1\""), "3:14", "a string");
        check(&entry("cache = \"10m\""), "3:9", "unknown variant");
        check(&entry("cache = true"), "3:9", "");
        check(&entry("base_url = \"example.com\""), "3:12", "http");
        check(&entry("key_env = \"NONE\""), "3:11", "NONE is not set");
        check(&entry("key_file = \"/none\""), "3:12", "cannot be read");
        check(
            &entry("key_env = \"KEY\"\nkey_file = \"x\""),
            "4:12",
            "not by both",
        );
        check(&entry("models = [\"x\", \" \"]"), "3:16", "a name");
        check(&entry("headers = { \"a b\" = \"x\" }"), "3:21", "header");
        check("[[upstream]]\nkind = \"chat\"", "1:1", "name");
        check("[[upstream]]\nname = \"a/b\"", "2:8", "letters");
        check(&(entry("") + &entry("")), "5:8", "another upstream");
        check("[fallback]\na = []", "2:5", "at least one");
        check("[fallback]\na = 5", "2:5", "");
        check("[models]\nm = [\"staff\"]", "2:6", "no group of this name");
        check(
            "[groups]\nstaff = []\n[models]\nm = [\"staf\"]",
            "4:6",
            "no group of this name",
        );
        check(
            "[groups]\nstaff = []\n[models]\nm = [\"staff\"]\n[fallback]\na = [\"b\", \"m\"]",
            "6:5",
            "m is for some groups only",
        );
    }

    #[test]
    fn the_key_is_never_printed() {
        let file =
            read_text("[[upstream]]\nname = \"a\"\nkey_env = \"KEY\"\nheaders = { x = \"sk-1\" }")
                .expect("a good file");
        assert!(!format!("{file:?}").contains("sk-1"), "{file:?}");
    }

    #[test]
    fn the_example_in_the_repository_is_a_good_file() {
        let example = include_str!("../../../rill.example.toml");
        let variable = |_: &str| Some("sk-1".to_owned());
        let file = read(Path::new("rill.example.toml"), example, &variable).expect("a good file");
        let names: Vec<_> = file.upstreams.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["openai", "claude", "gpu"]);
        assert_eq!(file.fallback.len(), 1);
    }
}
