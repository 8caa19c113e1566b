//! What is written beside requests: ledger, positions, inbox, counters, dead letters, outbox.

use lacuna::{
    domain::ids::CommandId,
    store::{AckWay, CENSUS, Changes, CounterKey, Position, Seen, Store, StoreError},
};
use uuid::Uuid;

use super::{
    fixture::Fixture,
    rows::{
        CLUSTER, TOPIC, advance, advance_of, at, id, ids, inbox, leaf, opening, request, take_in, tenant,
        write,
    },
};

/// The counters, without the one that says since when some of them are kept.
pub(super) async fn counters(store: &dyn Store) -> Vec<(CounterKey, i64)> {
    let mut counters = store.counters().await.unwrap();
    counters.retain(|(key, _)| key.kind != CENSUS);
    counters
}

pub async fn leaves_are_read_back_in_order(fixture: Fixture) {
    let store = &*fixture.store;
    let leaves = |of: Vec<_>| Changes {
        leaves: of,
        at: at(5),
        ..Changes::default()
    };
    write(store, &leaves(vec![leaf(2, 0), leaf(1, 0)])).await.unwrap();
    write(store, &leaves(vec![leaf(1, 2), leaf(1, 1)])).await.unwrap();
    let read = store.leaves(id(1)).await.unwrap();
    assert_eq!(read.iter().map(|leaf| leaf.n).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(
        read.iter().map(|leaf| leaf.leaf[0]).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(read[0].sealed, None);
    assert_eq!(read[1].sealed, Some(vec![9; 4]));
    assert_eq!(store.ledger_size().await.unwrap(), 4);
    assert!(
        counters(store).await.is_empty(),
        "the ledger's size is none of the engine's counters"
    );

    let again = write(store, &leaves(vec![leaf(1, 2)])).await;
    assert!(matches!(again, Err(StoreError::Race(_))), "{again:?}");
    assert_eq!(store.ledger_size().await.unwrap(), 4);
}

pub async fn a_position_fences_a_zombie(fixture: Fixture) {
    let store = &*fixture.store;
    take_in(store, &[advance(5, 10)]).await.unwrap();
    // Offsets may have gaps: a transaction marker, a compacted record.
    take_in(store, &[advance(12, 20), advance_of(1, 0, 3)])
        .await
        .unwrap();

    let fenced = take_in(store, &[advance_of(2, 0, 9), advance(12, 20)]).await;
    let Err(StoreError::Fenced {
        topic,
        partition,
        offset,
    }) = fenced
    else {
        panic!("{fenced:?}")
    };
    assert_eq!((topic.as_str(), partition, offset), (TOPIC, 0, 12));
    // Overlapping counts too: a part of it has been taken in.
    let fenced = take_in(store, &[advance(19, 30)]).await;
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
    take_in(store, &[advance(20, 21)]).await.unwrap();

    let position = |partition, next_offset, seen_until| Position {
        topic: TOPIC.into(),
        partition,
        next_offset,
        seen_until: at(seen_until),
        incarnation: 0,
        last: None,
        checked: None,
        stray: None,
    };
    assert_eq!(
        store.positions(CLUSTER).await.unwrap(),
        [position(0, 21, 210), position(1, 3, 30)]
    );
    assert!(store.positions("another").await.unwrap().is_empty());
}

pub async fn a_fenced_batch_leaves_nothing(fixture: Fixture) {
    let store = &*fixture.store;
    take_in(store, &[advance(0, 10)]).await.unwrap();
    let mut tx = store.begin("test").await.unwrap();
    tx.write(&opening([request(1, None)])).await.unwrap();
    let fenced = tx.advance(&[advance(3, 12)]).await;
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
    drop(tx);
    assert!(store.requests(&ids([1])).await.unwrap().is_empty());
    assert_eq!(store.positions(CLUSTER).await.unwrap()[0].next_offset, 10);
}

pub async fn what_was_seen_never_moves_back(fixture: Fixture) {
    let store = &*fixture.store;
    let seen = |partition, next, millis| Seen {
        cluster: CLUSTER.into(),
        topic: TOPIC.into(),
        partition,
        next,
        at: at(millis),
    };
    store.seen(&[]).await.unwrap();
    take_in(store, &[advance(0, 10)]).await.unwrap();
    store
        .seen(&[seen(0, 10, 500), seen(1, 7, 400), seen(0, 10, 450)])
        .await
        .unwrap();
    store.seen(&[seen(0, 10, 300)]).await.unwrap();
    take_in(store, &[advance(10, 11)]).await.unwrap();

    let positions = store.positions(CLUSTER).await.unwrap();
    let told: Vec<_> = positions
        .iter()
        .map(|p| (p.partition, p.next_offset, p.seen_until))
        .collect();
    assert_eq!(told, [(0, 11, at(500)), (1, 7, at(400))]);
    let fenced = take_in(store, &[advance_of(1, 6, 9)]).await;
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
}

pub async fn how_acks_are_spread_is_known_until_one_does_not_agree(fixture: Fixture) {
    let store = &*fixture.store;
    let way = |partitions, processor: &str, ways| AckWay {
        cluster: CLUSTER.into(),
        topic: TOPIC.into(),
        partitions,
        processor: processor.into(),
        ways,
    };
    store.note_ack_ways(&[]).await.unwrap();
    let first = [way(6, "stats", 0b111), way(6, "crm", 0b011)];
    store.note_ack_ways(&first).await.unwrap();
    store
        .note_ack_ways(&[way(6, "crm", 0b010), way(8, "crm", 0b001)])
        .await
        .unwrap();
    // What no longer agrees does not come back.
    store.note_ack_ways(&[way(6, "stats", 0)]).await.unwrap();
    store.note_ack_ways(&[way(6, "stats", 0b111)]).await.unwrap();
    assert_eq!(
        store.ack_ways(CLUSTER, TOPIC).await.unwrap(),
        [way(6, "crm", 0b010), way(6, "stats", 0), way(8, "crm", 0b001)]
    );
    assert!(store.ack_ways("another", TOPIC).await.unwrap().is_empty());
}

pub async fn the_inbox_takes_a_command_once(fixture: Fixture) {
    let store = &*fixture.store;
    let taking = |rows| Changes {
        inbox: rows,
        at: at(1),
        ..Changes::default()
    };
    write(store, &taking(vec![inbox(2, 20), inbox(1, 10)]))
        .await
        .unwrap();
    let twice = write(store, &taking(vec![inbox(3, 30), inbox(1, 11)])).await;
    assert!(matches!(twice, Err(StoreError::Race(_))), "{twice:?}");

    let tenant = tenant();
    let command = |n| (&tenant, CommandId(Uuid::from_u128(n)));
    let mut tx = store.begin("test").await.unwrap();
    let mut known = tx.inbox(&[command(1), command(2), command(3)]).await.unwrap();
    known.sort_unstable_by_key(|row| row.command_id);
    assert_eq!(known, [inbox(1, 10), inbox(2, 20)]);
    assert!(tx.inbox(&[]).await.unwrap().is_empty());
}

pub async fn counters_of_all_slots_are_summed(fixture: Fixture) {
    let store = &*fixture.store;
    let key = |kind, a: &str, b: &str| CounterKey {
        kind,
        a: a.into(),
        b: b.into(),
    };
    let counting = |slot, counters| Changes {
        slot,
        counters,
        at: at(1),
        ..Changes::default()
    };
    let ready = || key("tasks", "crm", "ready");
    let done = || key("tasks", "crm", "done");
    write(
        store,
        &counting(1, vec![(key("requests", "in_progress", ""), 3), (ready(), 6)]),
    )
    .await
    .unwrap();
    write(store, &counting(1, vec![(done(), 2), (ready(), -2)]))
        .await
        .unwrap();
    write(store, &counting(65_535, vec![(done(), 4), (ready(), -4)]))
        .await
        .unwrap();
    assert_eq!(
        counters(store).await,
        [(key("requests", "in_progress", ""), 3), (done(), 6), (ready(), 0)],
        "a drained counter is still told"
    );
}

pub async fn what_was_taken_in_is_found_again(fixture: Fixture) {
    let store = &*fixture.store;
    let changes = Changes {
        leaves: vec![leaf(1, 0), leaf(1, 1), leaf(2, 0)],
        inbox: vec![inbox(7, 1), inbox(8, 2)],
        at: at(1),
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    let mut recorded = store.recorded(&ids([1, 2, 3])).await.unwrap();
    recorded.sort();
    assert_eq!(recorded, ids([1, 2]));
    let tenant = tenant();
    let keys = [7, 9].map(|n| (&tenant, CommandId(Uuid::from_u128(n))));
    let rows = store.inbox(&keys).await.unwrap();
    assert_eq!(rows, [inbox(7, 1)]);
    assert!(store.inbox(&[]).await.unwrap().is_empty());
}

pub async fn the_outbox_keeps_the_highest_revision(fixture: Fixture) {
    let store = &*fixture.store;
    let leaving = |outbox, millis| Changes {
        outbox,
        at: at(millis),
        ..Changes::default()
    };
    write(store, &leaving(vec![(id(1), 2), (id(2), 1), (id(1), 3)], 10))
        .await
        .unwrap();
    write(store, &leaving(vec![(id(1), 2), (id(3), 1)], 20))
        .await
        .unwrap();
    assert_eq!(store.outbox(at(21), 10).await.unwrap(), ids([1, 2, 3]));
    assert_eq!(store.outbox(at(21), 2).await.unwrap(), ids([1, 2]));
    assert_eq!(
        store.outbox(at(20), 10).await.unwrap(),
        ids([1, 2]),
        "what is younger may be under way"
    );

    store
        .outbox_done(&[(id(1), 2), (id(2), 5), (id(9), 1)])
        .await
        .unwrap();
    store.outbox_done(&[]).await.unwrap();
    assert_eq!(
        store.outbox(at(99), 10).await.unwrap(),
        ids([1, 3]),
        "revision 3 has not been produced"
    );
    store.outbox_done(&[(id(1), 3), (id(3), 1)]).await.unwrap();
    assert!(store.outbox(at(99), 10).await.unwrap().is_empty());
}
