//! The task that owns the connection of a transaction and runs its statements.

use std::time::Duration;

use futures::TryStreamExt;
use sqlx::{AnyConnection, Either, Executor};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Statement, StatementRefusal, Steps, Then, TransactionRequest};
use crate::metrics::PoolMetrics;
use crate::store::Database;
#[cfg(not(test))]
use crate::store::database::batch;
use crate::store::database::batch::{Batch, BatchFailure, BatchResults, BoundStatement};
use crate::store::database::connections::{Connections, HeldConnection};
use crate::store::database::failure::DatabaseFailure;
use crate::traces::{Span, SpanKind};

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
    /// Whether it begins before its owner sends a statement.
    pub(super) begins_at_once: bool,
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
    /// Begins the span of a transaction with this name.
    pub(super) fn span(&self, name: &'static str) -> Span {
        let mut span = Span::child(SpanKind::Client, || name);
        span.set("db.system.name", || match self.database {
            Database::Sqlite => "sqlite",
            Database::Postgres => "postgresql",
        });
        span.set("db.operation.name", || name);
        span
    }

    /// Waits for a connection.
    pub(super) async fn connection(
        &self,
        connections: &Connections,
    ) -> sqlx::Result<HeldConnection> {
        let connection = self.metrics.waiting(connections.acquire()).await;
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

    /// Runs statements together, within the time limit of one.
    async fn run_batch(
        &self,
        connection: &mut AnyConnection,
        statements: &[&BoundStatement],
    ) -> Result<Vec<Steps>, BatchFailure> {
        #[cfg(not(test))]
        let run = batch::run(self.database, connection, statements);
        #[cfg(test)]
        let run = self.faults.run_batch(self.database, connection, statements);
        let result = match timeout(STATEMENT_LIMIT, run).await {
            Ok(result) => result,
            Err(_) => Err(BatchFailure {
                done: None,
                error: StatementRefusal::NoAnswer.into(),
            }),
        };
        if result.is_err() {
            self.metrics.failures.inc();
        }
        result
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
    has_begun: bool,
    /// When the transaction began.
    opened: Instant,
    longest_statement: Duration,
    /// What failed, if anything has.
    failed: Option<TaskFailure>,
}

impl Task {
    /// Begins the transaction, and serves its requests to the end.
    pub(super) async fn run(
        connections: Connections,
        rules: Rules,
        mut requests: mpsc::Receiver<TransactionRequest>,
        mut ready: oneshot::Sender<sqlx::Result<()>>,
    ) {
        let connection = tokio::select! {
            biased;
            () = ready.closed() => return,
            connection = rules.connection(&connections) => match connection {
                Ok(connection) => connection,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            },
        };
        let mut task = Self::new(connection, &rules);
        if rules.begins_at_once {
            match task.begin(&connections).await {
                Ok(begun) => task = begun,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            }
        }
        // If the owner has gone, there are no requests, and the transaction is rolled back.
        let _ = ready.send(Ok(()));
        task.serve(&connections, &mut requests).await;
    }

    fn new(connection: HeldConnection, rules: &Rules) -> Self {
        Self {
            connection,
            rules: rules.clone(),
            has_begun: false,
            opened: Instant::now(),
            longest_statement: Duration::ZERO,
            failed: None,
        }
    }

    /// Begins the transaction.
    async fn begin(self, connections: &Connections) -> sqlx::Result<Self> {
        let (task, _) = self
            .begin_with(connections, &Batch::default(), Then::More)
            .await?;
        Ok(task)
    }

    /// Begins the transaction with its first batch. A connection that turns out to be unusable is replaced once.
    async fn begin_with(
        mut self,
        connections: &Connections,
        batch: &Batch,
        then: Then,
    ) -> sqlx::Result<(Self, BatchResults)> {
        let mut is_second_try = false;
        loop {
            let BatchFailure { done, error } = match self.batch(batch, then).await {
                Ok(results) => return Ok((self, results)),
                Err(failure) => failure,
            };
            let rules = self.rules.clone();
            self.end().await;
            // A lock is not waited for a second time.
            let is_held = DatabaseFailure::of(&error) == DatabaseFailure::Held;
            if is_second_try || is_held || done != Some(0) {
                return Err(error);
            }
            is_second_try = true;
            self = Self::new(rules.connection(connections).await?, &rules);
        }
    }

    /// Runs statements until the owner commits, goes, or exceeds a limit.
    async fn serve(
        mut self,
        connections: &Connections,
        requests: &mut mpsc::Receiver<TransactionRequest>,
    ) {
        loop {
            let end = self.opened + self.rules.total + self.longest_statement;
            let deadline = end.min(Instant::now() + self.rules.limit);
            let request = tokio::select! {
                biased;
                request = requests.recv() => request,
                () = sleep_until(deadline) => return self.expire().await,
            };
            let started = Instant::now();
            match request {
                None => return self.end().await,
                Some(TransactionRequest::Run(..) | TransactionRequest::Batch(..))
                    if Instant::now() > end =>
                {
                    return self.expire().await;
                }
                Some(TransactionRequest::Run(statement, answer)) => {
                    if !self.has_begun {
                        match self.begin(connections).await {
                            Ok(begun) => self = begun,
                            Err(error) => {
                                let _ = answer.send(Err(error));
                                return;
                            }
                        }
                    }
                    let steps = self.statement(statement).await;
                    // An owner that has gone does not commit either.
                    let _ = answer.send(steps);
                }
                Some(TransactionRequest::Batch(batch, then, answer)) => {
                    let results = if self.has_begun {
                        let results = self.batch(&batch, then).await;
                        results.map_err(|failure| failure.error)
                    } else {
                        match self.begin_with(connections, &batch, then).await {
                            Ok((begun, results)) => {
                                self = begun;
                                Ok(results)
                            }
                            Err(error) => {
                                let _ = answer.send(Err(error));
                                return;
                            }
                        }
                    };
                    if then == Then::Commit {
                        self.end_unless(results.is_ok()).await;
                        let _ = answer.send(results);
                        return;
                    }
                    let _ = answer.send(results);
                }
                Some(TransactionRequest::Commit(answer)) => {
                    let committed = if self.has_begun {
                        self.plain("commit").await
                    } else {
                        Ok(())
                    };
                    self.end_unless(committed.is_ok()).await;
                    let _ = answer.send(committed);
                    return;
                }
            }
            self.longest_statement = self.longest_statement.max(started.elapsed());
        }
    }

    /// Rolls back, unless the transaction was committed.
    async fn end_unless(mut self, is_committed: bool) {
        if is_committed {
            self.connection.is_settled = true;
        } else {
            self.end().await;
        }
    }

    /// Runs a batch, which begins the transaction if nothing has begun it, and commits it if nothing follows.
    async fn batch(&mut self, batch: &Batch, then: Then) -> Result<BatchResults, BatchFailure> {
        if self.failed.is_some() {
            return Err(BatchFailure {
                done: None,
                error: StatementRefusal::AfterFailure.into(),
            });
        }
        let begin = (!self.has_begun).then(|| BoundStatement::new(self.rules.begin));
        let commit = (then == Then::Commit).then(|| BoundStatement::new("commit"));
        let is_first = begin.is_some();
        let statements: Vec<&BoundStatement> = begin
            .iter()
            .chain(batch.statements())
            .chain(&commit)
            .collect();
        let connection = &mut self.connection;
        match self.rules.run_batch(connection, &statements).await {
            Ok(mut steps) => {
                if is_first {
                    self.has_begun = true;
                    self.opened = Instant::now();
                    steps.remove(0);
                }
                Ok(BatchResults::new(steps))
            }
            Err(failure) => {
                self.failed = Some(TaskFailure::by(&failure.error, self.rules.database));
                Err(failure)
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
        let connection = &mut self.connection;
        let result = self.rules.run_statement(connection, statement).await;
        if let Err(error) = &result {
            self.failed = Some(TaskFailure::by(error, self.rules.database));
        }
        result
    }

    /// Rolls back, and returns the connection to the pool if it is certain that no transaction is open in
    /// it.
    async fn end(mut self) {
        if !self.has_begun && self.failed.is_none() {
            self.connection.is_settled = true;
            return;
        }
        let is_broken = self.failed == Some(TaskFailure::Connection);
        if is_broken && !self.rules.is_memory {
            return;
        }
        let connection = &mut *self.connection;
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
