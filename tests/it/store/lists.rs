//! Lists of requests: walks by an index in either direction, what stands out, and what an earlier version has left without.

use std::sync::Arc;

use lacuna::{
    domain::{
        ids::{ProcessorId, RequestId, Tenant},
        request::Request,
        words::{Mark, Status},
    },
    store::{Among, Changes, ListOrder, Listed, MarkedRow, Sieve, Store, Walk},
};

use super::{
    fixture::{Fixture, Place},
    rows::{at, id, ids, moved, moving, opening, request, tenant, write},
};

/// A request that is due at a time.
fn due(n: u128, due: i64) -> Request {
    let mut request = request(n, Some(50));
    request.life.clock.due = at(due);
    request
}

fn marked(n: u128, mark: Mark, deadline: i64) -> MarkedRow {
    MarkedRow {
        request_id: id(n),
        mark,
        deadline: at(deadline),
    }
}

fn walk(among: Among, order: ListOrder, backwards: bool) -> Walk {
    Walk {
        among,
        order,
        backwards,
        after: None,
        until: None,
        sieve: Sieve::default(),
        later_than: None,
        earlier_than: None,
        limit: 2,
    }
}

/// All of it, page by page.
async fn all(store: &dyn Store, mut walk: Walk) -> Vec<RequestId> {
    let mut found = Vec::new();
    loop {
        let page = store.walk(&walk).await.unwrap();
        let Some((place, _)) = page.last() else {
            return found;
        };
        assert!(page.len() <= walk.limit as usize);
        walk.after = Some(*place);
        found.extend(page.iter().map(|(_, stored)| stored.request.id));
    }
}

pub async fn are_walked_in_either_direction(fixture: Fixture) {
    let store = &*fixture.store;
    let mut closed = request(5, None);
    closed.life.status = Status::Completed;
    let opened = [due(1, 40), due(2, 10), due(3, 30), due(4, 30), closed];
    let mut changes = opening(opened);
    changes.marked = vec![
        marked(1, Mark::Overdue, 40),
        marked(3, Mark::Overdue, 30),
        marked(4, Mark::Overdue, 30),
        marked(2, Mark::Failing, 10),
    ];
    write(store, &changes).await.unwrap();
    let overdue = Among::Marked(Mark::Overdue);
    for (among, order, expected) in [
        (Among::All, ListOrder::Id, ids([1, 2, 3, 4, 5])),
        (Among::Open, ListOrder::Id, ids([1, 2, 3, 4])),
        (Among::Open, ListOrder::Deadline, ids([2, 3, 4, 1])),
        (overdue, ListOrder::Id, ids([1, 3, 4])),
        (overdue, ListOrder::Deadline, ids([3, 4, 1])),
        (Among::Marked(Mark::Refused), ListOrder::Deadline, Vec::new()),
    ] {
        assert_eq!(
            all(store, walk(among, order, false)).await,
            expected,
            "{among:?} {order:?}"
        );
        let mut back = all(store, walk(among, order, true)).await;
        back.reverse();
        assert_eq!(back, expected, "backwards: {among:?} {order:?}");
    }
    let between = Walk {
        later_than: Some(at(10)),
        earlier_than: Some(at(40)),
        ..walk(Among::Open, ListOrder::Deadline, false)
    };
    assert_eq!(all(store, between.clone()).await, ids([3, 4]));
    let between = Walk {
        among: overdue,
        backwards: true,
        later_than: Some(at(30)),
        ..between
    };
    assert_eq!(
        all(
            store,
            Walk {
                earlier_than: None,
                ..between
            }
        )
        .await,
        ids([1])
    );
    assert_eq!(store.count_marked(Mark::Overdue, 100).await.unwrap(), 3);
    assert_eq!(store.count_marked(Mark::Overdue, 2).await.unwrap(), 2);
    // A mark goes, and another one moves with its deadline.
    let changes = Changes {
        unmarked: vec![(Mark::Overdue, id(3)), (Mark::Overdue, id(3))],
        marked: vec![marked(4, Mark::Overdue, 90)],
        ..Changes::default()
    };
    write(store, &changes).await.unwrap();
    assert_eq!(
        all(store, walk(overdue, ListOrder::Deadline, false)).await,
        ids([1, 4])
    );
}

/// A request of a tenant and of one processor, in a state.
fn of(n: u128, tenant: &str, processor: &str, status: Status) -> Request {
    let mut request = due(n, 100 - i64::try_from(n).unwrap());
    request.head.tenant = Tenant::new(tenant).unwrap();
    request.life.status = status;
    request.tasks.truncate(1);
    request.tasks[0].processor = ProcessorId::new(processor).unwrap();
    request
}

pub async fn are_sifted_by_the_database(fixture: Fixture) {
    use Status::{Deferred, InProgress};
    let store = &*fixture.store;
    let opened = [
        of(1, "default", "crm", InProgress),
        of(2, "acme", "crm", Deferred),
        of(3, "acme", "ads", InProgress),
        of(4, "acme-two", "crm", InProgress),
        of(5, "default", "ads", Deferred),
        of(6, "acme", "crm", InProgress),
    ];
    write(store, &opening(opened)).await.unwrap();
    let sieve = |statuses: &[Status], tenant: &str, processor: &str| Sieve {
        statuses: (!statuses.is_empty()).then(|| statuses.to_vec()),
        tenant: Tenant::new(tenant).ok(),
        processor: ProcessorId::new(processor).ok(),
    };
    for (given, expected) in [
        (sieve(&[], "", ""), ids([1, 2, 3, 4, 5, 6])),
        (sieve(&[InProgress], "", ""), ids([1, 3, 4, 6])),
        (sieve(&[InProgress, Deferred], "", "ads"), ids([3, 5])),
        (sieve(&[], "acme", ""), ids([2, 3, 6])),
        (sieve(&[], "default", ""), ids([1, 5])),
        (sieve(&[InProgress], "acme", "crm"), ids([6])),
        (sieve(&[], "nobody", ""), Vec::new()),
        (sieve(&[], "", "cr"), Vec::new()),
    ] {
        let mut among = vec![(Among::All, ListOrder::Id), (Among::Open, ListOrder::Id)];
        among.push((Among::Open, ListOrder::Deadline));
        if given.tenant_index() {
            among.push((Among::Tenant, ListOrder::Id));
        }
        for (among, order) in among {
            for backwards in [false, true] {
                let walk = Walk {
                    sieve: given.clone(),
                    ..walk(among, order, backwards)
                };
                let mut found = all(store, walk).await;
                if backwards != (order == ListOrder::Deadline) {
                    found.reverse();
                }
                assert_eq!(found, expected, "{given:?} {among:?} {order:?} {backwards}");
            }
        }
    }
    // A stride ends at a place, and a walk that is bound by it goes as far as that.
    for (order, backwards, third) in [
        (ListOrder::Id, false, 3),
        (ListOrder::Id, true, 4),
        (ListOrder::Deadline, false, 4),
        (ListOrder::Deadline, true, 3),
    ] {
        let mut some = walk(Among::Open, order, backwards);
        some.limit = 3;
        let until = store.stride(&some).await.unwrap();
        assert_eq!(until.map(|(_, id)| id), Some(id(third)), "{order:?} {backwards}");
        some.until = until;
        some.limit = 10;
        assert_eq!(store.walk(&some).await.unwrap().len(), 3, "{order:?} {backwards}");
        some.limit = 7;
        some.until = None;
        assert_eq!(store.stride(&some).await.unwrap(), None, "there are not so many");
    }
}

/// In a state, received at a time.
fn received(n: u128, at_time: i64, status: Status) -> Request {
    let mut request = due(n, 1_000);
    request.head.received_at = at(at_time);
    request.life.status = status;
    request
}

fn by_receipt(among: Among, status: Option<Status>, backwards: bool) -> Walk {
    Walk {
        sieve: Sieve {
            statuses: status.map(|status| vec![status]),
            ..Sieve::default()
        },
        ..walk(among, ListOrder::Received, backwards)
    }
}

pub async fn are_walked_in_the_order_of_receipt(fixture: Fixture) {
    use Status::{Completed, Deferred, InProgress};
    let store = &*fixture.store;
    // Ids say nothing of the time.
    let mut closed = received(6, 25, Completed);
    closed.bookkeeping.wake_at = None;
    let opened = [
        received(1, 50, InProgress),
        received(2, 40, Deferred),
        received(3, 30, InProgress),
        received(4, 20, Deferred),
        received(5, 30, InProgress),
        closed,
    ];
    write(store, &opening(opened.clone())).await.unwrap();
    for (among, status, expected) in [
        (Among::Open, Some(InProgress), ids([3, 5, 1])),
        (Among::Open, Some(Deferred), ids([4, 2])),
        (Among::All, None, ids([4, 6, 3, 5, 2, 1])),
        (Among::All, Some(Completed), ids([6])),
    ] {
        let found = all(store, by_receipt(among, status, false)).await;
        assert_eq!(found, expected, "{among:?} {status:?}");
        let mut back = all(store, by_receipt(among, status, true)).await;
        back.reverse();
        assert_eq!(back, expected, "backwards: {among:?} {status:?}");
    }
    let between = Walk {
        later_than: Some(at(20)),
        earlier_than: Some(at(50)),
        ..by_receipt(Among::All, None, false)
    };
    assert_eq!(all(store, between).await, ids([6, 3, 5, 2]));
    assert_eq!(store.count_received(at(20), at(30), 100).await.unwrap(), 4);
    assert_eq!(store.count_received(at(20), at(50), 3).await.unwrap(), 3);
    assert_eq!(store.oldest_open().await.unwrap(), Some(at(20)));
    // What only has to grow old from now on is found among those, and no longer among the others.
    let moves = [
        moved(opened[2].clone(), |request| request.life.status = Deferred),
        moved(opened[3].clone(), |request| request.life.status = InProgress),
    ];
    write(store, &moving(moves)).await.unwrap();
    let found = all(store, by_receipt(Among::Open, Some(InProgress), false)).await;
    assert_eq!(found, ids([4, 5, 1]));
    let found = all(store, by_receipt(Among::Open, Some(Deferred), false)).await;
    assert_eq!(found, ids([3, 2]));
}

pub async fn are_filled_in_after_an_earlier_version(fixture: Fixture) {
    let store = &*fixture.store;
    assert_eq!(store.listed().await.unwrap(), Listed::All, "there was nothing");
    write(store, &opening([due(1, 40), due(2, 10)])).await.unwrap();
    fixture.execute("update agenda set deadline = null").await;
    let done = match fixture.place {
        Place::Postgres(_) => "update listed set done = false",
        Place::Sqlite(_) => "update listed set done = 0",
    };
    fixture.execute(done).await;
    assert_eq!(store.listed().await.unwrap(), Listed::UpTo(None));
    let by_deadline = walk(Among::Open, ListOrder::Deadline, false);
    assert!(all(store, by_deadline.clone()).await.is_empty());
    let mut tx = store.begin("test").await.unwrap();
    let deadlines = [(id(1), at(40))];
    tx.fill_in(
        &[marked(1, Mark::Failing, 40)],
        &deadlines,
        Listed::UpTo(Some(id(1))),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.listed().await.unwrap(), Listed::UpTo(Some(id(1))));
    assert_eq!(all(store, by_deadline.clone()).await, ids([1]));
    let mut tx = store.begin("test").await.unwrap();
    tx.fill_in(&[], &[(id(2), at(10)), (id(1), at(7))], Listed::All)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.listed().await.unwrap(), Listed::All);
    assert_eq!(
        all(store, by_deadline.clone()).await,
        ids([2, 1]),
        "what is there is left alone"
    );
}

pub async fn of_what_is_parked_are_filled_in_too(fixture: Fixture) {
    let store = &*fixture.store;
    let opened = [
        received(1, 5, Status::Deferred),
        received(2, 5, Status::InProgress),
    ];
    write(store, &opening(opened)).await.unwrap();
    // An earlier version did not tell them apart.
    let wrong = match fixture.place {
        Place::Postgres(_) => "update agenda set parked = not parked",
        Place::Sqlite(_) => "update agenda set parked = 1 - parked",
    };
    fixture.execute(wrong).await;
    let mut tx = store.begin("test").await.unwrap();
    let deadlines = [(id(1), at(1_000)), (id(2), at(1_000))];
    tx.fill_in(&[], &deadlines, Listed::All).await.unwrap();
    tx.commit().await.unwrap();
    for (status, expected) in [(Status::Deferred, 1), (Status::InProgress, 2)] {
        let found = all(store, by_receipt(Among::Open, Some(status), false)).await;
        assert_eq!(found, ids([expected]), "{status:?}");
    }
}

/// No list reads a large table as a whole: each walk begins at its place in an index and ends with its page.
pub async fn are_never_read_as_a_whole(fixture: Fixture) {
    let store = &*fixture.store;
    for chunk in 0..8_u128 {
        let opened: Vec<Request> = (1..=500)
            .map(|n| {
                let mut request = due(chunk * 500 + n, i64::try_from(n).unwrap());
                if n % 2 == 0 {
                    request.life.status = Status::Deferred;
                }
                request
            })
            .collect();
        let mut changes = opening(opened);
        changes.marked = (1..=250)
            .map(|n| marked(chunk * 500 + n, Mark::Overdue, 5))
            .collect();
        write(store, &changes).await.unwrap();
    }
    if let Place::Postgres(_) = fixture.place {
        fixture.execute("analyze request, state, agenda, marked").await;
    }
    for (among, status, index) in [
        (Among::Open, Some(Status::InProgress), "agenda_parked"),
        (Among::Open, Some(Status::Deferred), "agenda_parked"),
        (Among::All, None, "request_received_at"),
    ] {
        for (backwards, after) in [(false, None), (false, Some((at(1_100), id(7)))), (true, None)] {
            // Of all of them a list looks through a stretch of time at a time. They were received one a millisecond, from 1,001 on.
            let end = at(if backwards { 4_900 } else { 1_200 });
            let walk = Walk {
                after,
                until: (among == Among::All).then_some((end, id(9))),
                limit: 51,
                ..by_receipt(among, status, backwards)
            };
            let how = store.how(&walk).await.unwrap().join("\n");
            let whole = ["Seq Scan", "SCAN s\n", "SCAN a\n", "SCAN r\n", "Hash Join"];
            assert!(whole.iter().all(|bad| !how.contains(bad)), "{walk:?}\n{how}");
            assert!(how.contains(index), "{walk:?}\n{how}");
            // What is parked is not sorted for a page: of each time only those that share it.
            let sorted = how.lines().filter(|line| line.contains("Sort  ("));
            let whole_sorts = sorted.filter(|line| !line.contains("Incremental")).count();
            assert!(among == Among::All || whole_sorts == 0, "{walk:?}\n{how}");
        }
    }
    let some = Some((at(5), id(700)));
    for among in [
        Among::All,
        Among::Open,
        Among::Marked(Mark::Overdue),
        Among::Tenant,
    ] {
        for (order, backwards) in [
            (ListOrder::Id, false),
            (ListOrder::Id, true),
            (ListOrder::Deadline, false),
            (ListOrder::Deadline, true),
        ] {
            if matches!(among, Among::All | Among::Tenant) && order == ListOrder::Deadline {
                continue;
            }
            for after in [None, some] {
                let walk = Walk {
                    after,
                    limit: 51,
                    sieve: Sieve {
                        tenant: Some(tenant()),
                        ..Sieve::default()
                    },
                    ..walk(among, order, backwards)
                };
                let how = store.how(&walk).await.unwrap().join("\n");
                let whole = [
                    "Seq Scan",
                    "SCAN s\n",
                    "SCAN a\n",
                    "SCAN m\n",
                    "SCAN r\n",
                    "Hash Join",
                ];
                assert!(whole.iter().all(|bad| !how.contains(bad)), "{walk:?}\n{how}");
            }
        }
    }
}

/// Several workers read and write at once.
pub async fn of_bulk_jobs_are_each_owned_by_one(fixture: Fixture) {
    use lacuna::{
        domain::words::BulkAction,
        store::{BulkItem, BulkJob, BulkOutcome, BulkState, StoreError},
    };
    use uuid::Uuid;

    let store: Arc<dyn Store> = Arc::clone(&fixture.store);
    let job = BulkJob {
        id: Uuid::from_u128(1),
        created_at: at(10),
        updated_at: at(10),
        state: BulkState::Running,
        action: BulkAction::Retry,
        matched: 2,
        total: 3,
        next: 0,
        done: 0,
        refused: 0,
        actor: "anna".to_owned(),
        tenant: None,
        chosen: "failing=true".to_owned(),
        digest: vec![1],
        sealed: vec![2],
    };
    let item = |n: u32, outcome| BulkItem {
        n,
        request_id: id(u128::from(n) + 1),
        ordinal: (n == 1).then_some(4),
        outcome,
        why: None,
    };
    let items: Vec<BulkItem> = (0..3).map(|n| item(n, BulkOutcome::Waiting)).collect();
    let mut tx = store.begin("test").await.unwrap();
    assert!(tx.add_bulk_job(&job, &items).await.unwrap());
    assert!(!tx.add_bulk_job(&job, &items).await.unwrap(), "it is there");
    tx.commit().await.unwrap();
    assert_eq!(store.bulk_job(job.id).await.unwrap().unwrap(), job);
    let found = store
        .bulk_items(job.id, 1, Some(BulkOutcome::Waiting), 10)
        .await
        .unwrap();
    assert_eq!(found, items[1..]);
    let (one, other) = (Uuid::from_u128(8), Uuid::from_u128(9));
    let own = async |owner, now, until| store.own_bulk_job(owner, at(now), at(until)).await.unwrap();
    assert!(own(one, 20, 50).await.is_some());
    assert!(own(other, 30, 60).await.is_none());
    assert!(own(one, 40, 70).await.is_some(), "it is heard of again");
    assert!(
        own(other, 71, 100).await.is_some(),
        "the first is not heard of any more"
    );
    let moved = async |owner, done: &[BulkItem], next, now| {
        let mut tx = store.begin("test").await.unwrap();
        let moved = tx.move_bulk_job(job.id, owner, done, next, at(now)).await;
        if moved.is_ok() {
            tx.commit().await.unwrap();
        }
        moved
    };
    let first = [item(0, BulkOutcome::Done)];
    assert!(matches!(
        moved(one, &first, 1, 72).await,
        Err(StoreError::Conflict)
    ));
    moved(other, &first, 1, 73).await.unwrap();
    let rest = [
        item(1, BulkOutcome::Done),
        BulkItem {
            why: Some("the request is closed".to_owned()),
            ..item(2, BulkOutcome::Refused)
        },
    ];
    moved(other, &rest, 3, 74).await.unwrap();
    let ended = store.bulk_job(job.id).await.unwrap().unwrap();
    assert_eq!(
        (ended.state, ended.next, ended.done, ended.refused),
        (BulkState::Finished, 3, 2, 1)
    );
    let refusals = store.bulk_refusals(job.id).await.unwrap();
    assert_eq!(refusals, [("the request is closed".to_owned(), 1)]);
    assert!(own(one, 200, 300).await.is_none(), "it is over");
    assert_eq!(store.bulk_jobs(None, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.forget_bulk_jobs(at(74)).await.unwrap(), 0);
    assert_eq!(store.forget_bulk_jobs(at(75)).await.unwrap(), 1);
    assert!(store.bulk_items(job.id, 0, None, 10).await.unwrap().is_empty());
}
