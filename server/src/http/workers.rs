//! The threads that serve connections: one per core, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to. A reply that its requests begin is made there, and the
//! provider is asked from there. So an event crosses no thread between the provider's socket and the reader's, and no
//! other thread is woken for it. In exchange, a handler must not compute for long, since no other thread takes over
//! what waits behind it: pages are rendered, files are read and bodies are decoded on threads for that.
//!
//! A stop, a reader of the same reply on another connection, and changes of the list reach a reply from other threads
//! through the locks of the parts concerned.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How many threads there are.
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// How many connections it serves.
    load: Arc<AtomicUsize>,
    /// Ends the thread when it is dropped.
    _end: oneshot::Sender<()>,
}

impl Workers {
    /// Starts a thread for each core.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start() -> io::Result<Self> {
        Self::of(count())
    }

    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn of(count: usize) -> io::Result<Self> {
        (0..count.max(1))
            .map(Worker::start)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Runs what serves a connection on the thread that serves the fewest.
    pub(crate) fn spawn<F>(&self, connection: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let worker = self
            .0
            .iter()
            .min_by_key(|worker| worker.load.load(Ordering::Relaxed))
            .expect("there is at least one");
        let load = Load::of(&worker.load);
        worker.runtime.spawn(async move {
            let _load = load;
            connection.await;
        });
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                runtime.block_on(async {
                    let _ = ended.await;
                });
            })?;
        Ok(Self {
            runtime: handle,
            load: Arc::default(),
            _end: end,
        })
    }
}

/// Counts a connection while it is served.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn of(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
