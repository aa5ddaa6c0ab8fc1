//! The task that owns the connection of a transaction and runs its statements.

use std::time::Duration;

use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Either, Executor};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Statement, StatementRefusal, Steps, TransactionRequest};
use crate::metrics::PoolMetrics;
use crate::store::Database;
use crate::store::database::failure::DatabaseFailure;

/// The longest time that one statement may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// The longest time that a rollback may take.
const CLEANUP_LIMIT: Duration = Duration::from_secs(5);

/// How a transaction begins, and when it is ended.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) database: Database,
    /// The statement that begins it.
    pub(super) begin: &'static str,
    /// The longest time without a statement.
    pub(super) limit: Duration,
    /// The longest time in all.
    pub(super) total: Duration,
    /// Whether the database exists only in this connection, which must not be closed.
    pub(super) is_memory: bool,
    pub(super) metrics: PoolMetrics,
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<crate::store::tests::faults::Faults>,
}

impl Rules {
    /// Waits for a connection.
    pub(super) async fn connection(&self, pool: &AnyPool) -> sqlx::Result<PoolConnection<Any>> {
        let connection = self.metrics.waiting(pool.acquire()).await;
        if connection.is_err() {
            self.metrics.failures.inc();
        }
        connection
    }

    /// Runs a statement within its time limit.
    pub(super) async fn run_statement(
        &self,
        connection: &mut AnyConnection,
        statement: Statement,
    ) -> sqlx::Result<Steps> {
        #[cfg(not(test))]
        let run = execute(connection, statement);
        #[cfg(test)]
        let run = self.faults.run(self.database, connection, statement);
        let result = match timeout(STATEMENT_LIMIT, run).await {
            Ok(result) => result,
            Err(_) => Err(StatementRefusal::NoAnswer.into()),
        };
        if result.is_err() {
            self.metrics.failures.inc();
        }
        result
    }
}

/// A connection that is closed when it is dropped, unless it is certain that no transaction is open in it.
/// Closing rolls back.
pub(super) struct HeldConnection {
    pub(super) connection: PoolConnection<Any>,
    pub(super) is_settled: bool,
}

impl HeldConnection {
    pub(super) fn new(connection: PoolConnection<Any>, is_settled: bool) -> Self {
        Self {
            connection,
            is_settled,
        }
    }
}

impl Drop for HeldConnection {
    fn drop(&mut self) {
        if !self.is_settled {
            self.connection.close_on_drop();
        }
    }
}

/// What a failed statement means for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskFailure {
    /// The connection can be used again if the transaction can be rolled back.
    Statement,
    /// The connection itself may be broken.
    Connection,
}

impl TaskFailure {
    pub(super) fn by(error: &sqlx::Error, database: Database) -> Self {
        // A new connection to PostgreSQL is cheap. SQLite needs room on the disk to open its only one
        // again, so it is kept unless the error is about the connection.
        let is_of_statement = database == Database::Sqlite
            && matches!(error, sqlx::Error::Database(_))
            && !matches!(
                DatabaseFailure::of(error),
                DatabaseFailure::Disk
                    | DatabaseFailure::ReadOnly
                    | DatabaseFailure::CannotOpen
                    | DatabaseFailure::Damaged
            );
        if is_of_statement {
            Self::Statement
        } else {
            Self::Connection
        }
    }
}

/// The task that owns the connection of a transaction.
pub(super) struct Task {
    connection: HeldConnection,
    rules: Rules,
    /// When the transaction began.
    opened: Instant,
    longest_statement: Duration,
    /// What failed, if anything has.
    failed: Option<TaskFailure>,
}

impl Task {
    /// Begins the transaction, and serves its requests to the end.
    pub(super) async fn run(
        pool: AnyPool,
        rules: Rules,
        requests: mpsc::Receiver<TransactionRequest>,
        mut ready: oneshot::Sender<sqlx::Result<()>>,
    ) {
        match Self::begin(&pool, &rules, &mut ready).await {
            Ok(None) => {}
            Ok(Some(task)) => {
                // If the owner has gone, there are no requests, and the transaction is rolled back.
                let _ = ready.send(Ok(()));
                task.serve(requests).await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    }

    /// Gets a connection and begins the transaction. `None`: the owner has gone. A connection that turns
    /// out to be unusable is replaced once.
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
                connection = rules.connection(pool) => connection?,
            };
            let mut task = Self {
                connection: HeldConnection::new(connection, false),
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
            // A lock is not waited for a second time.
            if is_second_try || DatabaseFailure::of(&error) == DatabaseFailure::Held {
                return Err(error);
            }
            is_second_try = true;
        }
    }

    /// Runs statements until the owner commits, goes, or exceeds a limit.
    async fn serve(mut self, mut requests: mpsc::Receiver<TransactionRequest>) {
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
                Some(TransactionRequest::Run(..)) if Instant::now() > end => {
                    return self.expire().await;
                }
                Some(TransactionRequest::Run(statement, answer)) => {
                    let started = Instant::now();
                    let steps = self.statement(statement).await;
                    self.longest_statement = self.longest_statement.max(started.elapsed());
                    // An owner that has gone does not commit either.
                    let _ = answer.send(steps);
                }
                Some(TransactionRequest::Commit(answer)) => {
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

    /// Rolls back a transaction that exceeded a limit.
    async fn expire(self) {
        let open_ms = self.opened.elapsed().as_millis();
        tracing::error!(
            open_ms,
            "a transaction was open for too long and is rolled back"
        );
        self.end().await;
    }

    /// Runs a statement without parameters and rows.
    async fn plain(&mut self, sql: &'static str) -> sqlx::Result<()> {
        let statement = Statement::of(sql, false)?;
        self.statement(statement).await.map(|_| ())
    }

    /// Runs a statement, unless an earlier one failed.
    async fn statement(&mut self, statement: Statement) -> sqlx::Result<Steps> {
        if self.failed.is_some() {
            // SQLite may have rolled back by itself. The statement would then be committed at once.
            return Err(StatementRefusal::AfterFailure.into());
        }
        let connection = &mut self.connection.connection;
        let result = self.rules.run_statement(connection, statement).await;
        if let Err(error) = &result {
            self.failed = Some(TaskFailure::by(error, self.rules.database));
        }
        result
    }

    /// Rolls back, and returns the connection to the pool if it is certain that no transaction is open in
    /// it.
    async fn end(mut self) {
        let is_broken = self.failed == Some(TaskFailure::Connection);
        if is_broken && !self.rules.is_memory {
            return;
        }
        let connection = &mut *self.connection.connection;
        let rolled_back = timeout(CLEANUP_LIMIT, roll_back(connection, self.rules.database)).await;
        self.connection.is_settled = rolled_back.unwrap_or(false);
    }
}

/// Rolls back, and returns whether it is certain that no transaction is open any more.
async fn roll_back(connection: &mut AnyConnection, database: Database) -> bool {
    if connection.execute("rollback").await.is_ok() {
        return true;
    }
    // SQLite refuses `rollback` if it has rolled back by itself, and `begin` within a transaction. So
    // if both of these work, no transaction is open.
    database == Database::Sqlite
        && connection.execute("begin").await.is_ok()
        && connection.execute("rollback").await.is_ok()
}

/// Runs a statement to its end.
pub(in crate::store) async fn execute(
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
