//! Database errors in words: one line for the log, and sentences for the commands and for the start. They
//! never contain data.

use std::io::{ErrorKind, Write};
use std::path::Path;

use sqlx::error::DatabaseError;

/// The kind of a database error, by what a person can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum DatabaseFailure {
    /// Another program or connection holds the database.
    Held,
    /// The disk has no room.
    Full,
    /// The file or its folder cannot be written.
    ReadOnly,
    /// The file or its folder cannot be opened.
    CannotOpen,
    /// The disk or the file system failed.
    Disk,
    /// The file is damaged.
    Damaged,
    /// There was not enough memory.
    Memory,
    /// The server accepts no connection, or closed it.
    Unavailable,
    /// The statement was cancelled from outside.
    Interrupted,
    /// The statement violates a constraint.
    Constraint,
    /// The database cannot store a value.
    Value,
    /// Any other error, most likely a bug of Rill.
    Other,
}

impl DatabaseFailure {
    /// The kind of an error of sqlx.
    pub(in crate::store) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::of_code(&error.code().unwrap_or_default()),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => {
                Self::Unavailable
            }
            _ => Self::Other,
        }
    }

    /// The kind of an error code, which has five characters in PostgreSQL and fewer in SQLite.
    fn of_code(code: &str) -> Self {
        if code.len() == 5 {
            return Self::of_postgres(code);
        }
        code.parse().map_or(Self::Other, Self::of_sqlite)
    }

    /// The kind of a result code (<https://sqlite.org/rescode.html>). The lowest byte is the primary code;
    /// a few extended codes are of another kind than their primary code.
    fn of_sqlite(code: u32) -> Self {
        match code {
            // SQLITE_IOERR_NOMEM.
            3082 => return Self::Memory,
            // SQLITE_IOERR_SHMSIZE: the shared-memory file cannot grow.
            4874 => return Self::Full,
            // SQLITE_IOERR_DATA: a checksum is wrong.
            8202 => return Self::Damaged,
            // SQLITE_IOERR_RDLOCK, _BLOCKED and _LOCK: locking failed, not the disk.
            2314 | 2826 | 3850 => return Self::Held,
            _ => {}
        }
        match code & 0xff {
            // SQLITE_BUSY, _LOCKED and _PROTOCOL (a race of several programs for the locks).
            5 | 6 | 15 => Self::Held,
            // SQLITE_NOMEM.
            7 => Self::Memory,
            // SQLITE_READONLY.
            8 => Self::ReadOnly,
            // SQLITE_ABORT and _INTERRUPT.
            4 | 9 => Self::Interrupted,
            // SQLITE_IOERR.
            10 => Self::Disk,
            // SQLITE_CORRUPT and _NOTADB.
            11 | 26 => Self::Damaged,
            // SQLITE_FULL, and _NOLFS (the file is larger than the file system allows).
            13 | 22 => Self::Full,
            // SQLITE_PERM, _CANTOPEN and _AUTH.
            3 | 14 | 23 => Self::CannotOpen,
            // SQLITE_TOOBIG and _MISMATCH.
            18 | 20 => Self::Value,
            // SQLITE_CONSTRAINT.
            19 => Self::Constraint,
            _ => Self::Other,
        }
    }

    /// The kind of an SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). Its first
    /// two characters are a class.
    fn of_postgres(code: &str) -> Self {
        match code {
            "53100" => Self::Full,
            "53200" => Self::Memory,
            "58030" => Self::Disk,
            "57014" => Self::Interrupted,
            "25006" => Self::ReadOnly,
            "XX001" | "XX002" => Self::Damaged,
            "55P03" | "55006" | "40001" | "40P01" => Self::Held,
            "42501" | "3D000" => Self::CannotOpen,
            _ => match code.get(..2).unwrap_or_default() {
                "08" | "53" | "57" => Self::Unavailable,
                "22" => Self::Value,
                "23" => Self::Constraint,
                "28" => Self::CannotOpen,
                "58" => Self::Disk,
                _ => Self::Other,
            },
        }
    }

    /// The error and what to do, for one line of the log; `None` for [`Self::Other`].
    fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::Held => "another program holds the database",
            Self::Full => "the disk is full: make room on it",
            Self::ReadOnly => {
                "the database is read-only: let Rill write its file and its folder, or name another folder with --data-dir"
            }
            Self::CannotOpen => {
                "the database cannot be opened: let Rill read and write its file and its folder, or name another folder with --data-dir"
            }
            Self::Disk => "the disk failed",
            Self::Damaged => "the database is damaged: see `rill check`, and restore a backup",
            Self::Memory => "there is not enough memory",
            Self::Unavailable => "the database cannot be reached",
            Self::Interrupted => "the database was interrupted",
            Self::Constraint => "the statement violates a constraint of the database",
            Self::Value => "the database cannot store a value",
            Self::Other => return None,
        })
    }

    /// The error of a database in a file and what to do, in sentences.
    fn sentence(self, path: &Path, code: &str) -> String {
        let (what, to_do) = match self {
            Self::Held => (
                "is held by another program",
                "End that program, or wait until it is done, and try again",
            ),
            Self::Full => (
                "is on a disk that is full",
                "Make room on it, or name a folder on another one with --data-dir",
            ),
            Self::ReadOnly => (
                "cannot be written",
                "Let Rill write the file and its folder, or name another folder with --data-dir",
            ),
            Self::CannotOpen => (
                "cannot be opened",
                "Let Rill read and write the file and its folder, or name another folder with --data-dir",
            ),
            Self::Disk => (
                "is on a disk that failed",
                "Verify the disk and its file system, and copy the folder to another one",
            ),
            Self::Damaged => (
                "is damaged",
                "Restore a backup, or export what can still be read",
            ),
            Self::Memory => ("needs more memory than there is", "End other programs"),
            _ => (
                "cannot be used",
                "Try again, and restore a backup if it fails again",
            ),
        };
        format!("{} {what} ({code}). {to_do}.", path.display())
    }
}

/// The error of a database in one line for the log.
pub(in crate::store) fn describe(error: &dyn DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    match DatabaseFailure::of_code(&code).words() {
        Some(words) => format!("{words} ({code})"),
        None => format!("{} ({code})", error.message()),
    }
}

/// The error of the database in this file and what to do, in sentences.
pub(in crate::store) fn sentence(path: &Path, error: &sqlx::Error) -> String {
    let sqlx::Error::Database(of_database) = error else {
        return format!("{} cannot be used: {error}.", path.display());
    };
    let code = of_database.code().unwrap_or_default();
    let failure = match DatabaseFailure::of(error) {
        // With a full disk, SQLite may report a failing disk, or a file that cannot be opened.
        DatabaseFailure::Disk | DatabaseFailure::CannotOpen if !has_room(path) => {
            DatabaseFailure::Full
        }
        failure => failure,
    };
    if failure.words().is_none() {
        let message = of_database.message();
        return format!("{} cannot be used: {message} ({code}).", path.display());
    }
    failure.sentence(path, &code)
}

/// The error of writing this file or folder and what to do, in sentences.
pub(in crate::store) fn of_file(path: &Path, error: &std::io::Error) -> String {
    if is_full(error) {
        let code = error.raw_os_error().unwrap_or_default();
        return DatabaseFailure::Full.sentence(path, &code.to_string());
    }
    format!(
        "{} cannot be written: {error}. Let Rill write it, or name another folder with --data-dir.",
        path.display()
    )
}

/// Whether the disk of this file has room. If a probe fails for another reason than a full disk, it
/// counts as having room.
fn has_room(path: &Path) -> bool {
    // The size in bytes of the files that SQLite creates beside the database before it reads a row.
    const NEEDED: usize = 64 * 1024;
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(&[0; NEEDED])?;
        file.sync_all()
    };
    !write().is_err_and(|error: std::io::Error| is_full(&error))
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    use DatabaseFailure::*;

    use super::*;

    /// <https://sqlite.org/rescode.html>, the primary codes.
    const SQLITE: &[(&str, DatabaseFailure)] = &[
        ("1", Other),
        ("2", Other),
        ("3", CannotOpen),
        ("4", Interrupted),
        ("5", Held),
        ("6", Held),
        ("7", Memory),
        ("8", ReadOnly),
        ("9", Interrupted),
        ("10", Disk),
        ("11", Damaged),
        ("12", Other),
        ("13", Full),
        ("14", CannotOpen),
        ("15", Held),
        ("17", Other),
        ("18", Value),
        ("19", Constraint),
        ("20", Value),
        ("21", Other),
        ("22", Full),
        ("23", CannotOpen),
        ("25", Other),
        ("26", Damaged),
    ];
    /// The same page, extended codes.
    const SQLITE_EXTENDED: &[(&str, DatabaseFailure)] = &[
        ("261", Held),        // BUSY_RECOVERY
        ("517", Held),        // BUSY_SNAPSHOT
        ("773", Held),        // BUSY_TIMEOUT
        ("262", Held),        // LOCKED_SHAREDCACHE
        ("518", Held),        // LOCKED_VTAB
        ("264", ReadOnly),    // READONLY_RECOVERY
        ("520", ReadOnly),    // READONLY_CANTLOCK
        ("776", ReadOnly),    // READONLY_ROLLBACK
        ("1032", ReadOnly),   // READONLY_DBMOVED
        ("1288", ReadOnly),   // READONLY_CANTINIT
        ("1544", ReadOnly),   // READONLY_DIRECTORY
        ("516", Interrupted), // ABORT_ROLLBACK
        ("266", Disk),        // IOERR_READ
        ("522", Disk),        // IOERR_SHORT_READ
        ("778", Disk),        // IOERR_WRITE
        ("1034", Disk),       // IOERR_FSYNC
        ("1546", Disk),       // IOERR_TRUNCATE
        ("2314", Held),       // IOERR_RDLOCK
        ("3082", Memory),     // IOERR_NOMEM
        ("3850", Held),       // IOERR_LOCK
        ("4618", Disk),       // IOERR_SHMOPEN
        ("4874", Full),       // IOERR_SHMSIZE
        ("5386", Disk),       // IOERR_SHMMAP
        ("8202", Damaged),    // IOERR_DATA
        ("8458", Disk),       // IOERR_CORRUPTFS
        ("267", Damaged),     // CORRUPT_VTAB
        ("523", Damaged),     // CORRUPT_SEQUENCE
        ("779", Damaged),     // CORRUPT_INDEX
        ("526", CannotOpen),  // CANTOPEN_ISDIR
        ("1038", CannotOpen), // CANTOPEN_CONVPATH
        ("1550", CannotOpen), // CANTOPEN_SYMLINK
        ("279", CannotOpen),  // AUTH_USER
        ("1555", Constraint), // CONSTRAINT_PRIMARYKEY
        ("1811", Constraint), // CONSTRAINT_TRIGGER
        ("2067", Constraint), // CONSTRAINT_UNIQUE
    ];
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    const POSTGRES: &[(&str, DatabaseFailure)] = &[
        ("08006", Unavailable), // connection_failure
        ("22P02", Value),       // invalid_text_representation
        ("23505", Constraint),  // unique_violation
        ("25006", ReadOnly),    // read_only_sql_transaction
        ("28P01", CannotOpen),  // invalid_password
        ("3D000", CannotOpen),  // invalid_catalog_name
        ("40001", Held),        // serialization_failure
        ("40P01", Held),        // deadlock_detected
        ("42501", CannotOpen),  // insufficient_privilege
        ("42P01", Other),       // undefined_table
        ("53100", Full),        // disk_full
        ("53200", Memory),      // out_of_memory
        ("53300", Unavailable), // too_many_connections
        ("55P03", Held),        // lock_not_available
        ("57014", Interrupted), // query_canceled
        ("57P01", Unavailable), // admin_shutdown
        ("57P03", Unavailable), // cannot_connect_now
        ("58030", Disk),        // io_error
        ("XX000", Other),       // internal_error
        ("XX001", Damaged),     // data_corrupted
    ];

    #[test]
    fn every_code_has_its_kind() {
        let check = |code: &str, expect: DatabaseFailure| {
            assert_eq!(DatabaseFailure::of_code(code), expect, "{code}");
        };
        for (code, expect) in [SQLITE, SQLITE_EXTENDED, POSTGRES].concat() {
            check(code, expect);
        }
        for code in ["", "x", "99999999999", "\u{e9}\u{e9}x", "€ab"] {
            check(code, Other);
        }
    }

    #[test]
    fn a_sentence_says_what_to_do_and_names_damage_only_where_there_is_some() {
        let path = Path::new("/data/rill.db");
        for (failure, words) in [
            (DatabaseFailure::Held, "End that program"),
            (DatabaseFailure::Full, "Make room"),
            (DatabaseFailure::ReadOnly, "Let Rill write"),
            (DatabaseFailure::CannotOpen, "Let Rill read"),
            (DatabaseFailure::Disk, "Verify the disk"),
            (DatabaseFailure::Damaged, "Restore a backup"),
            (DatabaseFailure::Memory, "End other programs"),
        ] {
            let sentence = failure.sentence(path, "1");
            assert!(sentence.contains(words), "{sentence}");
            assert!(sentence.starts_with("/data/rill.db "), "{sentence}");
            let is_damaged = sentence.contains("damaged");
            assert_eq!(
                is_damaged,
                failure == DatabaseFailure::Damaged,
                "{sentence}"
            );
        }
    }
}
