//! The store, with SQLite and, where the variable `RILL_TEST_POSTGRES` names a server, with PostgreSQL:
//! `scripts/test` starts one.

mod failing_disk;
mod full_disk;
mod import;
mod library;
mod maintenance;
mod open;
mod path;
mod replies;
mod search;
mod seq;
mod slices;
mod storage_faults;

use std::sync::Arc;

use app::protocol::saved::{MessageState, SavedMessage, Timing};
use app::protocol::{ChatEvent, Finish, Role, Start, Usage};
use server::config::Saving;
use server::replies::log::Log;
use server::store::{
    self, Begun, Finished, LOCAL_OWNER, NewReply, Store, StoreError, Turn, new_id,
};
use server::store::{GenerationEnd, Piece};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, query};
use tempfile::TempDir;

const OTHER: &str = "somebody else";

/// The settings of a store, with its folder or its database.
struct Place {
    saving: Saving,
    _folder: TempDir,
    /// The URL of the server, and the name of the database on it, which is dropped at the end.
    postgres: Option<(String, String)>,
}

impl Place {
    fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self {
            saving: saving(&["--data-dir", folder.path().to_str().expect("a plain path")]),
            _folder: folder,
            postgres: None,
        }
    }

    /// A new database, if there is a server.
    async fn postgres() -> Option<Self> {
        let server = std::env::var("RILL_TEST_POSTGRES").ok()?;
        sqlx::any::install_default_drivers();
        let name = format!("rill_{}", new_id().replace('-', ""));
        let mut connection = AnyConnection::connect(&server).await.expect("PostgreSQL");
        query(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await
            .expect("a database");
        let url = server.replacen("/postgres", &format!("/{name}"), 1);
        Some(Self {
            saving: saving(&["--database-url", &url]),
            _folder: TempDir::new().expect("a folder"),
            postgres: Some((server, name)),
        })
    }

    async fn open(&self) -> Store {
        store::open(&self.saving.store())
            .await
            .expect("a store")
            .store
    }

    async fn drop_database(self) {
        if let Some((server, name)) = self.postgres {
            let mut connection = AnyConnection::connect(&server).await.expect("PostgreSQL");
            query(AssertSqlSafe(format!("drop database {name} with (force)")))
                .execute(&mut connection)
                .await
                .expect("it is ours");
        }
    }
}

fn saving(arguments: &[&str]) -> Saving {
    use clap::Parser;
    server::config::Config::try_parse_from(["rill"].iter().chain(arguments))
        .expect("flags that are right")
        .saving
}

/// Runs a test with the store of each database system.
async fn each(test: impl AsyncFn(Arc<Store>)) {
    let sqlite = Place::sqlite();
    test(Arc::new(sqlite.open().await)).await;
    if let Some(postgres) = Place::postgres().await {
        let store: Arc<Store> = Arc::new(postgres.open().await);
        test(Arc::clone(&store)).await;
        store.close().await;
        postgres.drop_database().await;
    }
}

fn question(conversation: &str, parent: Option<&str>, text: &str) -> NewReply {
    new_reply(
        conversation,
        Turn::Question {
            parent: parent.map(str::to_owned),
            text: text.to_owned(),
        },
    )
}

fn new_reply(conversation: &str, turn: Turn) -> NewReply {
    NewReply {
        conversation: conversation.to_owned(),
        request_id: new_id(),
        generation: new_id(),
        turn,
        model: "m".into(),
        parameters: "{}".into(),
        title: "Title".into(),
        now: store::now(),
    }
}

/// A piece with one event for each text, as a log encodes it.
fn piece(texts: &[&str]) -> Piece {
    let log = Log::new(Start::default());
    for text in texts {
        let mut writer = log.writer();
        writer.add(&ChatEvent::Text((*text).into()));
        writer.show();
    }
    log.whole().0
}

fn finished(texts: &[&str]) -> Finished {
    Finished {
        whole: piece(texts),
        end: GenerationEnd::Done(Finish::Stop),
        model: "m2".into(),
        usage: Some(Usage {
            prompt_tokens: Some(3),
            ..Usage::default()
        }),
        timing: Timing {
            first_token_ms: Some(1),
            duration_ms: Some(2),
            thinking_ms: None,
        },
        now: store::now(),
    }
}

/// Stores a question with its answer.
async fn say(store: &Arc<Store>, owner: &str, new: &NewReply, answer: &str) -> Begun {
    let begun = store.begin(owner, new).await.expect("it is saved");
    store
        .finish(owner, &begun.generation, &finished(&[answer]))
        .await
        .expect("it is saved");
    begun
}

fn is_missing<T>(result: store::Result<T>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}
