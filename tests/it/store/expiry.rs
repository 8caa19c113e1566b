//! Lines of what waits to be deleted, what is deleted, and the words that are left to say.

use lacuna::{
    domain::{
        identity::SuppressionDigest,
        ids::{CommandId, IdentityType, RequestId},
        words::Status,
    },
    store::{
        CapsuleRow, Changes, Closing, CompactedKey, LastWord, LeafRow, Line, PurgedRow, ResealedRow, Store,
        StoreError, SuppressionRow,
    },
};
use uuid::Uuid;

use super::{
    capsules::capsule,
    fixture::Fixture,
    rows::{at, id, ids, inbox, leaf, load, moved, moving, opening, request, sorted, tenant, write},
};

fn closing(line: Line, millis: i64, n: u128, requests: impl IntoIterator<Item = u128>) -> Closing {
    Closing {
        line,
        at: at(millis),
        id: Uuid::from_u128(n),
        requests: ids(requests),
    }
}

async fn front(store: &dyn Store, line: Line, limit: u32) -> Vec<Closing> {
    let mut tx = store.begin("test").await.unwrap();
    let rows = tx.closings(line, limit).await.unwrap();
    tx.commit().await.unwrap();
    rows
}

fn lining(closings: Vec<Closing>, closings_done: Vec<Closing>) -> Changes {
    Changes {
        closings,
        closings_done,
        at: at(3),
        ..Changes::default()
    }
}

pub async fn lines_give_the_oldest_first(fixture: Fixture) {
    let store = &*fixture.store;
    let (first, second) = (
        closing(Line::Lookups, 10, 2, [1, 2, 3]),
        closing(Line::Lookups, 20, 1, [4]),
    );
    let other = closing(Line::Records, 5, 3, [9]);
    let all = vec![second.clone(), other.clone(), first.clone()];
    write(store, &lining(all, Vec::new())).await.unwrap();
    assert_eq!(
        front(store, Line::Lookups, 10).await,
        [first.clone(), second.clone()]
    );
    assert_eq!(front(store, Line::Lookups, 1).await, std::slice::from_ref(&first));
    assert_eq!(front(store, Line::Records, 10).await, [other]);
    // The first one goes on to the other line.
    let next = closing(Line::Records, 10, 4, [1, 2]);
    let on = lining(vec![next.clone()], vec![first.clone()]);
    write(store, &on).await.unwrap();
    assert_eq!(front(store, Line::Lookups, 10).await, [second]);
    assert_eq!(front(store, Line::Records, 10).await.last(), Some(&next));
    let twice = write(store, &lining(Vec::new(), vec![first])).await;
    assert!(matches!(twice, Err(StoreError::Conflict)), "{twice:?}");
}

pub async fn a_line_is_shared_by_two_workers(fixture: Fixture) {
    let store = &*fixture.store;
    let rows = vec![
        closing(Line::Records, 1, 1, [1]),
        closing(Line::Records, 2, 2, [2]),
    ];
    write(store, &lining(rows.clone(), Vec::new())).await.unwrap();
    let mut one = store.begin("test").await.unwrap();
    assert_eq!(one.closings(Line::Records, 1).await.unwrap(), rows[..1]);
    if matches!(fixture.place, super::fixture::Place::Postgres(_)) {
        // Nobody waits for what another one has taken.
        assert_eq!(front(store, Line::Records, 5).await, rows[1..]);
    }
    one.write(&lining(Vec::new(), rows[..1].to_vec())).await.unwrap();
    one.commit().await.unwrap();
    assert_eq!(front(store, Line::Records, 5).await, rows[1..]);
}

pub async fn digests_go_and_leave_the_request(fixture: Fixture) {
    let store = &*fixture.store;
    let mut changes = opening([request(1, None), request(2, None)]);
    for row in &mut changes.opened {
        row.digests = vec![[42; 16], [42; 16], [row.state.id.0.as_u128() as u8; 16]];
    }
    write(store, &changes).await.unwrap();
    // One that was supplied later goes as well.
    let supplied = Changes {
        resealed: vec![ResealedRow {
            id: id(1),
            body: vec![5],
            sealed: vec![6],
            digests: vec![[0; 16], [77; 16]],
        }],
        ..Changes::default()
    };
    write(store, &supplied).await.unwrap();
    assert_eq!(store.of_subject(&[[77; 16]], 5).await.unwrap(), [id(1)]);
    let expired = Changes {
        expired: vec![id(1)],
        ..Changes::default()
    };
    for _ in 0..2 {
        write(store, &expired).await.unwrap();
        for digest in [[1; 16], [77; 16], [0; 16]] {
            assert!(store.of_subject(&[digest], 5).await.unwrap().is_empty());
        }
        assert_eq!(store.of_subject(&[[42; 16]], 5).await.unwrap(), [id(2)]);
    }
    assert_eq!(load(store, 1).await.request, request(1, None));
    assert_eq!(store.bodies(&[id(1)]).await.unwrap()[0].sealed, [6]);
}

pub fn purging(n: u128, revision: u32) -> Changes {
    Changes {
        purged: vec![PurgedRow {
            id: id(n),
            tenant: tenant(),
            revision,
            received_at: at(7_200_001),
            regime: "gdpr".to_owned(),
            status: Status::Completed,
        }],
        ..Changes::default()
    }
}

pub async fn a_purged_request_leaves_its_leaves(fixture: Fixture) {
    let store = &*fixture.store;
    let mut changes = opening([request(1, Some(10)), request(2, Some(10))]);
    // Its own command, one with another id, and one that has nothing to do with it.
    changes.inbox = vec![inbox(1, 1), inbox(50, 1), inbox(2, 2)];
    changes.leaves = (0..3).flat_map(|n| [leaf(1, n), leaf(2, n)]).collect();
    changes.outbox = vec![(id(1), 1), (id(2), 1)];
    changes.suppression = vec![of_topic(1, 7), of_topic(2, 7)];
    write(store, &changes).await.unwrap();
    let kept: Vec<CapsuleRow> = vec![capsule(1, 5, "nightly"), capsule(2, 5, "nightly")];
    let keeping = Changes {
        capsules: kept,
        ..Changes::default()
    };
    write(store, &keeping).await.unwrap();

    let stale = write(store, &purging(1, 7)).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    assert!(!store.requests(&[id(1)]).await.unwrap().is_empty());
    write(store, &purging(1, 1)).await.unwrap();

    assert!(store.requests(&[id(1)]).await.unwrap().is_empty());
    assert!(store.bodies(&[id(1)]).await.unwrap().is_empty());
    assert!(store.of_subject(&[[1; 16]], 5).await.unwrap().is_empty());
    assert!(store.suppression_of(&[id(1)]).await.unwrap().is_empty());
    assert!(
        store
            .open_page(None, 10)
            .await
            .unwrap()
            .iter()
            .all(|row| row.request.id == id(2))
    );
    assert_eq!(store.outbox(at(100), 10).await.unwrap(), [id(2)]);
    let mut tx = store.begin("test").await.unwrap();
    let commands = [1, 50, 2].map(|n| CommandId(Uuid::from_u128(n)));
    let tenant = tenant();
    let known = tx
        .inbox(&commands.map(|command| (&tenant, command)))
        .await
        .unwrap();
    assert_eq!(
        known.iter().map(|row| row.request_id).collect::<Vec<_>>(),
        [id(2)]
    );
    assert_eq!(tx.leaf_counts(&[id(1), id(3)]).await.unwrap(), [(id(1), 3)]);
    tx.commit().await.unwrap();
    let leaves = store.leaves(id(1)).await.unwrap();
    assert_eq!(leaves.len(), 3, "the ledger only grows");
    assert!(leaves.iter().all(|leaf| leaf.sealed.is_none()), "free text goes");
    assert!(store.leaves(id(2)).await.unwrap()[1].sealed.is_some());
    let twice = write(store, &purging(1, 1)).await;
    assert!(matches!(twice, Err(StoreError::Conflict)), "{twice:?}");

    // It may be opened once more, where its leaves go on.
    let mut again = opening([request(1, None)]);
    again.inbox = vec![inbox(1, 1)];
    again.leaves = vec![LeafRow { n: 0, ..leaf(1, 0) }];
    let refused = write(store, &again).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    again.leaves[0].n = 3;
    write(store, &again).await.unwrap();
}

fn of_topic(n: u128, digest: u8) -> SuppressionRow {
    SuppressionRow {
        digest: [digest; 32],
        request_id: id(n),
        identity_type: IdentityType::new("email").unwrap(),
        recipe: lacuna::domain::identity::Recipe::V2,
    }
}

pub async fn the_suppressed_are_found_by_many_digests_at_once(fixture: Fixture) {
    let store = &*fixture.store;
    let mut changes = opening((1..=40).map(|n| request(n, None)));
    for row in &mut changes.opened {
        row.digests.push([200; 16]);
    }
    changes.suppression = vec![of_topic(1, 1), of_topic(2, 1), of_topic(3, 3), of_topic(3, 3)];
    write(store, &changes).await.unwrap();
    let cancel = moved(request(2, None), |request| {
        request.life.status = Status::Cancelled
    });
    write(store, &moving([cancel])).await.unwrap();

    let open = [Status::InProgress, Status::Deferred];
    let digests: Vec<[u8; 16]> = (1..=90).map(|n| [n; 16]).collect();
    let found = store.with_subjects(&digests, &open).await.unwrap();
    let found: Vec<(u8, RequestId)> = sorted(found.iter().map(|(digest, r)| (digest[0], r.id)).collect());
    let expected = (1..=40).filter(|n| *n != 2).map(|n| (n as u8, id(n)));
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert_eq!(store.with_subjects(&[[200; 16]], &open).await.unwrap().len(), 39);
    assert!(store.with_subjects(&[], &open).await.unwrap().is_empty());

    let keys: Vec<SuppressionDigest> = vec![[1; 32], [3; 32], [9; 32]];
    let found = store.suppressed(&keys).await.unwrap();
    let found = sorted(found.into_iter().map(|(row, r)| (row, r.id)).collect());
    let expected = [of_topic(1, 1), of_topic(2, 1), of_topic(3, 3)].map(|row| (row.clone(), row.request_id));
    assert_eq!(found, expected);
    let rows = sorted(store.suppression_of(&ids([1, 3])).await.unwrap());
    assert_eq!(rows, [of_topic(1, 1), of_topic(3, 3)]);
}

pub async fn last_words_stay_until_they_are_confirmed(fixture: Fixture) {
    let store = &*fixture.store;
    let word = |n, key| LastWord {
        id: Uuid::from_u128(n),
        key,
    };
    let words = vec![
        word(2, CompactedKey::Suppression([8; 32])),
        word(1, CompactedKey::Status(id(7))),
        word(3, CompactedKey::Status(id(7))),
    ];
    let saying = Changes {
        last_words: words.clone(),
        at: at(50),
        ..Changes::default()
    };
    write(store, &saying).await.unwrap();
    assert!(
        store
            .take_last_words(at(50), at(50), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let found = store.take_last_words(at(51), at(50), 10).await.unwrap();
    assert_eq!(found, [words[1].clone(), words[0].clone(), words[2].clone()]);
    assert_eq!(
        store.take_last_words(at(51), at(50), 1).await.unwrap(),
        words[1..2]
    );
    store.last_words_done(&[words[0].id, words[1].id]).await.unwrap();
    store.last_words_done(&[]).await.unwrap();
    assert_eq!(
        store.take_last_words(at(51), at(50), 10).await.unwrap(),
        words[2..]
    );
}
