//! When keys are pressed, for work that gives way to typing. Which keys is not recorded.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::channel::oneshot;

/// The times of key presses. Clones share one record.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<Mutex<KeyState>>);

#[derive(Debug, Default)]
struct KeyState {
    last: Option<Duration>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Keys {
    /// Records a key press at this time of the clock.
    pub fn note(&self, now: Duration) {
        let mut state = self.state();
        state.last = Some(now);
        for waiting in state.waiting.drain(..) {
            // Sending fails only if the future was dropped.
            let _ = waiting.send(());
        }
    }

    /// The time of the last key press.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.state().last
    }

    /// Waits for the next key press.
    pub async fn next(&self) {
        let (pressed, is_pressed) = oneshot::channel();
        {
            let mut state = self.state();
            state.waiting.retain(|waiting| !waiting.is_canceled());
            state.waiting.push(pressed);
        }
        let _ = is_pressed.await;
    }

    fn state(&self) -> MutexGuard<'_, KeyState> {
        self.0
            .lock()
            .expect("no code panics while it holds the lock")
    }
}
