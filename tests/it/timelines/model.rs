//! What may happen, by the test's own reckoning.

use std::{collections::BTreeMap, time::Duration};

use lacuna::domain::{
    backup::BackupChange,
    fact::Fact,
    hold::Hold,
    ids::{ProcessorId, TaskId},
    request::{Request, Trail},
    task::{Deferral, Share, TaskState},
    time::At,
    words::Status,
};

use super::random::Bench;

pub const SKEW: Duration = Duration::from_secs(300);
pub const SOURCES: [&str; 3] = ["s0", "s1", "s2"];
const DAY: i64 = 24 * 3_600_000;

/// Everything that was told, as it was told.
pub struct Model {
    holds: Vec<Hold>,
    rotations: Vec<(ProcessorId, At, At)>,
    locks: Vec<(ProcessorId, At, At)>,
    /// Each place's generation has to be higher than this from the next look on.
    owed: BTreeMap<u16, u32>,
    restored: bool,
}

impl Model {
    pub fn of(_: &Bench) -> Self {
        Self {
            holds: Vec::new(),
            rotations: Vec::new(),
            locks: Vec::new(),
            owed: BTreeMap::new(),
            restored: false,
        }
    }

    /// Takes a fact, and what a restore obliges to, by the state in which it found the request.
    pub fn hear(&mut self, fact: &Fact, now: At, request: &Request) {
        match fact {
            Fact::Hold(hold) => self.holds.push(hold.clone()),
            Fact::Release { hold_id, .. } => self.holds.retain(|hold| hold.hold_id != *hold_id),
            Fact::Backup(event) => match &event.change {
                BackupChange::Taken { taken_at, lock_until } => {
                    self.locks
                        .push((event.processor.clone(), *taken_at, lock_until.unwrap()));
                }
                BackupChange::Rotated { oldest_retained_at } => {
                    self.rotations
                        .push((event.processor.clone(), *oldest_retained_at, now));
                }
                BackupChange::Restored {
                    taken_at,
                    restored_into,
                } => {
                    self.owe(request, *taken_at, restored_into);
                }
            },
            // What is stopped is late, never wrong.
            Fact::Registry { .. }
            | Fact::Forgotten(_)
            | Fact::Paused { .. }
            | Fact::Resumed { .. }
            | Fact::Braked { .. }
            | Fact::Unbraked { .. } => {}
        }
    }

    /// Invariant 5, as the design says it.
    fn owe(&mut self, request: &Request, taken_at: At, into: &[ProcessorId]) {
        let since = taken_at.millis() - i64::try_from(SKEW.as_millis()).unwrap();
        let mut again = Vec::new();
        for ordinal in request.ordinals() {
            let task = request.task(ordinal);
            let sent = task.attempt > 0 || task.generation > 1;
            let counts = match proved_at(request, ordinal) {
                Some(at) => at.millis() >= since,
                None => sent && !matches!(task.state, TaskState::Waived),
            };
            if sources_of(request, ordinal).is_none() && into.contains(&task.processor) && sent && counts {
                again.push(ordinal);
            }
        }
        self.restored |= !again.is_empty();
        for ordinal in request.ordinals() {
            let follows = sources_of(request, ordinal)
                .is_some_and(|sources| sources.iter().any(|source| again.contains(source)));
            if again.contains(&ordinal) || follows {
                self.owed.insert(ordinal, request.task(ordinal).generation);
            }
        }
    }

    /// Compares a step that has looked at everything with what may be.
    pub fn check(&mut self, bench: &Bench, before: &Request, trail: &Trail, answered: Option<TaskId>) {
        let request = &bench.request;
        for ordinal in &trail.dispatched {
            let task = request.task(*ordinal);
            let held = self.holds.iter().any(|hold| {
                hold.request_id.is_none_or(|id| id == request.id)
                    && hold.processor.as_ref().is_none_or(|id| *id == task.processor)
            });
            assert!(!held, "invariant 3: sent while held: {task:?}");
            let waits = task.after.iter().any(|place| {
                matches!(
                    before.task(*place).state,
                    TaskState::Blocked | TaskState::Ready { .. }
                )
            }) && task.generation == 1
                && task.attempt == 1;
            let now_out = task.after.iter().any(|place| {
                matches!(
                    request.task(*place).state,
                    TaskState::Dispatched { .. } | TaskState::Accepted { .. }
                )
            });
            assert!(!(waits && now_out), "invariant 3: sent before its turn: {task:?}");
        }
        for (ordinal, generation) in std::mem::take(&mut self.owed) {
            let task = request.task(ordinal);
            let kept = matches!(task.state, TaskState::Exempt { .. } | TaskState::Waived);
            assert!(task.generation > generation || kept, "invariant 5: {task:?}");
        }
        for ordinal in request.ordinals() {
            if let (Some(sources), Some(_)) = (sources_of(request, ordinal), proved_at(request, ordinal)) {
                let was = (usize::from(ordinal) < before.tasks.len()).then(|| proved_at(before, ordinal));
                if was.flatten().is_none() {
                    self.check_wave(bench, ordinal, sources, answered);
                }
            }
        }
        if request.life.status == Status::Completed {
            let all = request
                .ordinals()
                .all(|ordinal| proved_at(request, ordinal).is_some());
            assert!(all, "invariant 2");
        }
        self.check_secrecy(bench);
    }

    /// Invariant 4: a wave that has just been done.
    fn check_wave(&self, bench: &Bench, ordinal: u16, sources: &[u16], answered: Option<TaskId>) {
        let request = &bench.request;
        let task = request.task(ordinal);
        let closed = sources
            .iter()
            .all(|source| request.task(*source).state.is_closed());
        assert!(closed, "invariant 4: a source is not confirmed: {request:#?}");
        let confirmed = sources
            .iter()
            .filter_map(|source| proved_at(request, *source))
            .max();
        let mark = confirmed.expect("invariant 4: nobody confirmed").plus(SKEW);
        if answered == Some(request.task_id(ordinal)) {
            return;
        }
        let rule = bench
            .registry
            .get(&task.processor)
            .unwrap()
            .backup
            .as_ref()
            .unwrap();
        let of_set = |(id, ..): &&(ProcessorId, At, At)| *id == task.processor;
        let rotated = self.rotations.iter().filter(of_set).any(|(_, oldest, told)| {
            let denied = self
                .locks
                .iter()
                .filter(of_set)
                .any(|(_, taken, until)| *taken < mark && until > told);
            mark <= *oldest && !denied
        });
        let keep = if task.processor.as_str() == "nightly" {
            10
        } else {
            20
        };
        let over = bench.now.millis() >= mark.millis() + keep * DAY;
        let locked = self
            .locks
            .iter()
            .filter(of_set)
            .any(|(_, taken, until)| *taken <= mark && *until > bench.now);
        let proved = match format!("{:?}", rule.confirm_by).as_str() {
            "Event" => rotated,
            "Schedule" => over && !locked,
            _ => false,
        };
        assert!(proved, "invariant 4: {task:?} at {}, mark {mark}", bench.now);
    }

    /// Invariant 8: readable exactly as long as somebody has to be asked, and from a capsule only after a restore.
    fn check_secrecy(&self, bench: &Bench) {
        let request = &bench.request;
        let grows_old = |ordinal: u16| {
            let task = request.task(ordinal);
            let rule = bench
                .registry
                .get(&task.processor)
                .and_then(|p| p.backup.as_ref());
            let rotation = matches!(
                task.state,
                TaskState::Parked {
                    why: Deferral::Rotation,
                    ..
                }
            );
            rotation && rule.is_some_and(|rule| format!("{:?}", rule.confirm_by) != "Ack")
        };
        let spent = request
            .ordinals()
            .all(|ordinal| request.task(ordinal).state.is_closed() || grows_old(ordinal));
        if spent {
            assert!(
                !request.bookkeeping.readable,
                "invariant 8: nobody has to be asked any more"
            );
        } else {
            // Where nobody had confirmed anything there was nothing to keep a capsule for, so a person is told.
            let (life, kept) = (&request.life, &request.bookkeeping);
            let replayed = self.restored && (kept.capsule.is_some() || life.needs_attention);
            assert!(kept.readable || replayed, "invariant 8: somebody has to be asked");
        }
    }
}

/// The sources of a wave, by place.
fn sources_of(request: &Request, ordinal: u16) -> Option<&[u16]> {
    match &request.task(ordinal).share {
        Share::Wave { sources, .. } => Some(sources),
        _ => None,
    }
}

/// When a task was proved, if it is.
fn proved_at(request: &Request, ordinal: u16) -> Option<At> {
    match request.task(ordinal).state {
        TaskState::Done { at, .. } => Some(at),
        _ => None,
    }
}
