//! A read of one statement, without a transaction: one statement sees one state of the database by itself.

use std::fmt;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyPool, Either, Execute, Executor, SqlStr};

use super::task::{HeldConnection, Rules, TaskFailure};
use super::{Statement, StatementRefusal, Steps};

/// Runs one statement that reads. It is used up by it, so that two statements, which would see different
/// states of the database, need a snapshot.
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
        let mut held = HeldConnection::new(self.pool.acquire().await?, self.rules.is_memory);
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
        self.run(statement)
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
        futures::future::ready(Err(StatementRefusal::NotOffered.into())).boxed()
    }
}
