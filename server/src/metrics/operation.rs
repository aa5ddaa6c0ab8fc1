//! The metrics of requests for answers, by OpenTelemetry's conventions for clients of language models.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::traces::{Span, SpanKind};

use super::histogram::{Histogram, NewHistogram};
use super::{FIRST_TIME, GAP_TIME, OPERATION_TIME, Registrar, TOKENS};

/// The error type of an answer that nobody waited for.
const CANCELLED: &str = "cancelled";

/// A model of a provider.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModelLabels {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: Arc<str>,
    gen_ai_request_model: Arc<str>,
}

/// An operation that is over. `error_type` is empty if it succeeded.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndLabels {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: Arc<str>,
    gen_ai_request_model: Arc<str>,
    error_type: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: Arc<str>,
    gen_ai_request_model: Arc<str>,
    gen_ai_token_type: &'static str,
}

/// The families of the metrics of operations.
#[derive(Debug)]
pub(super) struct Operations {
    time: Family<EndLabels, Histogram, NewHistogram>,
    first_chunk: Family<ModelLabels, Histogram, NewHistogram>,
    chunk_gap: Family<ModelLabels, Histogram, NewHistogram>,
    tokens: Family<TokenLabels, Histogram, NewHistogram>,
    active: Family<ModelLabels, Gauge>,
}

impl Operations {
    pub(super) fn register(all: &mut Registrar<'_>) -> Self {
        Self {
            time: all.times(
                "gen_ai_client_operation_duration",
                "Time of a request for an answer, to the end of the answer",
                OPERATION_TIME,
            ),
            first_chunk: all.times(
                "gen_ai_client_operation_time_to_first_chunk",
                "Time from a request for an answer to the first event of a streamed answer",
                FIRST_TIME,
            ),
            chunk_gap: all.times(
                "gen_ai_client_operation_time_per_output_chunk",
                "Time between two chunks of a streamed answer",
                GAP_TIME,
            ),
            tokens: all.histograms(
                "gen_ai_client_token_usage",
                "Tokens of a request and its answer, where the provider tells them",
                TOKENS,
            ),
            active: all.add(
                "rill_operations_active",
                "Requests for answers whose answer has not ended",
            ),
        }
    }
}

/// Measures one request for an answer. Dropping it counts the request as cancelled, unless it has ended.
#[derive(Debug)]
pub struct OperationTimer {
    all: Arc<Operations>,
    model: ModelLabels,
    began: Instant,
    last_chunk: Option<Instant>,
    first_chunk: Histogram,
    chunk_gap: Histogram,
    active: Gauge,
    error_type: &'static str,
    span: Span,
}

impl OperationTimer {
    pub(super) fn new(all: &Arc<Operations>, provider: &Arc<str>, model: &str) -> Self {
        let model = ModelLabels {
            gen_ai_operation_name: "chat",
            gen_ai_provider_name: Arc::clone(provider),
            gen_ai_request_model: model.into(),
        };
        let active = all.active.get_or_create_owned(&model);
        active.inc();
        let mut span = Span::child(SpanKind::Client, || {
            format!("chat {}", model.gen_ai_request_model)
        });
        span.set("gen_ai.operation.name", || model.gen_ai_operation_name);
        span.set("gen_ai.provider.name", || provider.to_string());
        span.set("gen_ai.request.model", || {
            model.gen_ai_request_model.to_string()
        });
        Self {
            first_chunk: all.first_chunk.get_or_create_owned(&model),
            chunk_gap: all.chunk_gap.get_or_create_owned(&model),
            active,
            all: Arc::clone(all),
            model,
            began: Instant::now(),
            last_chunk: None,
            error_type: CANCELLED,
            span,
        }
    }

    /// The header `traceparent` of the request, if it is traced.
    pub(crate) fn traceparent(&self) -> Option<String> {
        self.span.traceparent()
    }

    /// Counts a chunk of a streamed answer, which came at this time.
    pub fn chunk(&mut self, now: Instant) {
        match self.last_chunk.replace(now) {
            None => {
                let time = now - self.began;
                self.first_chunk.observe_time(time);
                self.span
                    .set("rill.time_to_first_chunk_ms", || milliseconds(time));
            }
            Some(last) => self.chunk_gap.observe_time(now - last),
        }
    }

    /// Counts the tokens that the provider told.
    pub(crate) fn tokens(&mut self, input: Option<u64>, output: Option<u64>) {
        for (token_type, tokens) in [("input", input), ("output", output)] {
            let Some(tokens) = tokens else {
                continue;
            };
            let labels = TokenLabels {
                gen_ai_operation_name: self.model.gen_ai_operation_name,
                gen_ai_provider_name: Arc::clone(&self.model.gen_ai_provider_name),
                gen_ai_request_model: Arc::clone(&self.model.gen_ai_request_model),
                gen_ai_token_type: token_type,
            };
            self.all.tokens.get_or_create(&labels).observe(tokens);
            let attribute = match token_type {
                "input" => "gen_ai.usage.input_tokens",
                _ => "gen_ai.usage.output_tokens",
            };
            self.span.set(attribute, || tokens);
        }
    }

    /// Ends a request that failed.
    pub(crate) fn fail(mut self, error_type: &'static str) {
        self.error_type = error_type;
    }

    /// Ends a request whose answer is complete.
    pub fn complete(mut self) {
        self.error_type = "";
    }
}

impl Drop for OperationTimer {
    fn drop(&mut self) {
        self.active.dec();
        let labels = EndLabels {
            gen_ai_operation_name: self.model.gen_ai_operation_name,
            gen_ai_provider_name: Arc::clone(&self.model.gen_ai_provider_name),
            gen_ai_request_model: Arc::clone(&self.model.gen_ai_request_model),
            error_type: self.error_type,
        };
        let time = self.all.time.get_or_create(&labels);
        time.observe_time(self.began.elapsed());
        if !self.error_type.is_empty() {
            self.span.fail(self.error_type);
        }
    }
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
