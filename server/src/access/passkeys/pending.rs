//! What was begun with a browser and not finished, for some minutes, within bounds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a person may take.
const WITHIN: Duration = Duration::from_secs(5 * 60);
/// The most of one source, so that nobody crowds out the others, and of all.
const MOST_OF_SOURCE: usize = 32;
const MOST: usize = 10_000;

/// What was begun, by its name.
pub(super) struct Pending<T>(HashMap<String, Begun<T>>);

struct Begun<T> {
    at: Instant,
    source: String,
    state: T,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Pending<T> {
    /// Adds something that was begun from this source. The oldest makes room.
    pub(super) fn add(&mut self, name: String, source: &str, state: T) {
        let at = Instant::now();
        self.0.retain(|_, begun| at - begun.at < WITHIN);
        let of_source = self.0.values().filter(|begun| begun.source == source);
        if of_source.count() >= MOST_OF_SOURCE {
            self.remove_oldest(|begun| begun.source == source);
        } else if self.0.len() >= MOST {
            self.remove_oldest(|_| true);
        }
        let source = source.to_owned();
        self.0.insert(name, Begun { at, source, state });
    }

    /// Takes what has this name, once.
    pub(super) fn take(&mut self, name: &str) -> Option<T> {
        let begun = self.0.remove(name)?;
        (begun.at.elapsed() < WITHIN).then_some(begun.state)
    }

    fn remove_oldest(&mut self, among: impl Fn(&Begun<T>) -> bool) {
        let candidates = self.0.iter().filter(|(_, begun)| among(begun));
        let oldest = candidates.min_by_key(|(_, begun)| begun.at);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.0.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_taken_once_and_one_source_crowds_nobody_out() {
        let mut pending = Pending::default();
        pending.add("ann".to_owned(), "10.0.0.1", 1);
        for number in 0..100 {
            pending.add(number.to_string(), "10.0.0.2", number);
        }
        assert_eq!(pending.0.len(), 1 + MOST_OF_SOURCE);
        assert_eq!(pending.take("0"), None, "the oldest of its source");
        assert_eq!(pending.take("99"), Some(99));
        assert_eq!(pending.take("99"), None, "once");
        assert_eq!(pending.take("ann"), Some(1));
    }
}
