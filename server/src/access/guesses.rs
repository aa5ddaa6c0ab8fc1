//! Slows down the guessing of passwords: after five failures within 15 minutes, for an account and for an address,
//! no further password is checked until the oldest failure is 15 minutes old.
//!
//! An address from which the person has signed in before is not held up by failures from elsewhere: else anybody
//! could lock a person out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// How many failures are allowed in [`WITHIN`].
const FAILURES: usize = 5;
const WITHIN: Duration = Duration::from_secs(15 * 60);
/// Above this many entries, those whose time is over are removed.
const MANY: usize = 4096;

/// What failures are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Account(String),
    Address(String),
}

/// The failures of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    failures: Mutex<HashMap<Counted, Vec<Instant>>>,
}

/// Where a guess comes from and what it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guess<'a> {
    /// The name of the account, whether there is one or not.
    pub(crate) account: &'a str,
    /// The address, or the network of an IPv6 address.
    pub(crate) address: &'a str,
    /// Whether the person has signed in from there before.
    pub(crate) is_known: bool,
}

impl Guess<'_> {
    fn counted(&self) -> Vec<Counted> {
        let mut counted = vec![Counted::Address(self.address.to_owned())];
        if !self.is_known {
            counted.push(Counted::Account(self.account.to_owned()));
        }
        counted
    }
}

impl Guesses {
    /// Counts a guess as a failure, before it is known to be right: so that many at once are no way around.
    ///
    /// # Errors
    /// The time until the next guess is allowed.
    pub(crate) fn begin(&self, guess: Guess<'_>, now: Instant) -> Result<(), Duration> {
        let mut failures = self.failures.lock().expect("no holder of the lock panics");
        if failures.len() > MANY {
            failures.retain(|_, times| times.iter().any(|time| now - *time < WITHIN));
        }
        let counted = guess.counted();
        let mut wait = Duration::ZERO;
        for key in &counted {
            let times = failures.entry(key.clone()).or_default();
            times.retain(|time| now - *time < WITHIN);
            if times.len() >= FAILURES {
                wait = wait.max(WITHIN - (now - times[0]));
            }
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        for key in counted {
            failures.entry(key).or_default().push(now);
        }
        Ok(())
    }

    /// Takes the last failure back, and all of the account: the guess was right.
    pub(crate) fn was_right(&self, guess: Guess<'_>) {
        let mut failures = self.failures.lock().expect("no holder of the lock panics");
        for key in guess.counted() {
            match key {
                Counted::Account(_) => {
                    failures.remove(&key);
                }
                Counted::Address(_) => {
                    failures.get_mut(&key).and_then(Vec::pop);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess<'a>(account: &'a str, address: &'a str) -> Guess<'a> {
        Guess {
            account,
            address,
            is_known: false,
        }
    }

    #[test]
    fn after_five_failures_an_address_and_an_account_wait() {
        let guesses = Guesses::default();
        let start = Instant::now();
        for second in 0..5 {
            let now = start + Duration::from_secs(second);
            assert_eq!(guesses.begin(guess("ann", "10.0.0.1"), now), Ok(()));
        }
        let now = start + Duration::from_secs(60);
        let left = Err(Duration::from_secs(14 * 60));
        assert_eq!(
            guesses.begin(guess("bob", "10.0.0.1"), now),
            left,
            "the address"
        );
        assert_eq!(
            guesses.begin(guess("ann", "10.0.0.2"), now),
            left,
            "the account"
        );
        assert_eq!(guesses.begin(guess("bob", "10.0.0.2"), now), Ok(()));
        let known = Guess {
            is_known: true,
            ..guess("ann", "10.0.0.3")
        };
        assert_eq!(guesses.begin(known, now), Ok(()), "a known address");
        // One more for each failure that is 15 minutes old.
        let later = start + WITHIN;
        assert_eq!(guesses.begin(guess("ann", "10.0.0.1"), later), Ok(()));
        let next = Err(Duration::from_secs(1));
        assert_eq!(guesses.begin(guess("ann", "10.0.0.1"), later), next);
    }

    #[test]
    fn a_right_password_takes_the_failures_of_the_account_back_and_not_those_of_the_address() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for _ in 0..4 {
            guesses
                .begin(guess("ann", "10.0.0.1"), now)
                .expect("allowed");
        }
        guesses
            .begin(guess("eve", "10.0.0.1"), now)
            .expect("allowed");
        guesses.was_right(guess("eve", "10.0.0.1"));
        guesses
            .begin(guess("ann", "10.0.0.1"), now)
            .expect("allowed");
        assert!(guesses.begin(guess("bob", "10.0.0.1"), now).is_err());
        guesses.was_right(guess("ann", "10.0.0.1"));
        assert_eq!(guesses.begin(guess("ann", "10.0.0.2"), now), Ok(()));
    }
}
