//! The commands that work on a database without serving it: `rill backup` and `rill check`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, ConnectOptions, Connection, Row, query};

use super::migrations::STEPS;
use super::open::{FILE, check_writable, named_folder, newer, options, sqlite_url};
use super::{Settings, StoreError, failure};

/// Writes a consistent copy of the database into a new file, also while a server works with it.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn backup(settings: &Settings, file: &Path) -> Result<String, String> {
    if settings.database_url.is_some() {
        return Err("a PostgreSQL database is copied by pg_dump.".to_owned());
    }
    if file.exists() {
        return Err(format!(
            "{} is there already: name a new file.",
            file.display()
        ));
    }
    let (mut connection, path) = connect(settings).await?;
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
pub async fn check(settings: &Settings) -> Result<String, String> {
    if settings.database_url.is_some() {
        return Err("a PostgreSQL database is verified by pg_amcheck.".to_owned());
    }
    let (mut connection, path) = connect(settings).await?;
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
async fn connect(settings: &Settings) -> Result<(AnyConnection, PathBuf), String> {
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
    let options = options(&sqlite_url(&path, "rw")?).map_err(failed)?;
    let mut connection = options.connect().await.map_err(failed)?;
    query("pragma busy_timeout = 2000")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    Ok((connection, path))
}
