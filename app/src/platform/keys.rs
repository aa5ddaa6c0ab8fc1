//! When a person presses keys, for what gives way to them. It does not know which ones.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::channel::oneshot;

/// The keys that are pressed, as a handle that can be cloned.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<Mutex<KeyState>>);

#[derive(Debug, Default)]
struct KeyState {
    last: Option<Duration>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Keys {
    /// One was pressed, at this time of the clock.
    pub fn note(&self, now: Duration) {
        let mut state = self.state();
        state.last = Some(now);
        for waiting in state.waiting.drain(..) {
            // Who no longer waits does not hear of it.
            let _ = waiting.send(());
        }
    }

    /// When the last one was pressed.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.state().last
    }

    /// Waits for the next one.
    pub async fn next(&self) {
        let (ring, rings) = oneshot::channel();
        {
            let mut state = self.state();
            state.waiting.retain(|waiting| !waiting.is_canceled());
            state.waiting.push(ring);
        }
        let _ = rings.await;
    }

    fn state(&self) -> MutexGuard<'_, KeyState> {
        self.0.lock().expect("nothing panics while it is held")
    }
}
