//! A table test: every statement of every write fails with an error of each class, in each database. Then
//! nothing of the write is stored, and the next write succeeds, is visible to another connection, and
//! survives a kill.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, query, query_scalar};
use tempfile::TempDir;

use super::faults::Fault;
use super::{finished, open_memory, piece, question, reply, settings, to_import};
use crate::store::{
    Ask, ImportCursor, ImportPart, LOCAL_OWNER, NewReply, Result, Store, TitledBy, new_id, open,
};

/// Every method of the store that writes, with the ways to call it. All other methods are in
/// `READS`.
const WRITES: [(&str, &[Write]); 14] = [
    (
        "begin",
        &[
            Write::BeginConversation,
            Write::Begin,
            Write::Regenerate,
            Write::Continue,
        ],
    ),
    ("append", &[Write::Append]),
    ("finish", &[Write::Finish]),
    ("interrupt_all", &[Write::InterruptAll]),
    ("rename", &[Write::Rename]),
    ("pin", &[Write::Pin]),
    ("delete", &[Write::Delete]),
    ("restore", &[Write::Restore]),
    ("show", &[Write::Show]),
    ("mark_read", &[Write::Read]),
    ("purge", &[Write::Purge]),
    ("import", &[Write::Import]),
    ("finish_import", &[Write::FinishImport]),
    ("abandon_import", &[Write::AbandonImport]),
];
const READS: [&str; 13] = [
    "reply",
    "list",
    "summary",
    "get",
    "keys",
    "key",
    "head",
    "messages_after",
    "shown",
    "messages",
    "path",
    "search",
    "close",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    BeginConversation,
    Begin,
    Regenerate,
    Continue,
    Append,
    Finish,
    InterruptAll,
    Rename,
    Pin,
    Delete,
    Restore,
    Show,
    Read,
    Purge,
    Import,
    FinishImport,
    AbandonImport,
}

/// The path and the text of every file of the store that is not a test.
fn sources() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (vec![src.join("store.rs")], vec![src.join("store")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|name| name == "rs") && !is_test {
                found.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("text");
        (path, text)
    };
    found.into_iter().map(read).collect()
}

#[test]
fn every_method_of_the_store_is_in_the_table() {
    let mut methods = BTreeSet::new();
    for (_, source) in sources() {
        let found = source.split("\n    pub async fn ").skip(1);
        methods.extend(found.filter_map(|rest| rest.split(['(', '<']).next().map(str::to_owned)));
    }
    let listed = WRITES.iter().map(|(name, _)| *name).chain(READS);
    assert_eq!(methods, listed.map(str::to_owned).collect());
}

#[test]
fn what_is_written_and_read_goes_through_transactions_alone() {
    let sources = sources();
    assert!(sources.len() > 30, "files are missing");
    for (path, source) in sources {
        if path.ends_with("database/transaction.rs") {
            continue;
        }
        for past in [
            "self.write.",
            "&self.write",
            "self.read.",
            "&self.read",
            ".begin()",
        ] {
            // Closing is no statement.
            let source = source.replace(&format!("{past}close()"), "");
            assert!(!source.contains(past), "{past} in {}", path.display());
        }
    }
}

/// By code as SQLite has them (<https://sqlite.org/rescode.html>). It rolls back by itself after the
/// first four, as a rule, and leaves the transaction open after the others.
const OF_SQLITE: [(&str, Fault); 9] = [
    ("full", Fault::RolledBack("13")),
    ("I/O", Fault::RolledBack("4874")),
    ("no memory", Fault::RolledBack("7")),
    ("interrupted", Fault::RolledBack("9")),
    ("busy", Fault::LeftOpen("5")),
    ("read-only", Fault::LeftOpen("1032")),
    ("corrupt", Fault::LeftOpen("779")),
    ("full, within a statement", Fault::LeftOpen("13")),
    ("answer lost", Fault::AnswerLost),
];

/// By code as PostgreSQL has them
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const OF_POSTGRES: [(&str, Fault); 8] = [
    ("full", Fault::LeftOpen("53100")),
    ("I/O", Fault::LeftOpen("58030")),
    ("busy", Fault::LeftOpen("55P03")),
    ("read-only", Fault::LeftOpen("25006")),
    ("corrupt", Fault::LeftOpen("XX001")),
    ("cancelled", Fault::LeftOpen("57014")),
    ("terminated", Fault::Terminated),
    ("answer lost", Fault::AnswerLost),
];

#[tokio::test]
async fn in_sqlite_a_fault_at_any_statement_is_rolled_back_and_the_next_write_is_kept() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&settings(Some(folder.path()), None)).await;
    let store = in_one_slice(store.expect("a store").store);
    let url = format!("sqlite://{}", folder.path().join("rill.db").display());
    check(&store, &url, Some(folder.path()), &OF_SQLITE).await;
}

#[tokio::test]
async fn in_memory_a_fault_at_any_statement_loses_nothing_else() {
    // Its rows cannot be seen by another connection; that everything before is still there can.
    let store = open_memory().await;
    let kept = question(&new_id(), None, "before");
    store.begin(LOCAL_OWNER, &kept).await.expect("saved");
    for (class, fault) in OF_SQLITE {
        for at in 0..9 {
            store.faults.expect(Some((at, fault)));
            let new = question(&new_id(), None, "meanwhile");
            let _ = store.begin(LOCAL_OWNER, &new).await;
            store.faults.expect(None);
            let next = question(&new_id(), None, "next");
            let saved = store.begin(LOCAL_OWNER, &next).await;
            saved.unwrap_or_else(|error| panic!("{class} at {at}: then {error}"));
            for conversation in [&kept.conversation, &next.conversation] {
                let there = store.get(LOCAL_OWNER, conversation).await;
                there.unwrap_or_else(|error| panic!("{class} at {at}: {error}"));
            }
        }
    }
}

#[tokio::test]
async fn in_postgresql_a_fault_at_any_statement_is_rolled_back_and_the_next_write_is_kept() {
    let Ok(server) = std::env::var("RILL_TEST_POSTGRES") else {
        return;
    };
    sqlx::any::install_default_drivers();
    let mut admin = AnyConnection::connect(&server).await.expect("PostgreSQL");
    let name = format!("rill_{}", new_id().replace('-', ""));
    run(&mut admin, format!("create database {name}")).await;
    let url = server.replacen("/postgres", &format!("/{name}"), 1);
    let store = open(&settings(None, Some(&url))).await;
    let store = in_one_slice(store.expect("a store").store);
    check(&store, &url, None, &OF_POSTGRES).await;
    store.close().await;
    run(&mut admin, format!("drop database {name} with (force)")).await;
}

async fn run(connection: &mut AnyConnection, sql: String) {
    let done = query(AssertSqlSafe(sql)).execute(connection).await;
    done.expect("it is right");
}

/// A store that does long work in one slice, on a machine of any speed.
fn in_one_slice(store: Store) -> Store {
    Store {
        slice: Duration::from_secs(60),
        write_limit: Duration::from_secs(60),
        ..store
    }
}

/// Goes through the table.
async fn check(store: &Store, url: &str, folder: Option<&Path>, classes: &[(&str, Fault)]) {
    let mut other = AnyConnection::connect(url).await.expect("a database");
    for write in WRITES.iter().flat_map(|(_, writes)| *writes).copied() {
        empty(&mut other).await;
        let there = prepare(store, write).await;
        store.faults.expect(None);
        let expected = write.call(store, &there).await.expect("saved");
        let (statements, _) = store.faults.seen();
        assert!(statements >= 3, "{write:?}");
        for at in 0..statements {
            // How PostgreSQL ends a transaction does not depend on the code, and it takes long to
            // connect: one of the codes for each statement.
            let is_next = |number: usize| folder.is_some() || number >= 6 || number == at % 6;
            let chosen = classes.iter().enumerate();
            for (_, (class, fault)) in chosen.filter(|(number, _)| is_next(*number)) {
                let case = format!("{write:?}, statement {at} of {statements}, {class}");
                empty(&mut other).await;
                let there = prepare(store, write).await;
                let before = rows(&mut other).await;
                // Whether it was committed cannot be known.
                let is_unknown = *fault == Fault::AnswerLost && at == statements - 1;
                let mut is_saved = false;
                // Two in a row: the first may leave a state that only the second one shows.
                for _ in 0..2 {
                    store.faults.expect(Some((at, *fault)));
                    let result = write.call(store, &there).await;
                    let (_, is_to_come) = store.faults.seen();
                    let after = rows(&mut other).await;
                    match result {
                        Ok(given) => {
                            assert_ne!(after, before, "{case}: said to be saved");
                            assert_eq!(given, expected, "{case}");
                            is_saved = true;
                            break;
                        }
                        Err(_) if is_unknown => break,
                        Err(_) => {
                            assert!(!is_to_come, "{case}: not met");
                            assert_eq!(after, before, "{case}: a part was kept");
                        }
                    }
                }
                store.faults.expect(None);
                if !is_saved && !is_unknown {
                    let given = write.call(store, &there).await;
                    assert_eq!(given.expect("saved now"), expected, "{case}");
                    assert_ne!(rows(&mut other).await, before, "{case}");
                }
                next_is_kept(store, &mut other, folder, &case).await;
            }
        }
    }
}

/// A write that follows works, is seen by another connection, and survives a kill.
async fn next_is_kept(store: &Store, other: &mut AnyConnection, folder: Option<&Path>, case: &str) {
    let next = question(&new_id(), None, "next");
    let begun = store.begin(LOCAL_OWNER, &next).await;
    let begun = begun.unwrap_or_else(|error| panic!("{case}: then {error}"));
    let finished = store
        .finish(LOCAL_OWNER, &begun.generation, &finished("whole"))
        .await;
    finished.unwrap_or_else(|error| panic!("{case}: then {error}"));
    let seen = rows(other).await;
    let row = format!("{} done {} whole", begun.message, begun.generation);
    assert!(seen.contains(&row), "{case}: the next is not seen");
    if let Some(folder) = folder {
        run(other, "begin immediate".to_owned()).await;
        run(other, "rollback".to_owned()).await;
        assert_eq!(after_a_kill(folder).await, seen, "{case}");
    }
}

/// The rows that a kill at this moment would leave.
async fn after_a_kill(folder: &Path) -> Vec<String> {
    let copy = TempDir::new().expect("a folder");
    for name in ["rill.db", "rill.db-wal"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).expect("a file");
    }
    let url = format!("sqlite://{}", copy.path().join("rill.db").display());
    let mut left = AnyConnection::connect(&url).await.expect("a database");
    // The copy need not be durable.
    run(&mut left, "pragma synchronous = off".to_owned()).await;
    rows(&mut left).await
}

/// All rows of the tables, as another connection sees them.
async fn rows(other: &mut AnyConnection) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "select id || ' ' || title || ' ' || pinned || ' ' || coalesce(deleted_at, 0) || ' ' || coalesce(leaf, '-')
             || ' ' || coalesce(import, '-') || ' ' || read_at from conversations order by id",
        "select id || ' ' || state || ' ' || coalesce(generation, '-') || ' ' || text from messages order by id",
        "select id from generations order by id",
        "select generation || ' ' || number || ' ' || text from pieces order by generation, number",
    ] {
        let found: Vec<String> = query_scalar(sql).fetch_all(&mut *other).await.expect("rows");
        all.extend(found);
    }
    all
}

async fn empty(other: &mut AnyConnection) {
    let tables = ["pieces", "generations", "messages", "conversations"];
    let all = tables.map(|table| format!("delete from {table};"));
    let done = sqlx::raw_sql(AssertSqlSafe(all.concat())).execute(other);
    done.await.expect("they are there");
}

/// The rows and requests that a write needs.
struct Prepared {
    conversation: String,
    question: String,
    running: String,
    import: String,
    /// A request that begins another reply.
    reply: NewReply,
    to_import: Vec<ImportPart>,
}

async fn prepare(store: &Store, write: Write) -> Prepared {
    store.faults.expect(None);
    let conversation = new_id();
    let new = question(&conversation, None, "question");
    let begun = store.begin(LOCAL_OWNER, &new).await.expect("saved");
    let whole = finished("answer");
    let done = store.finish(LOCAL_OWNER, &begun.generation, &whole);
    done.await.expect("saved");
    let new = question(&new_id(), None, "another");
    let running = store.begin(LOCAL_OWNER, &new).await.expect("saved");
    let one = piece("one");
    let first = store.append(LOCAL_OWNER, &running.generation, 0, &one);
    first.await.expect("saved");
    let import = new_id();
    let to_import = [to_import(), to_import()].concat();
    if matches!(write, Write::FinishImport | Write::AbandonImport) {
        let mut cursor = ImportCursor::default();
        let hidden = store.import(LOCAL_OWNER, &import, &mut cursor, to_import.clone());
        hidden.await.expect("saved");
    }
    if matches!(write, Write::Restore | Write::Purge) {
        let deleted = store.delete(LOCAL_OWNER, &conversation, 7);
        deleted.await.expect("saved");
    }
    let answer = begun.message;
    let reply = match write {
        Write::BeginConversation => question(&new_id(), None, "more"),
        Write::Regenerate => reply(&conversation, Ask::Regenerate(answer.clone())),
        Write::Continue => reply(&conversation, Ask::Continue(answer.clone())),
        _ => question(&conversation, Some(&answer), "more"),
    };
    Prepared {
        conversation,
        question: begun.user_message.expect("it was asked"),
        running: running.generation,
        import,
        reply,
        to_import,
    }
}

impl Write {
    /// Writes, and returns the result without ids.
    async fn call(self, store: &Store, there: &Prepared) -> Result<String> {
        let (owner, id) = (LOCAL_OWNER, there.conversation.as_str());
        match self {
            Self::BeginConversation | Self::Begin | Self::Regenerate | Self::Continue => {
                let begun = store.begin(owner, &there.reply).await?;
                assert_eq!(begun.generation, there.reply.generation);
                return Ok(format!(
                    "{} {:?} {:?}",
                    begun.is_first, begun.history, begun.base
                ));
            }
            Self::Append => {
                let more = piece("two");
                store.append(owner, &there.running, 1, &more).await?;
            }
            Self::Finish => {
                let whole = finished("one two");
                store.finish(owner, &there.running, &whole).await?;
            }
            Self::InterruptAll => return Ok(store.interrupt_all().await?.to_string()),
            Self::Rename => store.rename(owner, id, "New", TitledBy::Person).await?,
            Self::Pin => store.pin(owner, id, true).await?,
            Self::Delete => return Ok(format!("{:?}", store.delete(owner, id, 9).await?)),
            Self::Restore => store.restore(owner, id).await?,
            Self::Show => store.show(owner, id, &there.question).await?,
            Self::Read => store.mark_read(owner, id, 11).await?,
            Self::Purge => return Ok(store.purge(8).await?.to_string()),
            Self::Import => {
                let mut cursor = ImportCursor::default();
                let parts = there.to_import.clone();
                let import = store.import(owner, &there.import, &mut cursor, parts);
                return Ok(format!("{:?}", import.await?));
            }
            Self::FinishImport => store.finish_import(owner, &there.import).await?,
            Self::AbandonImport => store.abandon_import(&there.import).await?,
        }
        Ok(String::new())
    }
}
