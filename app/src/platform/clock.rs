//! What the page needs from the browser's clock: the time, the next frame, a wait, and random.
//!
//! A trait, so that the verbs of the chat can be tested without a browser and without waiting.

use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::LocalBoxFuture;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::{is_server, request_animation_frame, set_timeout_with_handle, window};

/// The time and the frames of the screen.
pub trait Clock: Send + Sync {
    /// The time since some fixed moment.
    fn now(&self) -> Duration;

    /// Runs something before the next picture is drawn. In a hidden tab that may be much later.
    fn at_next_frame(&self, paint: Box<dyn FnOnce()>);

    /// Waits. In a hidden tab it may take much longer. Dropping it ends the wait.
    fn wait(&self, time: Duration) -> LocalBoxFuture<'static, ()>;

    /// A number from 0 to 1, by random.
    fn random(&self) -> f64;
}

/// The moment before the next picture is drawn.
pub async fn next_frame(clock: &dyn Clock) {
    let (ring, rings) = oneshot::channel();
    clock.at_next_frame(Box::new(move || {
        // Nobody may be waiting any more.
        let _ = ring.send(());
    }));
    let _ = rings.await;
}

/// The moment after the picture of this frame has been drawn: a timer's turn comes when that is done.
pub async fn after_picture(clock: &dyn Clock) {
    clock.wait(Duration::ZERO).await;
}

/// Shows something in this frame, and says how long that took, with the layout and the picture of it.
pub async fn cost_of(clock: &dyn Clock, show: impl FnOnce()) -> Duration {
    let began = clock.now();
    show();
    after_picture(clock).await;
    clock.now() - began
}

/// The browser's own clock. On the server no time passes: a page is rendered in one moment.
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
        let (ring, rings) = oneshot::channel();
        let timer = set_timeout_with_handle(
            move || {
                // Nobody may be waiting any more.
                let _ = ring.send(());
            },
            time,
        );
        let guard = ClearOnDrop(timer.ok());
        async move {
            let _ = rings.await;
            drop(guard);
        }
        .boxed_local()
    }

    fn random(&self) -> f64 {
        js_sys::Math::random()
    }
}

/// Clears a timer that nobody waits for any more.
struct ClearOnDrop(Option<TimeoutHandle>);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        if let Some(timer) = &self.0 {
            timer.clear();
        }
    }
}
