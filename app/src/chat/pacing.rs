//! How often a growing reply is rendered: at once after a silence, and in a fast stream so rarely that most of the
//! time is left for everything else. Key presses are painted first.
//!
//! The interval depends on the measured cost of a render, with layout and painting. So a slow machine renders more
//! text at a time, and while the user types, renders follow a key press rather than precede the next one. This module
//! does not know what is rendered.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::{pending, select};

use crate::platform::clock::{Clock, cost_of, next_frame};
use crate::platform::keys::Keys;

/// The pause after a render, as a multiple of the cost of the render.
const REST: u32 = 16;
/// Longest interval between renders, including the render itself.
const MAX_PERIOD: Duration = Duration::from_millis(64);
/// Longest interval between renders while the user types, unless a key arrives first.
const MAX_PERIOD_WHILE_TYPING: Duration = Duration::from_millis(250);
/// How long after a key press the user counts as typing.
const TYPING: Duration = Duration::from_secs(1);

/// How long after a key press nothing is rendered, so that the key is painted first.
const KEY_FIRST: Duration = Duration::from_millis(40);

/// Requests renders.
#[derive(Debug)]
pub struct RenderSignal(mpsc::Sender<()>);

impl RenderSignal {
    /// Requests a render of what is new.
    pub fn notify(&mut self) {
        // A full channel means that a render is requested already; a closed one, that nothing renders any more.
        let _ = self.0.try_send(());
    }
}

/// A signal, and a future that calls `show` at the right moments after each signal. The future never ends: the caller
/// drops it after the last render.
pub fn pace(
    clock: Arc<dyn Clock>,
    keys: Keys,
    show: impl Fn(),
) -> (RenderSignal, impl Future<Output = Infallible>) {
    let (signal, mut requests) = mpsc::channel(0);
    let showing = async move {
        let mut begun = None;
        while requests.next().await.is_some() {
            // The key that sent the message does not count as typing.
            let begun = *begun.get_or_insert_with(|| clock.now());
            if let Some(rest) = rest_after_key(keys.last(), clock.now()) {
                clock.wait(rest).await;
            }
            next_frame(&*clock).await;
            // A key arrived while the frame was awaited: that frame paints the key.
            if rest_after_key(keys.last(), clock.now()).is_some() {
                next_frame(&*clock).await;
            }
            let last_key = keys.last();
            let cost = cost_of(&*clock, &show).await;
            clock.wait(rest_after(cost)).await;
            let typed_at = last_key.filter(|at| *at > begun);
            if keys.last() == last_key
                && let Some(rest) = rest_while_typing(cost, typed_at, clock.now())
            {
                // There is usually time for a render between the next key and the one after it.
                select(clock.wait(rest), pin!(keys.next())).await;
            }
        }
        pending().await
    };
    (RenderSignal(signal), showing)
}

/// The pause after a render with this cost.
fn rest_after(cost: Duration) -> Duration {
    (cost * REST).min(MAX_PERIOD.saturating_sub(cost))
}

/// The additional pause while the user types. `None` if the user does not type.
fn rest_while_typing(
    cost: Duration,
    typed_at: Option<Duration>,
    now: Duration,
) -> Option<Duration> {
    let is_typing = now.saturating_sub(typed_at?) < TYPING;
    let rest = (cost * REST).min(MAX_PERIOD_WHILE_TYPING.saturating_sub(cost));
    is_typing.then(|| rest.saturating_sub(rest_after(cost)))
}

/// The pause after a key press; `None` once that is over.
fn rest_after_key(key_at: Option<Duration>, now: Duration) -> Option<Duration> {
    let since = now.saturating_sub(key_at?);
    (since < KEY_FIRST).then(|| KEY_FIRST - since)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::channel::oneshot;
    use futures::executor::LocalPool;
    use futures::future::LocalBoxFuture;
    use futures::task::LocalSpawnExt;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_pause_grows_with_the_cost_of_a_render_up_to_a_limit() {
        let check = |cost: u64, expect: u64| {
            assert_eq!(rest_after(ms(cost)), ms(expect), "{cost}");
        };
        check(0, 0);
        check(2, 32);
        check(3, 48);
        check(5, 59);
        check(40, 24);
        check(1000, 0);
    }

    #[test]
    fn renders_are_rarer_while_the_user_types() {
        let check = |cost: u64, typed_at: Option<u64>, expect: Option<u64>| {
            let rest = rest_while_typing(ms(cost), typed_at.map(ms), ms(5000));
            assert_eq!(rest, expect.map(ms), "{cost}, key at {typed_at:?}");
        };
        check(5, None, None);
        check(5, Some(4000), None);
        check(2, Some(4001), Some(0));
        check(5, Some(4001), Some(21));
        check(20, Some(4900), Some(186));
        check(1000, Some(4900), Some(0));
    }

    #[test]
    fn a_render_waits_after_a_key_press() {
        let check = |key_at: Option<u64>, now: u64, expect: Option<u64>| {
            let rest = rest_after_key(key_at.map(ms), ms(now));
            assert_eq!(rest, expect.map(ms), "{key_at:?} at {now}");
        };
        check(None, 0, None);
        check(Some(100), 100, Some(40));
        check(Some(100), 130, Some(10));
        check(Some(100), 140, None);
        check(Some(100), 90, Some(40));
    }

    /// A callback for a frame. It never leaves the thread of its test.
    type Frame = send_wrapper::SendWrapper<Box<dyn FnOnce()>>;

    /// A clock that a test advances, with a frame every 16 ms.
    #[derive(Default)]
    struct Watch {
        now: Mutex<Duration>,
        waits: Mutex<Vec<(Duration, oneshot::Sender<()>)>>,
        frames: Mutex<Vec<Frame>>,
    }

    impl Watch {
        fn go_to(&self, at: Duration) {
            let now = {
                let mut now = self.now.lock().expect("one thread");
                *now = at.max(*now);
                *now
            };
            let due = |(at, _): &mut (Duration, _)| *at <= now;
            for (_, ring) in self.waits.lock().expect("one thread").extract_if(.., due) {
                let _ = ring.send(());
            }
            if at.as_millis().is_multiple_of(16) {
                let frames = std::mem::take(&mut *self.frames.lock().expect("one thread"));
                frames.into_iter().for_each(|frame| frame.take()());
            }
        }
    }

    impl Clock for Watch {
        fn now(&self) -> Duration {
            *self.now.lock().expect("one thread")
        }

        fn at_next_frame(&self, paint: Box<dyn FnOnce()>) {
            let paint = Frame::new(paint);
            self.frames.lock().expect("one thread").push(paint);
        }

        fn wait(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
            let (ring, rings) = oneshot::channel();
            let until = self.now() + time;
            self.waits.lock().expect("one thread").push((until, ring));
            rings.map(|_| ()).boxed_local()
        }

        fn random(&self) -> f64 {
            0.5
        }
    }

    /// The times of the renders in two seconds of a stream, with this cost of a render and keys pressed
    /// at these times.
    fn shown(cost: Duration, pressed: &[u64]) -> Vec<u64> {
        let clock = Arc::new(Watch::default());
        let keys = Keys::default();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut signal, showing) = pace(Arc::clone(&clock) as _, keys.clone(), {
            let (clock, shown) = (Arc::clone(&clock), Arc::clone(&shown));
            move || {
                shown.lock().expect("one thread").push(clock.now());
                clock.go_to(clock.now() + cost);
            }
        });
        let mut pool = LocalPool::new();
        let showing = showing.map(|never| match never {});
        pool.spawner().spawn_local(showing).expect("it runs");
        for now in 0..2000 {
            clock.go_to(ms(now));
            if pressed.contains(&now) {
                keys.note(ms(now));
            }
            signal.notify();
            pool.run_until_stalled();
        }
        let shown = shown.lock().expect("one thread");
        shown
            .iter()
            .map(|at| u64::try_from(at.as_millis()).expect("two seconds"))
            .collect()
    }

    #[test]
    fn on_a_slow_machine_nothing_is_rendered_when_the_next_key_is_due() {
        let pressed: Vec<u64> = (1..9).map(|number| number * 220).collect();
        let shown = shown(ms(24), &pressed);
        for key in &pressed {
            let soon_after = |at: &&u64| (key + 40..key + 60).contains(*at);
            assert_eq!(
                shown.iter().filter(soon_after).count(),
                1,
                "{key}: {shown:?}"
            );
            let in_its_way = |at: &&u64| (key - 24..key + 40).contains(*at);
            // The first key is not expected.
            assert!(
                shown.iter().find(in_its_way).is_none() || *key == 220,
                "{key}: {shown:?}"
            );
        }
    }

    #[test]
    fn without_keys_a_slow_machine_renders_about_fifteen_times_a_second() {
        let shown = shown(ms(24), &[]);
        assert!((24..=32).contains(&shown.len()), "{shown:?}");
    }
}
