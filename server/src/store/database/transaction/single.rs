//! A read of one statement, without a transaction: one statement sees one state of the database by itself.

use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Either, Execute, Executor, FromRow, SqlStr};

use super::task::{Rules, TaskFailure};
use super::{Statement, StatementRefusal, Steps, all_steps, first_row};
use crate::store::database::batch::BoundStatement;
use crate::store::database::connections::Connections;
use crate::store::{Result, Store};

/// Runs one statement that reads. The statement consumes it: two statements would see different states of the
/// database, so they need a snapshot.
pub(in crate::store) struct SingleRead {
    pub(super) connections: Connections,
    pub(super) rules: Rules,
}

impl fmt::Debug for SingleRead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SingleRead").finish_non_exhaustive()
    }
}

impl Store {
    /// The rows of one statement that reads.
    pub(in crate::store) async fn single_rows<T>(
        &self,
        statement: &BoundStatement,
    ) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, AnyRow>,
    {
        let steps = self.single_read().run(statement.to_statement()).await?;
        let rows = steps.iter().filter_map(|step| step.as_ref().right());
        Ok(rows.map(T::from_row).collect::<sqlx::Result<_>>()?)
    }
}

impl SingleRead {
    async fn run(self, statement: sqlx::Result<Statement>) -> sqlx::Result<Steps> {
        let statement = statement?;
        let mut span = self.rules.span("read");
        // A connection whose statement did not end is closed.
        let mut held = self.rules.connection(&self.connections).await?;
        held.is_settled = self.rules.is_memory;
        let result = self.rules.run_statement(&mut held, statement).await;
        let is_broken = result.as_ref().is_err_and(|error| {
            TaskFailure::by(error, self.rules.database) == TaskFailure::Connection
        });
        held.is_settled = !is_broken || self.rules.is_memory;
        if result.is_err() {
            span.fail("not_read");
        }
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
