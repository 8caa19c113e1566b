//! What the cases write.

use lacuna::{
    domain::{
        calendar::Regime,
        ids::{CommandId, Label, ProcessorId, RequestId, Tenant},
        request::{Bookkeeping, Check, Extension, Head, LegalClock, Life, Request},
        task::{Task, TaskState},
        time::At,
        words::{Action, DeadLetterReason, Reason, Status},
    },
    store::{
        Advance, Changes, DeadLetter, DeadLetterState, InboxRow, LeafRow, Lock, MovedRow, OpenedRow, Origin,
        StateRow, Store, StoreError, StoredRequest,
    },
};
use uuid::Uuid;

pub const CLUSTER: &str = "a-cluster";
pub const TOPIC: &str = "commands";

pub fn at(millis: i64) -> At {
    At::from_millis(millis)
}

pub fn id(n: u128) -> RequestId {
    RequestId(Uuid::from_u128(n))
}

pub fn ids(of: impl IntoIterator<Item = u128>) -> Vec<RequestId> {
    of.into_iter().map(id).collect()
}

pub fn tenant() -> Tenant {
    Tenant::new("acme").unwrap()
}

/// A request with two tasks, due at a time.
pub fn request(n: u128, wake_at: Option<i64>) -> Request {
    Request {
        id: id(n),
        revision: 1,
        head: Head {
            tenant: tenant(),
            action: Action::Erase,
            regime: Regime::parse("gdpr").unwrap(),
            reason: Reason::SubjectRequest,
            received_at: at(1_000 + i64::try_from(n).unwrap()),
            requested_at: at(500),
            not_before: None,
            grace: false,
            excludes: false,
            limited: false,
            registry: 1,
        },
        life: Life {
            clock: LegalClock {
                start: at(500),
                acknowledge_by: None,
                first_due: at(9_000),
                due: at(9_000),
                rolled: at(9_500),
                at_risk_from: at(7_000),
                pauses_for_identity: true,
                extension: Extension::Possible,
                paused_days: 0,
            },
            verification: Check::NotNeeded,
            approval: Check::NotNeeded,
            refused: None,
            status: Status::InProgress,
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
            leaves: 0,
            wake_at: wake_at.map(at),
        },
        tasks: vec![task("crm"), task("billing")],
    }
}

fn task(processor: &str) -> Task {
    Task {
        processor: ProcessorId::new(processor).unwrap(),
        action: Action::Erase,
        categories: vec![Label::new("contact").unwrap()],
        after: Vec::new(),
        share: lacuna::domain::task::Share::Live,
        purpose: lacuna::domain::task::Purpose::Asked,
        generation: 1,
        attempt: 1,
        counted: 0,
        answered: None,
        state: TaskState::Dispatched {
            at: at(1_000),
            ack_by: at(2_000),
        },
        sent: Some(lacuna::domain::task::Sent { asked_at: at(1_000) }),
    }
}

pub fn opened(request: Request) -> OpenedRow {
    let n = request.id.0.as_u128() as u8;
    OpenedRow {
        state: StateRow::of(&request).unwrap(),
        tenant: request.head.tenant,
        wrapped_key: Some(vec![n; 60]),
        body: vec![n; 100],
        sealed: vec![n; 200],
        digests: vec![[n; 16]],
        ticket: Some([n; 16]),
    }
}

/// The same request after a change.
pub fn moved(mut request: Request, change: impl FnOnce(&mut Request)) -> MovedRow {
    let from_revision = request.revision;
    request.revision += 1;
    change(&mut request);
    MovedRow {
        state: StateRow::of(&request).unwrap(),
        from_revision,
        shred: false,
        rewake: true,
    }
}

pub fn inbox(command: u128, request: u128) -> InboxRow {
    InboxRow {
        tenant: tenant(),
        command_id: CommandId(Uuid::from_u128(command)),
        digest: [7; 16],
        request_id: id(request),
    }
}

pub fn leaf(request: u128, n: u32) -> LeafRow {
    LeafRow {
        request_id: id(request),
        n,
        leaf: vec![n as u8; 8],
        sealed: (n == 1).then(|| vec![9; 4]),
        acted: None,
    }
}

pub fn advance(first: i64, next: i64) -> Advance {
    advance_of(0, first, next)
}

pub fn advance_of(partition: i32, first: i64, next: i64) -> Advance {
    Advance {
        cluster: CLUSTER.into(),
        topic: TOPIC.into(),
        partition,
        incarnation: 0,
        after: None,
        first,
        next,
        last: None,
        seen_until: at(next * 10),
    }
}

pub fn letter(n: u128, offset: i64) -> DeadLetter {
    DeadLetter {
        id: Uuid::from_u128(n),
        reason: DeadLetterReason::Schema,
        detail: "'reason' is missing".into(),
        kind: None,
        origin: origin(offset),
        at: at(i64::try_from(n).unwrap()),
        state: DeadLetterState::Open,
        kept: true,
        ids: vec![Uuid::from_u128(n + 1000)],
        sealed: Some(vec![1, 2, 3]),
        headers: (n % 2 == 1).then(|| vec![4, 5]),
    }
}

pub fn origin(offset: i64) -> Origin {
    Origin {
        cluster: CLUSTER.into(),
        topic: TOPIC.into(),
        partition: 0,
        offset,
        incarnation: 0,
    }
}

pub fn opening(requests: impl IntoIterator<Item = Request>) -> Changes {
    Changes {
        opened: requests.into_iter().map(opened).collect(),
        at: at(1),
        ..Changes::default()
    }
}

pub fn moving(rows: impl IntoIterator<Item = MovedRow>) -> Changes {
    Changes {
        moved: rows.into_iter().collect(),
        at: at(2),
        ..Changes::default()
    }
}

/// Writes in a transaction of its own.
pub async fn write(store: &dyn Store, changes: &Changes) -> Result<(), StoreError> {
    let mut tx = store.begin("test").await?;
    tx.write(changes).await?;
    tx.commit().await
}

/// Moves positions on in a transaction of its own.
pub async fn take_in(store: &dyn Store, advances: &[Advance]) -> Result<(), StoreError> {
    let mut tx = store.begin("test").await?;
    tx.advance(advances).await?;
    tx.commit().await
}

/// What is due, in a transaction that changes nothing.
pub async fn due(store: &dyn Store, now: i64, limit: u32) -> Vec<RequestId> {
    let mut tx = store.begin("test").await.unwrap();
    let due = ids_of(&tx.due(at(now), limit).await.unwrap());
    // A dropped transaction is rolled back a moment later, and until then its rows are passed over.
    tx.commit().await.unwrap();
    due
}

pub async fn load(store: &dyn Store, n: u128) -> StoredRequest {
    let mut tx = store.begin("test").await.unwrap();
    tx.load(&[id(n)], Lock::None).await.unwrap().pop().unwrap()
}

pub fn ids_of(stored: &[StoredRequest]) -> Vec<RequestId> {
    stored.iter().map(|stored| stored.request.id).collect()
}

pub fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all
}
