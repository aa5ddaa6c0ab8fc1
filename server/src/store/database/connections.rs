//! The connections of a store.
//!
//! sqlx tests a connection when it is given back to its pool. For SQLite this means waking the connection's thread and
//! being woken by it, and the next writer waits for both. A SQLite connection cannot get lost, so one that was left
//! without an open transaction is kept for the next owner and does not go through the pool.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The longest wait for a connection.
pub(in crate::store) const ACQUIRE: Duration = Duration::from_secs(5);

/// Hands out connections, in the order of the requests. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Connections {
    pool: AnyPool,
    kept: Option<Arc<Kept>>,
}

struct Kept {
    /// One permit for each connection. Closed with the store.
    places: Arc<Semaphore>,
    /// The connection that was given back last. Further ones go back to the pool, which closes them after a while.
    idle: Mutex<Option<PoolConnection<Any>>>,
}

impl Connections {
    /// Connections that the pool tests whenever they are taken or given back.
    pub(in crate::store) fn tested(pool: AnyPool) -> Self {
        Self { pool, kept: None }
    }

    /// Connections that need no test. The pool must have at most so many.
    pub(in crate::store) fn kept(pool: AnyPool, most: u32) -> Self {
        let kept = Kept {
            places: Arc::new(Semaphore::new(most as usize)),
            idle: Mutex::default(),
        };
        Self {
            pool,
            kept: Some(Arc::new(kept)),
        }
    }

    /// Waits for a connection, at most [`ACQUIRE`].
    pub(super) async fn acquire(&self) -> sqlx::Result<HeldConnection> {
        let Some(kept) = &self.kept else {
            return Ok(HeldConnection {
                connection: Some(self.pool.acquire().await?),
                is_settled: false,
                place: None,
            });
        };
        let permit = timeout(ACQUIRE, Arc::clone(&kept.places).acquire_owned()).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = kept.idle().take();
        let connection = match idle {
            Some(connection) => connection,
            None => self.pool.acquire().await?,
        };
        Ok(HeldConnection {
            connection: Some(connection),
            is_settled: false,
            place: Some((Arc::clone(kept), permit)),
        })
    }

    /// Closes all connections, when they are given back.
    pub(in crate::store) async fn close(&self) {
        if let Some(kept) = &self.kept {
            kept.places.close();
            drop(kept.idle().take());
        }
        self.pool.close().await;
    }

    /// A connection outside of any transaction.
    #[cfg(test)]
    pub(in crate::store) async fn settled(&self) -> HeldConnection {
        let mut held = self.acquire().await.expect("a connection");
        held.is_settled = true;
        held
    }
}

impl Kept {
    fn idle(&self) -> MutexGuard<'_, Option<PoolConnection<Any>>> {
        self.idle.lock().expect("no holder of the lock panics")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A store that was not closed may be dropped outside of the runtime, where nothing can be given back to a pool.
        if let Some(connection) = self.idle().take() {
            drop(connection.detach());
        }
    }
}

/// A connection that is closed when it is dropped, unless it is certain that no transaction is open in it.
/// Closing rolls back.
pub(in crate::store) struct HeldConnection {
    /// There until it is dropped.
    connection: Option<PoolConnection<Any>>,
    pub(super) is_settled: bool,
    /// Where a settled one is kept. The permit comes free after that.
    place: Option<(Arc<Kept>, OwnedSemaphorePermit)>,
}

impl Deref for HeldConnection {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.connection
            .as_ref()
            .expect("it is there until the drop")
    }
}

impl DerefMut for HeldConnection {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection
            .as_mut()
            .expect("it is there until the drop")
    }
}

impl Drop for HeldConnection {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if !self.is_settled {
            connection.close_on_drop();
            return;
        }
        if let Some((kept, _)) = &self.place {
            let mut idle = kept.idle();
            if !kept.places.is_closed() {
                // Another one goes back to the pool, after the lock was released.
                let other = idle.replace(connection);
                drop(idle);
                drop(other);
            }
        }
    }
}
