//! Prepared statements of PostgreSQL that do not fit any more.

use lacuna::store::{Gate, StoreError};

use super::fixture::{Fixture, on_postgres};

/// A column of another type: what was planned before answers in the old one, and the server refuses that for as long as the
/// connection lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_with_stale_plans_are_replaced() {
    on_postgres(|fixture: Fixture| async move {
        let store = &fixture.store;
        let mut tx = store.begin("test").await.unwrap();
        tx.gate(Gate::Exclusive).await.unwrap();
        tx.add_registry(1, "text", lacuna::domain::time::At::default())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        for _ in 0..4 {
            store.registry().await.unwrap().unwrap();
        }
        fixture
            .execute("alter table registry alter column text type varchar(1000)")
            .await;
        let refused = store.registry().await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Unusable(_)) && refused.is_outage(),
            "no message is blamed: {refused:?}"
        );
        for _ in 0..20 {
            assert_eq!(store.registry().await.unwrap().unwrap().text, "text");
        }
    })
    .await;
}
