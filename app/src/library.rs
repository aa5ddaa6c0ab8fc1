//! Reading and editing saved conversations: what can be asked for, and the server functions by which
//! it is.
//!
//! The functions stand at fixed paths, take and give JSON, and serve the page and other programs
//! alike. What they do is the [`Library`]'s affair, which the server provides as a context; so this
//! crate knows no database. Replies are not read here: they are streams.

pub mod backend;
mod functions;
pub mod index;
pub mod list;

use std::sync::Arc;

use futures::future::BoxFuture;
use leptos::prelude::{FromServerFnError, ServerFnErrorErr, provide_context, use_context};
use leptos::server_fn::codec::JsonEncoding;

pub use self::functions::*;
use crate::protocol::saved::{ConversationDetail, ConversationList, SearchHits};
use crate::protocol::{ErrorBody, ErrorKind, Id, NOT_THE_SERVER, Refusal};

/// What a [`Library`] answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ErrorBody>>;

/// Which part of which path through a conversation is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPart {
    /// The conversation.
    pub id: Id,
    /// The last message of the part; without it the part ends with the path.
    pub last: Option<Id>,
    /// A message of the path; without it, it is the path that is shown. Below the message it goes on
    /// with the newest version each time.
    pub through: Option<Id>,
    /// Another version of `through`, by its number, in the place of that one.
    pub version: Option<u32>,
    /// The most messages.
    pub limit: Option<u32>,
}

/// The saved conversations of one person. Ids that are not theirs are not found.
pub trait Library: Send + Sync {
    /// The head of the list, or the part of it that begins at the cursor `before`.
    fn list(&self, before: Option<String>, limit: Option<u32>) -> Answer<'_, ConversationList>;
    /// A whole conversation.
    fn get(&self, id: Id) -> Answer<'_, ConversationDetail>;
    /// A part of a path through a conversation.
    fn path(&self, part: PathPart) -> Answer<'_, ConversationDetail>;
    /// Gives it another title.
    fn rename(&self, id: Id, title: String) -> Answer<'_, ()>;
    /// Puts it above the others, or back among them.
    fn pin(&self, id: Id, pinned: bool) -> Answer<'_, ()>;
    /// Deletes it. For a while it can be restored.
    fn delete(&self, id: Id) -> Answer<'_, ()>;
    /// Takes the deletion back.
    fn restore(&self, id: Id) -> Answer<'_, ()>;
    /// Notes which path of it is shown: the one that ends with this message.
    fn show(&self, id: Id, leaf: Id) -> Answer<'_, ()>;
    /// Notes that it has been read.
    fn read(&self, id: Id) -> Answer<'_, ()>;
    /// Looks for words in titles and messages. The last word need not be whole.
    fn search(&self, query: String, limit: Option<u32>) -> Answer<'_, SearchHits>;
}

/// Makes the library available to the server functions.
pub fn provide_library(library: Arc<dyn Library>) {
    provide_context(library);
}

/// The library, on the server.
///
/// # Errors
/// Where none was provided.
pub fn use_library() -> Result<Arc<dyn Library>, ErrorBody> {
    use_context().ok_or_else(|| ErrorBody::of(ErrorKind::Internal))
}

/// What cannot be read is the request on the server, and the answer in the browser. Leptos's own
/// `is_server` knows it only while a page is rendered.
const IS_BROWSER: bool = cfg!(target_arch = "wasm32");

impl FromServerFnError for ErrorBody {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Request(_) => Self::of(ErrorKind::ServerUnreachable),
            ServerFnErrorErr::Deserialization(cause)
            | ServerFnErrorErr::Args(cause)
            | ServerFnErrorErr::MissingArg(cause)
                if !IS_BROWSER =>
            {
                Self {
                    error: Refusal {
                        kind: ErrorKind::BadRequest,
                        message: format!("This is no such request: {cause}."),
                    },
                }
            }
            ServerFnErrorErr::Deserialization(_) => Self {
                error: Refusal {
                    kind: ErrorKind::Unknown,
                    message: NOT_THE_SERVER.to_owned(),
                },
            },
            _ => Self::of(ErrorKind::Internal),
        }
    }
}
