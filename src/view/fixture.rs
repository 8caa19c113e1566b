//! Requests for the tests of views, put together by hand: what a view says of a state depends on nothing else.

use uuid::Uuid;

use crate::domain::{
    calendar::Regime,
    ids::{ProcessorId, RequestId, Tenant},
    request::{Bookkeeping, Check, Extension, Head, LegalClock, Life, Request},
    task::{Purpose, Share, Task, TaskState},
    time::At,
    words::{Action, Proof, Reason, Status},
};

pub fn at(text: &str) -> At {
    At::parse(text).unwrap()
}

pub fn now() -> At {
    at("2026-11-21T10:00:00Z")
}

pub fn task(processor: &str, state: TaskState) -> Task {
    Task {
        processor: ProcessorId::new(processor).unwrap(),
        action: Action::Erase,
        categories: Vec::new(),
        after: Vec::new(),
        share: Share::Live,
        purpose: Purpose::Asked,
        generation: 1,
        attempt: 1,
        counted: 1,
        answered: None,
        state,
        sent: None,
    }
}

pub fn done(processor: &str, proof: Proof) -> Task {
    task(processor, TaskState::Done { proof, at: now() })
}

pub fn request(status: Status, tasks: Vec<Task>) -> Request {
    let due = at("2026-12-22T22:59:59Z");
    Request {
        id: RequestId(Uuid::from_u128(1)),
        revision: 1,
        head: Head {
            tenant: Tenant::new("acme").unwrap(),
            action: Action::Erase,
            regime: Regime::parse("gdpr").unwrap(),
            reason: Reason::AccountClosed,
            received_at: now(),
            requested_at: now(),
            not_before: None,
            grace: false,
            excludes: false,
            limited: false,
            registry: 1,
        },
        life: Life {
            clock: LegalClock {
                start: now(),
                acknowledge_by: None,
                first_due: due,
                due,
                rolled: due,
                at_risk_from: due,
                pauses_for_identity: false,
                extension: Extension::Possible,
                paused_days: 0,
            },
            verification: Check::NotNeeded,
            approval: Check::NotNeeded,
            refused: None,
            status,
            completed_at: None,
            live_clean_at: None,
            overdue: false,
            at_risk: false,
            needs_attention: false,
            notice: None,
            subject_holds: Vec::new(),
            reactivated_at: None,
            restored_at: None,
            following: None,
            set_aside_at: None,
        },
        bookkeeping: Bookkeeping {
            readable: true,
            capsule: None,
            facts: 0,
            followers: 0,
            leaves: 1,
            wake_at: None,
        },
        tasks,
    }
}
