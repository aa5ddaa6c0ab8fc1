//! Rows as structs, and the values that columns store as text or numbers. Rows do not leave the store.

use app::protocol::{ErrorKind, Finish, ReplyError, Role};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{End, TitledBy};

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
                Ok(Self {
                    $($field: sqlx::Row::try_get(row, stringify!($field))?,)+
                })
            }
        }
    };
}
pub(in crate::store) use row;

/// How a reply ended, from the columns `state`, `finish` and `error`; `None` while it is being made.
pub(in crate::store) fn end(
    state: &str,
    finish: Option<String>,
    error: Option<String>,
) -> Option<End> {
    match state {
        "streaming" => None,
        "done" => Some(End::Done(
            finish
                .and_then(|name| serde_json::from_value(name.into()).ok())
                .unwrap_or(Finish::Stop),
        )),
        "error" => Some(End::Failed(
            from_json(error).unwrap_or_else(|| ReplyError::of(ErrorKind::Unknown)),
        )),
        _ => Some(End::Failed(ReplyError::of(ErrorKind::Interrupted))),
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
