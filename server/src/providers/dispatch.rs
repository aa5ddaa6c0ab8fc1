//! Requests an answer from a model, with retries after pauses and with fallbacks to other models.
//!
//! A request is repeated only while no part of an answer came and only by the rules of `retry`. All attempts
//! share the time limit of one reply.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use app::protocol::{ChatRequest, ErrorKind};
use tokio::time::{Instant, sleep, timeout_at};

use crate::providers::UpstreamAnswer;
use crate::providers::caching::Reuse;
use crate::providers::error::{Failure, FailureStage};
use crate::providers::registry::{Route, Setup};
use crate::providers::retry;

/// A request for an answer, over all its attempts.
pub(crate) struct Dispatch<'a> {
    setup: Arc<Setup>,
    prompt: &'a ChatRequest,
    reuse: &'a Reuse,
    /// The fallbacks that were not tried, in order.
    models: VecDeque<String>,
    /// The current model, by its public name.
    model: String,
    route: Option<Route>,
    retries: u32,
    pause: Option<Duration>,
    deadline: Instant,
}

/// The result of a step.
pub(crate) enum DispatchStep {
    /// The upstream has begun to answer.
    Answer(Box<UpstreamAnswer>),
    /// The attempt failed. The next step waits for this pause and repeats the request.
    Pause(Duration),
    /// The attempt failed. The next step tries another model.
    OtherModel,
}

impl<'a> Dispatch<'a> {
    pub(super) fn new(
        setup: Arc<Setup>,
        prompt: &'a ChatRequest,
        reuse: &'a Reuse,
        model: &str,
    ) -> Self {
        Self {
            prompt,
            reuse,
            models: setup.fallbacks(model).iter().cloned().collect(),
            model: model.to_owned(),
            route: None,
            retries: 0,
            pause: None,
            deadline: Instant::now() + setup.limits.total,
            setup,
        }
    }

    /// The current model.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Makes one step. Counts each request in `attempts`. Dropping the future cancels the request.
    ///
    /// # Errors
    /// When the request failed and no model is left.
    pub(crate) async fn next(&mut self, attempts: &mut u32) -> Result<DispatchStep, Failure> {
        if let Some(pause) = self.pause.take()
            && timeout_at(self.deadline, sleep(pause)).await.is_err()
        {
            return Err(Failure::request(
                ErrorKind::UpstreamTimeoutTotal,
                "while waiting to retry",
            ));
        }
        if self.route.is_none() {
            self.route = self.setup.route(&self.model).await;
        }
        let Some(Route { upstream, model }) = &self.route else {
            return Err(Failure::request(
                ErrorKind::ModelNotFound,
                "no upstream may be asked for it",
            ));
        };
        let failure = match upstream
            .attempt(self.prompt, self.reuse, model, self.deadline, attempts)
            .await
        {
            Ok(answer) => return Ok(DispatchStep::Answer(Box::new(answer))),
            Err(failure) => failure,
        };
        let limits = self.setup.limits;
        let pause = failure.retry_after.unwrap_or_else(|| {
            retry::backoff(limits.backoff_base, self.retries + 1, rand::random())
        });
        if failure.may_retry && self.retries < limits.max_retries && pause <= limits.retry_after_cap
        {
            self.retries += 1;
            upstream.metrics().retries.inc();
            self.pause = Some(pause);
            tracing::debug!(
                kind = failure.kind.as_str(),
                pause_ms = pause.as_millis(),
                "asking again"
            );
            return Ok(DispatchStep::Pause(pause));
        }
        self.fall_back(failure)
    }

    /// Switches to another model after an answer that failed before it had any text.
    ///
    /// # Errors
    /// The failure itself, if no other model is configured or the failure does not allow it.
    pub(crate) fn fall_back(&mut self, failure: Failure) -> Result<DispatchStep, Failure> {
        if !allows_fallback(&failure) {
            return Err(failure);
        }
        let Some(model) = self.models.pop_front() else {
            return Err(failure);
        };
        tracing::info!(
            model = self.model,
            instead = model,
            kind = failure.kind.as_str(),
            cause = failure.cause.as_ref(),
            "asking another model"
        );
        if let Some(Route { upstream, .. }) = &self.route {
            upstream.metrics().fallbacks.inc();
        }
        self.model = model;
        self.route = None;
        self.retries = 0;
        Ok(DispatchStep::OtherModel)
    }
}

/// Whether a failure means that the upstream is down or overloaded, so that another may succeed. That includes
/// an error in place of an accepted answer.
fn allows_fallback(failure: &Failure) -> bool {
    let instead_of_an_answer = failure.stage == FailureStage::Stream
        && matches!(
            failure.kind,
            ErrorKind::Auth | ErrorKind::Quota | ErrorKind::ModelNotFound | ErrorKind::BadRequest
        );
    instead_of_an_answer
        || matches!(
            failure.kind,
            ErrorKind::RateLimited
                | ErrorKind::Overloaded
                | ErrorKind::UpstreamError
                | ErrorKind::UpstreamUnreachable
                | ErrorKind::UpstreamTimeoutFirstByte
                | ErrorKind::UpstreamTimeoutIdle
                | ErrorKind::UpstreamCut
                | ErrorKind::UpstreamEmpty
                | ErrorKind::UpstreamNotStream
        )
}
