//! The settings of what the server tells about itself.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use serde::Deserialize;

/// The settings of what the server tells about itself.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Observing {
    /// The address at which `/metrics` is served, for Prometheus: a loopback address such as 127.0.0.1:9464.
    /// Without it there are none.
    #[arg(long, env = "RILL_METRICS_LISTEN", value_name = "ADDRESS", value_parser = parse_loopback)]
    pub metrics_listen: Option<SocketAddr>,

    /// How the log is written: `text` for people, or `json`, one object a line, for programs [default: text].
    #[arg(
        long,
        env = "RILL_LOG_FORMAT",
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub log_format: Option<LogFormat>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Observing {
    /// These settings, completed by those of the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            metrics_listen: self.metrics_listen.or(other.metrics_listen),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

/// Reads an address that only this machine reaches.
///
/// # Errors
/// A sentence that says what to write.
pub(super) fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "write an address and a port as 127.0.0.1:9464".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(
            "metrics are served on loopback addresses (127.0.0.1, [::1]) only, since there is no \
             password for them"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use clap::Parser;

    #[test]
    fn metrics_are_served_on_loopback_only() {
        let parse = |address: &str| Config::try_parse_from(["rill", "--metrics-listen", address]);
        for right in ["127.0.0.1:9464", "[::1]:0"] {
            assert!(parse(right).is_ok(), "{right}");
        }
        for wrong in ["0.0.0.0:9464", "192.168.1.2:9464", "9464", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_address_of_metrics_may_be_in_the_file() {
        let with = |text: &str, arguments: &[&str]| {
            let arguments = std::iter::once("rill").chain(arguments.iter().copied());
            let config = Config::try_parse_from(arguments).expect("valid");
            let config = config.with_file("rill.toml".as_ref(), text, &|_| None)?;
            Ok::<_, String>(config.observing.metrics_listen)
        };
        let file = "metrics_listen = \"127.0.0.1:9464\"\n";
        assert_eq!(with(file, &[]), Ok("127.0.0.1:9464".parse().ok()));
        let flag = ["--metrics-listen", "127.0.0.1:1"];
        assert_eq!(with(file, &flag), Ok("127.0.0.1:1".parse().ok()));
        assert_eq!(with("", &[]), Ok(None));
        let wrong = with("metrics_listen = \"0.0.0.0:9464\"\n", &[]);
        assert!(
            wrong
                .expect_err("not loopback")
                .starts_with("rill.toml:1:18: ")
        );
    }
}
