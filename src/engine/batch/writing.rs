//! How what has happened to a request is written down.

use std::time::Duration;

use super::{Source, Touched};
use crate::{
    domain::{
        entry::Leaf,
        ids::ProcessorId,
        request::{Life, Request, deferral::Deferred, marks::Marks, waves::AskedWave},
        task::{TaskState, Undelivered},
        time::At,
        words::{Mark, Status, TaskStateName},
    },
    engine::{Engine, EngineError, counters::Counters, outcomes::minute_of},
    store::{
        AskedRow, Changes, DeferredRow, LeafRow, MarkedRow, MovedRow, OpenedRow, PollRow, QueuedRow,
        StateRow, UndeliverableRow,
    },
};

/// The tasks of a request that their topics do not take.
pub(super) fn undeliverable_of(request: &Request) -> Vec<UndeliverableRow> {
    let rows = request
        .undeliverable()
        .map(|(ordinal, processor, due, why)| UndeliverableRow {
            request_id: request.id,
            ordinal,
            processor: processor.clone(),
            due,
            too_large: matches!(why, Undelivered::TooLarge { .. }),
        });
    rows.collect()
}

/// The tasks of a request that are in the queues of their lanes.
pub(super) fn queued_of(request: &Request) -> Vec<QueuedRow> {
    let rows = request.queued().map(|(ordinal, processor, due)| QueuedRow {
        request_id: request.id,
        ordinal,
        processor: processor.clone(),
        tenant: request.head.tenant.clone(),
        due,
    });
    rows.collect()
}

/// A task that is out: at whom, and the minute in which it was sent.
pub(super) type OutSince = (ProcessorId, i64);

/// The tasks of a request that are out and not answered.
pub(super) fn out_of(request: &Request) -> Vec<OutSince> {
    let out = request.tasks.iter().filter_map(|task| match task.state {
        TaskState::Dispatched { at, .. } => Some((task.processor.clone(), minute_of(at))),
        _ => None,
    });
    out.collect()
}

/// What makes a request stand out, and by when it is due.
pub(super) fn marked_of(request: &Request) -> (Marks, At) {
    (request.marks(), request.life.clock.due)
}

/// What stands out has rows of its own, so that lists find it. Most requests never do, and cost a comparison.
pub(super) fn write_marks(request: &Request, (before, due): (Marks, At), changes: &mut Changes) {
    let (after, deadline) = marked_of(request);
    if (before, due) == (after, deadline) || (before.is_empty() && after.is_empty()) {
        return;
    }
    let is_new = |mark: &Mark| due != deadline || !before.has(*mark);
    changes
        .marked
        .extend(after.iter().filter(is_new).map(|mark| MarkedRow {
            request_id: request.id,
            mark,
            deadline,
        }));
    let gone = before.iter().filter(|mark| !after.has(*mark));
    changes.unmarked.extend(gone.map(|mark| (mark, request.id)));
}

impl Touched<'_> {
    pub(super) fn write_leaf(
        &mut self,
        engine: &Engine,
        now: At,
        changes: &mut Changes,
    ) -> Result<(), EngineError> {
        if self.trail.entries.is_empty() {
            return Ok(());
        }
        let n = self.request.bookkeeping.leaves;
        self.request.bookkeeping.leaves += 1;
        let leaf = Leaf {
            request: self.request.id,
            n,
            at: now,
            entries: std::mem::take(&mut self.trail.entries),
        };
        let notes = self.notes.as_bytes();
        let sealed = (!notes.is_empty()).then(|| engine.vault.seal_record(self.request.id, n, notes));
        changes.leaves.push(LeafRow {
            request_id: self.request.id,
            n,
            leaf: leaf.to_bytes()?,
            sealed,
            acted: leaf.acted(),
        });
        Ok(())
    }

    /// What is deferred has rows of its own, so that lists, sweeps and gauges find it.
    pub(super) fn write_deferred(
        &self,
        clock_skew: Duration,
        counters: &mut Counters,
        changes: &mut Changes,
    ) {
        let after: Vec<Deferred> = self.request.deferred(clock_skew).collect();
        // Its row names its processor.
        let is_handed_over = |ordinal| self.trail.handed_over.iter().any(|(place, ..)| *place == ordinal);
        if after == self.deferred && self.trail.handed_over.is_empty() {
            return;
        }
        let is_new = |new: &&Deferred| !self.deferred.contains(new) || is_handed_over(new.ordinal);
        for new in after.iter().filter(is_new) {
            changes.deferred.push(DeferredRow {
                request_id: self.request.id,
                ordinal: new.ordinal,
                reason: new.why,
                processor: self.request.task(new.ordinal).processor.clone(),
                until: new.until,
                mark: new.mark,
            });
            counters.deferred(new.why, 1);
        }
        let is_old = |old: &&Deferred| !after.contains(old) || is_handed_over(old.ordinal);
        for old in self.deferred.iter().filter(is_old) {
            counters.deferred(old.why, -1);
            if !after.iter().any(|new| new.ordinal == old.ordinal) {
                changes.resumed.push((self.request.id, old.ordinal));
            }
        }
    }

    /// A wave that is asked about has a row of its own, so that the sweep of a rotation finds it.
    pub(super) fn write_asked(&self, clock_skew: Duration, changes: &mut Changes) {
        let after: Vec<AskedWave> = self.request.asked_waves(clock_skew).collect();
        for new in after.iter().filter(|new| !self.asked.contains(new)) {
            changes.asked.push(AskedRow {
                request_id: self.request.id,
                ordinal: new.ordinal,
                processor: self.request.task(new.ordinal).processor.clone(),
                mark: new.mark,
            });
        }
        let is_over = |old: &&AskedWave| after.iter().all(|new| new.ordinal != old.ordinal);
        let over = self.asked.iter().filter(is_over);
        changes
            .unasked
            .extend(over.map(|old| (self.request.id, old.ordinal)));
    }

    /// A task that its topic does not take has a row of its own, so that whoever opens its lane finds it.
    pub(super) fn write_undeliverable(&self, counters: &mut Counters, changes: &mut Changes) {
        let after = undeliverable_of(&self.request);
        if after == self.undeliverable {
            return;
        }
        for row in &self.undeliverable {
            counters.undeliverable(&row.processor, -1);
            if after.iter().all(|new| new.ordinal != row.ordinal) {
                changes.delivered.push((row.request_id, row.ordinal));
            }
        }
        for row in after {
            counters.undeliverable(&row.processor, 1);
            if !self.undeliverable.contains(&row) {
                changes.undeliverable.push(row);
            }
        }
    }

    /// A task in the queue of its lane has a row of its own, so that whoever runs the lane finds it.
    pub(super) fn write_queued(&self, counters: &mut Counters, changes: &mut Changes) {
        let after = queued_of(&self.request);
        if after == self.queued {
            return;
        }
        for row in &self.queued {
            counters.queued(&row.processor, -1);
            if after.iter().all(|new| new.ordinal != row.ordinal) {
                changes.unqueued.push((row.request_id, row.ordinal));
            }
        }
        for row in after {
            counters.queued(&row.processor, 1);
            if !self.queued.contains(&row) {
                changes.queued.push(row);
            }
        }
    }

    /// Since when tasks are out is counted by the minute, so that a processor that says nothing shows soon.
    pub(super) fn count_out(&self, counters: &mut Counters) {
        let after = out_of(&self.request);
        if after == self.out {
            return;
        }
        for (processor, minute) in &self.out {
            counters.out(processor, *minute, -1);
        }
        for (processor, minute) in &after {
            counters.out(processor, *minute, 1);
        }
    }

    /// A task that its processor has accepted, and that has to be asked about, has a row of its own, so that whoever asks finds
    /// it. It is deleted there, once the task is not accepted any more.
    pub(super) fn write_polled(&self, engine: &Engine, now: At, changes: &mut Changes) {
        for moved in &self.trail.moves {
            let task = self.request.task(moved.ordinal);
            let is_accepted = task.state.name() == TaskStateName::Accepted;
            if moved.to != TaskStateName::Accepted || !is_accepted {
                continue;
            }
            let Some(every) = engine.poll_of(&task.processor) else {
                continue;
            };
            changes.polled.push(PollRow {
                request_id: self.request.id,
                ordinal: moved.ordinal,
                processor: task.processor.clone(),
                due: now.plus(every),
            });
        }
    }

    /// Where a controller may have to be told that its request has moved, the rows of its addresses are due.
    pub(super) fn write_told(&self, engine: &Engine, changes: &mut Changes) {
        if !engine.tells_controllers() {
            return;
        }
        let seen = |life: &Life| (life.status, life.completed_at);
        let before = self.before.as_ref().map(|before| seen(&before.life));
        let is_new = before.is_none();
        if !is_new && (before != Some(seen(&self.request.life)) || !self.trail.dispatched.is_empty()) {
            changes.told.push(self.request.id);
        }
    }

    pub(super) fn write_row(&self, changes: &mut Changes) -> Result<(), EngineError> {
        let (request, state) = (&self.request, StateRow::of(&self.request)?);
        match &self.source {
            Source::New { body, subject, .. } => changes.opened.push(OpenedRow {
                wrapped_key: request
                    .bookkeeping
                    .readable
                    .then(|| subject.sealed.wrapped_key.clone()),
                body: body.pack()?,
                sealed: subject.sealed.sealed.clone(),
                // A merged one is found by the digests of the request that covers it.
                digests: if request.life.following.is_some() {
                    Vec::new()
                } else {
                    subject.digests.clone()
                },
                ticket: subject.ticket,
                tenant: request.head.tenant.clone(),
                state,
            }),
            Source::Loaded { revision, .. } => changes.moved.push(MovedRow {
                from_revision: *revision,
                shred: !request.bookkeeping.readable
                    && self
                        .before
                        .as_ref()
                        .is_some_and(|before| before.bookkeeping.readable),
                rewake: self.needs_rewake(),
                state,
            }),
        }
        Ok(())
    }

    /// Whom it follows from now on or no longer, and whether those that follow it have to look.
    pub(super) fn write_merging(&self, changes: &mut Changes) {
        let request = &self.request;
        let before = self
            .before
            .as_ref()
            .and_then(|before| before.life.following.as_deref());
        match (before, request.life.following.as_deref()) {
            (None, Some(following)) => changes.merged.push((following.leader, request.id)),
            (Some(following), None) => {
                changes.separated.push((following.leader, request.id));
                // From now on it is found by itself.
                let digests = following.digests().iter();
                changes
                    .found_by
                    .extend(digests.map(|digest| (*digest, request.id)));
            }
            _ => {}
        }
        if request.bookkeeping.followers > 0 && self.has_moved_followers() {
            changes.roused.push(request.id);
        }
    }

    /// Whether it was withdrawn, closed, opened again or sent, or has left live systems clean.
    fn has_moved_followers(&self) -> bool {
        let seen = |life: &Life| (life.completed_at, life.live_clean_at);
        let before = self
            .before
            .as_ref()
            .map(|before| seen(&before.life))
            .unwrap_or_default();
        before != seen(&self.request.life) || !self.trail.dispatched.is_empty()
    }

    /// The agenda's row moves when the time comes earlier, when it has come, and when there is none left. A row that is
    /// earlier than it needs to be is harmless: it is never later than what the aggregate remembers. It moves later only
    /// once nobody is asked any more: what is parked for years would wake once for nothing otherwise.
    fn needs_rewake(&self) -> bool {
        let Some(before) = &self.before else { return true };
        // The row says by when it is due, and whether it is parked.
        let is_parked = |life: &Life| life.status == Status::Deferred;
        if before.life.clock.due != self.request.life.clock.due
            || is_parked(&before.life) != is_parked(&self.request.life)
        {
            return true;
        }
        match (before.bookkeeping.wake_at, self.request.bookkeeping.wake_at) {
            (Some(row), Some(wanted)) => {
                // A follower may have been woken a moment ago by the request that it follows.
                let may_sleep = self.request.is_at_rest() && self.request.life.following.is_none();
                self.woken || wanted < row || (wanted > row && may_sleep)
            }
            (row, wanted) => self.woken || row != wanted,
        }
    }
}
