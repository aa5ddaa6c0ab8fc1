//! The commands `rill backup` and `rill check`. Both work on a SQLite file, also while a server uses it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AnyConnection, ConnectOptions, Connection, Row, query, query_as, query_scalar};

use super::database::failure;
use super::database::rows::row;
use super::edit::UNUSED;
use super::migrations::STEPS;
use super::open::sqlite::{FILE, LOCK, check_writable, sqlite_url};
use super::open::{connect_options, named_folder, newer};
use super::{StoreError, StoreSettings};

row! {
    struct CountRow {
        conversations: i64,
        messages: i64,
    }
}

/// Writes a consistent copy of the database into a new file. Returns the sentence to print.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn backup(settings: &StoreSettings, file: &Path) -> Result<String, String> {
    if settings.database_url.is_some() {
        return Err("rill backup copies SQLite databases: use pg_dump for PostgreSQL.".to_owned());
    }
    if file.exists() {
        return Err(format!(
            "{} exists already: name a new file.",
            file.display()
        ));
    }
    let (mut connection, path) = connect(settings).await?;
    let copy = file
        .to_str()
        .ok_or("the name of the file must be UTF-8.")?
        .to_owned();
    query("vacuum into $1")
        .bind(copy)
        .execute(&mut connection)
        .await
        .map_err(|error| {
            // SQLite does not tell whether the copy or the database failed; most often it is the copy.
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

/// Checks the database for damage. Returns the sentence to print.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn check(settings: &StoreSettings) -> Result<String, String> {
    if settings.database_url.is_some() {
        return Err("rill check reads SQLite databases: use pg_amcheck for PostgreSQL.".to_owned());
    }
    let (mut connection, path) = connect(settings).await?;
    let failed = |error: sqlx::Error| failure::sentence(&path, &error);
    match version(&mut connection).await.map_err(failed)? {
        None => {
            return Err(format!(
                "{} is not a database of Rill. Restore a backup, or name another folder with --data-dir.",
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
            "{} is damaged: {finding}. Restore a backup, or export what can still be read.",
            path.display()
        ));
    }
    let count: CountRow = query_as(
        "select (select count(*) from conversations) as conversations,
             (select count(*) from messages) as messages",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(failed)?;
    let sentence = format!(
        "{} is intact: {} conversations, {} messages",
        path.display(),
        count.conversations,
        count.messages
    );
    let _ = connection.close().await;
    Ok(sentence)
}

/// The number of the process that uses the folder of these settings.
///
/// # Errors
/// A sentence that says why it is not known.
pub fn running_process(settings: &StoreSettings) -> Result<i32, String> {
    if settings.database_url.is_some() {
        return Err(
            "with a PostgreSQL database it is not known which process is Rill's: send it SIGHUP."
                .to_owned(),
        );
    }
    let path = named_folder(settings)?.join(LOCK);
    let none = || format!("no Rill uses the folder of {}.", path.display());
    let file = File::open(&path).map_err(|_| none())?;
    match file.try_lock_shared() {
        Err(std::fs::TryLockError::WouldBlock) => {}
        _ => return Err(none()),
    }
    let number = std::fs::read_to_string(&path).unwrap_or_default();
    let unknown = || {
        format!(
            "{} does not say which process is Rill's: send it SIGHUP.",
            path.display()
        )
    };
    number.trim().parse().map_err(|_| unknown())
}

/// Counts the conversations that were not used since this time, in milliseconds since 1970, and would be deleted.
/// Returns the sentence to print.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn count_unused(settings: &StoreSettings, unused_since: i64) -> Result<String, String> {
    let mut connection = match &settings.database_url {
        None => connect(settings).await?.0,
        Some(url) => connect_postgres(url).await?,
    };
    let count = format!(
        "select (select count(*) from conversations where {UNUSED}) as conversations,
             (select count(*) from messages where conversation in
                 (select key from conversations where {UNUSED})) as messages"
    );
    let count: CountRow = query_as(sqlx::AssertSqlSafe(count))
        .bind(unused_since)
        .fetch_one(&mut connection)
        .await
        .map_err(|error| StoreError::from(error).to_string())?;
    let _ = connection.close().await;
    Ok(format!(
        "{} conversations with {} messages would be deleted",
        count.conversations, count.messages
    ))
}

/// Examines the store of these settings, also while a server uses it. Returns the sentence to print.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn examine(settings: &StoreSettings) -> Result<String, String> {
    if let Some(url) = &settings.database_url {
        let _ = connect_postgres(url).await?.close().await;
        return Ok("The PostgreSQL database can be reached.".to_owned());
    }
    let folder = super::open::folder(settings)?;
    if !folder.join(FILE).exists() {
        return Ok(format!(
            "Conversations will be stored in {}.",
            folder.display()
        ));
    }
    check(settings).await.map(|sentence| format!("{sentence}."))
}

/// A connection to the PostgreSQL database with this URL, which is not repeated since it may hold a password.
async fn connect_postgres(url: &SecretString) -> Result<AnyConnection, String> {
    sqlx::any::install_default_drivers();
    let failed = |error: sqlx::Error| {
        let error = StoreError::from(error);
        format!("The database of --database-url cannot be reached: {error}.")
    };
    let options = connect_options(url.expose_secret()).map_err(failed)?;
    let connecting = tokio::time::timeout(std::time::Duration::from_secs(10), options.connect());
    connecting
        .await
        .map_err(|_| "The database of --database-url does not answer in time.".to_owned())?
        .map_err(failed)
}

/// The version of the last migration of a database; `None` if it is not a database of Rill.
async fn version(connection: &mut AnyConnection) -> Result<Option<i64>, sqlx::Error> {
    let tables: i64 =
        query_scalar("select count(*) from sqlite_master where name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(None);
    }
    query_scalar("select max(version) from _sqlx_migrations")
        .fetch_one(connection)
        .await
}

/// The first damage that SQLite finds.
async fn finding(connection: &mut AnyConnection) -> Result<Option<String>, sqlx::Error> {
    for (sql, column) in [
        ("pragma integrity_check(10)", "integrity_check"),
        ("pragma foreign_key_check", "table"),
    ] {
        for row in query(sql).fetch_all(&mut *connection).await? {
            let found: String = row.try_get(column).unwrap_or_default();
            if found != "ok" {
                return Ok(Some(found));
            }
        }
    }
    // A damaged full-text index reports an error for this statement, instead of rows.
    for sql in [
        "insert into message_words (message_words) values ('integrity-check')",
        "insert into title_words (title_words) values ('integrity-check')",
    ] {
        query(sql).execute(&mut *connection).await?;
    }
    Ok(None)
}

/// A connection to the database of these settings, which is neither created nor migrated.
async fn connect(settings: &StoreSettings) -> Result<(AnyConnection, PathBuf), String> {
    sqlx::any::install_default_drivers();
    let path = named_folder(settings)?.join(FILE);
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
    let options = connect_options(&sqlite_url(&path, "rw")?).map_err(failed)?;
    let mut connection = options.connect().await.map_err(failed)?;
    query("pragma busy_timeout = 2000")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    Ok((connection, path))
}
