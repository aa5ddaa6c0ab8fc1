//! Opens the store that the settings name: finds the folder, connects, brings the database to its
//! present form. Also what can be done with a database from the command line.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, Executor, Row, query};

use super::failure::Failure;
use super::migrations::{STEPS, Step, migrator};
use super::sql::Dialect;
use super::{Sql, Store, StoreError, failure, postgres, sqlite};
use crate::config::Saving;

/// How many read SQLite at one time. Each is a thread, which ends when it was idle for a while.
const READERS: u32 = 4;
/// How many connections to PostgreSQL there are.
const POSTGRES_CONNECTIONS: u32 = 10;
const IDLE: Duration = Duration::from_secs(60);
/// How long one waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// A store that is ready.
pub struct Opened {
    /// The store.
    pub store: Sql,
    /// Where it keeps what it keeps, for the log. Nothing: in memory only, since no folder could be
    /// made.
    pub place: Option<String>,
}

/// Opens the store that the settings name, and interrupts what a crash has left running.
///
/// A folder that nobody named and that cannot be made is no reason not to start: conversations are
/// then kept in memory, and the page says so. One that was named is.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn open(saving: &Saving) -> Result<Opened, String> {
    sqlx::any::install_default_drivers();
    let opened = match &saving.database_url {
        Some(url) => Opened {
            store: open_postgres(url.expose_secret(), STEPS).await?,
            place: Some("PostgreSQL".to_owned()),
        },
        None => match folder(saving) {
            Ok(folder) => Opened {
                store: open_sqlite(&folder, STEPS).await?,
                place: Some(folder.join(FILE).display().to_string()),
            },
            Err(sentence) if saving.data_dir.is_some() => return Err(sentence),
            Err(sentence) => {
                tracing::warn!("{sentence} Until then conversations are lost when Rill ends.");
                Opened {
                    store: open_memory().await?,
                    place: None,
                }
            }
        },
    };
    let failed = |error: StoreError| {
        let place = opened.place.as_deref().unwrap_or("memory");
        format!("conversations cannot be kept in {place}: {error}")
    };
    let interrupted = opened.store.interrupt_all().await.map_err(failed)?;
    if interrupted > 0 {
        tracing::warn!(replies = interrupted, "the last run ended in mid-reply");
    }
    opened.store.forget_imports().await.map_err(failed)?;
    Ok(opened)
}

const FILE: &str = "rill.db";

/// The folder for the data, whether it is there or not.
fn named_folder(saving: &Saving) -> Result<PathBuf, String> {
    match &saving.data_dir {
        Some(folder) => Ok(folder.clone()),
        None => Ok(dirs::data_dir()
            .ok_or("there is no folder for data on this machine: name one with --data-dir.")?
            .join("rill")),
    }
}

/// The folder for the data, made if it is not there.
fn folder(saving: &Saving) -> Result<PathBuf, String> {
    let folder = named_folder(saving)?;
    std::fs::create_dir_all(&folder)
        .and_then(|()| {
            // Whether one may write there is known only by doing it.
            tempfile_in(&folder)
        })
        .map_err(|error| {
            format!(
                "conversations cannot be kept in {}: {error}. Name another folder with --data-dir.",
                folder.display()
            )
        })?;
    Ok(folder)
}

fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".rill-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(probe)
}

/// Two servers over one file would each take the other's replies for interrupted ones.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join("rill.lock");
    let file = File::create(&path).map_err(|error| failure::of_file(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another Rill keeps its conversations in {}: stop it, or name another folder with --data-dir.",
            folder.display()
        )),
        // A file system without locks: then nobody can be warned.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn sqlite_url(path: &Path, mode: &str) -> Result<String, String> {
    let text = path.to_str().ok_or_else(|| {
        format!(
            "the path {} is not text: name another folder with --data-dir.",
            path.display()
        )
    })?;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(format!("sqlite://{encoded}?mode={mode}"))
}

/// How to connect there. What fails or takes long is logged here, once, and not by sqlx as well.
fn options(url: &str) -> Result<AnyConnectOptions, sqlx::Error> {
    Ok(url
        .parse::<AnyConnectOptions>()?
        .disable_statement_logging())
}

fn sqlite_options(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(if connections > 1 { Some(IDLE) } else { None })
        // One that reads is always there: when the last connection is closed, SQLite removes what it
        // needs beside the file, and cannot make it anew when the disk is full.
        .min_connections(u32::from(connections > 1))
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                for setting in sqlite::SETTINGS {
                    query(setting).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
}

/// SQLite would read a file that it may not write, and all that is said from now on would be lost.
fn check_writable(path: &Path) -> Result<(), String> {
    match File::options().write(true).open(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failure::of_file(path, &error)),
        _ => Ok(()),
    }
}

/// Whether this can be read as a database, and written as one that does not hold up its readers.
async fn probe(url: &str) -> Result<(), sqlx::Error> {
    let mut connection = options(url)?.connect().await?;
    query("pragma busy_timeout = 2000")
        .execute(&mut connection)
        .await?;
    query(sqlite::JOURNAL).execute(&mut connection).await?;
    query("select count(*) from sqlite_master")
        .execute(&mut connection)
        .await?;
    connection.close().await
}

pub(super) async fn open_sqlite(folder: &Path, steps: &[Step]) -> Result<Sql, String> {
    let lock = lock(folder)?;
    let path = folder.join(FILE);
    let url = sqlite_url(&path, "rwc")?;
    let failed = |error: sqlx::Error| failure::sentence(&path, &error);
    check_writable(&path)?;
    // A pool would try for long what a single connection is told at once.
    probe(&url).await.map_err(failed)?;
    let options = options(&url).map_err(failed)?;
    let write = sqlite_options(1).connect_with(options.clone()).await;
    let write = write.map_err(failed)?;
    let backup = backup_before(&write, folder, steps).await.map_err(failed)?;
    if let Some(backup) = backup {
        tracing::info!("the database is brought up to date; a copy is kept in {backup}");
    }
    migrate(&write, steps, Dialect::Sqlite, &path).await?;
    let read = sqlite_options(READERS).connect_lazy_with(options);
    Ok(Sql {
        _lock: Some(lock),
        ..Sql::new(write, read, Dialect::Sqlite)
    })
}

pub(super) async fn open_memory() -> Result<Sql, String> {
    // A database in memory belongs to its one connection.
    let pool = sqlite_options(1)
        .connect("sqlite::memory:")
        .await
        .map_err(|error| format!("no database can be made in memory: {error}"))?;
    migrate(&pool, STEPS, Dialect::Sqlite, Path::new("in memory")).await?;
    Ok(Sql {
        is_memory: true,
        ..Sql::new(pool.clone(), pool, Dialect::Sqlite)
    })
}

pub(super) async fn open_postgres(url: &str, steps: &[Step]) -> Result<Sql, String> {
    // The address may hold a password and is not repeated.
    let failed = |error| {
        let error = StoreError::from(error);
        format!("the database of --database-url cannot be reached: {error}")
    };
    let pool = AnyPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Where the network breaks, the server ends a transaction that waits for nobody. What
                // is like PostgreSQL but does not know the setting is used without.
                let _ = connection.execute(postgres::SETTING).await;
                Ok(())
            })
        })
        .connect_with(options(url).map_err(failed)?)
        .await
        .map_err(failed)?;
    migrate(
        &pool,
        steps,
        Dialect::Postgres,
        Path::new("of --database-url"),
    )
    .await?;
    Ok(Sql::new(pool.clone(), pool, Dialect::Postgres))
}

async fn migrate(
    pool: &AnyPool,
    steps: &[Step],
    dialect: Dialect,
    place: &Path,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "the database {} cannot be brought up to date: {error}",
            place.display()
        )
    };
    migrator(steps, dialect)
        .run(pool)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => newer(place),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                match Failure::of(&error) {
                    Failure::Other => failed(&StoreError::from(error)),
                    _ if dialect == Dialect::Sqlite => failure::sentence(place, &error),
                    _ => failed(&StoreError::from(error)),
                }
            }
            error => failed(&error),
        })
}

fn newer(place: &Path) -> String {
    format!(
        "the database {} was made by a newer version of Rill: install that version, or name another \
         place with --data-dir.",
        place.display()
    )
}

/// Copies the database beside itself before a step that changes what is in it. Gives the copy.
async fn backup_before(
    pool: &AnyPool,
    folder: &Path,
    steps: &[Step],
) -> Result<Option<String>, sqlx::Error> {
    let is_new = query("select count(*) from sqlite_master where name = '_sqlx_migrations'")
        .fetch_one(pool)
        .await?
        .try_get::<i64, _>(0)?
        == 0;
    if is_new {
        return Ok(None);
    }
    let applied: i64 = query("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(pool)
        .await?
        .try_get(0)?;
    let is_due = |step: &&Step| step.version > applied && step.changes_data;
    let Some(step) = steps.iter().find(is_due) else {
        return Ok(None);
    };
    let copy = folder.join(format!("rill-before-{}.db", step.version));
    let copy = copy.display().to_string();
    // One of an earlier try would be in the way.
    let _ = std::fs::remove_file(&copy);
    query("vacuum into $1").bind(&copy).execute(pool).await?;
    Ok(Some(copy))
}

/// Writes a consistent copy of the database into a new file, also while a server works with it.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn backup(saving: &Saving, file: &Path) -> Result<String, String> {
    if saving.database_url.is_some() {
        return Err("a PostgreSQL database is copied by pg_dump.".to_owned());
    }
    if file.exists() {
        return Err(format!(
            "{} is there already: name a new file.",
            file.display()
        ));
    }
    let (mut connection, path) = connect(saving).await?;
    let copy = file
        .to_str()
        .ok_or("the file's name must be text.")?
        .to_owned();
    query("vacuum into $1")
        .bind(copy)
        .execute(&mut connection)
        .await
        .map_err(|error| {
            // Whether the copy or the database is at fault is not said; most often it is the copy.
            let error = StoreError::from(error);
            format!("{} could not be written: {error}.", file.display())
        })?;
    let _ = connection.close().await;
    Ok(format!(
        "{} was copied to {}",
        path.display(),
        file.display()
    ))
}

/// Verifies the database, also while a server works with it.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn check(saving: &Saving) -> Result<String, String> {
    if saving.database_url.is_some() {
        return Err("a PostgreSQL database is verified by pg_amcheck.".to_owned());
    }
    let (mut connection, path) = connect(saving).await?;
    let failed = |error: sqlx::Error| failure::sentence(&path, &error);
    match version(&mut connection).await.map_err(failed)? {
        None => {
            return Err(format!(
                "{} is a database, but none of Rill. Restore a backup, or name another folder with --data-dir.",
                path.display()
            ));
        }
        Some(version) if STEPS.iter().all(|step| step.version < version) => {
            return Err(newer(&path));
        }
        Some(_) => {}
    }
    if let Some(finding) = finding(&mut connection).await.map_err(failed)? {
        return Err(format!(
            "{} is damaged: {finding}. Restore a backup, or save what can be read by exporting it.",
            path.display()
        ));
    }
    let count =
        query("select (select count(*) from conversations), (select count(*) from messages)")
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
    let number = |at: usize| count.try_get::<i64, _>(at).unwrap_or_default();
    let sentence = format!(
        "{} is whole: {} conversations, {} messages",
        path.display(),
        number(0),
        number(1)
    );
    let _ = connection.close().await;
    Ok(sentence)
}

/// The last step that was done in a database, if it is one of Rill.
async fn version(connection: &mut AnyConnection) -> Result<Option<i64>, sqlx::Error> {
    let tables = query("select count(*) from sqlite_master where name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if tables.try_get::<i64, _>(0)? == 0 {
        return Ok(None);
    }
    let version = query("select max(version) from _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await?;
    version.try_get(0)
}

/// The first thing that is damaged.
async fn finding(connection: &mut AnyConnection) -> Result<Option<String>, sqlx::Error> {
    for sql in ["pragma integrity_check(10)", "pragma foreign_key_check"] {
        for row in query(sql).fetch_all(&mut *connection).await? {
            let word: String = row.try_get(0).unwrap_or_default();
            if word != "ok" {
                return Ok(Some(word));
            }
        }
    }
    // The only question that these tables answer by failing.
    for sql in [
        "insert into message_words (message_words) values ('integrity-check')",
        "insert into title_words (title_words) values ('integrity-check')",
    ] {
        query(sql).execute(&mut *connection).await?;
    }
    Ok(None)
}

/// A connection to the database of these settings as it is.
async fn connect(saving: &Saving) -> Result<(AnyConnection, PathBuf), String> {
    sqlx::any::install_default_drivers();
    let path = named_folder(saving)?.join(FILE);
    match File::open(&path) {
        Ok(_) => check_writable(&path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!("there is no database at {}.", path.display()));
        }
        Err(error) => {
            return Err(format!(
                "{} cannot be read: {error}. Let Rill read it, or name another folder with --data-dir.",
                path.display()
            ));
        }
    }
    let failed = |error: sqlx::Error| failure::sentence(&path, &error);
    let options = options(&sqlite_url(&path, "rw")?).map_err(failed)?;
    let mut connection = options.connect().await.map_err(failed)?;
    query("pragma busy_timeout = 2000")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    Ok((connection, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LOCAL_OWNER;

    /// A step after the ones that there are.
    const NEXT: Step = Step {
        version: 1_000_000,
        name: "next",
        sqlite: "update conversations set title = upper(title);",
        postgres: "",
        changes_data: true,
    };

    async fn count(path: &Path, sql: &'static str) -> i64 {
        let url = sqlite_url(path, "ro").expect("a plain path");
        let mut connection = AnyConnection::connect(&url).await.expect("a database");
        let row = query(sql).fetch_one(&mut connection).await.expect("a row");
        row.try_get(0).expect("a number")
    }

    #[tokio::test]
    async fn a_copy_is_kept_before_a_step_that_changes_what_is_there() {
        sqlx::any::install_default_drivers();
        let folder = tempfile::TempDir::new().expect("a folder");
        let copy = folder.path().join("rill-before-1000000.db");
        let store = open_sqlite(folder.path(), STEPS).await.expect("a store");
        query(
            "insert into conversations (id, owner, title, titled_by, created_at, updated_at)
             values ('c', $1, 'lower', 0, 0, 0)",
        )
        .bind(LOCAL_OWNER)
        .execute(&store.write)
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
    async fn a_step_that_fails_leaves_the_database_as_it_was() {
        sqlx::any::install_default_drivers();
        let folder = tempfile::TempDir::new().expect("a folder");
        open_sqlite(folder.path(), STEPS).await.expect("a store");
        let wrong = Step {
            sqlite: "drop table pieces; update nowhere set x = 1;",
            ..NEXT
        };
        let error = open_sqlite(folder.path(), &[STEPS, &[wrong]].concat()).await;
        let error = error.err().expect("it is refused");
        assert!(error.contains("cannot be brought up to date"), "{error}");
        let path = folder.path().join(FILE);
        let pieces = "select count(*) from sqlite_master where name = 'pieces'";
        assert_eq!(count(&path, pieces).await, 1);
    }

    const UUID: &str = "0190a0a0-00bc-7def-8000-0123456789ab";

    async fn insert(store: &Sql, id: &str) {
        query(
            "insert into conversations (id, owner, title, titled_by, created_at, updated_at)
             values ($1, $2, $1, 0, 0, 0)",
        )
        .bind(id)
        .bind(LOCAL_OWNER)
        .execute(&store.write)
        .await
        .expect("saved");
    }

    /// A database of the version before ids had one form, with these conversations, brought up to date:
    /// the ids by the titles, which are the ids of then.
    async fn respelled(
        ids: &[String],
        before: Sql,
        after: impl AsyncFn() -> Sql,
    ) -> Vec<(String, String)> {
        for id in ids {
            insert(&before, id).await;
        }
        let insert_reply = "insert into messages
                (id, conversation, owner, role, text, state, generation, created_at)
             select 'm', min(key), owner, 'assistant', '', 'streaming', $1, 0
             from conversations group by owner";
        let insert_generation =
            "insert into generations (id, owner, request_id, message, conversation)
             select $1, owner, 'r', 'm', min(key) from conversations group by owner";
        let insert_piece = "insert into pieces (generation, number, owner, text, reasoning, marks)
             select $1, 0, m.owner, 'kept', '', m.marks from messages m";
        for sql in [insert_reply, insert_generation, insert_piece] {
            query(sql)
                .bind(UUID.replace('-', ""))
                .execute(&before.write)
                .await
                .expect("saved");
        }
        before.close().await;
        drop(before);
        let store = after().await;
        let found = query("select title, id from conversations order by key")
            .fetch_all(&store.write)
            .await
            .expect("rows");
        let reply = store.reply(LOCAL_OWNER, UUID).await.expect("a reply");
        assert_eq!(reply.piece.text, "kept");
        store.close().await;
        let text = |row: &sqlx::any::AnyRow, at: usize| row.try_get(at).expect("a text");
        found
            .iter()
            .map(|row| (text(row, 0), text(row, 1)))
            .collect()
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

    /// Each spelling alone takes the one form; of several one does, and all have an id of their own.
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
    fn any_path_can_stand_in_an_address() {
        let check = |path: &str, expect: &str| {
            assert_eq!(sqlite_url(Path::new(path), "rw").as_deref(), Ok(expect));
        };
        check("/a/b-c_d.e~f", "sqlite:///a/b-c_d.e~f?mode=rw");
        check("/a b/?x#y%é", "sqlite:///a%20b/%3Fx%23y%25%C3%A9?mode=rw");
    }
}
