//! Sessions of the console.

use lacuna::store::ConsoleSession;

use super::{fixture::Fixture, rows::at};

fn session(digest: u8, ends: i64) -> ConsoleSession {
    ConsoleSession {
        digest: [digest; 32],
        started: at(1),
        seen: at(1),
        ends: at(ends),
        holder: "{\"by\":\"token\"}".to_owned(),
    }
}

pub async fn are_seen_and_ended(fixture: Fixture) {
    let store = &*fixture.store;
    store.add_session(&session(1, 100)).await.unwrap();
    assert!(
        store.add_session(&session(1, 100)).await.is_err(),
        "an id is one session's"
    );
    assert_eq!(store.session(&[1; 32]).await.unwrap(), Some(session(1, 100)));
    assert_eq!(store.session(&[2; 32]).await.unwrap(), None);
    store.session_seen(&[1; 32], at(50)).await.unwrap();
    // A slower page does not turn it back.
    store.session_seen(&[1; 32], at(40)).await.unwrap();
    store.session_seen(&[2; 32], at(50)).await.unwrap();
    assert_eq!(store.session(&[1; 32]).await.unwrap().unwrap().seen, at(50));
    assert!(store.end_session(&[1; 32]).await.unwrap());
    assert!(!store.end_session(&[1; 32]).await.unwrap());
    assert_eq!(store.session(&[1; 32]).await.unwrap(), None);
}

pub async fn are_forgotten_when_their_time_is_over(fixture: Fixture) {
    let store = &*fixture.store;
    for (digest, ends) in [(1, 10), (2, 11), (3, 100), (4, 100)] {
        store.add_session(&session(digest, ends)).await.unwrap();
    }
    for used in [2, 3] {
        store.session_seen(&[used; 32], at(9)).await.unwrap();
    }
    // The first one has ended, and the last one was not used for long.
    assert_eq!(store.forget_sessions(at(10), at(5)).await.unwrap(), 2);
    for (digest, is_left) in [(1, false), (2, true), (3, true), (4, false)] {
        assert_eq!(
            store.session(&[digest; 32]).await.unwrap().is_some(),
            is_left,
            "{digest}"
        );
    }
}
