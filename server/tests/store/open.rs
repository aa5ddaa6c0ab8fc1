//! Opening a database that another version of Rill has migrated.

use sqlx::Connection;

use super::*;

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_one_sentence() {
    for place in [Some(Place::sqlite()), Place::postgres().await]
        .into_iter()
        .flatten()
    {
        place.open().await.close().await;
        let url = match &place.saving.database_url {
            Some(url) => secrecy::ExposeSecret::expose_secret(url).to_owned(),
            None => {
                let folder = place.saving.data_dir.as_ref().expect("a folder");
                format!("sqlite://{}", folder.join("rill.db").display())
            }
        };
        let mut connection = AnyConnection::connect(&url).await.expect("a database");
        query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select 999, description, success, checksum, execution_time from _sqlx_migrations
             where version = 1",
        )
        .execute(&mut connection)
        .await
        .expect("a table of sqlx");
        connection.close().await.expect("closed");
        let error = store::open(&place.saving.store())
            .await
            .err()
            .expect("it is refused");
        assert!(error.contains("newer version of Rill"), "{error}");
        assert_eq!(error.matches(". ").count(), 0, "{error}");
        place.drop_database().await;
    }
}
