//! Sends spans in batches to a collector. What it does not take in time is dropped: nothing waits for it.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::EndedSpan;
use super::otlp::{self, Origin};
use super::settings::{Sampler, TraceSettings};
use crate::roots;

/// The longest time that a stopping server waits for the collector.
const LAST_BATCH: Duration = Duration::from_secs(2);

/// The way to the collector.
#[derive(Debug)]
pub(super) struct Exporter {
    pub(super) sampler: Sampler,
    queue: mpsc::Sender<Item>,
}

#[derive(Debug)]
enum Item {
    Span(EndedSpan),
    /// Asks for all spans before it to be sent at once.
    Flush(oneshot::Sender<()>),
}

impl Exporter {
    /// Starts the task that sends.
    pub(super) fn start(settings: TraceSettings) -> Result<Self, reqwest::Error> {
        let client = roots::build(|| {
            let client = Client::builder()
                .timeout(settings.timeout)
                .redirect(reqwest::redirect::Policy::none());
            match settings.is_loopback() {
                true => client.no_proxy(),
                false => client,
            }
        })?;
        let (queue, items) = mpsc::channel(settings.queue);
        let sampler = settings.sampler;
        let sender = Sender {
            client,
            settings,
            is_failing: false,
        };
        tokio::spawn(sender.run(items));
        Ok(Self { sampler, queue })
    }

    /// Adds a span, unless the queue is full.
    pub(super) fn send(&self, span: EndedSpan) {
        let _ = self.queue.try_send(Item::Span(span));
    }

    pub(super) async fn flush(&self) {
        let (sent, done) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Item::Flush(sent)).await.is_ok() {
                let _ = done.await;
            }
        };
        let _ = timeout(LAST_BATCH, flushed).await;
    }
}

struct Sender {
    client: Client,
    settings: TraceSettings,
    /// Whether the last batch was not taken, which the log says.
    is_failing: bool,
}

impl Sender {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        let mut batch = Vec::new();
        while let Some(first) = items.recv().await {
            let until = Instant::now() + self.settings.delay;
            let mut next = Some(first);
            let mut flushed = None;
            while let Some(item) = next.take() {
                match item {
                    Item::Span(span) => batch.push(span),
                    Item::Flush(done) => flushed = Some(done),
                }
                if flushed.is_none() && batch.len() < self.settings.batch {
                    next = timeout_at(until, items.recv()).await.unwrap_or(None);
                }
            }
            if !batch.is_empty() {
                self.send(&batch).await;
                batch.clear();
            }
            if let Some(done) = flushed {
                let _ = done.send(());
            }
        }
    }

    async fn send(&mut self, batch: &[EndedSpan]) {
        let origin = Origin {
            resource: &self.settings.resource,
            version: env!("CARGO_PKG_VERSION"),
        };
        let mut request = self
            .client
            .post(self.settings.endpoint.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(otlp::request(&origin, batch));
        for (name, value) in &self.settings.headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose_secret()) {
                value.set_sensitive(true);
                request = request.header(name, value);
            }
        }
        let failure = match request.send().await {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(refusal(response.status())),
            Err(error) if error.is_connect() => Some("there is no connection".to_owned()),
            Err(error) if error.is_timeout() => Some("it does not answer in time".to_owned()),
            Err(_) => Some("the connection broke".to_owned()),
        };
        self.tell(failure.as_deref());
    }

    /// Logs a failure once, and its end.
    fn tell(&mut self, failure: Option<&str>) {
        let collector = self.settings.collector();
        match failure {
            Some(cause) if !self.is_failing => {
                tracing::warn!(
                    collector,
                    cause,
                    "traces are lost until the collector takes them"
                );
            }
            None if self.is_failing => {
                tracing::info!(collector, "the collector takes traces again")
            }
            _ => {}
        }
        self.is_failing = failure.is_some();
    }
}

fn refusal(status: StatusCode) -> String {
    format!("status {}", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::{SpanKind, Traces};

    #[tokio::test]
    async fn spans_beyond_the_queue_are_dropped_at_once() {
        // It takes connections and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("bound");
        let settings = TraceSettings::read(&|name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(format!("http://{address}")),
            "OTEL_BSP_MAX_QUEUE_SIZE" => Some("8".to_owned()),
            _ => None,
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let traces = Traces::start(settings.expect("right")).expect("a client");
        for _ in 0..1_000 {
            let span = traces.request(None, || "GET /".to_owned());
            assert!(span.as_current().is_some());
        }
        let exporter = traces.0.as_ref().expect("it is configured");
        assert_eq!(exporter.queue.capacity(), 0);
        assert_eq!(exporter.queue.max_capacity(), 8);
    }

    #[tokio::test]
    async fn without_a_current_span_there_are_no_children() {
        let traces = Traces::start(None).expect("nothing to build");
        let request = traces.request(None, || unreachable!("nobody reads the name"));
        assert!(request.as_current().is_none() && request.traceparent().is_none());
        let mut child = super::super::Span::child(SpanKind::Client, || -> &str {
            unreachable!("nobody reads the name")
        });
        child.set("a", || -> &str { unreachable!("nobody reads the value") });
        child.fail("failed");
    }
}
