//! Stores the pieces of running replies, those of many replies in one transaction.
//!
//! While one transaction runs, or waits for the database, further pieces queue up, and the next one takes all of
//! them. So the replies that are made at the same time share the cost of a transaction, and a single reply waits for
//! no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::store::{NewPiece, Store, StoreError};

/// The most pieces in one transaction. Other writers wait for it.
const MOST_PIECES: usize = 64;

/// Stores pieces. Clones share a queue.
#[derive(Debug, Clone)]
pub(crate) struct PieceWriter {
    queue: mpsc::Sender<QueuedPiece>,
}

#[derive(Debug)]
struct QueuedPiece {
    piece: NewPiece,
    answer: oneshot::Sender<Result<(), StoreError>>,
    /// Cancelled when nobody waits for the answer any more.
    left: CancellationToken,
}

impl PieceWriter {
    /// Starts the task that stores. It ends with the last clone of the writer.
    pub(crate) fn start(store: Arc<Store>) -> Self {
        let (queue, queued) = mpsc::channel(MOST_PIECES);
        tokio::spawn(run(store, queued));
        Self { queue }
    }

    /// The number of pieces that wait for a transaction.
    pub(crate) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Stores a piece. A caller that drops this before its transaction has begun stores nothing.
    ///
    /// # Errors
    /// When the store did not take it.
    pub(crate) async fn append(&self, piece: NewPiece) -> Result<(), StoreError> {
        let (answer, stored) = oneshot::channel();
        let left = CancellationToken::new();
        let _guard = left.clone().drop_guard();
        let ended = || StoreError::Failed("the task that stores pieces has ended".into());
        let queued = QueuedPiece {
            piece,
            answer,
            left,
        };
        let sent = self.queue.send(queued).await;
        sent.map_err(|_| ended())?;
        stored.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn run(store: Arc<Store>, mut queue: mpsc::Receiver<QueuedPiece>) {
    while let Some(first) = queue.recv().await {
        let left = first.left.clone();
        let has_begun = AtomicBool::new(false);
        let mut taken = vec![first];
        let stored = store.append(|| {
            has_begun.store(true, Ordering::Relaxed);
            while taken.len() < MOST_PIECES
                && let Ok(next) = queue.try_recv()
            {
                taken.push(next);
            }
            // The whole reply was stored meanwhile, or will be: nothing would remove its piece.
            taken.retain(|queued| !queued.left.is_cancelled());
            taken.iter().map(|queued| queued.piece.clone()).collect()
        });
        let is_left = async {
            left.cancelled().await;
            if has_begun.load(Ordering::Relaxed) {
                std::future::pending().await
            }
        };
        let stored = tokio::select! {
            stored = stored => stored,
            // The whole reply is to be stored next, and must not wait for a lock that this waits for.
            () = is_left => continue,
        };
        for queued in taken {
            let _ = queued.answer.send(stored.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::join_all;
    use tempfile::TempDir;

    use super::*;
    use crate::store::model::spans::{SpanKind, Spans};
    use crate::store::{self, LOCAL_OWNER, NewReply, Piece, StoreSettings, Turn};

    async fn opened(folder: &TempDir) -> Arc<Store> {
        let settings = StoreSettings {
            data_dir: Some(folder.path().to_owned()),
            database_url: None,
        };
        Arc::new(store::open(&settings).await.expect("a store").store)
    }

    /// Begins a reply, and gives its first piece.
    async fn begun(store: &Store, text: &str) -> NewPiece {
        let new = NewReply {
            conversation: store::new_id(),
            request_id: store::new_id(),
            generation: store::new_id(),
            turn: Turn::Question {
                parent: None,
                text: "What?".to_owned(),
            },
            model: "m".to_owned(),
            parameters: "{}".to_owned(),
            title: "Title".to_owned(),
            now: store::now(),
        };
        let begun = store.begin(LOCAL_OWNER, &new).await.expect("saved");
        let mut spans = Spans::default();
        spans.push(SpanKind::Text, text.len());
        let piece = Piece {
            text: text.to_owned(),
            reasoning: String::new(),
            spans: spans.bytes().to_vec(),
        };
        NewPiece::new(LOCAL_OWNER, &begun.generation, 0, &piece)
    }

    async fn text_of(store: &Store, piece: &NewPiece) -> String {
        let reply = store.reply(LOCAL_OWNER, &piece.generation).await;
        reply.expect("a reply").piece.text
    }

    #[tokio::test]
    async fn pieces_of_many_replies_at_once_are_all_stored() {
        let folder = TempDir::new().expect("a folder");
        let store = opened(&folder).await;
        let writer = PieceWriter::start(Arc::clone(&store));
        let mut pieces = Vec::new();
        for number in 0..3 * MOST_PIECES {
            pieces.push(begun(&store, &format!("text {number}")).await);
        }
        let stored = join_all(pieces.iter().map(|piece| writer.append(piece.clone()))).await;
        assert!(stored.iter().all(Result::is_ok));
        for (number, piece) in pieces.iter().enumerate() {
            assert_eq!(text_of(&store, piece).await, format!("text {number}"));
        }
    }

    #[tokio::test]
    async fn a_piece_that_nobody_waits_for_any_more_is_not_stored() {
        let folder = TempDir::new().expect("a folder");
        let store = opened(&folder).await;
        let writer = PieceWriter::start(Arc::clone(&store));
        let (left, first, last) = (
            begun(&store, "left").await,
            begun(&store, "first").await,
            begun(&store, "last").await,
        );
        // It is in the queue, and its owner leaves.
        assert!(writer.append(left.clone()).now_or_never().is_none());
        let (first_stored, last_stored) =
            tokio::join!(writer.append(first.clone()), writer.append(last.clone()));
        first_stored.expect("stored");
        last_stored.expect("stored");
        assert_eq!(text_of(&store, &left).await, "");
        assert_eq!(text_of(&store, &first).await, "first");
        assert_eq!(text_of(&store, &last).await, "last");
    }
}
