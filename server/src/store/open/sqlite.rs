//! Opens SQLite: locks the folder, finds out whether the file can be used, connects, and migrates.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::LazyLock;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, ConnectOptions, Connection, query, query_scalar};

use super::{IDLE, connect_options, migrate};
use crate::store::Store;
use crate::store::database::connections::{ACQUIRE, Connections};
use crate::store::database::{Database, failure, sqlite};
use crate::store::migrations::{STEPS, SchemaStep};

/// The name of the database file in its folder.
pub(in crate::store) const FILE: &str = "rill.db";
/// The name of the file that is locked while a process uses the folder.
pub(in crate::store) const LOCK: &str = "rill.lock";
/// The most connections that read. Each has a thread, which ends when it was idle for [`IDLE`].
const READERS: u32 = 4;

/// Whether temporary files can be made where SQLite looks for a place: not in an empty container.
static HAS_TEMPORARY_FILES: LazyLock<bool> =
    LazyLock::new(|| tempfile::tempfile_in(std::env::temp_dir()).is_ok());

pub(in crate::store) async fn open_sqlite(
    folder: &Path,
    steps: &[SchemaStep],
) -> Result<Store, String> {
    let lock = lock(folder)?;
    let path = folder.join(FILE);
    let url = sqlite_url(&path, "rwc")?;
    let failed = |error: sqlx::Error| failure::sentence(&path, &error);
    check_writable(&path)?;
    // A pool would retry until its timeout; a single connection reports an error at once.
    probe(&url).await.map_err(failed)?;
    let options = connect_options(&url).map_err(failed)?;
    let write = pool_options(1).connect_with(options.clone()).await;
    let write = write.map_err(failed)?;
    let backup = backup_before(&write, folder, steps).await.map_err(failed)?;
    if let Some(backup) = backup {
        tracing::info!("the database is migrated; a copy of it is kept in {backup}");
    }
    migrate(&write, steps, Database::Sqlite, &path).await?;
    let read = pool_options(READERS).connect_lazy_with(options);
    Ok(Store {
        _lock: Some(lock),
        ..Store::new(
            Connections::kept(write, 1),
            Connections::kept(read, READERS),
            Database::Sqlite,
        )
    })
}

/// Opens the database for a command. While a server has the folder, the database is used as it is, and must have the
/// version that this program knows. The folder is not kept: a server may start meanwhile.
pub(in crate::store) async fn open_sqlite_beside(
    folder: &Path,
    steps: &[SchemaStep],
) -> Result<Store, String> {
    if lock(folder).is_ok() {
        let store = open_sqlite(folder, steps).await?;
        return Ok(Store {
            _lock: None,
            ..store
        });
    }
    let path = folder.join(FILE);
    let failed = |error: sqlx::Error| failure::sentence(&path, &error);
    check_writable(&path)?;
    let options = connect_options(&sqlite_url(&path, "rw")?).map_err(failed)?;
    let pool = pool_options(1)
        .connect_with(options)
        .await
        .map_err(failed)?;
    let version: i64 = query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(&pool)
        .await
        .map_err(failed)?;
    if steps.last().is_none_or(|step| step.version != version) {
        return Err(format!(
            "the server that uses {} is of another version: use its own program for this command.",
            folder.display()
        ));
    }
    let only = Connections::kept(pool, 1);
    Ok(Store::new(only.clone(), only, Database::Sqlite))
}

pub(in crate::store) async fn open_memory() -> Result<Store, String> {
    // A database in memory exists only in its one connection.
    let pool = pool_options(1)
        .connect("sqlite::memory:")
        .await
        .map_err(|error| format!("no database can be made in memory: {error}"))?;
    migrate(&pool, STEPS, Database::Sqlite, Path::new("in memory")).await?;
    let only = Connections::kept(pool, 1);
    Ok(Store {
        is_memory: true,
        ..Store::new(only.clone(), only, Database::Sqlite)
    })
}

/// Locks the folder for this process. A second server over the same file would mark the replies of the
/// first as interrupted.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join(LOCK);
    // Another Rill's number must stay in it.
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| failure::of_file(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {
            // `rill reload` reads it. On a full disk it cannot be written, and only that does not work.
            let _ = file
                .set_len(0)
                .and_then(|()| (&file).write_all(std::process::id().to_string().as_bytes()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(format!(
            "another Rill uses the folder {}: stop it, or name another folder with --data-dir.",
            folder.display()
        )),
        // The file system has no locks, so a second server cannot be detected.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// The URL of a database file. `mode` is SQLite's: `ro`, `rw` or `rwc`.
pub(in crate::store) fn sqlite_url(path: &Path, mode: &str) -> Result<String, String> {
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

fn pool_options(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(if connections > 1 { Some(IDLE) } else { None })
        // One reading connection stays open: when the last connection closes, SQLite removes the files
        // beside the database, and cannot create them again when the disk is full.
        .min_connections(u32::from(connections > 1))
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let without_files = (!*HAS_TEMPORARY_FILES).then_some(sqlite::TEMPORARY_IN_MEMORY);
                for setting in sqlite::SETTINGS.into_iter().chain(without_files) {
                    query(setting).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
}

/// An error where the file cannot be written. SQLite would open it for reading, and every later write would
/// fail.
pub(in crate::store) fn check_writable(path: &Path) -> Result<(), String> {
    match File::options().write(true).open(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failure::of_file(path, &error)),
        _ => Ok(()),
    }
}

/// Opens the file once, sets its journal mode and reads from it.
async fn probe(url: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect_options(url)?.connect().await?;
    query("pragma busy_timeout = 2000")
        .execute(&mut connection)
        .await?;
    query(sqlite::JOURNAL).execute(&mut connection).await?;
    query("select count(*) from sqlite_master")
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Copies the database beside itself before a migration that changes data. Returns the path of the copy.
async fn backup_before(
    pool: &AnyPool,
    folder: &Path,
    steps: &[SchemaStep],
) -> Result<Option<String>, sqlx::Error> {
    let tables: i64 =
        query_scalar("select count(*) from sqlite_master where name = '_sqlx_migrations'")
            .fetch_one(pool)
            .await?;
    let is_new = tables == 0;
    if is_new {
        return Ok(None);
    }
    let applied: i64 = query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(pool)
        .await?;
    let is_due = |step: &&SchemaStep| step.version > applied && step.changes_data;
    let Some(step) = steps.iter().find(is_due) else {
        return Ok(None);
    };
    let copy = folder.join(format!("rill-before-{}.db", step.version));
    let copy = copy.display().to_string();
    // `vacuum into` refuses to overwrite the copy of an earlier attempt.
    let _ = std::fs::remove_file(&copy);
    query("vacuum into $1").bind(&copy).execute(pool).await?;
    Ok(Some(copy))
}
