//! `POST /api/import`: imports conversations from a JSON file or a ZIP archive, of this program or another one.
//! The format is detected from the content.
//!
//! The body is first written to a temporary file, so that a slow upload blocks nothing. It is then read one
//! message at a time and added as a hidden import, which becomes visible as a whole at the end, or not at all.
//! With `Accept: application/x-ndjson` the response reports progress: lines `{"read","total"}`, and last
//! `{"report"}` or `{"error"}`.

mod archive;
mod chatgpt;
mod citations;
mod damage;
mod decode;
mod details;
mod fields;
mod file;
mod json;
mod message;
mod own;
mod reading;
mod times;
mod tree;
mod values;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use app::protocol::ErrorKind;
use app::protocol::saved::{Change, ImportReport, Skipped};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderMap};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::interval;

use self::file::{ImportStep, Pass, Unreadable};
use crate::access::Caller;
use crate::config::Config;
use crate::http::body;
use crate::http::error::AppError;
use crate::http::limits::Client;
use crate::http::negotiate::{accepts_by_name, has_content_type};
use crate::http::state::AppState;
use crate::http::streamed::streamed;
use crate::store::{ImportCursor, ImportPart, new_id};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// The least average speed of an upload, in bytes a second.
const LEAST_PACE: u64 = 64 * 1024;
/// The most parts, and the most bytes of text, in one batch.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 512 * 1024;
/// The time between two progress lines.
const TELL: Duration = Duration::from_millis(250);
/// The most skipped conversations that the report names.
const NAMED: usize = 100;

/// `POST /api/import`
pub(super) async fn import(
    State(state): State<AppState>,
    client: Client,
    caller: Caller,
    request: Request,
) -> Result<Response, AppError> {
    let headers = request.headers();
    check_type(headers)?;
    body::check_no_coding(headers)?;
    body::check_length(headers, MAX_BYTES)?;
    let wants_progress = wants_progress(headers);
    // An upload holds a pass as long as a stream does.
    let place = state.limits.streams.enter(&client)?;
    let (file, total) = spool(request.into_body(), &state.config).await?;
    let read = Arc::new(AtomicU64::new(0));
    let (done, result) = oneshot::channel();
    let adding = add_all(state.clone(), caller, file, Arc::clone(&read));
    // The import continues if the client disconnects.
    state.tasks.spawn(async move {
        let _ = done.send(adding.await);
        drop(place);
    });
    if wants_progress {
        return Ok(progress(read, total, result));
    }
    let report = result
        .await
        .map_err(|_| AppError::from(ErrorKind::Internal))??;
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(report)).into_response())
}

/// The media types of imported files. No form of another site can send them.
fn check_type(headers: &HeaderMap) -> Result<(), AppError> {
    const TYPES: [&str; 6] = [
        "application/json",
        "application/x-ndjson",
        "application/jsonl",
        "application/zip",
        "application/x-zip-compressed",
        "application/octet-stream",
    ];
    if TYPES.iter().any(|known| has_content_type(headers, known)) {
        Ok(())
    } else {
        Err(ErrorKind::UnsupportedMediaType.into())
    }
}

fn wants_progress(headers: &HeaderMap) -> bool {
    accepts_by_name(headers, "application/x-ndjson")
}

/// Writes a body into a temporary file, which is deleted when it is closed.
async fn spool(body: Body, config: &Config) -> Result<(File, u64), AppError> {
    let failed = |error: std::io::Error| upload_failure(&error);
    let mut file = tempfile::tempfile().map_err(failed)?;
    let mut total = 0;
    let limits = body::BodyLimits {
        bytes: MAX_BYTES,
        pace: LEAST_PACE,
        grace: config.body_grace,
    };
    let mut body = body::IncomingBody::new(body, limits);
    while let Some(chunk) = body.next().await? {
        total += chunk.len() as u64;
        // The write is fast, except where the system is short of memory.
        file.write_all(&chunk).map_err(failed)?;
    }
    file.rewind().map_err(failed)?;
    Ok((file, total))
}

/// Progress lines of an import, with its result in the last line.
fn progress(
    read: Arc<AtomicU64>,
    total: u64,
    mut result: oneshot::Receiver<Result<ImportReport, AppError>>,
) -> Response {
    let (sender, lines) = mpsc::channel::<Bytes>(4);
    tokio::spawn(async move {
        let mut ticks = interval(TELL);
        loop {
            let (line, is_last) = tokio::select! {
                biased;
                result = &mut result => {
                    let result = result.unwrap_or_else(|_| Err(ErrorKind::Internal.into()));
                    let line = match result {
                        Ok(report) => json!({ "report": report }),
                        Err(error) => json!(error.body()),
                    };
                    (line, true)
                }
                _ = ticks.tick() => {
                    (json!({ "read": read.load(Ordering::Relaxed), "total": total }), false)
                }
            };
            let sent = sender.send(format!("{line}\n").into()).await;
            if is_last || sent.is_err() {
                return;
            }
        }
    });
    let body = stream::unfold(lines, |mut lines| async move {
        let line = lines.recv().await?;
        Some((Ok::<_, std::io::Error>(line), lines))
    });
    streamed("application/x-ndjson", body)
}

/// Imports a file as a whole or not at all.
async fn add_all(
    state: AppState,
    caller: Caller,
    file: File,
    read: Arc<AtomicU64>,
) -> Result<ImportReport, AppError> {
    let import = new_id();
    let added = tokio::select! {
        added = add_hidden(&state, caller.owner(), file, read, &import) => added,
        // A shutdown does not wait for a large file. Nothing of it is kept.
        () = state.shutdown.cancelled() => Err(ErrorKind::Shutdown.into()),
    };
    let shown = match added {
        Ok(report) => match state.store.finish_import(caller.owner(), &import).await {
            Ok(()) => Ok(report),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error),
    };
    match shown {
        Ok(report) => {
            tracing::info!(
                conversations = report.conversations,
                messages = report.messages,
                "imported"
            );
            state.changes.announce(caller.owner(), Change::Reload);
            Ok(report)
        }
        Err(error) => {
            // A partial import is removed now or after the next start. A shutdown does not wait for that.
            let abandoned = tokio::select! {
                abandoned = state.store.abandon_import(&import) => abandoned,
                () = state.shutdown.cancelled() => Ok(()),
            };
            if let Err(error) = abandoned {
                tracing::error!(%error, "what was imported could not be removed");
                tokio::spawn(abandon_later(state, import));
            }
            Err(error)
        }
    }
}

/// Removes a partial import once the store works again. Until then its conversations are hidden, and count as
/// stored where the file is sent again.
async fn abandon_later(state: AppState, import: String) {
    /// The seconds before each attempt. The next start of the server removes what is left then.
    const PAUSES: [u64; 7] = [1, 2, 5, 15, 60, 120, 300];
    for pause in PAUSES {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(pause)) => {}
            () = state.shutdown.cancelled() => return,
        }
        if state.store.abandon_import(&import).await.is_ok() {
            return;
        }
    }
}

/// A batch for the store.
#[derive(Default)]
struct Batch {
    parts: Vec<ImportPart>,
    /// The size of its texts, in bytes.
    bytes: usize,
    /// The title and the number of messages of each conversation that ends in this batch.
    ended: Vec<(String, u64)>,
    skipped: Vec<Skipped>,
}

impl Batch {
    fn is_full(&self) -> bool {
        let count = self.parts.len() + self.skipped.len();
        count >= BATCH || self.bytes >= BATCH_BYTES
    }
}

/// Reads a file in batches. At most two batches are in memory: the one that is being filled and the one that
/// waits.
fn read_in_batches(
    mut file: File,
    read: &AtomicU64,
    sender: &mpsc::Sender<Batch>,
) -> Result<(), Unreadable> {
    let mut batch = Batch::default();
    let mut messages = 0;
    let mut take = |step| {
        match step {
            ImportStep::Part(part) => {
                match &part {
                    ImportPart::Begin(_) => messages = 0,
                    ImportPart::Message(message) => {
                        messages += 1;
                        batch.bytes += message.text.len() + message.reasoning.len();
                    }
                    ImportPart::End(_) | ImportPart::Drop | ImportPart::ForgetId => {}
                }
                batch.parts.push(part);
            }
            ImportStep::End(head, left_out) => {
                if let Some(why) = left_out {
                    let what = head.title.clone();
                    batch.skipped.push(Skipped { what, why });
                }
                batch.ended.push((head.title.clone(), messages));
                batch.parts.push(ImportPart::End(head));
            }
            ImportStep::Skipped(skipped) => batch.skipped.push(skipped),
        }
        // A receiver that is gone has failed and reports its own error.
        !batch.is_full() || sender.blocking_send(std::mem::take(&mut batch)).is_ok()
    };
    let on_read = |count| {
        read.fetch_add(count, Ordering::Relaxed);
    };
    let mut head = Vec::new();
    (&file)
        .take(4)
        .read_to_end(&mut head)
        .and_then(|_| file.rewind())
        .map_err(Unreadable::Disk)?;
    if archive::is_archive(&head) {
        archive::read(&file, &on_read, &mut take)?;
    } else {
        let open = |pass| {
            (&file).rewind()?;
            let on_read = &on_read;
            let on_read = move |count| {
                // Both passes read the whole file. The second one is the work.
                if pass == Pass::Conversations {
                    on_read(count);
                }
            };
            Ok(UploadReader {
                file: &file,
                on_read,
            })
        };
        file::read(file::MAX_ITEM, "The file", open, &mut take)?;
    }
    let _ = sender.blocking_send(batch);
    Ok(())
}

async fn add_hidden(
    state: &AppState,
    owner: &str,
    file: File,
    read: Arc<AtomicU64>,
    import: &str,
) -> Result<ImportReport, AppError> {
    let (sender, mut batches) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || read_in_batches(file, &read, &sender));
    let mut report = ImportReport::default();
    let mut cursor = ImportCursor::default();
    while let Some(batch) = batches.recv().await {
        for skipped in batch.skipped {
            skip(&mut report, skipped);
        }
        let added = state
            .store
            .import(owner, import, &mut cursor, batch.parts)
            .await?;
        for ((what, messages), is_added) in batch.ended.into_iter().zip(added) {
            if is_added {
                report.conversations += 1;
                report.messages += messages;
            } else {
                let why = "It is there already.".to_owned();
                skip(&mut report, Skipped { what, why });
            }
        }
    }
    let read = reading
        .await
        .map_err(|_| AppError::from(ErrorKind::Internal))?;
    read.map_err(|unreadable| match unreadable {
        Unreadable::Sentence(sentence) => AppError::invalid(sentence),
        Unreadable::TooLarge => ErrorKind::TooLarge.into(),
        // The receiver has failed and has reported its error.
        Unreadable::NotTaken => ErrorKind::Internal.into(),
        Unreadable::Disk(error) => upload_failure(&error),
    })?;
    Ok(report)
}

fn skip(report: &mut ImportReport, skipped: Skipped) {
    if report.skipped.len() < NAMED {
        report.skipped.push(skipped);
    } else {
        report.more_skipped += 1;
    }
}

/// The error for a temporary file that could not be written.
fn upload_failure(error: &std::io::Error) -> AppError {
    tracing::error!(%error, "an upload could not be kept");
    ErrorKind::NotSaved.into()
}

/// A file that reports how many bytes were read.
struct UploadReader<'a, F> {
    file: &'a File,
    on_read: F,
}

impl<F: Fn(u64)> Read for UploadReader<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.on_read)(read as u64);
        Ok(read)
    }
}
