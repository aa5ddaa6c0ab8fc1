//! Batches: statements that are sent to the database together.
//!
//! SQLite runs on a thread of its own. Each statement that is sent to it wakes that thread, and its answer wakes the
//! thread that waits: this costs more than most statements. So the statements of a batch are sent as one text, which
//! is prepared once. PostgreSQL takes one statement with parameters at a time.

use std::fmt::Write;

use futures::TryStreamExt;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, Arguments, AssertSqlSafe, Executor, FromRow, SqlSafeStr, SqlStr};

use super::Database;
use super::transaction::{Statement, Steps, execute};

/// A value of a parameter.
#[derive(Debug)]
pub(in crate::store) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Bytes(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $into:expr;)+) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        })+
    };
}

value_from! {
    &str => |value| Self::Text(Some(value.to_owned()));
    &String => |value| Self::Text(Some(value.clone()));
    String => |value| Self::Text(Some(value));
    Option<&str> => |value| Self::Text(value.map(str::to_owned));
    Option<String> => |value| Self::Text(value);
    i64 => |value| Self::Integer(Some(value));
    Option<i64> => |value| Self::Integer(value);
    Vec<u8> => |value| Self::Bytes(value);
}

/// A statement with the values of its parameters `$1`, `$2`, …
#[derive(Debug)]
pub(in crate::store) struct BoundStatement {
    sql: SqlStr,
    values: Vec<Value>,
    is_kept: bool,
}

impl BoundStatement {
    pub(in crate::store) fn new(sql: impl SqlSafeStr) -> Self {
        Self {
            sql: sql.into_sql_str(),
            values: Vec::new(),
            is_kept: true,
        }
    }

    /// Whether the database keeps the prepared statement, with its values, for the next time. A text that is seldom used
    /// again should not be kept: there are a hundred places, and each may take as much memory as a stream.
    pub(in crate::store) fn kept(mut self, is_kept: bool) -> Self {
        self.is_kept = is_kept;
        self
    }

    /// Adds the value of the next parameter.
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(in crate::store) fn to_statement(&self) -> sqlx::Result<Statement> {
        let arguments = (!self.values.is_empty()).then(|| arguments(&self.values));
        Ok(Statement::new(
            self.sql.clone(),
            arguments.transpose()?,
            self.is_kept,
        ))
    }
}

/// Statements that are sent together.
#[derive(Debug, Default)]
pub(in crate::store) struct Batch(Vec<BoundStatement>);

impl Batch {
    /// Adds a statement, and returns the place of its results among those of the batch.
    pub(in crate::store) fn add(&mut self, statement: BoundStatement) -> usize {
        self.0.push(statement);
        self.0.len() - 1
    }

    pub(super) fn statements(&self) -> &[BoundStatement] {
        &self.0
    }
}

/// The results of the statements of a batch, in their order.
pub(in crate::store) struct BatchResults(Vec<Steps>);

impl BatchResults {
    pub(super) fn new(steps: Vec<Steps>) -> Self {
        Self(steps)
    }

    /// The rows of the statement at this place. A second call returns none.
    pub(in crate::store) fn rows<T>(&mut self, place: usize) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, AnyRow>,
    {
        let steps = std::mem::take(&mut self.0[place]);
        let rows = steps.iter().filter_map(|step| step.as_ref().right());
        rows.map(T::from_row).collect()
    }

    /// The first row of the statement at this place.
    pub(in crate::store) fn first<T>(&mut self, place: usize) -> sqlx::Result<Option<T>>
    where
        T: for<'r> FromRow<'r, AnyRow>,
    {
        Ok(self.rows(place)?.into_iter().next())
    }
}

/// A batch of which one statement failed.
#[derive(Debug)]
pub(in crate::store) struct BatchFailure {
    /// How many statements had been done. `None`: that is not known.
    pub(in crate::store) done: Option<usize>,
    pub(in crate::store) error: sqlx::Error,
}

/// Runs statements in their order until one fails.
pub(in crate::store) async fn run(
    database: Database,
    connection: &mut AnyConnection,
    statements: &[&BoundStatement],
) -> Result<Vec<Steps>, BatchFailure> {
    let mut results = Vec::with_capacity(statements.len());
    let run = match database {
        Database::Sqlite => run_joined(connection, statements, &mut results).await,
        Database::Postgres => run_each(connection, statements, &mut results).await,
    };
    match run {
        Ok(()) => Ok(results),
        Err(error) => Err(BatchFailure {
            done: Some(results.len()),
            error,
        }),
    }
}

async fn run_each(
    connection: &mut AnyConnection,
    statements: &[&BoundStatement],
    results: &mut Vec<Steps>,
) -> sqlx::Result<()> {
    for statement in statements {
        results.push(execute(connection, statement.to_statement()?).await?);
    }
    Ok(())
}

async fn run_joined(
    connection: &mut AnyConnection,
    statements: &[&BoundStatement],
    results: &mut Vec<Steps>,
) -> sqlx::Result<()> {
    let sql = AssertSqlSafe(joined(statements));
    let arguments = arguments(statements.iter().flat_map(|statement| &statement.values))?;
    let is_kept = statements.iter().all(|statement| statement.is_kept);
    let mut steps = connection.fetch_many(sqlx::query_with(sql, arguments).persistent(is_kept));
    let mut rows = Steps::new();
    while let Some(step) = steps.try_next().await? {
        let is_last = step.is_left();
        rows.push(step);
        if is_last {
            results.push(std::mem::take(&mut rows));
        }
    }
    Ok(())
}

/// The statements as one text. SQLite counts parameters over the whole text, so their numbers go on from statement to
/// statement. No statement has a `$` but before a number.
fn joined(statements: &[&BoundStatement]) -> String {
    let length = statements
        .iter()
        .map(|statement| statement.sql.as_str().len() + 32);
    let mut text = String::with_capacity(length.sum());
    let mut before = 0;
    for statement in statements {
        let mut parts = statement.sql.as_str().split('$');
        text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let end = part.find(|char: char| !char.is_ascii_digit());
            let (number, rest) = part.split_at(end.unwrap_or(part.len()));
            let number: usize = number.parse().unwrap_or_default();
            write!(text, "${}", before + number).expect("writing to a string cannot fail");
            text.push_str(rest);
        }
        text.push_str(";\n");
        before += statement.values.len();
    }
    text
}

fn arguments<'a>(values: impl IntoIterator<Item = &'a Value>) -> sqlx::Result<AnyArguments> {
    let mut arguments = AnyArguments::default();
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text.as_deref()),
            Value::Integer(integer) => arguments.add(*integer),
            Value::Bytes(bytes) => arguments.add(bytes.as_slice()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;

    #[test]
    fn the_parameters_of_joined_statements_are_counted_on() {
        let statements = [
            BoundStatement::new("begin"),
            BoundStatement::new("select $2, $1").bind("a").bind(2),
            BoundStatement::new("select $1").bind(vec![3]),
            BoundStatement::new("select $10")
                .bind("x")
                .bind(None::<i64>),
        ];
        assert_eq!(
            joined(&statements.each_ref()),
            "begin;\nselect $2, $1;\nselect $3;\nselect $13;\n"
        );
    }

    #[tokio::test]
    async fn each_statement_has_its_own_results_and_those_before_a_failure_are_counted() {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect("sqlite::memory:")
            .await
            .expect("it opens");
        let mut batch = vec![
            BoundStatement::new("create table t (a integer unique, b text)"),
            BoundStatement::new("insert into t values ($1, $2), ($3, $4) returning a")
                .bind(1)
                .bind("one")
                .bind(2)
                .bind(None::<&str>),
            BoundStatement::new("select b from t where a = $1").bind(3),
            BoundStatement::new("select b from t where a = $1").bind(1),
        ];
        let steps = run(
            Database::Sqlite,
            &mut connection,
            &batch.iter().collect::<Vec<_>>(),
        )
        .await;
        let mut results = BatchResults::new(steps.expect("it runs"));
        assert_eq!(results.rows::<(i64,)>(1).expect("rows"), [(1,), (2,)]);
        assert_eq!(results.first::<(String,)>(2).expect("none"), None);
        let one = results.first::<(String,)>(3).expect("a row");
        assert_eq!(one, Some(("one".to_owned(),)));
        batch.remove(0);
        batch[0] = BoundStatement::new("insert into t values ($1, 'three')").bind(3);
        batch.insert(
            2,
            BoundStatement::new("insert into t values ($1, 'again')").bind(3),
        );
        let failed = run(
            Database::Sqlite,
            &mut connection,
            &batch.iter().collect::<Vec<_>>(),
        )
        .await;
        let done = failed.err().and_then(|failed| failed.done);
        assert_eq!(done, Some(2), "it is there already");
    }
}
