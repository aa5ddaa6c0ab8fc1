//! Transactions. Everything that is written goes through [`Store::transaction`], and everything that is
//! only read through [`Store::snapshot`].
//!
//! sqlx counts how deep its transactions are nested, and that count is wrong after SQLite has rolled
//! back by itself, which it does when the disk is full or fails: the next failure is then rolled back
//! to a savepoint only, and the transaction around it stays open for ever. So `begin`, `commit` and
//! `rollback` are plain statements here, and a connection on which anything failed is used again only
//! when it is certain that no transaction is open in it. Otherwise it is closed.
//!
//! The connection belongs to a task of its own, to which the owner of the transaction sends its
//! statements. So a transaction ends whatever becomes of its owner: when the owner is dropped in the
//! middle of a statement, when it is never polled again, or when it waits for something else.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Either, Execute, Executor, SqlStr};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Database, Result, Store};
use crate::store::failure::Failure;

/// How long a transaction that writes may be open while none of its statements runs.
pub(in crate::store) const WRITE_LIMIT: Duration = Duration::from_secs(1);
/// How long it may be open in all, its longest statement not counted: one large text is one statement
/// and cannot be divided. Shorter than others wait for a connection.
pub(in crate::store) const WRITE_TOTAL: Duration = Duration::from_secs(4);
/// The same two for one that only reads, for which no writer waits.
const READ_LIMIT: Duration = Duration::from_secs(30);
const READ_TOTAL: Duration = Duration::from_secs(600);
/// How long one statement may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// How long a rollback may take.
const CLEANUP_LIMIT: Duration = Duration::from_secs(5);

/// A transaction. Dropping it without [`Transaction::commit`] rolls it back.
#[derive(Debug)]
pub(in crate::store) struct Transaction {
    connection: Connection,
}

/// Runs statements in a transaction. After one has failed, all that follow fail as well.
#[derive(Debug)]
pub(in crate::store) struct Connection {
    requests: mpsc::Sender<Request>,
}

/// Why a statement was not run.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum Refused {
    /// An earlier one failed.
    #[error("an earlier statement of the transaction failed")]
    AfterFailure,
    /// The watch has ended the transaction.
    #[error("the transaction was open for too long and was rolled back")]
    TooLong,
    /// The statement was given up.
    #[error("the database does not answer")]
    NoAnswer,
    /// Its kind is not offered here.
    #[error("statements are not prepared by themselves in a transaction")]
    NotOffered,
}

impl From<Refused> for sqlx::Error {
    fn from(refused: Refused) -> Self {
        Self::AnyDriverError(Box::new(refused))
    }
}

impl Store {
    /// Begins to write. Waits until no other transaction of this process writes to SQLite.
    pub(super) async fn transaction(&self) -> Result<Transaction> {
        let rules = Rules {
            begin: match self.database {
                // The lock is taken at once: a transaction that reads first could not get it later
                // if another program has written meanwhile.
                Database::Sqlite => "begin immediate",
                Database::Postgres => "begin",
            },
            limit: self.write_limit,
            total: self.write_total,
            ..self.rules()
        };
        Transaction::begin(self.write.clone(), rules).await
    }

    /// Begins to read: all statements see the database as it was at the first one. It need not be
    /// committed.
    pub(super) async fn snapshot(&self) -> Result<Transaction> {
        let rules = Rules {
            begin: match self.database {
                Database::Sqlite => "begin",
                Database::Postgres => "begin isolation level repeatable read read only",
            },
            ..self.rules()
        };
        Transaction::begin(self.read.clone(), rules).await
    }

    fn rules(&self) -> Rules {
        Rules {
            database: self.database,
            begin: "begin",
            limit: READ_LIMIT,
            total: READ_TOTAL,
            is_memory: self.is_memory,
            #[cfg(test)]
            faults: std::sync::Arc::clone(&self.faults),
        }
    }
}

impl Transaction {
    async fn begin(pool: AnyPool, rules: Rules) -> Result<Self> {
        let (requests, received) = mpsc::channel(1);
        let (ready, begun) = oneshot::channel();
        tokio::spawn(Task::run(pool, rules, received, ready));
        begun.await.unwrap_or_else(|_| Err(stopped()))?;
        Ok(Self {
            connection: Connection { requests },
        })
    }

    /// Makes everything that was written permanent.
    ///
    /// # Errors
    /// Then nothing of it is kept, as far as that can be known: a connection may break after the
    /// database has committed and before it says so.
    pub(super) async fn commit(self) -> Result<()> {
        let (answer, committed) = oneshot::channel();
        let request = Request::Commit(answer);
        self.connection.ask(request, committed).await?;
        Ok(())
    }
}

impl std::ops::Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

type Answer<T> = oneshot::Sender<sqlx::Result<T>>;
/// What a statement gives: rows, and how many were changed.
pub(super) type Steps = Vec<Either<AnyQueryResult, AnyRow>>;

enum Request {
    Run(Statement, Answer<Steps>),
    Commit(Answer<()>),
}

pub(super) struct Statement {
    sql: SqlStr,
    arguments: Option<AnyArguments>,
    is_persistent: bool,
    /// Whether no more than the first row is wanted.
    is_for_one: bool,
}

impl Statement {
    fn of<'q>(mut query: impl Execute<'q, Any>, is_for_one: bool) -> sqlx::Result<Self> {
        Ok(Self {
            arguments: query.take_arguments().map_err(sqlx::Error::Encode)?,
            is_persistent: query.persistent(),
            sql: query.sql(),
            is_for_one,
        })
    }
}

/// The task has ended without an answer, since the runtime ends or the watch was faster.
fn stopped() -> sqlx::Error {
    Refused::TooLong.into()
}

impl Connection {
    async fn ask<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        self.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn run(&self, statement: sqlx::Result<Statement>) -> sqlx::Result<Steps> {
        let (answer, steps) = oneshot::channel();
        self.ask(Request::Run(statement?, answer), steps).await
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
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
        async move { self.run(statement).await }
            .map_ok(|steps| stream::iter(steps.into_iter().map(Ok)))
            .try_flatten_stream()
            .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let statement = Statement::of(query, true);
        async move {
            let steps = self.run(statement).await?;
            Ok(steps.into_iter().find_map(Either::right))
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        _sql: SqlStr,
        _parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        futures::future::ready(Err(Refused::NotOffered.into())).boxed()
    }
}

/// How a transaction is made and ended.
#[derive(Debug, Clone)]
struct Rules {
    database: Database,
    begin: &'static str,
    /// How long it may wait for its owner.
    limit: Duration,
    /// How long it may be open in all.
    total: Duration,
    /// Closing the connection would lose all that is in the database.
    is_memory: bool,
    #[cfg(test)]
    faults: std::sync::Arc<super::tests::faults::Faults>,
}

/// A connection that is closed, which rolls back, unless it is certain that no transaction is open in
/// it.
struct Held {
    connection: PoolConnection<Any>,
    is_settled: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_settled {
            self.connection.close_on_drop();
        }
    }
}

/// What a failed statement says about its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// It can be used again if it can be rolled back.
    Statement,
    /// It may be broken itself.
    Connection,
}

impl Failed {
    fn by(error: &sqlx::Error, database: Database) -> Self {
        // PostgreSQL opens a connection soon. SQLite needs room on the disk for that, if this is its
        // only one, so it is kept where the error says nothing about it.
        let is_of_statement = database == Database::Sqlite
            && matches!(error, sqlx::Error::Database(_))
            && !matches!(
                Failure::of(error),
                Failure::Disk | Failure::ReadOnly | Failure::CannotOpen | Failure::Damaged
            );
        if is_of_statement {
            Self::Statement
        } else {
            Self::Connection
        }
    }
}

/// The task that owns the connection of a transaction.
struct Task {
    connection: Held,
    rules: Rules,
    /// The transaction began then.
    opened: Instant,
    longest_statement: Duration,
    /// What failed in it.
    failed: Option<Failed>,
}

impl Task {
    async fn run(
        pool: AnyPool,
        rules: Rules,
        requests: mpsc::Receiver<Request>,
        mut ready: oneshot::Sender<sqlx::Result<()>>,
    ) {
        match Self::begin(&pool, &rules, &mut ready).await {
            Ok(None) => {}
            Ok(Some(task)) => {
                // Where nobody waits, there will be no request, and it is rolled back.
                let _ = ready.send(Ok(()));
                task.serve(requests).await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    }

    /// Gets a connection and begins, unless nobody waits for it any more. A connection that turns out
    /// to be unusable is replaced once.
    async fn begin(
        pool: &AnyPool,
        rules: &Rules,
        ready: &mut oneshot::Sender<sqlx::Result<()>>,
    ) -> sqlx::Result<Option<Self>> {
        let mut is_second_try = false;
        loop {
            let connection = tokio::select! {
                biased;
                () = ready.closed() => return Ok(None),
                connection = pool.acquire() => connection?,
            };
            let mut task = Self {
                connection: Held {
                    connection,
                    is_settled: false,
                },
                rules: rules.clone(),
                opened: Instant::now(),
                longest_statement: Duration::ZERO,
                failed: None,
            };
            let Err(error) = task.plain(rules.begin).await else {
                task.opened = Instant::now();
                return Ok(Some(task));
            };
            task.end().await;
            // Who waited for a lock has waited long enough.
            if is_second_try || Failure::of(&error) == Failure::Held {
                return Err(error);
            }
            is_second_try = true;
        }
    }

    async fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            let end = self.opened + self.rules.total + self.longest_statement;
            let deadline = end.min(Instant::now() + self.rules.limit);
            let request = tokio::select! {
                biased;
                request = requests.recv() => request,
                () = sleep_until(deadline) => return self.expire().await,
            };
            match request {
                None => return self.end().await,
                Some(Request::Run(..)) if Instant::now() > end => return self.expire().await,
                Some(Request::Run(statement, answer)) => {
                    let started = Instant::now();
                    let steps = self.statement(statement).await;
                    self.longest_statement = self.longest_statement.max(started.elapsed());
                    // Who no longer waits will not commit, either.
                    let _ = answer.send(steps);
                }
                Some(Request::Commit(answer)) => {
                    let committed = self.plain("commit").await;
                    if committed.is_ok() {
                        self.connection.is_settled = true;
                    } else {
                        self.end().await;
                    }
                    let _ = answer.send(committed);
                    return;
                }
            }
        }
    }

    /// It was open for too long, and others wait for it.
    async fn expire(self) {
        let open_ms = self.opened.elapsed().as_millis();
        tracing::error!(
            open_ms,
            "a transaction was open for too long and is rolled back"
        );
        self.end().await;
    }

    async fn plain(&mut self, sql: &'static str) -> sqlx::Result<()> {
        let statement = Statement::of(sql, false)?;
        self.statement(statement).await.map(|_| ())
    }

    /// Runs one statement, unless one before it failed.
    async fn statement(&mut self, statement: Statement) -> sqlx::Result<Steps> {
        if self.failed.is_some() {
            // SQLite may have rolled back by itself: it would be a transaction of its own.
            return Err(Refused::AfterFailure.into());
        }
        let connection = &mut *self.connection.connection;
        #[cfg(not(test))]
        let run = execute(connection, statement);
        #[cfg(test)]
        let run = self
            .rules
            .faults
            .run(self.rules.database, connection, statement);
        let result = match timeout(STATEMENT_LIMIT, run).await {
            Ok(result) => result,
            Err(_) => Err(Refused::NoAnswer.into()),
        };
        if let Err(error) = &result {
            self.failed = Some(Failed::by(error, self.rules.database));
        }
        result
    }

    /// Rolls back, and gives the connection back if it is certain that no transaction is open in it.
    async fn end(mut self) {
        let is_broken = self.failed == Some(Failed::Connection);
        if is_broken && !self.rules.is_memory {
            return;
        }
        let connection = &mut *self.connection.connection;
        let rolled_back = timeout(CLEANUP_LIMIT, roll_back(connection, self.rules.database)).await;
        self.connection.is_settled = rolled_back.unwrap_or(false);
    }
}

/// Rolls back, and says whether it is certain that no transaction is open any more.
async fn roll_back(connection: &mut AnyConnection, database: Database) -> bool {
    if connection.execute("rollback").await.is_ok() {
        return true;
    }
    // SQLite refuses to roll back where it has done so by itself. It refuses to begin within a
    // transaction, too, so that both of these work is the proof that there is none.
    database == Database::Sqlite
        && connection.execute("begin").await.is_ok()
        && connection.execute("rollback").await.is_ok()
}

/// Runs a statement to its end.
pub(super) async fn execute(
    connection: &mut AnyConnection,
    statement: Statement,
) -> sqlx::Result<Steps> {
    let Statement {
        sql,
        arguments,
        is_persistent,
        is_for_one,
    } = statement;
    let Some(arguments) = arguments else {
        return connection.fetch_many(sql).try_collect().await;
    };
    let query = sqlx::query_with(sql, arguments).persistent(is_persistent);
    if is_for_one {
        let row = connection.fetch_optional(query).await?;
        return Ok(row.map(Either::Right).into_iter().collect());
    }
    connection.fetch_many(query).try_collect().await
}
