//! Slices: long work in short write transactions.
//!
//! An import or a removal writes in slices. The pool hands out connections in the order of the requests,
//! so a writer that waits gets its turn between two slices. Only one slice of all long work runs or waits
//! at a time. So a short write waits for one slice at most, however many imports run.

use std::time::{Duration, Instant};

use tokio::sync::MutexGuard;

use super::transaction::{Transaction, TransactionConnection};
use crate::store::{Result, Store};

/// The time after which a slice begins no further statement. Its last statement and its commit are not
/// included.
pub(in crate::store) const SLICE: Duration = Duration::from_millis(20);

/// A short write transaction of long work.
pub(in crate::store) struct Slice<'a> {
    tx: Transaction,
    end: Instant,
    _turn: MutexGuard<'a, ()>,
}

impl Store {
    /// Begins the next slice, after the writers that wait already.
    pub(in crate::store) async fn slice(&self) -> Result<Slice<'_>> {
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
    /// Whether the time of the slice is over, so that it should be committed.
    pub(in crate::store) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    pub(in crate::store) async fn commit(self) -> Result<()> {
        self.tx.commit().await
    }
}

impl std::ops::Deref for Slice<'_> {
    type Target = TransactionConnection;

    fn deref(&self) -> &TransactionConnection {
        &self.tx
    }
}

impl std::ops::DerefMut for Slice<'_> {
    fn deref_mut(&mut self) -> &mut TransactionConnection {
        &mut self.tx
    }
}
