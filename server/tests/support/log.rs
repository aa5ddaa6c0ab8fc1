//! The log of the server under test. Tests read lines of it, and every line of every crate is searched for secrets
//! and contents.
//!
//! The level is `debug`. The level `trace`, at which the HTTP library logs each chunk, would slow all tests down;
//! one test reads that from the real program.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Id, Level, Metadata, Subscriber, span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// A text that is part of every prompt of the tests.
pub(crate) const PROMPT: &str = "a prompt that nobody may log";

/// The key that the server under test has.
pub(crate) const KEY: &str = "sk-test-SECRET";

/// Texts that must never be logged. The last is the beginning of the key in an upstream's error.
const SECRETS: [&str; 3] = [PROMPT, KEY, "sk-proj"];

/// The fields of one line, its text as `message`.
pub(crate) type Line = BTreeMap<String, String>;

static LOG: LazyLock<Mutex<Log>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Log {
    /// The lines of the server itself that are logged by default.
    lines: Vec<Line>,
    /// Where a secret was logged, and which.
    leaks: Vec<String>,
}

/// Begins to collect. All tests of a process share one log.
pub(crate) fn capture() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(
            tracing_subscriber::registry().with(Collector.with_filter(LevelFilter::DEBUG)),
        )
        .expect("nobody else collects");
    });
}

/// Waits for the line with the outcome of a reply. It names the reply by the head of
/// its id.
pub(crate) async fn outcome_of(generation: &str) -> Line {
    loop {
        let line = LOG
            .lock()
            .expect("a whole log")
            .lines
            .iter()
            .find_map(|line| {
                let is_it = line
                    .get("generation")
                    .is_some_and(|head| generation.starts_with(head));
                (is_it && line.contains_key("attempts")).then(|| line.clone())
            });
        match line {
            Some(line) => return line,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Waits for a line with this value of this field.
pub(crate) async fn line_with(field: &str, value: &str) -> Line {
    line_where(|line| line.get(field).is_some_and(|got| got == value)).await
}

/// Waits for the last line of which this holds.
pub(crate) async fn line_where(is_it: impl Fn(&Line) -> bool) -> Line {
    loop {
        let lines = LOG.lock().expect("a whole log").lines.clone();
        match lines.into_iter().rfind(&is_it) {
            Some(line) => return line,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Fails if anything that was logged so far holds a prompt or a key.
pub(crate) fn assert_no_secret_was_logged() {
    let leaks = &LOG.lock().expect("a whole log").leaks;
    assert!(leaks.is_empty(), "logged secrets: {leaks:#?}");
}

struct Collector;

impl Collector {
    fn take(&self, metadata: &Metadata<'_>, line: Line) {
        let leaked = SECRETS
            .into_iter()
            .find(|secret| line.values().any(|value| value.contains(secret)));
        let is_ours = metadata.target().starts_with("server") && *metadata.level() <= Level::INFO;
        if leaked.is_none() && !is_ours {
            return;
        }
        let mut log = LOG.lock().expect("a whole log");
        if let Some(secret) = leaked {
            log.leaks
                .push(format!("{secret} by {}: {line:?}", metadata.target()));
        }
        if is_ours {
            log.lines.push(line);
        }
    }
}

impl<S: Subscriber> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.take(attributes.metadata(), fields.0);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.take(event.metadata(), fields.0);
    }
}

#[derive(Default)]
struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_any_field_of_any_crate_is_found() {
        let subscriber = tracing_subscriber::registry().with(Collector);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "elsewhere", header = ?format!("Bearer {KEY}-of-this-test"), "sent");
            tracing::info!(target: "server", "no secret");
        });
        let mut log = LOG.lock().expect("a whole log");
        let found = log
            .leaks
            .iter()
            .position(|leak| leak.contains("of-this-test"));
        log.leaks.remove(found.expect("the secret was found"));
        assert!(!log.leaks.iter().any(|leak| leak.contains("no secret")));
    }
}
