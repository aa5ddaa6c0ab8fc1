//! A conversation without its messages, and its summary in a list.

use app::protocol::saved::ConversationSummary;
use sqlx::query_as;

use crate::store::Result;
use crate::store::database::rows::row;
use crate::store::database::transaction::TransactionConnection;

row! {
    /// A conversation as it is stored.
    pub(super) struct ConversationRow {
        key: i64,
        id: String,
        title: String,
        pinned: i64,
        leaf: Option<String>,
    }
}

/// Reads a conversation of this owner by its id.
///
/// # Errors
/// `NotFound` for one that is deleted, is being imported, or has another owner.
pub(super) async fn conversation(
    tx: &mut TransactionConnection,
    owner: &str,
    id: &str,
) -> Result<ConversationRow> {
    let found = query_as(
        "select key, id, title, pinned, leaf from conversations
         where owner = $1 and id = $2 and deleted_at is null and import is null",
    );
    Ok(found.bind(owner).bind(id).fetch_one(tx).await?)
}

/// The columns of a [`SummaryRow`], of the table `conversations c`.
macro_rules! summary_columns {
    () => {
        "c.key as key, c.id as id, c.title as title, c.created_at as created_at,
         c.updated_at as updated_at, c.pinned as pinned, c.ended_at as ended_at, c.read_at as read_at,
         (select count(*) from messages m where m.conversation = c.key and m.state = 'streaming')
             as running"
    };
}
pub(super) use summary_columns;

row! {
    /// A conversation as a list shows it.
    pub(super) struct SummaryRow {
        key: i64,
        id: String,
        title: String,
        created_at: i64,
        updated_at: i64,
        pinned: i64,
        ended_at: i64,
        read_at: i64,
        running: i64,
    }
}

impl From<SummaryRow> for ConversationSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            id: row.id,
            title: row.title,
            created_at: row.created_at,
            updated_at: row.updated_at,
            pinned: row.pinned != 0,
            running: row.running != 0,
            unread: row.ended_at > row.read_at,
        }
    }
}
