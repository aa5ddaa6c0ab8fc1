//! What the page needs to send a file of conversations to the server.
//!
//! The trait stands here and its real implementation in `frontend`: a file never passes through the
//! page's memory, the browser sends it as it reads it. On the server there is none.

use std::sync::Arc;

use futures::future::LocalBoxFuture;
use leptos::prelude::{provide_context, use_context};

use crate::protocol::ReplyError;
use crate::protocol::saved::ImportReport;

/// Sends files of conversations.
pub trait Import: Send + Sync {
    /// Sends a file. `on_progress` is told how much of it has left, in percent.
    fn send(
        &self,
        file: web_sys::File,
        on_progress: Box<dyn Fn(u8)>,
    ) -> LocalBoxFuture<'static, Result<ImportReport, ReplyError>>;
}

/// Makes the import available to the page.
pub fn provide_import(import: impl Import + 'static) {
    provide_context::<Arc<dyn Import>>(Arc::new(import));
}

/// The import, if there is one here.
#[must_use]
pub fn use_import() -> Option<Arc<dyn Import>> {
    use_context()
}
