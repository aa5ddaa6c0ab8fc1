//! Stopping replies. A temporary reply ends with its request; a saved one is stopped by the server.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::{Chat, Deps, StreamingReply};
use crate::reply::Reply;
use crate::reply::reader::backoff;
use crate::reply::transport::ConnectionError;

/// How long to wait for the server to end a stopped reply. After that the page ends it by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// The most attempts to reach the server with a stop.
const STOP_ATTEMPTS: u32 = 20;

impl Chat {
    /// Stops all streaming replies. Their text stays.
    pub fn stop(self) {
        let mut running = self.running.get_untracked();
        for one in &mut running {
            if one.is_saved {
                if !std::mem::replace(&mut one.is_stopped, true) {
                    self.stop_saved(one);
                }
            } else {
                self.end_here(one);
            }
        }
        running.retain(|one| one.is_saved);
        self.running.set(running);
    }

    /// Asks the server to stop a reply. The page still reads the events up to the end, so it shows what is saved.
    fn stop_saved(self, running: &StreamingReply) {
        if let Some(generation) = generation_of(&running.reply) {
            self.send_stop(generation);
        }
        // Otherwise `receive` stops the reply when it starts.
        let clock = self.deps.with_value(|deps| Arc::clone(&deps.clock));
        let running = running.clone();
        spawn_local(async move {
            clock.wait(STOP_PATIENCE).await;
            let is_still_there = self
                .running
                .try_with_untracked(|all| all.iter().any(|one| one.message == running.message))
                .unwrap_or(false);
            if is_still_there
                && generation_of(&running.reply).is_some()
                && !running.task.is_aborted()
            {
                self.end_here(&running);
                self.running
                    .update(|all| all.retain(|one| one.message != running.message));
            }
        });
    }

    /// Sends a stop to the server, and retries until the server has received it.
    pub(super) fn send_stop(self, generation: String) {
        let Deps {
            transport, clock, ..
        } = self.deps.get_value();
        let Some(transport) = transport else { return };
        spawn_local(async move {
            for attempt in 1..=STOP_ATTEMPTS {
                match transport.stop(generation.clone()).await {
                    Ok(()) | Err(ConnectionError::Rejected(_)) => return,
                    Err(ConnectionError::Transient(_)) => {
                        clock.wait(backoff(attempt, clock.random())).await
                    }
                }
            }
        });
    }

    /// Ends a reply on this page only.
    fn end_here(self, running: &StreamingReply) {
        running.task.abort();
        let now = self.now();
        running.reply.update(|reply| reply.stop(now));
        self.announce_end(&running.reply);
    }
}

/// The id of the generation of a reply, once the reply has started.
pub(super) fn generation_of(reply: &ArcRwSignal<Reply>) -> Option<String> {
    reply.with_untracked(|reply| reply.transcript().generation.clone())
}
