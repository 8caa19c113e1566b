//! What only SQLite has: a file.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use lacuna::{
    clock::{Clock, ManualClock},
    store::{Exclusive, MovedRow, StoreError, StoreOptions, open::open, sqlite::SqliteStore},
};

use super::{
    capsules::{epoch, keys},
    fixture::{Fixture, Place, on_sqlite},
    rows::{at, ids, moved, moving, opening, request, write},
};

async fn serving(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, &StoreOptions::new(Clock::System, Exclusive::Yes)).await
}

#[tokio::test]
async fn a_second_serve_on_the_same_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lacuna.db");
    let first = serving(&path).await.unwrap();
    let second = serving(&path).await;
    let Err(StoreError::Address(text)) = &second else {
        panic!("{second:?}")
    };
    assert!(text.contains("another `lacuna serve`"), "{text}");
    // Commands that only look or decide may open it beside.
    SqliteStore::open(&path, &StoreOptions::new(Clock::System, Exclusive::No))
        .await
        .unwrap();

    drop(first);
    serving(&path).await.unwrap();
}

#[tokio::test]
async fn its_files_are_its_owners_only() {
    on_sqlite(|fixture: Fixture| async move {
        let Place::Sqlite(path) = &fixture.place else {
            unreachable!("it is SQLite")
        };
        let _serving = serving(path).await.unwrap();
        write(&*fixture.store, &opening([request(1, None)]))
            .await
            .unwrap();
        let mut seen = 0;
        for entry in path.parent().unwrap().read_dir().unwrap() {
            let entry = entry.unwrap();
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{:?}",
                entry.path()
            );
            seen += 1;
        }
        assert_eq!(seen, 4, "the database, its log, the log's index, the lock");
    })
    .await;
}

/// What is overwritten in a page must not stay readable in the free space of the file.
#[tokio::test]
async fn a_shredded_key_is_gone_from_the_file() {
    on_sqlite(|fixture: Fixture| async move {
        let Place::Sqlite(path) = &fixture.place else {
            unreachable!("it is SQLite")
        };
        let key: Vec<u8> = (100..160).collect();
        let holds_key = async || {
            fixture.execute("pragma wal_checkpoint(truncate)").await;
            std::fs::read(path)
                .unwrap()
                .windows(key.len())
                .any(|bytes| bytes == key)
        };
        let mut changes = opening((1..=50).map(|n| request(n, None)));
        changes.opened[20].wrapped_key = Some(key.clone());
        write(&*fixture.store, &changes).await.unwrap();
        assert!(holds_key().await);
        let shred = MovedRow {
            shred: true,
            ..moved(request(21, None), |request| request.bookkeeping.readable = false)
        };
        write(&*fixture.store, &moving([shred])).await.unwrap();
        assert!(!holds_key().await);
    })
    .await;
}

/// The key of many capsules is no easier to find than that of one request.
#[tokio::test]
async fn a_destroyed_key_of_capsules_is_gone_from_the_file() {
    on_sqlite(|fixture: Fixture| async move {
        let Place::Sqlite(path) = &fixture.place else {
            unreachable!("it is SQLite")
        };
        let key: Vec<u8> = (100..160).collect();
        let holds_key = async || {
            fixture.execute("pragma wal_checkpoint(truncate)").await;
            std::fs::read(path)
                .unwrap()
                .windows(key.len())
                .any(|bytes| bytes == key)
        };
        keys(&*fixture.store, &[(epoch(7, "vault"), key.clone())]).await;
        assert!(holds_key().await);
        let mut tx = fixture.store.begin("test").await.unwrap();
        tx.destroy_capsules(&epoch(7, "vault")).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!holds_key().await);
    })
    .await;
}

#[tokio::test]
async fn another_process_sees_what_is_committed() {
    on_sqlite(|fixture: Fixture| async move {
        let beside = fixture.reopened().await;
        write(&*fixture.store, &opening([request(1, None)]))
            .await
            .unwrap();
        assert_eq!(beside.requests(&ids([1])).await.unwrap().len(), 1);
        write(&*beside, &opening([request(2, None)])).await.unwrap();
        assert_eq!(fixture.store.requests(&ids([2])).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn its_clock_is_the_one_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lacuna.db");
    let clock = Clock::Manual(ManualClock::starting_at(at(12_345)));
    let store = open(
        &format!("sqlite://{}", path.display()),
        &StoreOptions::new(clock, Exclusive::No),
    )
    .await
    .unwrap();
    assert_eq!(store.now().await.unwrap(), at(12_345));
}

#[tokio::test]
async fn what_is_no_store_is_refused_without_repeating_it() {
    for url in [
        "mysql://u:secret@host/db",
        "secret",
        "sqlite:/no/such/directory/secret.db",
    ] {
        let refused = open(url, &StoreOptions::new(Clock::System, Exclusive::No)).await;
        assert!(matches!(refused, Err(StoreError::Address(_))), "{url}");
    }
    let refused = open(
        "mysql://u:secret@host/db",
        &StoreOptions::new(Clock::System, Exclusive::No),
    )
    .await;
    assert!(!refused.unwrap_err().to_string().contains("secret"));
}
