//! Long work in short transactions.
//!
//! An import or a removal writes in slices. The connections of the pool are given out in the order in
//! which they were asked for, so a writer that waits comes between two slices. Only one slice of all
//! long work runs or waits at a time: a short write waits for one slice at most, however many imports
//! there are.

use std::time::{Duration, Instant};

use tokio::sync::MutexGuard;

use super::transaction::{Connection, Transaction};
use super::{Result, Store};

/// How long one slice may go on with the next statement. Its last statement and its commit come on
/// top of that.
pub(super) const SLICE: Duration = Duration::from_millis(20);

/// A short transaction of long work.
pub(super) struct Slice<'a> {
    tx: Transaction,
    end: Instant,
    _turn: MutexGuard<'a, ()>,
}

impl Store {
    /// Begins the next slice when those who wait to write have written.
    pub(super) async fn slice(&self) -> Result<Slice<'_>> {
        let turn = self.long_work.lock().await;
        let tx = self.transaction().await?;
        Ok(Slice {
            tx,
            end: Instant::now() + self.slice,
            _turn: turn,
        })
    }
}

impl Slice<'_> {
    /// Whether it is time to commit.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    pub(super) async fn commit(self) -> Result<()> {
        self.tx.commit().await
    }
}

impl std::ops::Deref for Slice<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.tx
    }
}

impl std::ops::DerefMut for Slice<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.tx
    }
}
