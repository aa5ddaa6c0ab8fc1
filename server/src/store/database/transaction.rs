//! Transactions. Every write goes through [`Store::transaction`], and every read through
//! [`Store::snapshot`], or, if it is one statement, through [`Store::single_read`].
//!
//! This module does not use sqlx's transactions. sqlx counts how deep transactions are nested, and the
//! count is wrong after SQLite has rolled back by itself, which it does when the disk is full or fails:
//! sqlx then rolls the next failure back to a savepoint only, and the transaction around it stays open.
//! Here `begin`, `commit` and `rollback` are plain statements. A connection on which a statement failed is
//! used again only if it is certain that no transaction is open in it; otherwise it is closed.
//!
//! The connection belongs to a task of its own (`task`), to which the owner of the transaction sends its
//! statements. So the transaction ends even if its owner is dropped in the middle of a statement, is never
//! polled again, or waits for something else.
//!
//! Statements that need no answer of each other are sent as a batch (`batch`): the first of a transaction also begins
//! it, and the last also commits it.

mod single;
mod task;

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt};
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Either, Execute, Executor, SqlStr};
use tokio::sync::{mpsc, oneshot};

use self::single::SingleRead;
use self::task::{Rules, Task};
use super::batch::{Batch, BatchResults};
use super::connections::Connections;
use crate::store::{Database, Result, Store};
use crate::traces::Span;

pub(in crate::store) use self::task::execute;

/// The longest time that a write transaction may be open without running a statement.
pub(in crate::store) const WRITE_LIMIT: Duration = Duration::from_secs(1);
/// The longest time that a write transaction may be open in all. Its longest statement is not counted,
/// since writing one large text is one statement. It is shorter than other writers wait for a connection.
pub(in crate::store) const WRITE_TOTAL: Duration = Duration::from_secs(4);
/// The same limits for a read transaction, for which no writer waits.
const READ_LIMIT: Duration = Duration::from_secs(30);
const READ_TOTAL: Duration = Duration::from_secs(600);

/// The error types of spans.
const NOT_BEGUN: &str = "not_begun";
const NOT_COMMITTED: &str = "not_committed";

/// A transaction. Dropping it without [`Transaction::commit`] rolls it back.
#[derive(Debug)]
pub(in crate::store) struct Transaction {
    connection: TransactionConnection,
    span: Span,
}

/// Runs statements in a transaction. After a statement has failed, all later ones fail.
#[derive(Debug)]
pub(in crate::store) struct TransactionConnection {
    requests: mpsc::Sender<TransactionRequest>,
}

/// Why a statement was not run.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum StatementRefusal {
    /// An earlier statement failed.
    #[error("an earlier statement of the transaction failed")]
    AfterFailure,
    /// The transaction exceeded its time limit.
    #[error("the transaction was open for too long and was rolled back")]
    TooLong,
    /// The statement exceeded its time limit.
    #[error("the database does not answer")]
    NoAnswer,
    /// The caller prepared a statement, which this executor does not support.
    #[error("statements are not prepared by themselves in a transaction")]
    NotOffered,
}

impl From<StatementRefusal> for sqlx::Error {
    fn from(refused: StatementRefusal) -> Self {
        Self::AnyDriverError(Box::new(refused))
    }
}

impl Store {
    /// Begins a write transaction. With SQLite, waits until no other one of this process is open.
    pub(in crate::store) async fn transaction(&self) -> Result<Transaction> {
        Transaction::begin(self.write.clone(), self.write_rules(), "write").await
    }

    fn write_rules(&self) -> Rules {
        Rules {
            begin: match self.database {
                // Takes the write lock now. A transaction that reads first cannot get it later if another
                // program has written meanwhile.
                Database::Sqlite => "begin immediate",
                Database::Postgres => "begin",
            },
            limit: self.write_limit,
            total: self.write_total,
            metrics: self.write_metrics.clone(),
            ..self.rules()
        }
    }

    /// Waits until a write transaction can begin. Its first batch or statement begins it.
    pub(in crate::store) async fn writer(&self) -> Result<Transaction> {
        let rules = Rules {
            begins_at_once: false,
            ..self.write_rules()
        };
        Transaction::begin(self.write.clone(), rules, "write").await
    }

    /// Begins a read transaction: all of its statements see the database as it was at the first one. It
    /// need not be committed.
    pub(in crate::store) async fn snapshot(&self) -> Result<Transaction> {
        let rules = Rules {
            begin: match self.database {
                Database::Sqlite => "begin",
                Database::Postgres => "begin isolation level repeatable read read only",
            },
            ..self.rules()
        };
        Transaction::begin(self.read.clone(), rules, "read").await
    }

    /// Reads with one statement. This costs less than a snapshot.
    pub(in crate::store) fn single_read(&self) -> SingleRead {
        SingleRead {
            connections: self.read.clone(),
            rules: self.rules(),
        }
    }

    /// Runs one statement of maintenance that cannot be in a transaction, on the connection that writes.
    pub(in crate::store) fn single_write(&self) -> SingleRead {
        SingleRead {
            connections: self.write.clone(),
            rules: self.rules(),
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            database: self.database,
            begin: "begin",
            begins_at_once: true,
            limit: READ_LIMIT,
            total: READ_TOTAL,
            is_memory: self.is_memory,
            metrics: self.read_metrics.clone(),
            #[cfg(test)]
            faults: std::sync::Arc::clone(&self.faults),
        }
    }
}

impl Transaction {
    async fn begin(connections: Connections, rules: Rules, name: &'static str) -> Result<Self> {
        let mut span = rules.span(name);
        let (requests, received) = mpsc::channel(1);
        let (ready, begun) = oneshot::channel();
        tokio::spawn(Task::run(connections, rules, received, ready));
        if let Err(error) = begun.await.unwrap_or_else(|_| Err(stopped())) {
            span.fail(NOT_BEGUN);
            return Err(error.into());
        }
        Ok(Self {
            connection: TransactionConnection { requests },
            span,
        })
    }

    /// Commits.
    ///
    /// # Errors
    /// Nothing was written, unless the connection broke after the database had committed and before it
    /// answered.
    pub(in crate::store) async fn commit(mut self) -> Result<()> {
        let (answer, committed) = oneshot::channel();
        let request = TransactionRequest::Commit(answer);
        let committed = self.connection.ask(request, committed).await;
        Ok(self.told(committed)?)
    }

    /// Runs the last statements and commits, all in one batch. A statement that changes nothing is no failure, so it
    /// is committed as well.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub(in crate::store) async fn commit_with(mut self, batch: Batch) -> Result<BatchResults> {
        let (answer, results) = oneshot::channel();
        let request = TransactionRequest::Batch(batch, Then::Commit, answer);
        let results = self.connection.ask(request, results).await;
        Ok(self.told(results)?)
    }

    /// Marks the span if nothing was committed.
    fn told<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        if result.is_err() {
            self.span.fail(NOT_COMMITTED);
        }
        result
    }
}

impl std::ops::Deref for Transaction {
    type Target = TransactionConnection;

    fn deref(&self) -> &TransactionConnection {
        &self.connection
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut TransactionConnection {
        &mut self.connection
    }
}

type ResultSender<T> = oneshot::Sender<sqlx::Result<T>>;
/// The results of a statement: rows, and the numbers of changed rows.
pub(in crate::store) type Steps = Vec<Either<AnyQueryResult, AnyRow>>;

/// A request to the task of the transaction.
enum TransactionRequest {
    Run(Statement, ResultSender<Steps>),
    Batch(Batch, Then, ResultSender<BatchResults>),
    Commit(ResultSender<()>),
}

/// What follows a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    More,
    Commit,
}

/// A statement with its parameters.
pub(in crate::store) struct Statement {
    pub(in crate::store) sql: SqlStr,
    arguments: Option<AnyArguments>,
    is_persistent: bool,
    /// Whether only the first row is read.
    is_for_one: bool,
}

impl Statement {
    pub(super) fn new(sql: SqlStr, arguments: Option<AnyArguments>, is_persistent: bool) -> Self {
        Self {
            sql,
            arguments,
            is_persistent,
            is_for_one: false,
        }
    }

    fn of<'q>(mut query: impl Execute<'q, Any>, is_for_one: bool) -> sqlx::Result<Self> {
        Ok(Self {
            arguments: query.take_arguments().map_err(sqlx::Error::Encode)?,
            is_persistent: query.persistent(),
            sql: query.sql(),
            is_for_one,
        })
    }
}

/// The error where the task has ended without an answer: the transaction exceeded its limit, or the
/// runtime ends.
fn stopped() -> sqlx::Error {
    StatementRefusal::TooLong.into()
}

/// The steps of a statement, as sqlx wants them.
fn all_steps<'e>(
    run: impl Future<Output = sqlx::Result<Steps>> + Send + 'e,
) -> BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>> {
    run.map_ok(|steps| stream::iter(steps.into_iter().map(Ok)))
        .try_flatten_stream()
        .boxed()
}

/// The first row of a statement, as sqlx wants it.
fn first_row<'e>(
    run: impl Future<Output = sqlx::Result<Steps>> + Send + 'e,
) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>> {
    run.map_ok(|steps| steps.into_iter().find_map(Either::right))
        .boxed()
}

impl TransactionConnection {
    async fn ask<T>(
        &self,
        request: TransactionRequest,
        answer: oneshot::Receiver<sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        self.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn run(&self, statement: sqlx::Result<Statement>) -> sqlx::Result<Steps> {
        let (answer, steps) = oneshot::channel();
        self.ask(TransactionRequest::Run(statement?, answer), steps)
            .await
    }

    /// Runs statements that need no answer of each other.
    pub(in crate::store) async fn batch(&self, batch: Batch) -> Result<BatchResults> {
        let (answer, results) = oneshot::channel();
        let request = TransactionRequest::Batch(batch, Then::More, answer);
        Ok(self.ask(request, results).await?)
    }
}

impl<'c> Executor<'c> for &'c mut TransactionConnection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let statement = Statement::of(query, false);
        all_steps(async move { self.run(statement).await })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let statement = Statement::of(query, true);
        first_row(async move { self.run(statement).await })
    }

    fn prepare_with<'e>(
        self,
        _sql: SqlStr,
        _parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        futures::future::ready(Err(StatementRefusal::NotOffered.into())).boxed()
    }
}
