//! The migrations, which run when the store is opened. A released migration never changes; changes of the
//! schema are new migrations.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::Database;

/// One migration.
#[derive(Debug, Clone, Copy)]
pub(super) struct SchemaStep {
    pub(super) version: i64,
    pub(super) name: &'static str,
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
    /// Whether it changes stored data, so that the database is copied first.
    pub(super) changes_data: bool,
}

pub(super) const STEPS: &[SchemaStep] = &[
    SchemaStep {
        version: 1,
        name: "conversations",
        sqlite: include_str!("migrations/sqlite/0001_conversations.sql"),
        postgres: include_str!("migrations/postgres/0001_conversations.sql"),
        changes_data: false,
    },
    SchemaStep {
        version: 2,
        name: "continued generations",
        sqlite: include_str!("migrations/sqlite/0002_continued_generations.sql"),
        postgres: include_str!("migrations/postgres/0002_continued_generations.sql"),
        changes_data: false,
    },
    SchemaStep {
        version: 3,
        name: "one form of ids",
        sqlite: include_str!("migrations/sqlite/0003_one_form_of_ids.sql"),
        postgres: include_str!("migrations/postgres/0003_one_form_of_ids.sql"),
        changes_data: true,
    },
    SchemaStep {
        version: 4,
        name: "replies of a message",
        sqlite: include_str!("migrations/sqlite/0004_replies_of_a_message.sql"),
        postgres: include_str!("migrations/postgres/0004_replies_of_a_message.sql"),
        changes_data: false,
    },
    SchemaStep {
        version: 5,
        name: "fewer merges",
        sqlite: include_str!("migrations/sqlite/0005_fewer_merges.sql"),
        postgres: include_str!("migrations/postgres/0005_fewer_merges.sql"),
        changes_data: false,
    },
    SchemaStep {
        version: 6,
        name: "people",
        sqlite: include_str!("migrations/sqlite/0006_people.sql"),
        postgres: include_str!("migrations/postgres/0006_people.sql"),
        changes_data: false,
    },
    SchemaStep {
        version: 7,
        name: "ways to sign in",
        sqlite: include_str!("migrations/sqlite/0007_ways_to_sign_in.sql"),
        postgres: include_str!("migrations/postgres/0007_ways_to_sign_in.sql"),
        changes_data: false,
    },
    SchemaStep {
        version: 8,
        name: "branches",
        sqlite: include_str!("migrations/sqlite/0008_branches.sql"),
        postgres: include_str!("migrations/postgres/0008_branches.sql"),
        changes_data: false,
    },
    SchemaStep {
        version: 9,
        name: "presets",
        sqlite: include_str!("migrations/sqlite/0009_presets.sql"),
        postgres: include_str!("migrations/postgres/0009_presets.sql"),
        changes_data: false,
    },
];

/// The migrations of a database system, as sqlx runs them.
pub(super) fn migrator(steps: &[SchemaStep], database: Database) -> Migrator {
    let migration = |step: &SchemaStep| {
        let sql = match database {
            Database::Sqlite => step.sqlite,
            Database::Postgres => step.postgres,
        };
        Migration::new(
            step.version,
            Cow::Borrowed(step.name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}
