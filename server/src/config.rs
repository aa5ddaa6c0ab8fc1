//! Configuration: flags, environment, `.env` and `rill.toml`, read once.
//!
//! The comment of each field is its text in `--help`. Keys are secrets that print as `[REDACTED]`. This module
//! only describes and validates; `main` reads the environment.

mod access;
mod capacity;
pub mod file;
mod models;
mod observing;
mod openid;
mod public_url;
mod retention;
mod saving;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::access::{AccessFile, AccessOptions};
pub use self::capacity::Capacity;
pub use self::observing::{LogFormat, Observing};
pub use self::public_url::PublicUrl;
pub use self::retention::Retention;
pub use self::saving::{Command, Saving, Switch};
pub use self::tls::TlsOptions;

use app::protocol::{Preset, Suggestion};
use clap::Parser;
use clap::builder::ValueParser;
use reqwest::Url;
use secrecy::SecretString;

use crate::providers::api::Api;
use crate::providers::settings::UpstreamSettings;
use crate::providers::{self, base_url, ollama};
use crate::traces::TraceSettings;

/// The configuration file in the current folder that is read by default.
pub const FILE: &str = "rill.toml";

const UPSTREAM_HELP: &str = "\
Upstreams (by environment or .env; any number of them in the configuration file):
  OPENAI_API_KEY      The key for the API; none is needed where the upstream wants none
  OPENAI_BASE_URL     The base URL of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1
                      [default with a key: https://api.openai.com/v1]
  RILL_OPENAI_KIND    Which API is spoken there: chat-completions or responses
                      [default: chat-completions]
  ANTHROPIC_API_KEY   The key for Anthropic's API
  ANTHROPIC_BASE_URL  The base URL of one that speaks the same
                      [default with a key: https://api.anthropic.com]";

/// Rill: a chat app whose replies appear as the model writes them.
///
/// Without any upstream an embedded demo answers, so that you can try everything at once. Each option can also
/// be set by the environment variable that is named with it, or in a file `.env` in the current folder. A flag
/// overrides both.
#[derive(Debug, Clone, Parser)]
#[command(name = "rill", version, max_term_width = 100, after_help = UPSTREAM_HELP)]
pub struct Config {
    /// The address to listen on. Without accounts it must be a loopback address, see `--access`.
    #[arg(long, env = "RILL_LISTEN", global = true, value_name = "ADDRESS", default_value = "127.0.0.1:3000", value_parser = address())]
    pub listen: SocketAddr,

    /// The public address, if a proxy in front of Rill has another one (`https://chat.example.com`, or
    /// `https://example.com/chat/` below a path). Without accounts the proxy must require a password itself.
    #[arg(long, env = "RILL_PUBLIC_URL", global = true, value_name = "URL", value_parser = public_url::parse)]
    pub public_url: Option<PublicUrl>,

    /// How people are let in.
    #[command(flatten)]
    pub access: AccessOptions,

    /// HTTPS by Rill itself.
    #[command(flatten)]
    pub tls: TlsOptions,

    /// The model for requests that name none [default: the first upstream's default model].
    #[arg(long, env = "RILL_MODEL", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub model: Option<String>,

    /// The file that describes the upstreams [default: rill.toml, if it exists].
    #[arg(long, env = "RILL_CONFIG", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address at which a running Ollama is looked for; `off` to disable.
    #[arg(long, env = "RILL_OLLAMA", global = true, value_name = "URL", default_value = ollama::URL, value_parser = ollama_url)]
    pub ollama: OllamaUrl,

    /// The upstreams. The first one is the default.
    #[arg(skip)]
    pub upstreams: Vec<UpstreamSettings>,

    /// The fallbacks of each model, for when its upstream is down or overloaded.
    #[arg(skip)]
    pub fallback: BTreeMap<String, Vec<String>>,

    /// The time limit for connecting to an upstream.
    #[arg(long, env = "RILL_CONNECT_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = time())]
    pub connect_timeout: Duration,

    /// The time limit for the first bytes of an answer.
    #[arg(long, env = "RILL_FIRST_BYTE_TIMEOUT", value_name = "TIME", default_value = "120s", value_parser = time())]
    pub first_byte_timeout: Duration,

    /// The longest silence within an answer.
    #[arg(long, env = "RILL_IDLE_TIMEOUT", value_name = "TIME", default_value = "120s", value_parser = time())]
    pub idle_timeout: Duration,

    /// The longest time in which an upstream sends only keep-alive comments.
    #[arg(long, env = "RILL_COMMENT_TIMEOUT", value_name = "TIME", default_value = "600s", value_parser = time())]
    pub comment_timeout: Duration,

    /// The time limit for a whole reply.
    #[arg(long, env = "RILL_TOTAL_TIMEOUT", value_name = "TIME", default_value = "900s", value_parser = time())]
    pub total_timeout: Duration,

    /// How often a failed request is repeated automatically, while no part of the answer came.
    #[arg(long, env = "RILL_MAX_RETRIES", value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=10))]
    pub max_retries: u32,

    /// How long running replies may continue after the server was asked to stop.
    #[arg(long, env = "RILL_DRAIN_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = time_or_zero())]
    pub drain_timeout: Duration,

    /// The limits of streams and replies.
    #[command(flatten)]
    pub capacity: Capacity,
    /// The suggestions of an empty page; `None` for the built-in ones. From the file alone.
    #[arg(skip)]
    pub suggestions: Option<Vec<Suggestion>>,
    /// The presets for all people. From the file alone.
    #[arg(skip)]
    pub presets: Vec<Preset>,

    /// The settings of what the server tells about itself.
    #[command(flatten)]
    pub observing: Observing,

    /// How traces are sent to a collector, if one is configured. From the environment alone.
    #[arg(skip)]
    pub traces: Option<TraceSettings>,

    /// How long conversations are kept.
    #[command(flatten)]
    pub retention: Retention,

    /// The settings of the store.
    #[command(flatten)]
    pub saving: Saving,

    /// The command to run instead of the server.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The wait for token counts after the end of an answer.
    #[arg(long, hide = true, default_value = "2s", value_parser = time())]
    pub grace_after_finish: Duration,

    /// The first pause before a retry. It doubles with each retry.
    #[arg(long, hide = true, default_value = "500ms", value_parser = time())]
    pub backoff_base: Duration,

    /// The longest pause before an automatic retry that an upstream may ask for.
    #[arg(long, hide = true, default_value = "20s", value_parser = time())]
    pub retry_after_cap: Duration,

    /// The time for a request's body in addition to what its size needs at the least pace.
    #[arg(long, hide = true, default_value = "10s", value_parser = time())]
    pub body_grace: Duration,

    /// The folder of the page's files, as built by `cargo leptos build`.
    #[arg(long, env = "LEPTOS_SITE_ROOT", value_name = "FOLDER", hide = true)]
    pub site_root: Option<PathBuf>,

    /// Set by `cargo leptos watch`, whose page listens for rebuilds.
    #[arg(long, env = "LEPTOS_WATCH", hide = true)]
    pub watch: Option<String>,

    /// The port on which the page listens for rebuilds.
    #[arg(long, env = "LEPTOS_RELOAD_PORT", hide = true, default_value_t = 3001)]
    pub reload_port: u32,
}

impl Config {
    /// Adds the content of a configuration file. `variable` returns the values of environment variables.
    ///
    /// # Errors
    /// A sentence with the file, the line, the column and the mistake.
    pub fn with_file(
        mut self,
        path: &Path,
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let file = file::read(path, text, variable)?;
        self.model = self.model.or(file.model);
        self.upstreams.extend(file.upstreams);
        self.fallback.extend(file.fallback);
        self.capacity = self.capacity.or(file.capacity);
        self.access.file = file.access;
        self.observing = self.observing.or(file.observing);
        self.retention = self.retention.or(file.retention);
        self.suggestions = file.suggestions;
        self.presets = file.presets;
        Ok(self)
    }

    /// Adds the upstreams of the environment, unless the file describes them, and the collector of traces. An empty
    /// variable counts as not set.
    ///
    /// # Errors
    /// A sentence that names the variable and says what is wrong with its value.
    pub fn with_environment(
        mut self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        self.traces = TraceSettings::read(variable)?;
        let filled = |name: &str| {
            variable(name)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let openai = match filled("RILL_OPENAI_KIND").as_deref() {
            None | Some("chat-completions") => Api::ChatCompletions,
            Some("responses") => Api::Responses,
            Some(_) => {
                return Err("RILL_OPENAI_KIND: write chat-completions or responses".to_owned());
            }
        };
        for (prefix, api) in [("OPENAI", openai), ("ANTHROPIC", Api::Messages)] {
            let in_variable = |name: &str, message: String| format!("{name}: {message}");
            let (url_name, key_name) = (format!("{prefix}_BASE_URL"), format!("{prefix}_API_KEY"));
            let text = filled(&url_name);
            let base_url = text
                .as_deref()
                .map(|text| base_url::read(text, api).map_err(|m| in_variable(&url_name, m)))
                .transpose()?;
            let key = filled(&key_name)
                .map(|text| parse_key(&text).map_err(|m| in_variable(&key_name, m)))
                .transpose()?;
            if base_url.is_none() && key.is_none() {
                continue;
            }
            let base_url = base_url.unwrap_or_else(|| api.usual_base_url());
            let is_version_guessed =
                text.is_some_and(|text| base_url::is_version_guessed(&text, &base_url));
            let settings = UpstreamSettings {
                key,
                is_version_guessed,
                ..UpstreamSettings::new(&name_of(&base_url), api, base_url)
            };
            let is_described = self
                .upstreams
                .iter()
                .any(|other| other.name == settings.name || other.base_url == settings.base_url);
            if !is_described {
                self.upstreams.push(settings);
            }
        }
        Ok(self)
    }
}

impl From<&Config> for providers::UpstreamLimits {
    fn from(config: &Config) -> Self {
        Self {
            connect: config.connect_timeout,
            first_byte: config.first_byte_timeout,
            idle: config.idle_timeout,
            comment: config.comment_timeout,
            total: config.total_timeout,
            grace_after_finish: config.grace_after_finish,
            max_retries: config.max_retries,
            backoff_base: config.backoff_base,
            retry_after_cap: config.retry_after_cap,
            idle_connections: usize::MAX,
        }
    }
}

/// The default name of an upstream: `openai` at `api.openai.com`.
fn name_of(base_url: &Url) -> String {
    match base_url.host_str() {
        Some(host) if base_url.domain().is_some() => {
            let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
            labels[labels.len().saturating_sub(2)].to_owned()
        }
        _ => "local".to_owned(),
    }
}

/// The address at which Ollama is looked for. `None` to disable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OllamaUrl(pub Option<Url>);

fn ollama_url(text: &str) -> Result<OllamaUrl, String> {
    if text == "off" {
        return Ok(OllamaUrl(None));
    }
    parse_url(text).map(|url| OllamaUrl(Some(url)))
}

fn time() -> ValueParser {
    ValueParser::new(|text: &str| match parse_time(text) {
        Ok(time) if time.is_zero() => Err("a time limit must be longer than nothing".to_owned()),
        other => other,
    })
}

fn time_or_zero() -> ValueParser {
    ValueParser::new(parse_time)
}

fn parse_time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a time as 300ms, 10s or 2m".to_owned())
}

fn address() -> ValueParser {
    ValueParser::new(|text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| "write an address and a port as 127.0.0.1:3000")
    })
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "write a URL as http://127.0.0.1:8000/v1".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the URL must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("put the key where keys belong, not into the URL".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL must end with its path".to_owned());
    }
    Ok(url)
}

fn parse_key(text: &str) -> Result<SecretString, String> {
    let key = text.trim();
    // The key becomes a header. A character that was lost while copying is hard to see.
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the key holds a character that no key has; copy it again".to_owned());
    }
    Ok(SecretString::from(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<Config, String> {
        Config::try_parse_from(std::iter::once("rill").chain(arguments.iter().copied()))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_is_well_formed() {
        Config::command().debug_assert();
    }

    #[test]
    fn times_are_written_with_their_unit() {
        let config =
            parse(&["--connect-timeout", "300ms", "--total-timeout", "2m"]).expect("valid");
        assert_eq!(config.connect_timeout, Duration::from_millis(300));
        assert_eq!(config.total_timeout, Duration::from_secs(120));
        for wrong in ["10", "ten seconds", "-1s", "0s"] {
            assert!(parse(&["--idle-timeout", wrong]).is_err(), "{wrong}");
        }
        assert!(parse(&["--drain-timeout", "0s"]).is_ok());
    }

    #[test]
    fn only_loopback_addresses_are_listened_on_without_accounts() {
        let listen = |address: &str| parse(&["--listen", address]).and_then(|it| it.check_access());
        for right in ["127.0.0.1:0", "[::1]:3000", "127.9.9.9:80"] {
            assert_eq!(listen(right), Ok(()), "{right}");
        }
        for wrong in [
            "0.0.0.0:3000",
            "[::]:3000",
            "192.168.1.2:3000",
            "3000",
            "localhost",
        ] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }

    fn with(variables: &[(&str, &str)]) -> Result<Config, String> {
        parse(&[]).expect("valid").with_environment(&|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn upstream(base_url: &str, key: &str) -> Result<Config, String> {
        with(&[("OPENAI_BASE_URL", base_url), ("OPENAI_API_KEY", key)])
    }

    #[test]
    fn a_base_url_holds_no_key_and_no_query() {
        for right in [
            "http://127.0.0.1:11434/v1",
            "https://openrouter.ai/api/v1",
            " http://h/v1/ ",
        ] {
            assert!(upstream(right, "").is_ok(), "{right}");
        }
        for wrong in [
            "127.0.0.1:11434",
            "ftp://h/v1",
            "https://user:pass@h/v1",
            "https://h/v1?key=1",
        ] {
            let error = upstream(wrong, "").expect_err(wrong);
            assert!(error.starts_with("OPENAI_BASE_URL: "), "{error}");
        }
    }

    #[test]
    fn the_environment_names_the_usual_upstreams() {
        let check = |variables: &[(&str, &str)], expect: &[(&str, Api, &str)]| {
            let config = with(variables).expect("valid");
            let got: Vec<_> = config
                .upstreams
                .iter()
                .map(|upstream| {
                    let url = upstream.base_url.as_str();
                    (upstream.name.as_str(), upstream.api, url)
                })
                .collect();
            assert_eq!(got, expect, "{variables:?}");
        };
        let openai = ("openai", Api::ChatCompletions, "https://api.openai.com/v1");
        let anthropic = ("anthropic", Api::Messages, "https://api.anthropic.com/");
        check(&[], &[]);
        check(&[("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", " ")], &[]);
        check(&[("OPENAI_API_KEY", "sk-1")], &[openai]);
        check(
            &[("ANTHROPIC_API_KEY", "sk-2"), ("OPENAI_API_KEY", "sk-1")],
            &[openai, anthropic],
        );
        check(
            &[
                ("OPENAI_API_KEY", "sk-1"),
                ("RILL_OPENAI_KIND", "responses"),
            ],
            &[(openai.0, Api::Responses, openai.2)],
        );
        for (url, name) in [
            ("https://openrouter.ai/api/v1", "openrouter"),
            ("https://api.groq.com/openai/v1", "groq"),
            ("http://127.0.0.1:8000/v1", "local"),
            ("http://[::1]:8000/v1", "local"),
            ("http://localhost:8000/v1", "localhost"),
        ] {
            check(
                &[("OPENAI_BASE_URL", url)],
                &[(name, Api::ChatCompletions, url)],
            );
        }
        assert!(with(&[("RILL_OPENAI_KIND", "anthropic")]).is_err());
    }

    #[test]
    fn what_the_file_describes_is_not_added_again() {
        let file = "model = \"m\"\n[[upstream]]\nname = \"work\"\n[[upstream]]\nname = \"anthropic\"\nbase_url = \"http://h/v1\"";
        let none = |_: &str| None;
        let key = |name: &str| name.ends_with("_API_KEY").then(|| "sk-1".to_owned());
        let config = parse(&[])
            .and_then(|config| config.with_file(Path::new("rill.toml"), file, &none))
            .and_then(|config| config.with_environment(&key))
            .expect("valid");
        let names: Vec<_> = config.upstreams.iter().map(|u| u.name.as_str()).collect();
        assert_eq!(names, ["work", "anthropic"]);
        assert_eq!(config.model.as_deref(), Some("m"));
        let flag = parse(&["--model", "other"])
            .and_then(|config| config.with_file(Path::new("rill.toml"), file, &none))
            .expect("valid");
        assert_eq!(flag.model.as_deref(), Some("other"));
    }

    #[test]
    fn ollama_is_looked_for_where_one_says_or_nowhere() {
        let url = |arguments: &[&str]| parse(arguments).map(|config| config.ollama.0);
        assert_eq!(
            url(&[]).expect("valid").map(String::from),
            Some("http://127.0.0.1:11434/".into())
        );
        assert_eq!(url(&["--ollama", "off"]), Ok(None));
        assert!(url(&["--ollama", "yes"]).is_err());
    }

    #[test]
    fn the_key_is_never_printed() {
        let config = upstream("", "sk-test-SECRET").expect("valid");
        assert!(!format!("{config:?}").contains("SECRET"));
        let error = upstream("", "sk-test-SECRET\u{200b}").expect_err("no such character in a key");
        assert!(!error.contains("SECRET"), "{error}");
    }
}
