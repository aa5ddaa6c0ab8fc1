//! How many files and connections the process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for where the system names no highest number but refuses to take it as none: the most
/// that macOS lets a process have.
const LEAST_MOST: u64 = 10_240;

/// How many descriptors the process may have open now.
#[must_use]
pub fn limit() -> usize {
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Raises that number as far as the process may raise it itself. Shells start programs with a low one,
/// often 1,024 or 256, for the sake of old programs that cannot count further.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let set = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok();
    // Where there is no highest number, the system may still have one that it does not tell.
    if !set(maximum) && current.is_some_and(|current| current < LEAST_MOST) {
        set(Some(LEAST_MOST));
    }
}
