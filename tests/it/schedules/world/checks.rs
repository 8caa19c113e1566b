//! What has to hold after every schedule.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use lacuna::{
    domain::{
        calendar::Regime,
        entry::{Entry, Leaf},
        ids::{ProcessorId, RequestId},
        request::Request,
        task::{TaskState, Undelivered},
        time::At,
        words::Status,
    },
    store::{CENSUS, Concerned, CounterKey, DeferredFilter, DeferredRow, GATE, Line, OPEN, OUT, OVERDUE_AT},
};

use super::{SKEW, World};

impl World {
    /// What has to hold after every schedule: the counters say what the states say, the ledger has every leaf in order,
    /// and leads to the states; an open request has its row in the agenda.
    pub async fn check(&self) {
        let store = &self.fixture.store;
        let requests: Vec<Request> = store
            .page(None, 1000)
            .await
            .unwrap()
            .into_iter()
            .map(|stored| stored.request)
            .collect();
        let counted: BTreeMap<CounterKey, i64> = store
            .counters()
            .await
            .unwrap()
            .into_iter()
            .filter(|(key, n)| *n != 0 && self.is_counted(key))
            .collect();
        let mut recounted = recount(&requests);
        recounted.retain(|key, _| self.is_counted(key));
        assert_eq!(counted, recounted);
        let leaves = self.check_leaves(&requests).await
            + self.check_purged(&requests).await
            + self.check_facts().await
            + self.accepted.load(Ordering::Relaxed);
        assert_eq!(store.ledger_size().await.unwrap(), leaves as u64);
        self.check_lines(&requests).await;
        self.check_deferred(&requests).await;
        self.check_asked(&requests).await;
        self.check_undeliverable(&requests).await;
        self.check_queued(&requests).await;
        self.check_awake(&requests).await;
    }

    fn is_counted(&self, key: &CounterKey) -> bool {
        // What was stored before something was counted is not counted by it.
        let since_lately = [OUT, OPEN, GATE, OVERDUE_AT].contains(&key.kind);
        key.kind != CENSUS && !(self.is_older && since_lately)
    }

    /// Gives how many leaves the requests have.
    async fn check_leaves(&self, requests: &[Request]) -> usize {
        let store = &self.fixture.store;
        let mut leaves = 0;
        for request in requests {
            let found = store.leaves(request.id).await.unwrap();
            leaves += found.len();
            assert_eq!(
                found.iter().map(|leaf| leaf.n).collect::<Vec<_>>(),
                (0..request.bookkeeping.leaves).collect::<Vec<_>>()
            );
            let mut status = None;
            for stored in &found {
                let leaf = Leaf::from_bytes(&stored.leaf).unwrap();
                assert_eq!((leaf.request, leaf.n), (request.id, stored.n));
                for entry in leaf.entries {
                    match entry {
                        Entry::Status { from, to } => {
                            assert!(status.is_none_or(|status| status == from));
                            status = Some(to);
                        }
                        // It was opened once more.
                        Entry::Purged { status: last } => {
                            assert!(status.is_none_or(|status| status == last));
                            status = None;
                        }
                        _ => {}
                    }
                }
            }
            assert!(status.is_none_or(|status| status == request.life.status));
        }
        leaves
    }

    /// Of what was purged the leaves are left: how many.
    async fn check_purged(&self, requests: &[Request]) -> usize {
        let (store, mut leaves) = (&self.fixture.store, 0);
        let purged = self.purged.lock().unwrap().clone();
        for id in purged {
            if requests.iter().all(|request| request.id != id) {
                let found = store.leaves(id).await.unwrap();
                let last = Leaf::from_bytes(&found.last().unwrap().leaf).unwrap();
                assert!(matches!(last.entries.last(), Some(Entry::Purged { .. })));
                assert!(found.iter().all(|leaf| leaf.sealed.is_none()));
                leaves += found.len();
            }
        }
        leaves
    }

    /// A fact has a leaf of its own. Gives how many there are.
    async fn check_facts(&self) -> usize {
        let (store, mut leaves) = (&self.fixture.store, 0);
        for fact in store.facts_since(0).await.unwrap() {
            let found = store.leaves(RequestId(fact.id)).await.unwrap();
            assert_eq!(found.len(), 1);
            leaves += 1;
        }
        leaves
    }

    /// What is closed stands in a line to be deleted.
    async fn check_lines(&self, requests: &[Request]) {
        let in_line = [self.line(Line::Lookups).await, self.line(Line::Records).await].concat();
        for request in requests.iter().filter(|r| r.life.completed_at.is_some()) {
            assert!(in_line.contains(&request.id), "{} is kept for ever", request.id);
        }
    }

    /// What sweeps find of the waves that are asked about: those, and no others.
    async fn check_asked(&self, requests: &[Request]) {
        let mut asked: BTreeMap<ProcessorId, BTreeSet<(i64, RequestId)>> = BTreeMap::new();
        for request in requests {
            for task in &request.tasks {
                asked.entry(task.processor.clone()).or_default();
            }
            for wave in request.asked_waves(SKEW) {
                let processor = &request.task(wave.ordinal).processor;
                let of_it = asked.get_mut(processor).unwrap();
                of_it.insert((wave.mark.millis(), request.id));
            }
        }
        let mut tx = self.fixture.store.begin("test").await.unwrap();
        for (processor, of_it) in asked {
            let of = Concerned::Asked {
                processor,
                up_to: At::from_millis(i64::MAX),
            };
            let found = tx.concerned(&of, None, 10_000).await.unwrap();
            assert_eq!(found, Vec::from_iter(of_it), "{of:?}");
        }
    }

    /// Deferred tasks have the rows that lists are made of, and nothing else has.
    async fn check_deferred(&self, requests: &[Request]) {
        let store = &self.fixture.store;
        let mut deferred: Vec<DeferredRow> = requests
            .iter()
            .flat_map(|request| self.deferred_of(request))
            .collect();
        deferred.sort();
        let filter = DeferredFilter {
            limit: 10_000,
            ..DeferredFilter::default()
        };
        let mut rows = store.deferred(&filter).await.unwrap();
        rows.sort();
        assert_eq!(rows, deferred);
    }

    /// Whoever opens a lane finds the requests with what its topic did not take, and no others.
    async fn check_undeliverable(&self, requests: &[Request]) {
        let always = At::from_millis(i64::MAX);
        let processors: BTreeSet<&ProcessorId> = requests.iter().flat_map(Request::processors).collect();
        for (processor, too_large) in processors.iter().flat_map(|id| [(id, false), (id, true)]) {
            let is_it = |request: &&Request| {
                request.undeliverable().any(|(_, of, _, why)| {
                    of == *processor && too_large == matches!(why, Undelivered::TooLarge { .. })
                })
            };
            let mut waiting: Vec<RequestId> = requests.iter().filter(is_it).map(|r| r.id).collect();
            waiting.sort_unstable();
            let store = &self.fixture.store;
            let found = store
                .undeliverable(processor, too_large, always, None, 10_000)
                .await;
            assert_eq!(found.unwrap(), waiting, "{processor}");
        }
    }

    /// Whoever runs a lane finds the requests with tasks in its queue, and no others.
    async fn check_queued(&self, requests: &[Request]) {
        let processors: BTreeSet<&ProcessorId> = requests.iter().flat_map(Request::processors).collect();
        for processor in processors {
            let is_it = |request: &&Request| request.queued().any(|(_, of, _)| of == processor);
            let mut waiting: Vec<RequestId> = requests.iter().filter(is_it).map(|r| r.id).collect();
            waiting.sort_unstable();
            let lanes = [processor.clone()];
            let found = self.fixture.store.requests_queued(&lanes, None, 10_000).await;
            assert_eq!(found.unwrap(), waiting, "{processor}");
        }
    }

    /// What is open has its row in the agenda.
    async fn check_awake(&self, requests: &[Request]) {
        let store = &self.fixture.store;
        let open = store.open_page(None, 1000).await.unwrap();
        let is_awake = |request: &&Request| {
            let life = &request.life;
            !life.status.is_final() || (life.following.is_some() && life.completed_at.is_none())
        };
        for request in requests.iter().filter(is_awake) {
            assert!(
                open.iter().any(|stored| stored.request.id == request.id),
                "{} is asleep for ever",
                request.id
            );
        }
    }

    /// The rows that a request's deferred tasks have to have.
    fn deferred_of(&self, request: &Request) -> Vec<DeferredRow> {
        request
            .deferred(SKEW)
            .map(|deferred| DeferredRow {
                request_id: request.id,
                ordinal: deferred.ordinal,
                reason: deferred.why,
                processor: request.task(deferred.ordinal).processor.clone(),
                until: deferred.until,
                mark: deferred.mark,
            })
            .collect()
    }
}

/// By regime, by gate, and where it is overdue.
fn recount_census(request: &Request, add: &mut impl FnMut(&'static str, &str, &str)) {
    let life = &request.life;
    if !life.status.is_final() {
        let regime = match &request.head.regime {
            Regime::Named(name) => name.as_str(),
            Regime::Counted(_) => "counted",
        };
        add(OPEN, regime, "");
    }
    let minute = (request.head.received_at.millis() / 60_000).to_string();
    match life.status {
        Status::AwaitingVerification => add(GATE, "verification", &minute),
        Status::AwaitingApproval => add(GATE, "approval", &minute),
        _ => {}
    }
    for task in request.tasks.iter().filter(|_| life.overdue) {
        if !task.state.name().is_final() {
            add(OVERDUE_AT, task.processor.as_str(), request.head.tenant.as_str());
        }
    }
}

fn recount(requests: &[Request]) -> BTreeMap<CounterKey, i64> {
    let mut counted = BTreeMap::new();
    let mut add = |kind: &'static str, a: &str, b: &str| {
        *counted
            .entry(CounterKey {
                kind,
                a: a.to_owned(),
                b: b.to_owned(),
            })
            .or_insert(0) += 1;
    };
    for request in requests {
        let (life, kept) = (&request.life, &request.bookkeeping);
        add("requests", "", life.status.as_str());
        for task in &request.tasks {
            add("tasks", task.processor.as_str(), task.state.name().as_str());
            if let TaskState::Dispatched { at, .. } = task.state {
                add(
                    "out",
                    task.processor.as_str(),
                    &(at.millis() / 60_000).to_string(),
                );
            }
        }
        recount_census(request, &mut add);
        let flags = [
            ("overdue", life.overdue),
            ("at_risk", life.at_risk),
            ("needs_attention", life.needs_attention),
            ("sealed", kept.readable),
        ];
        for (kind, _) in flags.iter().filter(|(_, is)| *is) {
            add(kind, "", "");
        }
        if let Some(week) = kept.capsule.filter(|_| !kept.readable) {
            let epoch = request.capsule_of(week);
            add("capsules", &epoch.week.to_string(), &epoch.name());
        }
        for (_, processor, _) in request.queued() {
            add("queued", processor.as_str(), "");
        }
        for (_, processor, ..) in request.undeliverable() {
            add("undeliverable", processor.as_str(), "");
        }
        for deferred in request.deferred(SKEW) {
            add("deferred", "", deferred.why.as_str());
        }
    }
    counted
}
