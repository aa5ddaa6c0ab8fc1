//! The saved replies that are being made here, by their ids and by the requests that began them.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::log::Log;

/// How long somebody who stops a reply waits until it is stored.
const STOP_LIMIT: Duration = Duration::from_secs(6);

/// The replies that run here, and those that could not be stored.
#[derive(Default)]
pub struct RunningReplies {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<String, Arc<Running>>,
    by_request: HashMap<(String, String), Arc<OnceCell<Arc<Running>>>>,
}

/// A reply that is being made.
pub(crate) struct Running {
    pub(crate) id: String,
    pub(crate) log: Arc<Log>,
    pub(crate) owner: String,
    pub(crate) conversation: String,
    pub(super) request_id: String,
    pub(super) stop: CancellationToken,
    /// Cancelled when it has ended and is stored, or cannot be.
    pub(super) over: CancellationToken,
    /// Whether it was logged that it could not be saved.
    pub(super) is_reported: AtomicBool,
}

impl RunningReplies {
    /// The reply with this id, if it is this owner's and runs here.
    pub(crate) fn get(&self, owner: &str, id: &str) -> Option<Arc<Running>> {
        let running = self.table().by_id.get(id).cloned()?;
        (running.owner == owner).then_some(running)
    }

    /// The place of the reply to a request; whoever comes second waits there for the first.
    pub(crate) fn of_request(&self, owner: &str, request_id: &str) -> Arc<OnceCell<Arc<Running>>> {
        let key = (owner.to_owned(), request_id.to_owned());
        Arc::clone(self.table().by_request.entry(key).or_default())
    }

    /// Forgets a request that came to nothing.
    pub(crate) fn forget_request(&self, owner: &str, request_id: &str) {
        let key = (owner.to_owned(), request_id.to_owned());
        let mut table = self.table();
        if table
            .by_request
            .get(&key)
            .is_some_and(|cell| cell.get().is_none() && Arc::strong_count(cell) == 1)
        {
            table.by_request.remove(&key);
        }
    }

    /// How many run, for who measures it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().by_id.len()
    }

    pub(super) fn add(&self, running: &Arc<Running>) {
        let id = running.id.clone();
        self.table().by_id.insert(id, Arc::clone(running));
    }

    pub(super) fn remove(&self, running: &Running) {
        let mut table = self.table();
        table.by_id.remove(&running.id);
        let key = (running.owner.clone(), running.request_id.clone());
        table.by_request.remove(&key);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nobody panics while holding it")
    }
}

impl Running {
    /// Ends it as the person wants it, and waits until it is stored.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let _ = timeout(STOP_LIMIT, self.over.cancelled()).await;
    }

    /// Waits until it has ended.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }
}
