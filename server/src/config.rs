//! Configuration: flags, environment and `.env`, read once.
//!
//! Every field says what it does, in `--help` too. The key is a secret that prints as `[REDACTED]`.
//! This module only describes and checks; `main` reads the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::ValueParser;
use secrecy::SecretString;

use crate::upstream::kind::Kind;

/// The base URL that is used when only a key is given.
pub const OPENAI: &str = "https://api.openai.com/v1";

const UPSTREAM_HELP: &str = "\
Upstream (by environment or .env only):
  OPENAI_API_KEY    The key for the API; none is needed where the upstream wants none
  OPENAI_BASE_URL   The base URL of an OpenAI-compatible API, such as http://127.0.0.1:11434/v1
                    [default with a key: https://api.openai.com/v1]";

/// Rill: a chat app whose replies appear as the model writes them.
///
/// Without OPENAI_API_KEY and OPENAI_BASE_URL an embedded demo answers, so that everything can be
/// tried at once. Every option can also be set by the environment variable that is named with it, or
/// in a file `.env` in the current folder; a flag wins.
#[derive(Debug, Clone, Parser)]
#[command(name = "rill", version, max_term_width = 100, after_help = UPSTREAM_HELP)]
pub struct Config {
    /// Where to listen. Only loopback addresses, since there are no accounts yet.
    #[arg(long, env = "RILL_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:3000", value_parser = loopback())]
    pub listen: SocketAddr,

    /// The address that people open, when a proxy in front of Rill has another one
    /// (`https://chat.example.com`). The proxy must ask for a password itself.
    #[arg(long, env = "RILL_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<PublicUrl>,

    /// The model that answers when a request names none.
    #[arg(long, env = "RILL_MODEL", value_name = "NAME", default_value = "gpt-5-mini", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub model: String,

    /// `OPENAI_BASE_URL`: where the model is asked. See [`Config::with_upstream`].
    #[arg(skip)]
    pub openai_base_url: Option<reqwest::Url>,

    /// `OPENAI_API_KEY`: the key for it. No flag, since others can read a process's arguments.
    #[arg(skip)]
    pub openai_api_key: Option<SecretString>,

    /// `RILL_OPENAI_KIND`: which API is spoken there.
    #[arg(skip = Kind::ChatCompletions)]
    pub openai_kind: Kind,

    /// How long connecting to the upstream may take.
    #[arg(long, env = "RILL_CONNECT_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = time())]
    pub connect_timeout: Duration,

    /// How long the upstream may take to begin its answer.
    #[arg(long, env = "RILL_FIRST_BYTE_TIMEOUT", value_name = "TIME", default_value = "120s", value_parser = time())]
    pub first_byte_timeout: Duration,

    /// How long the upstream may be silent in the middle of an answer.
    #[arg(long, env = "RILL_IDLE_TIMEOUT", value_name = "TIME", default_value = "120s", value_parser = time())]
    pub idle_timeout: Duration,

    /// How long the upstream may send nothing but keep-alive comments.
    #[arg(long, env = "RILL_COMMENT_TIMEOUT", value_name = "TIME", default_value = "600s", value_parser = time())]
    pub comment_timeout: Duration,

    /// How long a whole reply may take.
    #[arg(long, env = "RILL_TOTAL_TIMEOUT", value_name = "TIME", default_value = "900s", value_parser = time())]
    pub total_timeout: Duration,

    /// How often a failed request is sent again by itself, before anything of the answer has come.
    #[arg(long, env = "RILL_MAX_RETRIES", value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=10))]
    pub max_retries: u32,

    /// How long running replies may go on after the server was asked to stop.
    #[arg(long, env = "RILL_DRAIN_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = time_or_zero())]
    pub drain_timeout: Duration,

    /// How long to wait for the upstream's token counts after the answer's end.
    #[arg(long, hide = true, default_value = "2s", value_parser = time())]
    pub grace_after_finish: Duration,

    /// The first pause before a retry; it doubles with each.
    #[arg(long, hide = true, default_value = "500ms", value_parser = time())]
    pub backoff_base: Duration,

    /// The longest pause that an upstream may ask for before a retry that nobody sees.
    #[arg(long, hide = true, default_value = "20s", value_parser = time())]
    pub retry_after_cap: Duration,

    /// The folder with the page's files, as `cargo leptos build` makes it.
    #[arg(long, env = "LEPTOS_SITE_ROOT", value_name = "FOLDER", hide = true)]
    pub site_root: Option<PathBuf>,

    /// Set by `cargo leptos watch`, whose page listens for changes.
    #[arg(long, env = "LEPTOS_WATCH", hide = true)]
    pub watch: Option<String>,

    /// The port where it does.
    #[arg(long, env = "LEPTOS_RELOAD_PORT", hide = true, default_value_t = 3001)]
    pub reload_port: u32,
}

impl Config {
    /// Adds the upstream, from the values of `OPENAI_BASE_URL` and `OPENAI_API_KEY`. A value that
    /// is empty counts as none, as an empty line in an environment file is meant.
    ///
    /// # Errors
    /// A sentence that names the variable and says what is wrong with its value.
    pub fn with_upstream(
        mut self,
        base_url: Option<&str>,
        key: Option<&str>,
    ) -> Result<Self, String> {
        let filled = |value: Option<&str>| {
            value
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        if let Some(text) = filled(base_url) {
            self.openai_base_url =
                Some(parse_base_url(&text).map_err(|e| format!("OPENAI_BASE_URL: {e}"))?);
        }
        if let Some(text) = filled(key) {
            // It becomes a header; a character lost while copying is a mistake that is hard to see.
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(
                    "OPENAI_API_KEY: the key holds a character that no key has; copy it again"
                        .into(),
                );
            }
            self.openai_api_key = Some(SecretString::from(text));
        }
        Ok(self)
    }

    /// Whether the embedded demo answers, since no upstream is named.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.openai_base_url.is_none() && self.openai_api_key.is_none()
    }
}

/// The address under which a proxy offers Rill, as browsers write it in `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https://chat.example.com`, in lower case, without a path.
    pub origin: String,
    /// `chat.example.com`, with the port where it is not the scheme's own.
    pub host: String,
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

fn loopback() -> ValueParser {
    ValueParser::new(|text: &str| {
        let address: SocketAddr = text
            .parse()
            .map_err(|_| "write an address and a port as 127.0.0.1:3000".to_owned())?;
        if address.ip().is_loopback() {
            Ok(address)
        } else {
            Err(
                "only loopback addresses (127.0.0.1, [::1]) are served, since anyone who reaches \
                 another one could spend your key; put a proxy with a password in front, and see \
                 --public-url"
                    .to_owned(),
            )
        }
    })
}

fn parse_base_url(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text)
        .map_err(|_| "write a URL as http://127.0.0.1:11434/v1".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the URL must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("put the key into OPENAI_API_KEY, not into the URL".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL must end with its path".to_owned());
    }
    Ok(url)
}

fn public_url(text: &str) -> Result<PublicUrl, String> {
    let url = reqwest::Url::parse(text)
        .map_err(|_| "write a URL as https://chat.example.com".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.path() != "/" || url.query().is_some() {
        return Err("write scheme and host only, as https://chat.example.com".to_owned());
    }
    let origin = url.origin().ascii_serialization();
    let host = origin
        .split_once("://")
        .map_or(String::new(), |(_, host)| host.to_owned());
    Ok(PublicUrl { origin, host })
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
    fn only_loopback_addresses_are_listened_on() {
        for right in ["127.0.0.1:0", "[::1]:3000", "127.9.9.9:80"] {
            assert!(parse(&["--listen", right]).is_ok(), "{right}");
        }
        for wrong in [
            "0.0.0.0:3000",
            "[::]:3000",
            "192.168.1.2:3000",
            "3000",
            "localhost",
        ] {
            assert!(parse(&["--listen", wrong]).is_err(), "{wrong}");
        }
    }

    fn upstream(base_url: &str, key: &str) -> Result<Config, String> {
        parse(&[])
            .expect("valid")
            .with_upstream(Some(base_url), Some(key))
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
    fn an_empty_variable_counts_as_none() {
        assert!(upstream("", " ").expect("valid").is_demo());
        assert!(!upstream("", "sk-1").expect("valid").is_demo());
        assert!(!upstream("http://h/v1", "").expect("valid").is_demo());
    }

    #[test]
    fn the_public_url_is_read_as_browsers_write_an_origin() {
        let config = parse(&["--public-url", "HTTPS://Chat.Example.com:443/"]).expect("valid");
        let expect = PublicUrl {
            origin: "https://chat.example.com".into(),
            host: "chat.example.com".into(),
        };
        assert_eq!(config.public_url, Some(expect));
        assert!(parse(&["--public-url", "https://chat.example.com/path"]).is_err());
    }

    #[test]
    fn the_key_is_never_printed() {
        let config = upstream("", "sk-test-SECRET").expect("valid");
        assert!(!format!("{config:?}").contains("SECRET"));
        let error = upstream("", "sk-test-SECRET\u{200b}").expect_err("no such character in a key");
        assert!(!error.contains("SECRET"), "{error}");
    }
}
