//! Who is suppressed, by the state of the request and what has become known of the person.

use super::*;
use crate::domain::words::Status;

#[test]
fn a_request_suppresses_from_its_gates_to_its_end() {
    let mut request = Bench::open(vec![processor("a")]).request;
    let asked = request.head.requested_at;
    for status in Status::ALL {
        request.life.status = *status;
        let expected = match status {
            Status::InProgress | Status::Deferred | Status::Completed | Status::ClosedWithExceptions => {
                Some(asked)
            }
            _ => None,
        };
        assert_eq!(request.suppressed_since(), expected, "{status}");
    }
}

#[test]
fn limited_or_reactivated_request_does_not_suppress() {
    let mut request = Bench::open(vec![processor("a")]).request;
    let asked = request.head.requested_at;
    for (back, expected) in [
        (asked.plus(DAY), None),
        (asked, None),
        (At::from_millis(asked.millis() - 1), Some(asked)),
    ] {
        request.life.reactivated_at = Some(back);
        assert_eq!(request.suppressed_since(), expected);
    }
    request.life.reactivated_at = None;
    request.head.excludes = true;
    assert_eq!(request.suppressed_since(), Some(asked));
    request.head.limited = true;
    assert_eq!(request.suppressed_since(), None);
}

#[test]
fn whatever_a_scope_names_limits_the_request() {
    let named = [
        Scope {
            purposes: vec![Label::new("marketing").unwrap()],
            ..Scope::default()
        },
        Scope {
            categories: vec![Label::new("messages").unwrap()],
            ..Scope::default()
        },
        Scope {
            processors: vec![id("a")],
            ..Scope::default()
        },
    ];
    assert!(Scope::default().is_whole());
    assert!(named.iter().all(|scope| !scope.is_whole()));
}
