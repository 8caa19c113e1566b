//! Dead letters: each is kept once, closed once, and goes when it is old, or too much is kept.

use lacuna::{
    domain::words::CommandKind,
    store::{Changes, DeadLetter, DeadLetterFilter, DeadLetterState, OpenLetters},
};
use uuid::Uuid;

use super::{
    fixture::Fixture,
    rows::{at, letter, origin, write},
};

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
