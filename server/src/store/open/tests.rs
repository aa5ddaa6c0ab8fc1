//! Opening a store: migrations, the copies before them, and URLs.

use sqlx::{AnyConnection, Connection, query, query_as, query_scalar};

use super::sqlite::sqlite_url;
use super::*;
use crate::store::LOCAL_OWNER;
use crate::store::database::rows::row;

/// A migration after the released ones.
const NEXT: SchemaStep = SchemaStep {
    version: 1_000_000,
    name: "next",
    sqlite: "update conversations set title = upper(title);",
    postgres: "",
    changes_data: true,
};

async fn count(path: &Path, sql: &'static str) -> i64 {
    let url = sqlite_url(path, "ro").expect("a plain path");
    let mut connection = AnyConnection::connect(&url).await.expect("a database");
    let count = query_scalar(sql).fetch_one(&mut connection).await;
    count.expect("a number")
}

#[tokio::test]
async fn a_copy_is_kept_before_a_migration_that_changes_data() {
    sqlx::any::install_default_drivers();
    let folder = tempfile::TempDir::new().expect("a folder");
    let copy = folder.path().join("rill-before-1000000.db");
    let store = open_sqlite(folder.path(), STEPS).await.expect("a store");
    query(
        "insert into conversations (id, owner, title, titled_by, created_at, updated_at)
         values ('c', $1, 'lower', 0, 0, 0)",
    )
    .bind(LOCAL_OWNER)
    .execute(&mut *store.write.settled().await)
    .await
    .expect("saved");
    store.close().await;
    drop(store);
    assert!(!copy.exists());
    let steps = [STEPS, &[NEXT]].concat();
    let store = open_sqlite(folder.path(), &steps).await.expect("a store");
    let lower = "select count(*) from conversations where title = 'lower'";
    assert_eq!(count(&copy, lower).await, 1);
    assert_eq!(count(&folder.path().join(FILE), lower).await, 0);
    // The next start changes nothing, and copies nothing.
    store.close().await;
    drop(store);
    std::fs::remove_file(&copy).expect("it is there");
    open_sqlite(folder.path(), &steps).await.expect("a store");
    assert!(!copy.exists());
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_database_as_it_was() {
    sqlx::any::install_default_drivers();
    let folder = tempfile::TempDir::new().expect("a folder");
    open_sqlite(folder.path(), STEPS).await.expect("a store");
    let wrong = SchemaStep {
        sqlite: "drop table pieces; update nowhere set x = 1;",
        ..NEXT
    };
    let error = open_sqlite(folder.path(), &[STEPS, &[wrong]].concat()).await;
    let error = error.err().expect("it is refused");
    assert!(error.contains("cannot be migrated"), "{error}");
    let path = folder.path().join(FILE);
    let pieces = "select count(*) from sqlite_master where name = 'pieces'";
    assert_eq!(count(&path, pieces).await, 1);
}

const UUID: &str = "0190a0a0-00bc-7def-8000-0123456789ab";

row! {
    struct IdRow {
        title: String,
        id: String,
    }
}

async fn insert(store: &Store, id: &str) {
    query(
        "insert into conversations (id, owner, title, titled_by, created_at, updated_at)
         values ($1, $2, $1, 0, 0, 0)",
    )
    .bind(id)
    .bind(LOCAL_OWNER)
    .execute(&mut *store.write.settled().await)
    .await
    .expect("saved");
}

/// Migrates a database of the version before ids had one form, with these conversations. Returns the titles,
/// which are the former ids, with the new ids.
async fn respelled(
    ids: &[String],
    before: Store,
    after: impl AsyncFn() -> Store,
) -> Vec<(String, String)> {
    for id in ids {
        insert(&before, id).await;
    }
    let insert_reply = "insert into messages
            (id, conversation, owner, role, text, state, generation, created_at)
         select 'm', min(key), owner, 'assistant', '', 'streaming', $1, 0
         from conversations group by owner";
    let insert_generation = "insert into generations (id, owner, request_id, message, conversation)
         select $1, owner, 'r', 'm', min(key) from conversations group by owner";
    let insert_piece = "insert into pieces (generation, number, owner, text, reasoning, marks)
         select $1, 0, m.owner, 'kept', '', m.marks from messages m";
    for sql in [insert_reply, insert_generation, insert_piece] {
        query(sql)
            .bind(UUID.replace('-', ""))
            .execute(&mut *before.write.settled().await)
            .await
            .expect("saved");
    }
    before.close().await;
    drop(before);
    let store = after().await;
    let found: Vec<IdRow> = query_as("select title, id from conversations order by key")
        .fetch_all(&mut *store.write.settled().await)
        .await
        .expect("rows");
    let reply = store.reply(LOCAL_OWNER, UUID).await.expect("a reply");
    assert_eq!(reply.piece.text, "kept");
    store.close().await;
    found.into_iter().map(|row| (row.title, row.id)).collect()
}

fn spellings() -> Vec<String> {
    let simple = UUID.replace('-', "");
    vec![
        UUID.to_uppercase(),
        simple.clone(),
        simple.to_uppercase(),
        format!("{{{UUID}}}"),
        format!("urn:uuid:{UUID}"),
        format!("urn:uuid:{}", UUID.to_uppercase()),
    ]
}

/// A single spelling becomes the one form. Of several spellings of an id, one becomes it, and the others get
/// new ids.
async fn check_respelled(check: impl AsyncFn(Vec<String>) -> Vec<(String, String)>) {
    for spelling in spellings() {
        let found = check(vec![spelling.clone()]).await;
        assert_eq!(found, [(spelling, UUID.to_owned())]);
    }
    let mut all = spellings();
    for has_the_form in [false, true] {
        if has_the_form {
            all.push(UUID.to_owned());
        }
        let found = check(all.clone()).await;
        let keeps = if has_the_form { UUID } else { all[0].as_str() };
        for (title, id) in &found {
            assert_eq!(*title == keeps, id == UUID, "{title}: {id}");
            assert_eq!(app::protocol::Id::parse(id).as_deref(), Some(id.as_str()));
        }
        let mut ids: Vec<_> = found.iter().map(|(_, id)| id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
    }
}

#[tokio::test]
async fn conversations_that_were_kept_under_another_spelling_get_the_one_form() {
    sqlx::any::install_default_drivers();
    check_respelled(async |ids| {
        let folder = tempfile::TempDir::new().expect("a folder");
        let before = open_sqlite(folder.path(), &STEPS[..2])
            .await
            .expect("a store");
        let after = async || open_sqlite(folder.path(), STEPS).await.expect("a store");
        respelled(&ids, before, after).await
    })
    .await;
}

#[tokio::test]
async fn the_same_in_postgresql() {
    let Ok(server) = std::env::var("RILL_TEST_POSTGRES") else {
        return;
    };
    sqlx::any::install_default_drivers();
    check_respelled(async |ids| {
        let name = format!("rill_{}", crate::store::new_id().replace('-', ""));
        let mut connection = AnyConnection::connect(&server).await.expect("PostgreSQL");
        let create = format!("create database {name}");
        query(sqlx::AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .expect("a database");
        let url = server.replacen("/postgres", &format!("/{name}"), 1);
        let before = open_postgres(&url, &STEPS[..2]).await.expect("a store");
        let after = async || open_postgres(&url, STEPS).await.expect("a store");
        let found = respelled(&ids, before, after).await;
        let drop = format!("drop database {name} with (force)");
        query(sqlx::AssertSqlSafe(drop))
            .execute(&mut connection)
            .await
            .expect("it is ours");
        found
    })
    .await;
}

#[test]
fn any_path_can_be_part_of_a_url() {
    let check = |path: &str, expect: &str| {
        assert_eq!(sqlite_url(Path::new(path), "rw").as_deref(), Ok(expect));
    };
    check("/a/b-c_d.e~f", "sqlite:///a/b-c_d.e~f?mode=rw");
    check("/a b/?x#y%é", "sqlite:///a%20b/%3Fx%23y%25%C3%A9?mode=rw");
}
