//! What the tests of the store share, and tests of its transactions: statements that fail, owners that leave,
//! and a full disk.

mod cut_connection;
mod every_statement;
pub(super) mod faults;
mod full_disk;
mod late_pieces;
mod owners;
mod postgres_faults;
mod postgres_plans;
mod postgres_proxy;
mod removal;
mod scrub;
mod single_reads;
mod writes;

use std::path::Path;

use app::protocol::saved::{MessageState, SavedMessage, Timing};
use app::protocol::{Finish, Role};

use super::{
    ConversationHead, Finished, GenerationEnd, ImportPart, NewReply, Piece, Store, StoreSettings,
    Turn, new_id, now, open,
};

/// A store in this folder.
pub(in crate::store) async fn opened(folder: &Path) -> Store {
    let opened = open(&settings(Some(folder), None)).await;
    opened.expect("a store").store
}

/// A store in memory.
pub(in crate::store) async fn open_memory() -> Store {
    sqlx::any::install_default_drivers();
    crate::store::open::sqlite::open_memory()
        .await
        .expect("a store")
}

/// The settings of a store in this folder, or at this URL.
pub(in crate::store) fn settings(folder: Option<&Path>, url: Option<&str>) -> StoreSettings {
    StoreSettings {
        data_dir: folder.map(Path::to_owned),
        database_url: url.map(Into::into),
    }
}

/// A request with a new question.
pub(in crate::store) fn question(conversation: &str, parent: Option<&str>, text: &str) -> NewReply {
    reply(
        conversation,
        Turn::Question {
            parent: parent.map(str::to_owned),
            text: text.to_owned(),
        },
    )
}

/// A request of any kind.
pub(in crate::store) fn reply(conversation: &str, turn: Turn) -> NewReply {
    NewReply {
        conversation: conversation.to_owned(),
        request_id: new_id(),
        generation: new_id(),
        turn,
        model: "m".to_owned(),
        parameters: "{}".to_owned(),
        title: "Title".to_owned(),
        now: now(),
    }
}

pub(in crate::store) fn piece(text: &str) -> Piece {
    Piece {
        text: text.to_owned(),
        ..Piece::default()
    }
}

/// The end of a reply with this text.
pub(in crate::store) fn finished(text: &str) -> Finished {
    Finished {
        whole: piece(text),
        end: GenerationEnd::Done(Finish::Stop),
        model: "m".to_owned(),
        usage: None,
        timing: Timing::default(),
        now: now(),
    }
}

/// The parts of an import of one conversation with two messages.
pub(in crate::store) fn to_import() -> Vec<ImportPart> {
    let id = new_id();
    let message = |id: &str, parent: Option<&str>, role| {
        ImportPart::Message(Box::new(SavedMessage {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            role,
            text: "imported".to_owned(),
            reasoning: String::new(),
            model: None,
            created_at: 5,
            usage: None,
            timing: None,
            state: MessageState::Done {
                finish: Finish::Stop,
            },
            could_not_be_saved: false,
            edited: false,
        }))
    };
    let (question, answer) = (new_id(), new_id());
    vec![
        ImportPart::Begin(Some(id.clone())),
        message(&question, None, Role::User),
        message(&answer, Some(&question), Role::Assistant),
        ImportPart::End(ConversationHead {
            id,
            title: "Imported".to_owned(),
            created_at: 5,
            updated_at: 6,
            pinned: false,
            leaf: None,
        }),
    ]
}
