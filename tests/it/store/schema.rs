//! Which schemas are refused.

use lacuna::store::StoreError;

use super::fixture::Fixture;

fn refusal(outcome: Result<(), StoreError>) -> String {
    match outcome {
        Err(StoreError::Schema(text)) => text,
        other => panic!("{other:?}"),
    }
}

pub async fn a_store_without_migrations_is_refused(fixture: Fixture) {
    // Migrating again is harmless.
    fixture.store.migrate().await.unwrap();
    fixture.execute("delete from _sqlx_migrations").await;
    assert!(refusal(fixture.store.check_schema().await).contains("run `lacuna migrate`"));
    fixture.execute("drop table _sqlx_migrations").await;
    assert!(refusal(fixture.store.check_schema().await).contains("run `lacuna migrate`"));
}

pub async fn a_store_of_a_later_version_is_refused(fixture: Fixture) {
    fixture
        .execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             select 9999, 'later', success, checksum, 0 from _sqlx_migrations where version = 1",
        )
        .await;
    assert!(refusal(fixture.store.check_schema().await).contains("migration 9999"));
    assert!(refusal(fixture.store.migrate().await).contains("migration 9999"));
}

pub async fn an_altered_migration_is_refused(fixture: Fixture) {
    // Half of the checksum.
    fixture
        .execute("update _sqlx_migrations set checksum = substr(checksum, 1, 24) where version = 1")
        .await;
    assert!(refusal(fixture.store.check_schema().await).contains("is not the one"));
    assert!(refusal(fixture.store.migrate().await).contains("is not the one"));
}
