//! What the page needs from the browser's clock: the time, and the next frame.
//!
//! A trait, so that the verbs of the chat can be tested without a browser and without waiting.

use std::time::Duration;

use leptos::prelude::{request_animation_frame, window};

/// The time and the frames of the screen.
pub trait Clock: Send + Sync {
    /// The time since some fixed moment.
    fn now(&self) -> Duration;

    /// Runs something before the next picture is drawn. In a hidden tab that may be much later.
    fn at_next_frame(&self, paint: Box<dyn FnOnce()>);
}

/// The browser's own clock. It must not be asked on the server, where nothing moves.
#[derive(Debug, Clone, Copy)]
pub struct BrowserClock;

impl Clock for BrowserClock {
    fn now(&self) -> Duration {
        let milliseconds = window()
            .performance()
            .map_or(0.0, |performance| performance.now());
        Duration::from_secs_f64(milliseconds / 1000.0)
    }

    fn at_next_frame(&self, paint: Box<dyn FnOnce()>) {
        request_animation_frame(paint);
    }
}
