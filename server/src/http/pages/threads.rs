//! Threads that render pages. Rendering a long conversation takes as long as many requests and would block a
//! worker of the runtime. These threads also have a larger stack. Texts are bounded so that none needs more
//! (see `app/src/markdown/depth.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use app::protocol::ErrorKind;
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::http::error::AppError;

/// The stack of a thread, in bytes. Unused stack takes no memory.
const STACK: usize = 64 * 1024 * 1024;

/// Renders a limited number of pages at once. Clones share the limit.
#[derive(Debug, Clone)]
pub(super) struct PageThreads {
    turns: Arc<Semaphore>,
}

impl PageThreads {
    /// One page at once for each processor.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(processors)),
        }
    }

    /// Renders a page on a thread of its own. A panic continues in the caller, so that it affects one page
    /// only.
    pub(super) async fn run(
        &self,
        page: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .expect("the turns are never closed");
        let (send, rendered) = oneshot::channel();
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("page".to_owned())
            .stack_size(STACK);
        let spawned = thread.spawn(move || {
            let _turn = turn;
            let page = catch_unwind(AssertUnwindSafe(|| runtime.block_on(page)));
            // The request may have been cancelled.
            let _ = send.send(page);
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for a page");
            return AppError::from(ErrorKind::Internal).into_response();
        }
        match rendered.await {
            Ok(Ok(page)) => page,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => AppError::from(ErrorKind::Internal).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;

    use super::*;

    fn page() -> Response {
        Response::new(Body::empty())
    }

    #[tokio::test]
    async fn a_page_that_takes_long_does_not_hold_up_what_waits_for_the_same_worker() {
        let threads = PageThreads::new();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let rendering = tokio::spawn(async move {
            threads
                .run(async move {
                    wait.recv_timeout(Duration::from_secs(60))
                        .expect("the test goes on meanwhile");
                    page()
                })
                .await
        });
        // There is one worker, and it is here.
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!rendering.is_finished());
        go.send(()).expect("the page waits");
        assert_eq!(rendering.await.expect("a page").status(), 200);
    }

    #[tokio::test]
    async fn a_page_may_use_more_of_the_stack_than_a_worker_has() {
        fn deep(levels: usize) -> usize {
            let frame = std::hint::black_box([levels; 128]);
            if levels == 0 {
                0
            } else {
                deep(levels - 1) + frame[1] / levels
            }
        }
        let rendering = PageThreads::new();
        let answer = rendering
            .run(async {
                assert_eq!(deep(8_000), 8_000);
                page()
            })
            .await;
        assert_eq!(answer.status(), 200);
    }

    #[tokio::test]
    async fn a_panic_costs_one_page() {
        let threads = PageThreads::new();
        for _ in 0..threads.turns.available_permits() + 1 {
            let threads = threads.clone();
            let rendering =
                tokio::spawn(
                    async move { threads.run(async { panic!("a page of this test") }).await },
                );
            assert!(rendering.await.expect_err("it panicked").is_panic());
        }
        assert_eq!(threads.run(async { page() }).await.status(), 200);
    }
}
