//! How often a growing reply is shown: at once when something comes after a silence, and in a fast
//! stream as often as leaves most of the time to everything else. A key that was pressed comes first.
//!
//! What counts is what the browser needs for all of it, layout and picture included. So a slow machine
//! shows more at a time, and a fast one shows each frame. It does not know what is shown, or how.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::pending;

use crate::clock::{Clock, cost_of, next_frame};

/// After it was shown it rests so many times as long as that took.
const REST: u32 = 16;
/// But it is shown this often at least, rest and showing together, else one waits for words.
const MAX_PERIOD: Duration = Duration::from_millis(64);
/// Who writes meanwhile waits for letters rather than for words.
const MAX_PERIOD_WHILE_TYPING: Duration = Duration::from_millis(160);
/// So long after a key was pressed the next one is expected.
const TYPING: Duration = Duration::from_secs(1);

/// So long after a key was pressed nothing is shown: its own picture is made first.
const KEY_FIRST: Duration = Duration::from_millis(40);

/// Rings when there is something new to show.
#[derive(Debug)]
pub struct Bell(mpsc::Sender<()>);

impl Bell {
    /// There is something new.
    pub fn ring(&mut self) {
        // Where it is full it has rung already; where it is closed, nobody shows anything.
        let _ = self.0.try_send(());
    }
}

/// A bell, and what shows something whenever it has rung. That never ends: it is dropped when there is
/// nothing more to show. `key_at` says when a key was last pressed.
pub fn pace(
    clock: Arc<dyn Clock>,
    key_at: impl Fn() -> Option<Duration>,
    show: impl Fn(),
) -> (Bell, impl Future<Output = Infallible>) {
    let (bell, mut rings) = mpsc::channel(0);
    let showing = async move {
        let mut begun = None;
        while rings.next().await.is_some() {
            // The key that sent the message is none that is pressed meanwhile.
            let begun = *begun.get_or_insert_with(|| clock.now());
            if let Some(rest) = rest_after_key(key_at(), clock.now()) {
                clock.wait(rest).await;
            }
            next_frame(&*clock).await;
            // It came while the frame was awaited, which is its own then.
            if rest_after_key(key_at(), clock.now()).is_some() {
                next_frame(&*clock).await;
            }
            let cost = cost_of(&*clock, &show).await;
            let typed_at = key_at().filter(|at| *at > begun);
            clock.wait(rest_after(cost, typed_at, clock.now())).await;
        }
        pending().await
    };
    (Bell(bell), showing)
}

/// How long it rests after something took so long.
fn rest_after(cost: Duration, typed_at: Option<Duration>, now: Duration) -> Duration {
    let is_typing = typed_at.is_some_and(|at| now.saturating_sub(at) < TYPING);
    let period = if is_typing {
        MAX_PERIOD_WHILE_TYPING
    } else {
        MAX_PERIOD
    };
    (cost * REST).min(period.saturating_sub(cost))
}

/// How long it rests for a key that was pressed just now.
fn rest_after_key(key_at: Option<Duration>, now: Duration) -> Option<Duration> {
    let since = now.saturating_sub(key_at?);
    (since < KEY_FIRST).then(|| KEY_FIRST - since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_longer_where_showing_takes_longer_but_never_so_that_one_waits_for_words() {
        let ms = Duration::from_millis;
        let check = |cost: u64, typed_at: Option<u64>, expect: u64| {
            let rest = rest_after(ms(cost), typed_at.map(ms), ms(5000));
            assert_eq!(rest, ms(expect), "{cost}, key at {typed_at:?}");
        };
        check(0, None, 0);
        check(2, None, 32);
        check(3, None, 48);
        check(5, None, 59);
        check(9, None, 55);
        check(40, None, 24);
        check(1000, None, 0);
        check(40, Some(4000), 24);
        check(2, Some(4001), 32);
        check(9, Some(4001), 144);
        check(11, Some(4001), 149);
        check(40, Some(4900), 120);
    }

    #[test]
    fn it_rests_for_a_key_that_was_pressed_just_now() {
        let ms = Duration::from_millis;
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
}
