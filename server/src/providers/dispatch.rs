//! One question on its way to an answer: who is asked, the pauses before it is asked again, and the
//! models that are tried where one fails.
//!
//! A question is repeated only while nothing of an answer has come, and only where the rules of `retry`
//! let it be. All of it together has the time of one reply.

use std::collections::VecDeque;
use std::time::Duration;

use app::protocol::{ChatRequest, ErrorKind};
use tokio::time::{Instant, sleep, timeout_at};

use crate::providers::Answer;
use crate::providers::caching::Reuse;
use crate::providers::error::{Failure, FailureStage};
use crate::providers::registry::{Registry, Route};
use crate::providers::retry;

/// A question that is being asked.
pub(crate) struct Dispatch<'a> {
    registry: &'a Registry,
    prompt: &'a ChatRequest,
    reuse: &'a Reuse,
    /// The models that have not been asked, the next one first.
    models: VecDeque<String>,
    /// The model that is asked, as people call it.
    model: String,
    route: Option<Route>,
    retries: u32,
    pause: Option<Duration>,
    deadline: Instant,
}

/// What came of dispatch.
pub(crate) enum DispatchStep {
    /// The upstream has begun to answer.
    Answer(Box<Answer>),
    /// It could not, and will be asked again after this pause, which comes with the next step.
    Pause(Duration),
    /// It could not, and another model will be asked, with the next step.
    OtherModel,
}

impl<'a> Dispatch<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        prompt: &'a ChatRequest,
        reuse: &'a Reuse,
        model: &str,
    ) -> Self {
        Self {
            registry,
            prompt,
            reuse,
            models: registry.fallbacks(model).iter().cloned().collect(),
            model: model.to_owned(),
            route: None,
            retries: 0,
            pause: None,
            deadline: Instant::now() + registry.limits.total,
        }
    }

    /// The model that is asked now.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Goes one step further. Counts each request that is sent in `attempts`. Dropping the future ends
    /// the request that is under way.
    ///
    /// # Errors
    /// When nobody is left to be asked.
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
            self.route = self.registry.route(&self.model).await;
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
        let limits = self.registry.limits;
        let pause = failure.retry_after.unwrap_or_else(|| {
            retry::backoff(limits.backoff_base, self.retries + 1, rand::random())
        });
        if failure.may_retry && self.retries < limits.max_retries && pause <= limits.retry_after_cap
        {
            self.retries += 1;
            self.pause = Some(pause);
            tracing::debug!(
                kind = failure.kind.as_str(),
                pause_ms = pause.as_millis(),
                "asking again"
            );
            return Ok(DispatchStep::Pause(pause));
        }
        self.turn_from(failure)
    }

    /// Turns to another model after an answer that failed before it had any text.
    ///
    /// # Errors
    /// The failure itself, where no other model may stand in.
    pub(crate) fn turn_from(&mut self, failure: Failure) -> Result<DispatchStep, Failure> {
        if !lets_others_stand_in(&failure) {
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
        self.model = model;
        self.route = None;
        self.retries = 0;
        Ok(DispatchStep::OtherModel)
    }
}

/// Whether a failure means that the upstream is down or overloaded, so that another one may do better:
/// also when it accepts the request and then answers with an error in the place of a text.
fn lets_others_stand_in(failure: &Failure) -> bool {
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
