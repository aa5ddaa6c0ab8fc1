//! The list of saved conversations, and the server functions that read and edit saved conversations.
//!
//! The server functions are at fixed paths, take and return JSON, and serve the page and other programs alike. They
//! call the [`Library`], which the server provides as a context, because this crate knows no database. Replies are
//! streams and are not read through the library.

pub mod backend;
mod functions;
pub mod index;
pub mod list;

use std::sync::Arc;

use futures::future::BoxFuture;
use leptos::prelude::{FromServerFnError, ServerFnErrorErr, provide_context, use_context};
use leptos::server_fn::codec::JsonEncoding;

pub use self::functions::*;
use crate::protocol::saved::{ConversationDetail, ConversationList, OutlineQuestion, SearchHits};
use crate::protocol::{ErrorBody, ErrorKind, Id, NOT_THE_SERVER, Preset, Refusal};

/// The result of a method of [`Library`].
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ErrorBody>>;

/// The part of a path through a conversation that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPart {
    /// The conversation.
    pub id: Id,
    /// The last message of the part. By default it is the last message of the path.
    pub last: Option<Id>,
    /// A message of the path; below that message the path consists of the newest versions. By default the path is
    /// the one that is shown.
    pub through: Option<Id>,
    /// The number of another version of `through` to use in its place, from 1.
    pub version: Option<u32>,
    /// The most messages to return.
    pub limit: Option<u32>,
}

/// The saved conversations of one owner. Conversations of other owners are not found.
pub trait Library: Send + Sync {
    /// The first page of the list, or the page that begins at the cursor `before`.
    fn list(&self, before: Option<String>, limit: Option<u32>) -> Answer<'_, ConversationList>;
    /// A whole conversation.
    fn get(&self, id: Id) -> Answer<'_, ConversationDetail>;
    /// A part of a path through a conversation.
    fn path(&self, part: PathPart) -> Answer<'_, ConversationDetail>;
    /// The questions of the shown path, the first one first, at most the newest 2,000.
    fn outline(&self, id: Id) -> Answer<'_, Vec<OutlineQuestion>>;
    /// Changes the title of a conversation.
    fn rename(&self, id: Id, title: String) -> Answer<'_, ()>;
    /// Pins a conversation to the top of the list, or unpins it.
    fn pin(&self, id: Id, pinned: bool) -> Answer<'_, ()>;
    /// Deletes a conversation. It can be restored for a limited time.
    fn delete(&self, id: Id) -> Answer<'_, ()>;
    /// Adds a text of the person as another version of a reply, and shows it. Returns its id.
    fn edit_reply(&self, id: Id, message: Id, text: String) -> Answer<'_, String>;
    /// Copies the path up to a message as a new conversation, with the id `into` if that is free. Returns its id. A
    /// repeated request makes no second copy.
    fn fork(&self, id: Id, message: Id, into: Id) -> Answer<'_, String>;
    /// Deletes a message and all that follows it. Returns the id with which [`Library::restore`] restores them: that
    /// of the conversation if nothing is left of it, and otherwise another.
    fn delete_messages(&self, id: Id, message: Id) -> Answer<'_, String>;
    /// Restores a deleted conversation, or deleted messages.
    fn restore(&self, id: Id) -> Answer<'_, ()>;
    /// The presets: those of the owner, and those for all people that no preset of the owner replaces by its name.
    fn presets(&self) -> Answer<'_, Vec<Preset>>;
    /// Stores a preset, in the place of one with the same name and of the one named `replaces`.
    fn save_preset(&self, preset: Preset, replaces: Option<String>) -> Answer<'_, ()>;
    /// Deletes a preset of the owner.
    fn delete_preset(&self, name: String) -> Answer<'_, ()>;
    /// Stores which path of a conversation is shown: the one that ends with the message `leaf`.
    fn show(&self, id: Id, leaf: Id) -> Answer<'_, ()>;
    /// Marks a conversation as read.
    fn read(&self, id: Id) -> Answer<'_, ()>;
    /// Searches titles and messages. The last word of the query also matches as a prefix.
    fn search(&self, query: String, limit: Option<u32>) -> Answer<'_, SearchHits>;
}

/// Provides the library to the server functions.
pub fn provide_library(library: Arc<dyn Library>) {
    provide_context(library);
}

/// The library of the server.
///
/// # Errors
/// [`ErrorKind::Internal`] if none was provided.
pub fn use_library() -> Result<Arc<dyn Library>, ErrorBody> {
    use_context().ok_or_else(|| ErrorBody::of(ErrorKind::Internal))
}

/// Whether this is the browser. A value that cannot be deserialized is a request on the server, and a response in the
/// browser. Leptos's own `is_server` is reliable only while a page is rendered.
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
