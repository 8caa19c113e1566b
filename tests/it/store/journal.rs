//! What is written beside requests: ledger, positions, inbox, counters, dead letters, outbox.

use lacuna::{
    domain::{ids::CommandId, words::CommandKind},
    store::{
        AckWay, CENSUS, Changes, CounterKey, DeadLetter, DeadLetterFilter, DeadLetterState, OpenLetters,
        Position, Seen, Store, StoreError,
    },
};
use uuid::Uuid;

use super::{
    fixture::Fixture,
    rows::{
        CLUSTER, TOPIC, advance, advance_of, at, id, ids, inbox, leaf, letter, opening, origin, request,
        take_in, tenant, write,
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

pub async fn dead_letters_are_kept_once_an_origin(fixture: Fixture) {
    let store = &*fixture.store;
    let refusing = |dead_letters| Changes {
        dead_letters,
        at: at(1),
        ..Changes::default()
    };
    write(store, &refusing(vec![letter(1, 100), letter(2, 101)]))
        .await
        .unwrap();
    write(store, &refusing(vec![letter(3, 100), letter(4, 102)]))
        .await
        .unwrap();

    let all = store
        .dead_letters(DeadLetterFilter {
            limit: 10,
            ..DeadLetterFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(
        all.iter().map(|letter| letter.id.as_u128()).collect::<Vec<_>>(),
        [1, 2, 4]
    );
    assert!(
        all.iter().all(|letter| letter.sealed.is_none()),
        "lists bring no payload"
    );
    assert_eq!(
        store.dead_letter(Uuid::from_u128(1)).await.unwrap(),
        Some(letter(1, 100))
    );
    assert_eq!(store.dead_letter(Uuid::from_u128(3)).await.unwrap(), None);

    let mut tx = store.begin("test").await.unwrap();
    let again = tx
        .dead_letters_of(&[origin(100), origin(7), origin(102)])
        .await
        .unwrap();
    assert_eq!(
        again
            .iter()
            .map(|letter| letter.origin.offset)
            .collect::<Vec<_>>(),
        [100, 102]
    );
    assert_eq!(again[0], letter(1, 100));
}

pub async fn dead_letters_are_closed_once(fixture: Fixture) {
    let store = &*fixture.store;
    let letters = (1..=5).map(|n| letter(n, i64::try_from(n).unwrap())).collect();
    write(
        store,
        &Changes {
            dead_letters: letters,
            at: at(1),
            ..Changes::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(
        store.open_dead_letters().await.unwrap(),
        [alike("schema", None, 5, 1)]
    );

    let close = |n, how| store.close_dead_letter(Uuid::from_u128(n), how, "looked at", at(9));
    assert!(close(1, DeadLetterState::Closed).await.unwrap());
    assert!(close(2, DeadLetterState::Redriven).await.unwrap());
    assert!(!close(1, DeadLetterState::Redriven).await.unwrap());
    assert!(!close(77, DeadLetterState::Closed).await.unwrap());
    assert_eq!(
        store.open_dead_letters().await.unwrap(),
        [alike("schema", None, 3, 3)]
    );
    let redriven = store.dead_letter(Uuid::from_u128(2)).await.unwrap().unwrap();
    assert_eq!(redriven.state, DeadLetterState::Redriven);

    let mut filter = DeadLetterFilter {
        open_only: true,
        with_payload: false,
        after: None,
        limit: 2,
    };
    let page = store.dead_letters(filter.clone()).await.unwrap();
    assert_eq!(
        page.iter().map(|letter| letter.id.as_u128()).collect::<Vec<_>>(),
        [3, 4]
    );
    filter.after = Some(page[1].id);
    let page = store.dead_letters(filter).await.unwrap();
    assert_eq!(
        page.iter().map(|letter| letter.id.as_u128()).collect::<Vec<_>>(),
        [5]
    );
}

pub async fn dead_letters_say_which_command_they_were(fixture: Fixture) {
    let store = &*fixture.store;
    let kinds = [Some(CommandKind::Erase), None, Some(CommandKind::Erase)];
    let letters = (1..).zip(kinds).map(|(n, kind)| DeadLetter {
        kind,
        ..letter(n, i64::try_from(n).unwrap())
    });
    let changes = Changes {
        dead_letters: letters.collect(),
        at: at(1),
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    let mut open = store.open_dead_letters().await.unwrap();
    open.sort_by_key(|alike| alike.count);
    assert_eq!(
        open,
        [
            alike("schema", None, 1, 2),
            alike("schema", Some(CommandKind::Erase), 2, 1)
        ]
    );
    for with_payload in [false, true] {
        let filter = DeadLetterFilter {
            with_payload,
            limit: 9,
            ..DeadLetterFilter::default()
        };
        let found = store.dead_letters(filter).await.unwrap();
        assert_eq!(found.iter().map(|letter| letter.kind).collect::<Vec<_>>(), kinds);
        assert!(found.iter().all(|letter| letter.sealed.is_some() == with_payload));
    }
}

fn alike(reason: &str, kind: Option<CommandKind>, count: u64, oldest: i64) -> OpenLetters {
    OpenLetters {
        reason: reason.to_owned(),
        kind,
        count,
        oldest: at(oldest),
    }
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

pub async fn the_payload_of_a_dead_letter_goes_with_the_decision_about_it(fixture: Fixture) {
    let store = &*fixture.store;
    let changes = Changes {
        dead_letters: (1..=3).map(|n| letter(n, i64::try_from(n).unwrap())).collect(),
        at: at(1),
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    for (n, how) in [(1, DeadLetterState::Closed), (2, DeadLetterState::Redriven)] {
        let id = Uuid::from_u128(n);
        assert!(
            store
                .close_dead_letter(id, how, "looked at", at(9))
                .await
                .unwrap()
        );
        let closed = store.dead_letter(id).await.unwrap().unwrap();
        assert_eq!((closed.state, closed.sealed, closed.headers), (how, None, None));
        assert_eq!(closed.ids, letter(n, 1).ids, "it can still be named");
    }
    let open = store.dead_letter(Uuid::from_u128(3)).await.unwrap().unwrap();
    assert_eq!(open, letter(3, 3));
    let kept = open.sealed.unwrap().len() + open.headers.map_or(0, |headers| headers.len());
    let topics = store.letters_by_topic().await.unwrap();
    assert_eq!(
        (topics.len(), topics[0].bytes, topics[0].open),
        (1, kept as u64, 1)
    );
}

pub async fn old_payloads_go_unless_they_ask_for_an_erasure(fixture: Fixture) {
    let store = &*fixture.store;
    let kinds = [
        None,
        Some(CommandKind::Erase),
        Some(CommandKind::Anonymize),
        Some(CommandKind::Cancel),
        None,
    ];
    let letters = (1..).zip(kinds).map(|(n, kind)| DeadLetter {
        kind,
        ..letter(n, i64::try_from(n).unwrap())
    });
    let changes = Changes {
        dead_letters: letters.collect(),
        at: at(1),
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    assert_eq!(
        store.forget_letters(at(5), 9).await.unwrap(),
        2,
        "the first and the fourth"
    );
    assert_eq!(store.forget_letters(at(5), 9).await.unwrap(), 0);
    let filter = DeadLetterFilter {
        with_payload: true,
        limit: 9,
        ..DeadLetterFilter::default()
    };
    let left = store.dead_letters(filter).await.unwrap();
    assert_eq!(
        left.iter()
            .map(|letter| letter.sealed.is_some())
            .collect::<Vec<_>>(),
        [false, true, true, false, true]
    );
    assert!(left.iter().all(|letter| letter.state == DeadLetterState::Open));
}

pub async fn the_oldest_of_too_many_letters_are_counted(fixture: Fixture) {
    let store = &*fixture.store;
    let letters = (1..=6).map(|n| DeadLetter {
        kind: (n == 1).then_some(CommandKind::Erase),
        ..letter(n, i64::try_from(n).unwrap())
    });
    let changes = Changes {
        dead_letters: letters.collect(),
        at: at(1),
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    let topic = letter(1, 1).origin.topic.to_string();
    assert_eq!(store.letters_by_topic().await.unwrap()[0].open, 5);
    assert_eq!(store.drop_letters(&topic, 2).await.unwrap(), 2);
    assert_eq!(store.drop_letters(&topic, 1).await.unwrap(), 1);
    assert_eq!(store.drop_letters("another", 5).await.unwrap(), 0);
    let filter = DeadLetterFilter {
        limit: 9,
        ..DeadLetterFilter::default()
    };
    let left = store.dead_letters(filter).await.unwrap();
    assert_eq!(
        left.iter().map(|letter| letter.id.as_u128()).collect::<Vec<_>>(),
        [1, 5, 6],
        "what asks for an erasure is never dropped"
    );
    let dropped = store.dropped_letters().await.unwrap();
    let [dropped] = dropped.as_slice() else {
        panic!("{dropped:?}")
    };
    assert_eq!(
        (
            &*dropped.topic,
            &*dropped.reason,
            dropped.count,
            dropped.since,
            dropped.until
        ),
        (&*topic, "schema", 3, letter(2, 2).at, letter(4, 4).at)
    );
}
