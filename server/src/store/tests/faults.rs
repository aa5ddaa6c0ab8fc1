//! Storage faults: one statement of a transaction fails, in one of the ways in which the databases fail. A
//! test chooses the statement by its index: `begin` has index 0, and `commit` is the last.

use std::borrow::Cow;
use std::sync::Mutex;

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::{AnyConnection, AssertSqlSafe, Executor};

use crate::store::Database;
use crate::store::database::batch::{self, BatchFailure, BoundStatement};
use crate::store::database::transaction::{Statement, Steps, execute};

/// How a statement fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Fault {
    /// The database has ended the transaction by itself. SQLite does that when the disk is full or
    /// fails, and when it is interrupted. The rollback is real, and the code of the error is this one.
    RolledBack(&'static str),
    /// The transaction stays open, as when SQLite is busy. In PostgreSQL, where it then takes nothing
    /// but a rollback, the error is a real one.
    LeftOpen(&'static str),
    /// The statement was done, but its answer is lost.
    AnswerLost,
    /// The server has ended the connection, for real. In PostgreSQL only.
    Terminated,
    /// The server has ended the statement by its `statement_timeout`, for real. In PostgreSQL only.
    TimedOut,
}

/// The fault that will happen, and the statements so far.
#[derive(Debug, Default)]
pub(in crate::store) struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of statements since the last call of `expect`.
    count: usize,
    armed: Option<(usize, Fault)>,
    has_short_timeout: bool,
}

const SHORT_TIMEOUT: &str = "set local statement_timeout = 20";

impl Faults {
    /// Counts the statements from now on, and lets the one with this index fail.
    pub(in crate::store) fn expect(&self, fault: Option<(usize, Fault)>) {
        *self.state() = State {
            armed: fault,
            ..State::default()
        };
    }

    /// From now on, PostgreSQL ends each statement that takes longer than some milliseconds.
    pub(super) fn expect_timeouts(&self) {
        *self.state() = State {
            has_short_timeout: true,
            ..State::default()
        };
    }

    /// How many statements there were since then, and whether the fault has not happened yet.
    pub(super) fn seen(&self) -> (usize, bool) {
        let state = self.state();
        (state.count, state.armed.is_some())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    fn next(&self) -> Option<Fault> {
        let mut state = self.state();
        let number = state.count;
        state.count += 1;
        let (_, fault) = state.armed.take_if(|(at, _)| *at == number)?;
        Some(fault)
    }

    /// Runs the statements of a batch, each of which has an index, or lets one of them fail.
    pub(in crate::store) async fn run_batch(
        &self,
        database: Database,
        connection: &mut AnyConnection,
        statements: &[&BoundStatement],
    ) -> Result<Vec<Steps>, BatchFailure> {
        let mut results = Vec::new();
        let together = match database {
            Database::Sqlite => self.count_up_to_the_fault(statements.len()),
            // It gets them one by one.
            Database::Postgres => 0,
        };
        if together > 0 {
            results = batch::run(database, connection, &statements[..together]).await?;
        }
        for statement in &statements[together..] {
            let ran = match statement.to_statement() {
                Ok(statement) => self.run(database, connection, statement).await,
                Err(error) => Err(error),
            };
            let done = Some(results.len());
            results.push(ran.map_err(|error| BatchFailure { done, error })?);
        }
        Ok(results)
    }

    /// How many of the next statements come before the one that is to fail. They count as run.
    fn count_up_to_the_fault(&self, statements: usize) -> usize {
        let mut state = self.state();
        let before = match state.armed {
            Some((at, _)) => at.saturating_sub(state.count).min(statements),
            None => statements,
        };
        state.count += before;
        before
    }

    /// Runs a statement, or lets it fail.
    pub(in crate::store) async fn run(
        &self,
        database: Database,
        connection: &mut AnyConnection,
        statement: Statement,
    ) -> sqlx::Result<Steps> {
        match (self.next(), database) {
            (None, _) => {
                let is_begin = statement.sql.as_str() == "begin";
                let steps = execute(connection, statement).await?;
                if is_begin && self.state().has_short_timeout {
                    connection.execute(SHORT_TIMEOUT).await?;
                }
                Ok(steps)
            }
            (Some(Fault::AnswerLost), _) => {
                execute(connection, statement).await?;
                Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()))
            }
            (Some(Fault::RolledBack(code)), Database::Sqlite) => {
                // There is none to roll back if it fails at `begin`.
                let _ = connection.execute("rollback").await;
                Err(Injected(code).into())
            }
            (Some(Fault::LeftOpen(code)), Database::Sqlite) => Err(Injected(code).into()),
            (Some(Fault::RolledBack(code) | Fault::LeftOpen(code)), Database::Postgres) => {
                let sql = format!("do $$ begin raise 'fault' using errcode = '{code}'; end $$");
                Err(failing(connection, sql).await)
            }
            (Some(Fault::Terminated), _) => {
                let sql = "select pg_terminate_backend(pg_backend_pid())".to_owned();
                Err(failing(connection, sql).await)
            }
            (Some(Fault::TimedOut), _) => {
                connection.execute(SHORT_TIMEOUT).await?;
                Err(failing(connection, "select pg_sleep(60)".to_owned()).await)
            }
        }
    }
}

async fn failing(connection: &mut AnyConnection, sql: String) -> sqlx::Error {
    let failed = connection.execute(AssertSqlSafe(sql)).await;
    failed.expect_err("it is made to fail")
}

/// An error of SQLite with this code.
#[derive(Debug, thiserror::Error)]
#[error("injected ({0})")]
struct Injected(&'static str);

impl DatabaseError for Injected {
    fn message(&self) -> &str {
        "injected"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
