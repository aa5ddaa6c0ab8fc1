//! The browser's clock: the time, the next frame, timers, and random numbers.
//!
//! It is a trait, so that the chat can be tested without a browser and without waiting.

use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::LocalBoxFuture;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::{is_server, request_animation_frame, set_timeout_with_handle, window};

/// The time, frames, timers and random numbers.
pub trait Clock: Send + Sync {
    /// The time since a fixed moment.
    fn now(&self) -> Duration;

    /// Calls `paint` before the next frame is painted. In a hidden tab that may be much later.
    fn at_next_frame(&self, paint: Box<dyn FnOnce()>);

    /// Waits for at least this time; in a hidden tab it may be much longer. Dropping the future clears the timer.
    fn wait(&self, time: Duration) -> LocalBoxFuture<'static, ()>;

    /// A random number from 0 to 1.
    fn random(&self) -> f64;
}

/// Waits until just before the next frame is painted.
pub async fn next_frame(clock: &dyn Clock) {
    let (done, is_done) = oneshot::channel();
    clock.at_next_frame(Box::new(move || {
        // Sending fails only if the future was dropped.
        let _ = done.send(());
    }));
    let _ = is_done.await;
}

/// Waits until this frame has been painted: a timer runs only after that.
pub async fn after_picture(clock: &dyn Clock) {
    clock.wait(Duration::ZERO).await;
}

/// Calls `show` in this frame, and returns how long that took, with layout and painting.
pub async fn cost_of(clock: &dyn Clock, show: impl FnOnce()) -> Duration {
    let began = clock.now();
    show();
    after_picture(clock).await;
    clock.now() - began
}

/// The browser's own clock. On the server the time is always zero.
#[derive(Debug, Clone, Copy)]
pub struct BrowserClock;

impl Clock for BrowserClock {
    fn now(&self) -> Duration {
        if is_server() {
            return Duration::ZERO;
        }
        let milliseconds = window()
            .performance()
            .map_or(0.0, |performance| performance.now());
        Duration::from_secs_f64(milliseconds / 1000.0)
    }

    fn at_next_frame(&self, paint: Box<dyn FnOnce()>) {
        request_animation_frame(paint);
    }

    fn wait(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
        let (done, is_done) = oneshot::channel();
        let timer = set_timeout_with_handle(
            move || {
                // Sending fails only if the future was dropped.
                let _ = done.send(());
            },
            time,
        );
        let guard = ClearOnDrop(timer.ok());
        async move {
            let _ = is_done.await;
            drop(guard);
        }
        .boxed_local()
    }

    fn random(&self) -> f64 {
        js_sys::Math::random()
    }
}

/// Clears its timer when it is dropped.
struct ClearOnDrop(Option<TimeoutHandle>);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        if let Some(timer) = &self.0 {
            timer.clear();
        }
    }
}
