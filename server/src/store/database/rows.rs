//! Rows as structs, and the values that columns store as text or numbers. Rows do not leave the store.

use app::protocol::{ErrorKind, Finish, ReplyError, Role};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Column, Decode, Row, Type};

use crate::store::{GenerationEnd, TitledBy};

/// Declares a struct with one field for each column of a query, and reads each field from the column of
/// the same name. A query gives a computed or renamed column its name by `as`.
macro_rules! row {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident { $($field:ident: $type:ty,)+ }
    ) => {
        $(#[$attribute])*
        $visibility struct $name {
            $(pub(in crate::store) $field: $type,)+
        }

        impl<'r> sqlx::FromRow<'r, sqlx::any::AnyRow> for $name {
            fn from_row(row: &'r sqlx::any::AnyRow) -> sqlx::Result<Self> {
                let mut columns = $crate::store::database::rows::Columns::of(row);
                Ok(Self {
                    $($field: columns.get(stringify!($field))?,)+
                })
            }
        }
    };
}
pub(in crate::store) use row;

/// Reads the columns of a row by their names. Most queries return the columns in the order in which they are
/// read, so the name of the next column is compared first: that is faster than looking a name up.
pub(in crate::store) struct Columns<'r> {
    row: &'r AnyRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(in crate::store) fn of(row: &'r AnyRow) -> Self {
        Self { row, next: 0 }
    }

    /// The value of the column with this name, wherever it is.
    pub(in crate::store) fn get<T>(&mut self, name: &str) -> sqlx::Result<T>
    where
        T: Decode<'r, Any> + Type<Any>,
    {
        let at = match self.row.columns().get(self.next) {
            Some(column) if column.name() == name => self.next,
            _ => self.row.try_column(name)?.ordinal(),
        };
        self.next = at + 1;
        self.row.try_get(at)
    }
}

/// How a reply ended, from the columns `state`, `finish` and `error`; `None` while it is being made.
pub(in crate::store) fn end(
    state: &str,
    finish: Option<String>,
    error: Option<String>,
) -> Option<GenerationEnd> {
    match state {
        "streaming" => None,
        "done" => Some(GenerationEnd::Done(
            finish
                .and_then(|name| serde_json::from_value(name.into()).ok())
                .unwrap_or(Finish::Stop),
        )),
        "error" => Some(GenerationEnd::Failed(
            from_json(error).unwrap_or_else(|| ReplyError::of(ErrorKind::Unknown)),
        )),
        _ => Some(GenerationEnd::Failed(ReplyError::of(
            ErrorKind::Interrupted,
        ))),
    }
}

/// Reads the column `role`.
pub(in crate::store) fn role(name: &str) -> Role {
    match name {
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => Role::User,
    }
}

/// The value of the column `role`.
pub(in crate::store) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::User => "user",
    }
}

/// The value of the column `titled_by`. A higher rank replaces a lower one.
pub(in crate::store) fn titled_by(by: TitledBy) -> i64 {
    match by {
        TitledBy::FirstWords => 0,
        TitledBy::Model => 1,
        TitledBy::Person => 2,
    }
}

/// Writes a column of milliseconds.
pub(in crate::store) fn ms(time: Option<u64>) -> Option<i64> {
    time.and_then(|time| i64::try_from(time).ok())
}

/// Writes a column of JSON.
pub(in crate::store) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the wire types are JSON")
}

/// Reads a column of JSON. A value that does not parse counts as none.
pub(in crate::store) fn from_json<T: DeserializeOwned>(text: Option<String>) -> Option<T> {
    serde_json::from_str(&text?).ok()
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, query_as};

    row! {
        #[derive(Debug, PartialEq)]
        struct Three {
            a: i64,
            b: String,
            c: Option<i64>,
        }
    }

    #[tokio::test]
    async fn the_order_of_columns_does_not_matter_and_a_missing_one_is_an_error() {
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect("sqlite::memory:")
            .await
            .expect("a database");
        for sql in [
            "select 1 as a, 'x' as b, 3 as c",
            "select 3 as c, 'x' as b, 1 as a",
            "select 0 as d, 'x' as b, 1 as a, 3 as c",
        ] {
            let row: Three = query_as(sql).fetch_one(&mut connection).await.expect(sql);
            let expect = Three {
                a: 1,
                b: "x".to_owned(),
                c: Some(3),
            };
            assert_eq!(row, expect, "{sql}");
        }
        let sql = "select 1 as a, 'x' as b";
        let missing = query_as::<_, Three>(sql).fetch_one(&mut connection).await;
        let missing = missing.expect_err("it has no c");
        assert!(missing.to_string().contains("\"c\"") || missing.to_string().contains(" c"));
    }
}
