//! A report, counted once more from the ledger's entries alone. It shares nothing with what makes reports: no state of a
//! request, no rule, and no code.

use std::{collections::BTreeMap, time::Duration};

use lacuna::{
    domain::{
        entry::{Entry, Leaf},
        ids::RequestId,
        registry::Registry,
        task::{Deferral, Purpose, TaskEvent},
        time::At,
        words::{Outcome, Proof, Status, Why},
    },
    engine::report::{ReportQuestion, report},
    store::Store,
    wire::report::{Quantiles, Report},
};

/// Where a task stands, as far as a report cares.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stands {
    Open,
    Held,
    Deferred(Why, At),
    Done(Proof),
    Exempt(String),
    Abandoned,
    Waived,
    Cancelled,
}

#[derive(Debug)]
struct Task {
    processor: String,
    is_backup: bool,
    stands: Stands,
    proved: Option<Proof>,
    sent_at: Option<At>,
    was_sent: bool,
}

/// What the ledger of one request comes to.
#[derive(Debug, Default)]
struct Life {
    tasks: Vec<Task>,
    deadline: At,
    received_at: At,
    status: Option<Status>,
    ended_at: Option<At>,
    clean_at: Option<At>,
    is_overdue: bool,
    was_held: bool,
    answers: BTreeMap<String, Vec<Duration>>,
    failures: BTreeMap<(String, Option<Outcome>), u64>,
    proofs: u64,
}

impl Life {
    fn of(leaves: &[Leaf], registry: &Registry) -> Self {
        let is_backup = |name: &str| {
            let mut all = registry.processors.iter();
            all.any(|processor| processor.id.as_str() == name && processor.backup.is_some())
        };
        let mut life = Self::default();
        for leaf in leaves {
            for entry in &leaf.entries {
                life.read(entry, leaf.at, &is_backup);
            }
            if life.clean_at.is_none() && life.is_clean() {
                life.clean_at = Some(leaf.at);
                life.is_overdue = false;
            }
        }
        life
    }

    fn read(&mut self, entry: &Entry, at: At, is_backup: &dyn Fn(&str) -> bool) {
        let task = |name: &str| Task {
            processor: name.to_owned(),
            is_backup: is_backup(name),
            stands: Stands::Open,
            proved: None,
            sent_at: None,
            was_sent: false,
        };
        match entry {
            Entry::Opened {
                deadline, processors, ..
            } => {
                (self.deadline, self.received_at) = (*deadline, at);
                self.tasks = processors.iter().map(|name| task(name.as_str())).collect();
            }
            Entry::Kept { ordinal, until, .. } => {
                self.tasks[usize::from(*ordinal)].stands = Stands::Deferred(Why::Retention, *until);
            }
            Entry::WaveAdded { processor, .. } => self.tasks.push(task(processor.as_str())),
            Entry::DeadlineMoved { to, .. } => self.deadline = *to,
            // What was clean is so no more.
            Entry::Restored { .. } => self.clean_at = None,
            Entry::Overdue => self.is_overdue = true,
            Entry::Evidence { .. } => self.proofs += 1,
            Entry::Status { to, .. } => {
                self.status = Some(*to);
                let is_over = matches!(
                    to,
                    Status::Completed | Status::ClosedWithExceptions | Status::Refused | Status::Cancelled
                );
                self.ended_at = is_over.then_some(at);
                self.is_overdue &= !is_over;
            }
            Entry::Task { ordinal, event, .. } => self.happened(usize::from(*ordinal), event, at),
            _ => {}
        }
    }

    fn happened(&mut self, ordinal: usize, event: &TaskEvent, at: At) {
        let task = &mut self.tasks[ordinal];
        if let TaskEvent::Dispatched { at, .. } = event {
            (task.stands, task.sent_at, task.was_sent) = (Stands::Open, Some(*at), true);
            return;
        }
        let waited_since = task.sent_at.take();
        let (is_answer, failure) = match event {
            TaskEvent::AskedAgain { outcome, .. } | TaskEvent::Abandoned { outcome, .. } => {
                (outcome.is_some(), Some(*outcome))
            }
            TaskEvent::Parked { outcome, .. } => (
                outcome.is_some(),
                outcome.filter(|outcome| !outcome.is_success()).map(Some),
            ),
            TaskEvent::Found { .. } => (true, Some(Some(Outcome::Present))),
            TaskEvent::Settled { proof, .. } => (*proof != Proof::Expired, None),
            TaskEvent::Accepted { .. }
            | TaskEvent::Retained { .. }
            | TaskEvent::RetainedForGood { .. }
            | TaskEvent::SecondLook { .. } => (true, None),
            _ => (false, None),
        };
        if let (true, Some(since)) = (is_answer, waited_since) {
            self.answers
                .entry(task.processor.clone())
                .or_default()
                .push(at.since(since));
        }
        if let Some(outcome) = failure {
            *self
                .failures
                .entry((task.processor.clone(), outcome))
                .or_default() += 1;
        }
        self.was_held |= matches!(event, TaskEvent::Held { .. });
        task.move_on(event);
    }

    /// Live systems: everything that can go is done, somebody was asked, and not everything was waived.
    fn is_clean(&self) -> bool {
        let asked = self
            .tasks
            .iter()
            .any(|task| task.was_sent || !matches!(task.stands, Stands::Exempt(_)));
        let live = || self.tasks.iter().filter(|task| !task.is_backup);
        let is_proved = |task: &Task| {
            matches!(
                task.stands,
                Stands::Done(_) | Stands::Deferred(Why::Verification, _)
            )
        };
        let only_waived = live().any(|task| task.stands == Stands::Waived) && !live().any(is_proved);
        let is_out = |task: &Task| !matches!(task.stands, Stands::Open | Stands::Held | Stands::Abandoned);
        asked && !only_waived && live().all(is_out)
    }

    fn count(&self, processor: &str, is: impl Fn(&Stands) -> bool) -> u64 {
        let of_it = self.tasks.iter().filter(|task| task.processor == processor);
        of_it.filter(|task| is(&task.stands)).count() as u64
    }
}

impl Task {
    fn move_on(&mut self, event: &TaskEvent) {
        let best = |proof: Proof, before: Option<Proof>| match proof {
            Proof::NotFound => before.unwrap_or(proof),
            other => other,
        };
        self.stands = match event {
            TaskEvent::Settled { proof, .. } => Stands::Done(best(*proof, self.proved)),
            TaskEvent::SecondLook { purpose, until, .. } => {
                if let Purpose::Sweep(proof) | Purpose::Verify(proof) = purpose {
                    self.proved = Some(best(*proof, self.proved));
                }
                Stands::Deferred(Why::Verification, *until)
            }
            TaskEvent::Retained { until } => Stands::Deferred(Why::Retention, *until),
            TaskEvent::RetainedForGood { basis }
            | TaskEvent::Refused { basis }
            | TaskEvent::Exempted { basis } => Stands::Exempt(basis.to_string()),
            TaskEvent::Abandoned { .. } => Stands::Abandoned,
            TaskEvent::Waived => Stands::Waived,
            TaskEvent::Cancelled => Stands::Cancelled,
            TaskEvent::Held { .. } => Stands::Held,
            TaskEvent::Parked { why, until, .. } => {
                let why = match why {
                    Deferral::Retention => Why::Retention,
                    Deferral::Rotation => Why::BackupRotation,
                };
                Stands::Deferred(why, *until)
            }
            TaskEvent::Moved { to, .. } => match &self.stands {
                Stands::Deferred(why, _) => Stands::Deferred(*why, *to),
                other => panic!("the date of {other:?} moved"),
            },
            TaskEvent::Rewaved { .. } => return,
            TaskEvent::Found { .. } | TaskEvent::Restored { .. } | TaskEvent::Reopened => {
                self.proved = None;
                Stands::Open
            }
            _ => Stands::Open,
        };
    }
}

/// The report of a store with one request, compared with what its ledger comes to.
pub async fn check(store: &dyn Store, id: RequestId, registry: &Registry, now: At) {
    let leaves = store.leaves(id).await.unwrap();
    let leaves: Vec<Leaf> = leaves
        .iter()
        .map(|leaf| Leaf::from_bytes(&leaf.leaf).unwrap())
        .collect();
    let life = Life::of(&leaves, registry);
    let calendar = crate::schedules::world::settings().rules.calendar;
    let question = ReportQuestion {
        from: life.received_at,
        to: life.received_at.plus(Duration::from_millis(1)),
        tenant: None,
        regime: None,
    };
    let made = report(store, &question, &calendar, Some(registry), now)
        .await
        .unwrap();
    compare(&made, &life, leaves.len());
    // What was received a moment later belongs to the next period.
    let none = ReportQuestion {
        from: question.to,
        to: question.to.plus(Duration::from_secs(400 * 24 * 3600)),
        ..question
    };
    let none = report(store, &none, &calendar, Some(registry), now)
        .await
        .unwrap();
    assert_eq!((none.received, none.processors.len()), (0, 0));
}

fn compare(made: &Report, life: &Life, leaves: usize) {
    let number = |is: bool| u64::from(is);
    let status = life.status.unwrap_or(Status::InProgress);
    let is_over = life.ended_at.is_some();
    assert_eq!(made.received, 1);
    assert_eq!(made.completed, number(status == Status::Completed), "{life:?}");
    assert_eq!(
        made.closed_with_exceptions,
        number(status == Status::ClosedWithExceptions)
    );
    assert_eq!(made.open, number(!is_over));
    assert_eq!(made.overdue, number(life.is_overdue), "{life:#?}");
    let answered_at = life.clean_at.or(life.ended_at);
    assert_eq!(
        made.late,
        number(answered_at.is_some_and(|at| at > life.deadline))
    );
    assert_eq!(
        made.on_time,
        number(answered_at.is_some_and(|at| at <= life.deadline))
    );
    let since = |at: Option<At>| at.map(|at| at.since(life.received_at)).into_iter().collect();
    same_times(&made.live_clean_seconds, since(life.clean_at));
    same_times(&made.complete_seconds, since(life.ended_at));
    let late_by = answered_at
        .filter(|at| *at > life.deadline)
        .map(|at| at.since(life.deadline));
    same_times(&made.late_seconds, late_by.into_iter().collect());
    assert_eq!(made.held_requests, number(life.was_held));
    assert_eq!(made.evidence.ledger_leaves, leaves as u64);
    assert_eq!(made.evidence.proofs, life.proofs);
    compare_tasks(made, life, is_over);
    compare_processors(made, life);
}

fn compare_tasks(made: &Report, life: &Life, is_over: bool) {
    let mut exempt: BTreeMap<String, u64> = BTreeMap::new();
    let mut deferred: BTreeMap<(Option<String>, Why), u64> = BTreeMap::new();
    for task in &life.tasks {
        match &task.stands {
            Stands::Exempt(basis) => *exempt.entry(basis.clone()).or_default() += 1,
            Stands::Deferred(why, until) if !is_over => {
                // RFC 3339 begins with the month, and the zone here is UTC.
                let month = until.to_string()[..7].to_owned();
                *deferred.entry((Some(month), *why)).or_default() += 1;
            }
            Stands::Held if !is_over => *deferred.entry((None, Why::Hold)).or_default() += 1,
            _ => {}
        }
    }
    let found: BTreeMap<String, u64> = made
        .exempt
        .iter()
        .map(|(basis, n)| (basis.to_string(), *n))
        .collect();
    assert_eq!(found, exempt);
    let months = made.deferred_months.iter();
    let found: BTreeMap<_, u64> = months
        .map(|row| ((row.month.clone(), row.reason), row.tasks))
        .collect();
    assert_eq!(found, deferred);
    let mut by_reason: BTreeMap<Why, u64> = BTreeMap::new();
    for ((_, why), tasks) in deferred {
        *by_reason.entry(why).or_default() += tasks;
    }
    assert_eq!(made.deferred, by_reason);
}

fn compare_processors(made: &Report, life: &Life) {
    let mut names: Vec<&str> = life.tasks.iter().map(|task| task.processor.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let found: Vec<&str> = made.processors.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(found, names);
    for row in &made.processors {
        let name = row.id.as_str();
        let done = |wanted: &[Proof]| {
            life.count(
                name,
                |stands| matches!(stands, Stands::Done(proof) if wanted.contains(proof)),
            )
        };
        assert_eq!(row.tasks, life.count(name, |_| true), "{name}");
        assert_eq!(
            row.erased,
            done(&[Proof::Erased, Proof::Expired]),
            "{name}: {life:#?}"
        );
        assert_eq!(row.not_found, done(&[Proof::NotFound]), "{name}");
        assert_eq!(
            row.abandoned,
            life.count(name, |stands| *stands == Stands::Abandoned),
            "{name}"
        );
        assert_eq!(
            row.exempt,
            life.count(name, |stands| matches!(stands, Stands::Exempt(_))),
            "{name}"
        );
        let open = |stands: &Stands| {
            matches!(
                stands,
                Stands::Open | Stands::Held | Stands::Deferred(..) | Stands::Abandoned
            )
        };
        assert_eq!(row.open, life.count(name, open), "{name}");
        same_times(
            &row.ack_seconds,
            life.answers.get(name).cloned().unwrap_or_default(),
        );
        let failures = row.failures.iter().map(|(outcome, n)| (Some(*outcome), *n));
        let unanswered = (row.unanswered > 0).then_some((None, row.unanswered));
        let found: BTreeMap<Option<Outcome>, u64> = failures.chain(unanswered).collect();
        let of_it = life
            .failures
            .iter()
            .filter(|((processor, _), _)| processor == name);
        let expected: BTreeMap<Option<Outcome>, u64> =
            of_it.map(|((_, outcome), n)| (*outcome, *n)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// By nearest rank, the slow way.
fn same_times(found: &Quantiles, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: f64| {
        let rank = (percent / 100.0 * times.len() as f64).ceil().max(1.0) as usize;
        times.get(rank - 1).map(Duration::as_secs_f64)
    };
    assert_eq!(found.count, times.len() as u64);
    assert_eq!(
        (found.p50, found.p90, found.p99, found.max),
        (at(50.0), at(90.0), at(99.0), at(100.0))
    );
}
