//! Opens PostgreSQL: connects and migrates.

use std::path::Path;

use sqlx::Executor;
use sqlx::any::AnyPoolOptions;

use super::{IDLE, connect_options, migrate};
use crate::store::database::connections::{ACQUIRE, Connections};
use crate::store::database::{Database, postgres};
use crate::store::migrations::SchemaStep;
use crate::store::{Store, StoreError};

/// The most connections.
const CONNECTIONS: u32 = 10;

pub(in crate::store) async fn open_postgres(
    url: &str,
    steps: &[SchemaStep],
) -> Result<Store, String> {
    // The URL is not repeated, because it may have a password in it.
    let failed = |error| {
        let error = StoreError::from(error);
        format!("the database of --database-url cannot be reached: {error}")
    };
    let pool = AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Databases that speak PostgreSQL's protocol but do not know the setting are used
                // without it.
                let _ = connection.execute(postgres::SETTING).await;
                Ok(())
            })
        })
        .connect_with(connect_options(url).map_err(failed)?)
        .await
        .map_err(failed)?;
    migrate(
        &pool,
        steps,
        Database::Postgres,
        Path::new("of --database-url"),
    )
    .await?;
    let connections = Connections::tested(pool);
    Ok(Store::new(
        connections.clone(),
        connections,
        Database::Postgres,
    ))
}
