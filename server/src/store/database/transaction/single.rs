//! A read of one statement, without a transaction: one statement sees one state of the database by itself.

use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyPool, Either, Execute, Executor, SqlStr};

use super::task::{HeldConnection, Rules, TaskFailure};
use super::{Statement, StatementRefusal, Steps, all_steps, first_row};

/// Runs one statement that reads. The statement consumes it: two statements would see different states of the
/// database, so they need a snapshot.
pub(in crate::store) struct SingleRead {
    pub(super) pool: AnyPool,
    pub(super) rules: Rules,
}

impl fmt::Debug for SingleRead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SingleRead").finish_non_exhaustive()
    }
}

impl SingleRead {
    async fn run(self, statement: sqlx::Result<Statement>) -> sqlx::Result<Steps> {
        let statement = statement?;
        // A connection whose statement did not end is closed.
        let mut held = HeldConnection::new(
            self.rules.connection(&self.pool).await?,
            self.rules.is_memory,
        );
        let result = self
            .rules
            .run_statement(&mut held.connection, statement)
            .await;
        let is_broken = result.as_ref().is_err_and(|error| {
            TaskFailure::by(error, self.rules.database) == TaskFailure::Connection
        });
        held.is_settled = !is_broken || self.rules.is_memory;
        result
    }
}

impl<'c> Executor<'c> for SingleRead {
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
        all_steps(self.run(statement))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let statement = Statement::of(query, true);
        first_row(self.run(statement))
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
