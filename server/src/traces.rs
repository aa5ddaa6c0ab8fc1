//! Traces: spans of requests, replies, attempts and transactions, sent to a collector by OTLP.
//!
//! The request has a span; a reply, an attempt and a transaction have one each while the request or the reply is the
//! current span of their task. Without a configured collector there is no current span, and nothing is recorded.
//! Spans hold names of the configuration, outcomes and numbers, never messages and never keys.
//!
//! The exporter is our own: the crates of OpenTelemetry would add eight dependencies for four kinds of span, and read
//! the environment by themselves.

mod context;
mod exporter;
mod otlp;
mod settings;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures::future::Either;

pub use self::settings::TraceSettings;

use self::context::{SpanContext, SpanId};
use self::exporter::Exporter;

tokio::task_local! {
    static CURRENT: CurrentSpan;
}

/// Where the spans of a server go; nowhere if no collector is configured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces(Option<Arc<Exporter>>);

/// The span that is the parent of what its task begins.
#[derive(Debug, Clone)]
pub(crate) struct CurrentSpan {
    context: SpanContext,
    exporter: Arc<Exporter>,
}

/// The role of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// Work within this server.
    Internal = 1,
    /// A request that this server answers.
    Server = 2,
    /// A request to another system.
    Client = 3,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

/// A span that has ended.
#[derive(Debug)]
struct EndedSpan {
    context: SpanContext,
    parent: Option<SpanId>,
    name: Cow<'static, str>,
    kind: SpanKind,
    /// In nanoseconds since 1970.
    started: u64,
    ended: u64,
    attributes: Vec<(&'static str, Value)>,
    has_failed: bool,
}

/// A span. It ends when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Span(Option<Box<OpenSpan>>);

#[derive(Debug)]
struct OpenSpan {
    span: EndedSpan,
    began: Instant,
    exporter: Arc<Exporter>,
}

impl Traces {
    /// Begins to send spans, if a collector is configured.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub(crate) fn start(settings: Option<TraceSettings>) -> Result<Self, reqwest::Error> {
        let exporter = settings.map(Exporter::start).transpose()?;
        Ok(Self(exporter.map(Arc::new)))
    }

    /// Begins the span of a request. `traceparent` is the header of the caller, whose trace it continues.
    pub(crate) fn request(&self, traceparent: Option<&str>, name: impl FnOnce() -> String) -> Span {
        let Some(exporter) = &self.0 else {
            return Span::default();
        };
        let parent = traceparent.and_then(SpanContext::parse);
        let context = match &parent {
            Some(parent) => SpanContext {
                is_sampled: exporter
                    .sampler
                    .samples(parent.trace, Some(parent.is_sampled)),
                ..parent.child()
            },
            None => {
                let root = SpanContext::root();
                SpanContext {
                    is_sampled: exporter.sampler.samples(root.trace, None),
                    ..root
                }
            }
        };
        let parent = parent.map(|parent| parent.span);
        Span::begin(exporter, context, parent, SpanKind::Server, name)
    }

    /// Sends all spans that have ended.
    pub(crate) async fn flush(&self) {
        if let Some(exporter) = &self.0 {
            exporter.flush().await;
        }
    }
}

impl CurrentSpan {
    /// The current span of this task.
    pub(crate) fn get() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs a task with this current span, or without one.
    pub(crate) fn carried<T>(
        current: Option<Self>,
        task: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        // As an `async fn` it would have room for the task twice.
        match current {
            Some(current) => Either::Left(CURRENT.scope(current, task)),
            None => Either::Right(task),
        }
    }
}

impl Span {
    /// Begins a child of the current span, if there is one.
    pub(crate) fn child<N>(kind: SpanKind, name: impl FnOnce() -> N) -> Self
    where
        N: Into<Cow<'static, str>>,
    {
        let begin = |parent: &CurrentSpan| {
            let context = parent.context.child();
            Self::begin(
                &parent.exporter,
                context,
                Some(parent.context.span),
                kind,
                name,
            )
        };
        CURRENT.try_with(begin).unwrap_or_default()
    }

    fn begin<N>(
        exporter: &Arc<Exporter>,
        context: SpanContext,
        parent: Option<SpanId>,
        kind: SpanKind,
        name: impl FnOnce() -> N,
    ) -> Self
    where
        N: Into<Cow<'static, str>>,
    {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let started = since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
        // A span that is not sampled only passes its context on.
        let name = if context.is_sampled {
            name().into()
        } else {
            Cow::Borrowed("")
        };
        Self(Some(Box::new(OpenSpan {
            span: EndedSpan {
                context,
                parent,
                name,
                kind,
                started,
                ended: started,
                attributes: Vec::new(),
                has_failed: false,
            },
            began: Instant::now(),
            exporter: Arc::clone(exporter),
        })))
    }

    /// Sets an attribute. The value is made only if the span is recorded.
    pub(crate) fn set<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(open) = &mut self.0
            && open.span.context.is_sampled
        {
            open.span.attributes.push((name, value().into()));
        }
    }

    /// Marks the span as failed, with the kind of its error.
    pub(crate) fn fail<V: Into<Value>>(&mut self, error_type: V) {
        self.set("error.type", || error_type);
        if let Some(open) = &mut self.0 {
            open.span.has_failed = true;
        }
    }

    /// This span as the current one of a task.
    pub(crate) fn as_current(&self) -> Option<CurrentSpan> {
        self.0.as_ref().map(|open| CurrentSpan {
            context: open.span.context,
            exporter: Arc::clone(&open.exporter),
        })
    }

    /// The header `traceparent` of a request that this span is about.
    pub(crate) fn traceparent(&self) -> Option<String> {
        self.0.as_ref().map(|open| open.span.context.to_string())
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if !self.span.context.is_sampled {
            return;
        }
        let took = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(0);
        let ended = EndedSpan {
            ended: self.span.started.saturating_add(took),
            name: std::mem::take(&mut self.span.name),
            attributes: std::mem::take(&mut self.span.attributes),
            ..self.span
        };
        self.exporter.send(ended);
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_carried_takes_its_room_once() {
        async fn task() -> u8 {
            let room = [1_u8; 4096];
            tokio::task::yield_now().await;
            std::hint::black_box(room)[0]
        }
        let room = size_of_val(&task()) + 256;
        let carried = CurrentSpan::carried(None, task());
        assert!(size_of_val(&carried) < room);
        assert_eq!(carried.await, 1);
    }
}
