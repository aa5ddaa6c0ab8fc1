//! A table test: every statement of every write fails with an error of each class, in each database. Then
//! nothing of the write is stored, and the next write succeeds, is visible to another connection, and
//! survives a kill.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

use super::faults::Fault;
use super::writes::{self, PostgresDatabase, WRITES, empty, in_one_slice, prepare, rows, run};
use super::{finished, open_memory, question, settings};
use crate::store::{LOCAL_OWNER, Store, new_id, open};

/// What only reads, and what changes no row: the probe, and overwriting what was deleted.
const READS: &[&str] = &[
    "probe",
    "scrub",
    "person_by_identity",
    "is_invited",
    "id_token_of",
    "passkeys_of",
    "usage_of",
    "passkey",
    "reply",
    "list",
    "summary",
    "get",
    "keys",
    "key",
    "head",
    "messages_after",
    "shown",
    "path_to",
    "outline",
    "presets",
    "messages",
    "path",
    "search",
    "person_by_email",
    "person",
    "people",
    "has_admin",
    "session",
    "api_key",
    "sessions_of",
    "keys_of",
    "invitation",
    "open_invitations",
    "audit_since",
    "access_epoch",
    "close",
];

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
    let listed = WRITES
        .iter()
        .map(|(name, _)| *name)
        .chain(READS.iter().copied());
    assert_eq!(methods, listed.map(str::to_owned).collect());
}

#[test]
fn nothing_is_written_or_read_past_the_module_of_transactions() {
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
    ("out of time", Fault::TimedOut),
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
    let Some(database) = PostgresDatabase::create().await else {
        return;
    };
    let store = database.open(&database.url).await;
    check(&store, &database.url, None, &OF_POSTGRES).await;
    store.close().await;
    database.drop_database().await;
}

/// Goes through the table.
async fn check(store: &Store, url: &str, folder: Option<&Path>, classes: &[(&str, Fault)]) {
    let mut other = AnyConnection::connect(url).await.expect("a database");
    for write in writes::all() {
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
pub(super) async fn next_is_kept(
    store: &Store,
    other: &mut AnyConnection,
    folder: Option<&Path>,
    case: &str,
) {
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
