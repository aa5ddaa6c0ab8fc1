//! Opens the store that the settings name: finds the folder, connects, and migrates the database.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::MigrateError;
use sqlx::{AnyPool, ConnectOptions, Connection, Executor, Row, query};

use super::failure::Failure;
use super::migrations::{STEPS, Step, migrator};
use super::{Database, Store, StoreError, failure, postgres, sqlite};

/// How many read SQLite at one time. Each is a thread, which ends when it was idle for a while.
const READERS: u32 = 4;
/// How many connections to PostgreSQL there are.
const POSTGRES_CONNECTIONS: u32 = 10;
const IDLE: Duration = Duration::from_secs(60);
/// How long one waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// Where conversations are kept.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The folder of the SQLite file; without one, `rill` in the platform's folder for data.
    pub data_dir: Option<PathBuf>,
    /// The URL of a PostgreSQL database that is used instead.
    pub database_url: Option<SecretString>,
}

/// A store that is ready.
pub struct Opened {
    /// The store.
    pub store: Store,
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
pub async fn open(settings: &Settings) -> Result<Opened, String> {
    sqlx::any::install_default_drivers();
    let opened = match &settings.database_url {
        Some(url) => Opened {
            store: open_postgres(url.expose_secret(), STEPS).await?,
            place: Some("PostgreSQL".to_owned()),
        },
        None => match folder(settings) {
            Ok(folder) => Opened {
                store: open_sqlite(&folder, STEPS).await?,
                place: Some(folder.join(FILE).display().to_string()),
            },
            Err(sentence) if settings.data_dir.is_some() => return Err(sentence),
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

pub(super) const FILE: &str = "rill.db";

/// The folder for the data, whether it is there or not.
pub(super) fn named_folder(settings: &Settings) -> Result<PathBuf, String> {
    match &settings.data_dir {
        Some(folder) => Ok(folder.clone()),
        None => Ok(dirs::data_dir()
            .ok_or("there is no folder for data on this machine: name one with --data-dir.")?
            .join("rill")),
    }
}

/// The folder for the data, made if it is not there.
fn folder(settings: &Settings) -> Result<PathBuf, String> {
    let folder = named_folder(settings)?;
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

pub(super) fn sqlite_url(path: &Path, mode: &str) -> Result<String, String> {
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
pub(super) fn options(url: &str) -> Result<AnyConnectOptions, sqlx::Error> {
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
pub(super) fn check_writable(path: &Path) -> Result<(), String> {
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

pub(super) async fn open_sqlite(folder: &Path, steps: &[Step]) -> Result<Store, String> {
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
    migrate(&write, steps, Database::Sqlite, &path).await?;
    let read = sqlite_options(READERS).connect_lazy_with(options);
    Ok(Store {
        _lock: Some(lock),
        ..Store::new(write, read, Database::Sqlite)
    })
}

pub(super) async fn open_memory() -> Result<Store, String> {
    // A database in memory belongs to its one connection.
    let pool = sqlite_options(1)
        .connect("sqlite::memory:")
        .await
        .map_err(|error| format!("no database can be made in memory: {error}"))?;
    migrate(&pool, STEPS, Database::Sqlite, Path::new("in memory")).await?;
    Ok(Store {
        is_memory: true,
        ..Store::new(pool.clone(), pool, Database::Sqlite)
    })
}

pub(super) async fn open_postgres(url: &str, steps: &[Step]) -> Result<Store, String> {
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
        Database::Postgres,
        Path::new("of --database-url"),
    )
    .await?;
    Ok(Store::new(pool.clone(), pool, Database::Postgres))
}

async fn migrate(
    pool: &AnyPool,
    steps: &[Step],
    database: Database,
    place: &Path,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "the database {} cannot be brought up to date: {error}",
            place.display()
        )
    };
    migrator(steps, database)
        .run(pool)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => newer(place),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                match Failure::of(&error) {
                    Failure::Other => failed(&StoreError::from(error)),
                    _ if database == Database::Sqlite => failure::sentence(place, &error),
                    _ => failed(&StoreError::from(error)),
                }
            }
            error => failed(&error),
        })
}

pub(super) fn newer(place: &Path) -> String {
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

#[cfg(test)]
mod tests;
