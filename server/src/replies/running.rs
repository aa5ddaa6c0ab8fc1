//! The saved replies that this process is making, by id and by the request that began them.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::log::Log;

/// How long a request that stops a reply waits until the reply is stored.
const STOP_LIMIT: Duration = Duration::from_secs(6);

/// The replies that are being made, and ended replies that could not be stored.
#[derive(Default)]
pub struct RunningReplies {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<String, Arc<RunningReply>>,
    by_request: HashMap<(String, String), Arc<OnceCell<Arc<RunningReply>>>>,
}

/// A reply that is being made.
pub(crate) struct RunningReply {
    pub(crate) id: String,
    pub(crate) log: Arc<Log>,
    pub(crate) owner: String,
    pub(crate) conversation: String,
    pub(super) request_id: String,
    pub(super) stop: CancellationToken,
    /// Cancelled when the reply has ended and was stored or could not be stored.
    pub(super) over: CancellationToken,
    /// Whether the failure to save the reply was logged.
    pub(super) is_reported: AtomicBool,
}

impl RunningReplies {
    /// The running reply with this id, if it belongs to this owner.
    pub(crate) fn get(&self, owner: &str, id: &str) -> Option<Arc<RunningReply>> {
        let running = self.table().by_id.get(id).cloned()?;
        (running.owner == owner).then_some(running)
    }

    /// The cell for the reply to a request. A second request with the same id waits on the cell for the first.
    pub(crate) fn of_request(
        &self,
        owner: &str,
        request_id: &str,
    ) -> Arc<OnceCell<Arc<RunningReply>>> {
        let key = (owner.to_owned(), request_id.to_owned());
        Arc::clone(self.table().by_request.entry(key).or_default())
    }

    /// Removes the cell of a request that began no reply.
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

    /// The number of running replies, for measurements.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().by_id.len()
    }

    pub(super) fn add(&self, running: &Arc<RunningReply>) {
        let id = running.id.clone();
        self.table().by_id.insert(id, Arc::clone(running));
    }

    pub(super) fn remove(&self, running: &RunningReply) {
        let mut table = self.table();
        table.by_id.remove(&running.id);
        let key = (running.owner.clone(), running.request_id.clone());
        table.by_request.remove(&key);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no holder of the lock panics")
    }
}

impl RunningReply {
    /// Stops the reply and waits until it is stored, at most [`STOP_LIMIT`].
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let _ = timeout(STOP_LIMIT, self.over.cancelled()).await;
    }

    /// Waits until the reply has ended.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }
}
