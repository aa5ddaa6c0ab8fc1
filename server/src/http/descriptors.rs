//! The number of files and connections that the process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit to request if the system reports no maximum but refuses an unlimited number: the maximum of macOS.
const LEAST_MOST: u64 = 10_240;

/// The number of descriptors that the process may have open now.
#[must_use]
pub fn limit() -> usize {
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Raises the soft limit to the hard limit. Shells start programs with a low soft limit, often 1,024 or 256,
/// for old programs that use `select`.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let set = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok();
    // If no hard limit is reported, the system may still have one.
    if !set(maximum) && current.is_some_and(|current| current < LEAST_MOST) {
        set(Some(LEAST_MOST));
    }
}
