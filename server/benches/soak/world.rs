//! What all tasks share: where the server is, what goes wrong at the moment, what has been counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rand::random_range;
use tokio::time::sleep;

use crate::data::{Data, Fault};
use crate::received::Received;

pub(crate) struct World {
    pub(crate) data: Data,
    pub(crate) address: SocketAddr,
    /// How often the server was started again.
    pub(crate) starts: AtomicU64,
    is_ending: AtomicBool,
    /// When the server was killed, and whether within a fault.
    kills: Mutex<Vec<(Instant, bool)>>,
    /// The conversations that were asked for.
    pub(crate) conversations: Mutex<HashSet<String>>,
    /// The titles that a conversation may have.
    pub(crate) titles: Mutex<HashMap<String, Vec<String>>>,
    /// What readers of replies received, once the replies have ended.
    pub(crate) received: Mutex<Vec<Received>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    notes: Mutex<Vec<(&'static str, String)>>,
    /// The most that a kill took of any reply, without and within a fault.
    most_lost: Mutex<[Duration; 2]>,
    violations: Mutex<Vec<String>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

impl World {
    pub(crate) fn new(data: Data, address: SocketAddr) -> Self {
        Self {
            data,
            address,
            starts: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            kills: Mutex::default(),
            conversations: Mutex::default(),
            titles: Mutex::default(),
            received: Mutex::default(),
            counts: Mutex::default(),
            notes: Mutex::default(),
            most_lost: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    /// Nothing new is asked from now on.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Does something while a fault lasts, which it does for some seconds.
    pub(crate) async fn with_fault(&self, fault: Fault, during: impl AsyncFnOnce(&Self)) {
        let lasting = self.data.begin(fault).await;
        let name = match (&lasting, fault) {
            (None, Fault::Full) => "faults left out: disk full",
            (None, Fault::Locked) => "faults left out: locked",
            (Some(_), Fault::Full) => "faults: disk full",
            (Some(_), Fault::Locked) => "faults: locked",
        };
        self.count(name);
        sleep(Duration::from_millis(random_range(0..3_000))).await;
        during(self).await;
        if let Some(lasting) = lasting {
            lasting.end().await;
        }
    }

    pub(crate) fn on_kill(&self, is_within_fault: bool) {
        lock(&self.kills).push((Instant::now(), is_within_fault));
        self.count(if is_within_fault {
            "kills within a fault"
        } else {
            "kills without a fault"
        });
    }

    pub(crate) fn was_killed(&self) -> bool {
        !lock(&self.kills).is_empty()
    }

    /// The first kill after this moment.
    pub(crate) fn kill_after(&self, moment: Instant) -> Option<(Instant, bool)> {
        let kills = lock(&self.kills);
        kills.iter().find(|(at, _)| *at >= moment).copied()
    }

    pub(crate) fn lost(&self, time: Duration, is_within_fault: bool) {
        let most = &mut lock(&self.most_lost)[usize::from(is_within_fault)];
        *most = time.max(*most);
    }

    pub(crate) fn count(&self, what: &'static str) {
        *lock(&self.counts).entry(what).or_default() += 1;
    }

    pub(crate) fn note(&self, what: &'static str, value: String) {
        lock(&self.notes).push((what, value));
    }

    pub(crate) fn violated(&self, what: String) {
        let mut violations = lock(&self.violations);
        if violations.len() < 20 {
            println!("violated: {what}");
        }
        violations.push(what);
    }

    /// Prints what happened, and says whether nothing was violated.
    pub(crate) fn print(&self, what: &str) -> bool {
        println!("\n| {what} | |\n| --- | ---: |");
        for (name, count) in lock(&self.counts).iter() {
            println!("| {name} | {count} |");
        }
        for (name, value) in lock(&self.notes).iter() {
            println!("| {name} | {value} |");
        }
        if !lock(&self.kills).is_empty() {
            let [without, within] = lock(&self.most_lost).map(|time| time.as_millis());
            println!("| most text lost by a kill, ms | {without} |");
            println!("| within a fault, unless it was said, ms | {within} |");
        }
        let violations = lock(&self.violations).len();
        println!("| violations | {violations} |");
        if !self.data.can_be_full() {
            println!("\nThe full disk was left out: only root may mount a small file system.");
        }
        violations == 0
    }
}
