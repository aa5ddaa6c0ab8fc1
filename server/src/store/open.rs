//! Opens the store that the settings name: connects to the database and migrates it.

mod postgres;
pub(super) mod sqlite;

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyConnectOptions;
use sqlx::migrate::MigrateError;
use sqlx::{AnyPool, ConnectOptions};

use self::postgres::open_postgres;
use self::sqlite::{FILE, open_memory, open_sqlite, open_sqlite_beside};
use super::database::failure::{self, DatabaseFailure};
use super::migrations::{STEPS, SchemaStep, migrator};
use super::{Database, Store, StoreError};

/// How long a connection may be idle before it is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Where conversations are stored.
#[derive(Debug, Clone, Default)]
pub struct StoreSettings {
    /// The folder of the SQLite file. The default is `rill` in the platform's folder for data.
    pub data_dir: Option<PathBuf>,
    /// The URL of a PostgreSQL database to use instead of SQLite.
    pub database_url: Option<SecretString>,
}

/// A store that is ready to use.
pub struct OpenedStore {
    /// The store.
    pub store: Store,
    /// Where conversations are stored, for the log. `None`: in memory only, because no folder could be
    /// made.
    pub place: Option<String>,
}

/// Opens the store that the settings name, and interrupts the replies that a crash left running.
///
/// If the platform's folder cannot be made, the store is in memory and the page says so. A folder that the
/// settings name must be usable.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn open(settings: &StoreSettings) -> Result<OpenedStore, String> {
    sqlx::any::install_default_drivers();
    let opened = match &settings.database_url {
        Some(url) => OpenedStore {
            store: open_postgres(url.expose_secret(), STEPS).await?,
            place: Some("PostgreSQL".to_owned()),
        },
        None => match folder(settings) {
            Ok(folder) => OpenedStore {
                store: open_sqlite(&folder, STEPS).await?,
                place: Some(folder.join(FILE).display().to_string()),
            },
            Err(sentence) if settings.data_dir.is_some() => return Err(sentence),
            Err(sentence) => {
                tracing::warn!("{sentence} Until then, conversations are lost when Rill ends.");
                OpenedStore {
                    store: open_memory().await?,
                    place: None,
                }
            }
        },
    };
    let failed = |error: StoreError| {
        let place = opened.place.as_deref().unwrap_or("memory");
        format!("conversations cannot be stored in {place}: {error}")
    };
    let interrupted = opened.store.interrupt_all().await.map_err(failed)?;
    if interrupted > 0 {
        tracing::warn!(
            replies = interrupted,
            "replies were interrupted when the last run ended"
        );
    }
    opened.store.forget_imports().await.map_err(failed)?;
    Ok(opened)
}

/// Opens the store for a command, also while a server uses it. A new database is made, and an old one migrated unless a
/// server runs. Replies that are being made are left alone.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn open_beside(settings: &StoreSettings) -> Result<Store, String> {
    sqlx::any::install_default_drivers();
    match &settings.database_url {
        Some(url) => open_postgres(url.expose_secret(), STEPS).await,
        None => open_sqlite_beside(&folder(settings)?, STEPS).await,
    }
}

/// The folder for the data, which may not exist.
pub(super) fn named_folder(settings: &StoreSettings) -> Result<PathBuf, String> {
    match &settings.data_dir {
        Some(folder) => Ok(folder.clone()),
        None => Ok(dirs::data_dir()
            .ok_or("there is no folder for data on this machine: name one with --data-dir.")?
            .join("rill")),
    }
}

/// The folder for the data, created if it does not exist.
pub(super) fn folder(settings: &StoreSettings) -> Result<PathBuf, String> {
    let folder = named_folder(settings)?;
    std::fs::create_dir_all(&folder)
        .and_then(|()| {
            // Only writing shows whether the folder is writable.
            probe(&folder)
        })
        .map_err(|error| {
            format!(
                "conversations cannot be stored in {}: {error}. Name another folder with --data-dir.",
                folder.display()
            )
        })?;
    Ok(folder)
}

fn probe(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".rill-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(probe)
}

/// The options to connect to this URL. sqlx does not log statements that fail or are slow, because the
/// store logs failures itself.
pub(super) fn connect_options(url: &str) -> Result<AnyConnectOptions, sqlx::Error> {
    Ok(url
        .parse::<AnyConnectOptions>()?
        .disable_statement_logging())
}

async fn migrate(
    pool: &AnyPool,
    steps: &[SchemaStep],
    database: Database,
    place: &Path,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "the database {} cannot be migrated: {error}",
            place.display()
        )
    };
    migrator(steps, database)
        .run(pool)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => newer(place),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                match DatabaseFailure::of(&error) {
                    DatabaseFailure::Other => failed(&StoreError::from(error)),
                    _ if database == Database::Sqlite => failure::sentence(place, &error),
                    _ => failed(&StoreError::from(error)),
                }
            }
            error => failed(&error),
        })
}

/// The error for a database that a newer version of Rill has migrated.
pub(super) fn newer(place: &Path) -> String {
    format!(
        "the database {} was made by a newer version of Rill: install that version, or name another \
         place with --data-dir.",
        place.display()
    )
}

#[cfg(test)]
mod tests;
