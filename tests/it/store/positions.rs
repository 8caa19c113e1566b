//! What a position remembers of its log.

use lacuna::store::{
    Acceptance, Advance, Changes, DeadLetter, DeadLetterFilter, EarlyChanges, EarlyRow, Mark, Noted, Origin,
    PositionNote, Store, StoreError,
};

use super::{
    fixture::Fixture,
    rows::{CLUSTER, TOPIC, advance, at, id, letter, origin, take_in, tenant, write},
};
use lacuna::domain::ids::CommandId;
use uuid::Uuid;

fn mark(offset: i64) -> Mark {
    Mark {
        offset,
        at: Some(at(offset * 3)),
        digest: [u8::try_from(offset).unwrap(); 16],
    }
}

/// As a worker moves it on that knows the message before.
fn following(after: i64, first: i64, next: i64) -> Advance {
    Advance {
        after: Some(after),
        last: Some(mark(next - 1)),
        ..advance(first, next)
    }
}

fn note(incarnation: u32, noted: Noted) -> PositionNote {
    PositionNote {
        cluster: CLUSTER.into(),
        topic: TOPIC.into(),
        partition: 0,
        incarnation,
        noted,
    }
}

fn is_fenced(done: &Result<(), StoreError>) -> bool {
    matches!(done, Err(StoreError::Fenced { .. }))
}

async fn next_offset(store: &dyn Store) -> i64 {
    store.positions(CLUSTER).await.unwrap()[0].next_offset
}

pub async fn that_went_back_are_not_jumped_over(fixture: Fixture) {
    let store = &*fixture.store;
    take_in(store, &[advance(0, 10)]).await.unwrap();
    // A transaction marker at 10.
    take_in(store, &[following(10, 11, 15)]).await.unwrap();
    // The store is put back from a copy while the worker goes on.
    fixture.execute("update position set next_offset = 7").await;
    assert!(is_fenced(&take_in(store, &[following(15, 15, 20)]).await));
    assert_eq!(next_offset(store).await, 7);
    take_in(store, &[following(7, 7, 15)]).await.unwrap();
    // And from one of before there was a position.
    fixture.execute("delete from position").await;
    assert!(is_fenced(&take_in(store, &[following(15, 15, 20)]).await));
    assert!(store.positions(CLUSTER).await.unwrap().is_empty());
}

pub async fn remember_the_last_record_and_a_checked_one(fixture: Fixture) {
    let store = &*fixture.store;
    let first = Advance {
        last: Some(mark(9)),
        ..advance(0, 10)
    };
    take_in(store, &[first]).await.unwrap();
    // A batch whose last record is not known leaves the one before it, which lies where it lay.
    take_in(store, &[advance(10, 12)]).await.unwrap();
    let notes = [
        note(0, Noted::Checked(mark(9))),
        note(0, Noted::Stray(4)),
        note(0, Noted::Stray(6)),
        note(0, Noted::PassedOver { from: 12, to: 14 }),
        // Somebody else has moved it on, and another log.
        note(0, Noted::PassedOver { from: 12, to: 90 }),
        note(1, Noted::Checked(mark(8))),
    ];
    store.note_positions(&notes).await.unwrap();
    let position = store.positions(CLUSTER).await.unwrap().remove(0);
    assert_eq!((position.next_offset, position.incarnation), (14, 0));
    assert_eq!((position.last, position.checked), (Some(mark(9)), Some(mark(9))));
    assert_eq!(position.stray, Some(4), "the first one");
    take_in(store, &[following(12, 14, 16)]).await.unwrap();
    let position = store.positions(CLUSTER).await.unwrap().remove(0);
    assert_eq!((position.last, position.checked), (Some(mark(15)), Some(mark(9))));
    let elsewhere = store.positions_elsewhere("another").await.unwrap();
    assert_eq!(elsewhere, [(CLUSTER.to_owned(), position)]);
    assert!(store.positions_elsewhere(CLUSTER).await.unwrap().is_empty());
}

async fn accept(store: &dyn Store, incarnation: Option<u32>, next_offset: i64) -> Result<(), StoreError> {
    let acceptance = Acceptance {
        cluster: CLUSTER.into(),
        topic: TOPIC.into(),
        partition: 0,
        incarnation,
        next_offset,
    };
    let mut tx = store.begin("test").await?;
    tx.accept_position(&acceptance).await?;
    tx.commit().await
}

pub async fn follow_another_log_once_it_is_accepted(fixture: Fixture) {
    let store = &*fixture.store;
    take_in(store, &[following_none(10)]).await.unwrap();
    let notes = [note(0, Noted::Checked(mark(9))), note(0, Noted::Stray(4))];
    store.note_positions(&notes).await.unwrap();
    accept(store, Some(0), 0).await.unwrap();
    let twice = accept(store, Some(0), 0).await;
    assert!(matches!(twice, Err(StoreError::Conflict)), "{twice:?}");
    let position = store.positions(CLUSTER).await.unwrap().remove(0);
    assert_eq!((position.next_offset, position.incarnation), (0, 1));
    assert_eq!(
        (position.last, position.checked, position.stray),
        (None, None, None)
    );
    assert_eq!(position.seen_until, at(0), "nothing of it has been seen");
    // A worker that still has messages of the old log is fenced, although its offsets lie further on.
    assert!(is_fenced(&take_in(store, &[following(10, 10, 20)]).await));
    assert!(is_fenced(&take_in(store, &[advance(10, 20)]).await));
    let of_the_new = Advance {
        incarnation: 1,
        ..following(0, 0, 3)
    };
    take_in(store, &[of_the_new]).await.unwrap();
    assert_eq!(next_offset(store).await, 3);
    // A partition that this cluster had no position of.
    fixture.execute("delete from position").await;
    accept(store, None, 5).await.unwrap();
    let twice = accept(store, None, 5).await;
    assert!(matches!(twice, Err(StoreError::Conflict)), "{twice:?}");
    assert_eq!(next_offset(store).await, 5);
}

fn following_none(next: i64) -> Advance {
    Advance {
        last: Some(mark(next - 1)),
        ..advance(0, next)
    }
}

pub async fn of_another_log_have_other_messages(fixture: Fixture) {
    let store = &*fixture.store;
    let of_log = |incarnation| Origin {
        incarnation,
        ..origin(7)
    };
    let refused = |n, incarnation| Changes {
        dead_letters: vec![DeadLetter {
            origin: of_log(incarnation),
            ..letter(n, 7)
        }],
        early: EarlyChanges {
            waiting: vec![early(n, of_log(incarnation))],
            ..EarlyChanges::default()
        },
        at: at(1),
        ..Changes::default()
    };
    write(store, &refused(1, 0)).await.unwrap();
    write(store, &refused(2, 1)).await.unwrap();
    let all = DeadLetterFilter {
        limit: 10,
        ..DeadLetterFilter::default()
    };
    let letters = store.dead_letters(all).await.unwrap();
    let told: Vec<_> = letters
        .iter()
        .map(|letter| (letter.id.as_u128(), letter.origin.incarnation))
        .collect();
    assert_eq!(told, [(1, 0), (2, 1)]);
    let mut tx = store.begin("test").await.unwrap();
    let found = tx.dead_letters_of(&[of_log(1)]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id.as_u128(), 2);
    let waiting = tx.early_of(&[id(1), id(2)]).await.unwrap();
    assert_eq!(waiting.len(), 2);
    tx.commit().await.unwrap();
    store.early_produced(&[of_log(0)]).await.unwrap();
    let mut tx = store.begin("test").await.unwrap();
    let waiting = tx.early_of(&[id(1), id(2)]).await.unwrap();
    assert_eq!(waiting, [early(2, of_log(1))]);
    tx.commit().await.unwrap();
}

fn early(n: u128, origin: Origin) -> EarlyRow {
    EarlyRow {
        origin,
        request_id: id(n),
        tenant: tenant(),
        command_id: CommandId(Uuid::from_u128(n)),
        arrived_at: at(1),
        expires_at: at(2),
        command: vec![1],
        raw: vec![2],
        headers: None,
    }
}
