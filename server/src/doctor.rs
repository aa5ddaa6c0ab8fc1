//! `rill health` and `rill doctor`: what is wrong, one sentence each, and what to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::providers::settings::UpstreamSettings;
use crate::providers::{Upstream, UpstreamLimits, UpstreamProbe};
use crate::roots;
use crate::store;

/// The time limit of each request.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest difference between two clocks that is no finding.
const CLOCKS_APART: Duration = Duration::from_secs(120);
/// A stream whose last piece comes sooner than this after its first was held back. It takes three times as long.
const TOGETHER: Duration = Duration::from_millis(250);

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Fine,
    /// It works, but perhaps not as intended.
    Note,
    /// It does not work.
    Wrong,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub grade: Grade,
    /// What was found, and what to do.
    pub sentence: String,
}

impl Finding {
    fn new(grade: Grade, sentence: impl Into<String>) -> Self {
        Self {
            grade,
            sentence: sentence.into(),
        }
    }

    /// The line to print.
    #[must_use]
    pub fn line(&self) -> String {
        let grade = match self.grade {
            Grade::Fine => "ok   ",
            Grade::Note => "note ",
            Grade::Wrong => "WRONG",
        };
        format!("{grade}  {}", self.sentence)
    }
}

/// Asks the server of this configuration whether it is ready. Returns the sentence to print.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn health(config: &Config) -> Result<String, String> {
    let address = reachable(config.listen);
    let answer = async {
        match config.tls.is_on() {
            true => ask_by_https(address, "/readyz").await,
            false => ask(address, "/readyz").await,
        }
    };
    match timeout(LIMIT, answer).await {
        Ok(Ok((200, _))) => Ok(format!("Rill at {address} is ready.")),
        Ok(Ok((_, body))) => Err(sentence_of(&body).unwrap_or_else(|| {
            format!("What answers at {address} is not Rill: name Rill's address with --listen.")
        })),
        Ok(Err(_)) => Err(format!(
            "Nothing answers at {address}: start Rill, or name its address with --listen."
        )),
        Err(_) => Err(format!(
            "Rill at {address} does not answer in time: look at its log."
        )),
    }
}

/// Examines everything that this configuration needs.
pub async fn examine(config: &Config) -> Vec<Finding> {
    // Installs the cryptography for TLS. An error means that it was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut findings = vec![of_configuration(config)];
    let metrics = Arc::new(Metrics::default());
    let limits = UpstreamLimits::from(config);
    for settings in &config.upstreams {
        findings.extend(of_upstream(settings, limits, &metrics).await);
    }
    findings.push(of_store(config).await);
    findings.push(match health(config).await {
        Ok(sentence) => Finding::new(Grade::Fine, sentence),
        Err(sentence) => Finding::new(Grade::Note, sentence),
    });
    if let Some(public) = &config.public_url {
        findings.push(of_proxy(&public.address()).await);
    }
    findings
}

fn of_configuration(config: &Config) -> Finding {
    match config.upstreams.len() {
        0 => Finding::new(
            Grade::Note,
            "No upstream is configured, so the built-in demo answers: set OPENAI_API_KEY, or describe an upstream \
             in rill.toml.",
        ),
        1 => Finding::new(
            Grade::Fine,
            "The configuration is right and names one upstream.",
        ),
        count => Finding::new(
            Grade::Fine,
            format!("The configuration is right and names {count} upstreams."),
        ),
    }
}

async fn of_upstream(
    settings: &UpstreamSettings,
    limits: UpstreamLimits,
    metrics: &Arc<Metrics>,
) -> Vec<Finding> {
    let (name, url) = (&settings.name, &settings.base_url);
    let upstream = match Upstream::new(settings.clone(), limits, metrics) {
        Ok(upstream) => upstream,
        Err(error) => {
            let sentence = format!("No request can be sent to {name}: {error}.");
            return vec![Finding::new(Grade::Wrong, sentence)];
        }
    };
    let wrong = |sentence| vec![Finding::new(Grade::Wrong, sentence)];
    let (names, date) = match upstream.probe().await {
        UpstreamProbe::Models { names, date } => (names, date),
        UpstreamProbe::KeyRefused(status) if settings.key.is_some() => {
            return wrong(format!(
                "{name} refuses the key (status {status}): set a valid one."
            ));
        }
        UpstreamProbe::KeyRefused(status) => {
            return wrong(format!(
                "{name} wants a key (status {status}): set one by the environment or key_env."
            ));
        }
        UpstreamProbe::NoList(status) => {
            let sentence = format!(
                "{name} answers at {url}, but lists no models (status {status}): if replies fail, correct its base URL."
            );
            return vec![Finding::new(Grade::Note, sentence)];
        }
        UpstreamProbe::Silent => {
            return wrong(format!(
                "{name} at {url} does not answer in time: see whether it runs."
            ));
        }
        UpstreamProbe::Unreachable => {
            return wrong(format!(
                "There is no connection to {name} at {url}: start it, or correct its base URL."
            ));
        }
    };
    let mut findings = vec![Finding::new(
        Grade::Fine,
        format!("{name} answers and lists {} models.", names.len()),
    )];
    for model in &settings.models {
        if !names.contains(model) {
            findings.push(Finding::new(
                Grade::Wrong,
                format!("{name} does not list the model {model}: correct the name in `models`."),
            ));
        }
    }
    findings.extend(date.and_then(|date| of_clock(name, date, SystemTime::now())));
    findings
}

/// A finding if the clocks of this machine and of another differ much.
fn of_clock(name: &str, theirs: SystemTime, ours: SystemTime) -> Option<Finding> {
    let apart = match ours.duration_since(theirs) {
        Ok(apart) => apart,
        Err(error) => error.duration(),
    };
    (apart > CLOCKS_APART).then(|| {
        let seconds = apart.as_secs();
        Finding::new(
            Grade::Note,
            format!(
                "The clocks of this machine and of {name} differ by {seconds} s: set this one, for example by NTP."
            ),
        )
    })
}

async fn of_store(config: &Config) -> Finding {
    let settings = config.saving.store();
    match store::examine(&settings).await {
        Ok(sentence) => Finding::new(Grade::Fine, sentence),
        Err(sentence) => Finding::new(Grade::Wrong, sentence),
    }
}

/// Reads a stream through the proxy, and sees whether its pieces come one after the other.
async fn of_proxy(origin: &str) -> Finding {
    let wrong = |sentence: String| Finding::new(Grade::Wrong, sentence);
    let Ok(client) = roots::build(|| reqwest::Client::builder().timeout(LIMIT)) else {
        return wrong(format!("No request can be sent to {origin}."));
    };
    let sent = client.get(format!("{origin}/healthz/stream")).send().await;
    let mut response = match sent {
        Ok(response) => response,
        Err(error) if error.is_connect() => {
            return wrong(format!(
                "There is no connection to {origin}: start the proxy, or correct --public-url."
            ));
        }
        Err(_) => {
            return wrong(format!(
                "{origin} does not answer: see whether the proxy reaches Rill."
            ));
        }
    };
    match response.status().as_u16() {
        200 => {}
        401 | 403 => {
            return Finding::new(
                Grade::Note,
                format!(
                    "The proxy at {origin} asks for a password, so it cannot be seen whether it holds streams back."
                ),
            );
        }
        421 => {
            return wrong(format!(
                "The proxy at {origin} does not pass the Host header on: set it, see the README."
            ));
        }
        status => {
            return wrong(format!(
                "{origin} answers with status {status}: see whether the proxy reaches Rill."
            ));
        }
    }
    let (mut first, mut last) = (None, Instant::now());
    while let Ok(Some(_)) = response.chunk().await {
        last = Instant::now();
        first.get_or_insert(last);
    }
    match first {
        Some(first) if last - first >= TOGETHER => Finding::new(
            Grade::Fine,
            format!("Streams arrive piece by piece at {origin}."),
        ),
        _ => wrong(format!(
            "The proxy at {origin} holds streams back, so that replies appear all at once: turn its buffering off, \
             see the README."
        )),
    }
}

/// The address at which this machine reaches a listener.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

/// Sends a request, and returns the status and the body of the answer.
async fn ask(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // A page of another server need not be read whole.
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.unwrap_or(0), body.to_owned()))
}

/// The same of a server with a certificate. It is not checked: it names the public address, and this is the loopback.
async fn ask_by_https(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = async {
        let client = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .no_proxy()
            .build()?;
        let answer = client
            .get(format!("https://{address}{path}"))
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    };
    answer
        .await
        .map_err(|error: reqwest::Error| std::io::Error::other(error))
}

/// The sentence of a refusal of Rill.
fn sentence_of(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(body["error"]["message"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_a_finding_if_it_is_minutes_off() {
        let now = SystemTime::now();
        let check = |theirs: SystemTime, expect: bool| {
            assert_eq!(of_clock("openai", theirs, now).is_some(), expect);
        };
        check(now, false);
        check(now - Duration::from_secs(119), false);
        check(now + Duration::from_secs(119), false);
        check(now - Duration::from_secs(121), true);
        check(now + Duration::from_secs(3600), true);
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        let check = |listen: &str, expect: &str| {
            let listen = listen.parse().expect("an address");
            assert_eq!(reachable(listen).to_string(), expect);
        };
        check("0.0.0.0:3000", "127.0.0.1:3000");
        check("[::]:3000", "[::1]:3000");
        check("127.0.0.1:3000", "127.0.0.1:3000");
    }
}
