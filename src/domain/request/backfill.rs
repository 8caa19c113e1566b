//! Backfill: a processor that was registered later is offered requests that were planned without it.

use super::{
    Context, Move, Request, Trail,
    open::kept,
    operate::{Supplied, acted_by},
};
use crate::domain::{
    command::Opening,
    entry::Entry,
    ids::ProcessorId,
    plan::{KEPT_AT_SOURCE, PlannedTask, Start, addition},
    registry::Processor,
    task::{IllegalEvent, Share, Task, TaskEvent, TaskState},
    task_ids::MAX_TASKS,
    words::Status,
};

/// What becomes of an offer.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// The processor has a task of it from now on: what was planned for it, with the types of identifiers that it is sent.
    Made(Supplied),
    /// It has one already.
    Known,
    /// It holds nothing that the command is about.
    NotConcerned,
    /// It was withdrawn, or another request stands for it.
    Withdrawn,
    /// Its identifiers cannot be read any more: nobody can be asked for it.
    Unreadable,
    /// Its plan has no room.
    Full,
}

impl Request {
    /// Offers it to a processor: it gets what the plan would have had for it. One that was closed is open again.
    ///
    /// `opening`: its command, as far as that was kept; without identifiers where those cannot be read.
    pub fn offer(
        &mut self,
        processor: &Processor,
        opening: &Opening,
        actor: &str,
        context: &Context<'_>,
    ) -> Result<(Offer, Trail), IllegalEvent> {
        let nothing = |offer| Ok((offer, Trail::default()));
        if self.is_withdrawn() || self.life.following.is_some() {
            return nothing(Offer::Withdrawn);
        }
        if self.processors().any(|id| *id == processor.id) {
            return nothing(Offer::Known);
        }
        let start = Start {
            at: self.gate_or(context.now),
            requested_at: self.head.requested_at,
            zone: context.zones.of(&self.head.tenant),
        };
        let planned = addition(processor, opening, context.registry, start);
        if planned.is_empty() {
            return nothing(Offer::NotConcerned);
        }
        if !self.bookkeeping.readable {
            return nothing(Offer::Unreadable);
        }
        let sets = self.sets_of(processor, context);
        // Of each set a wave of its own for each part, at the most.
        if self.tasks.len() + planned.len() * (1 + sets.len()) > usize::from(MAX_TASKS) {
            return nothing(Offer::Full);
        }
        let mut trail = acted_by(Some(actor));
        let mut supplied = Supplied::new();
        let first = self.tasks.len();
        for planned in planned {
            self.add(planned, processor, &mut supplied, &mut trail);
        }
        let places: Vec<u16> = self.ordinals().skip(first).collect();
        for set in sets {
            self.cover(set, &places, opening, start, context, (&mut supplied, &mut trail))?;
        }
        let is_owed =
            |task: &Task| !task.share.is_backup() && !task.state.is_closed() && !task.state.is_deferred();
        if self.tasks[first..].iter().any(is_owed) {
            self.life.live_clean_at = None;
        }
        if self.life.status.is_final() {
            self.enter_status(Status::InProgress, context.now, &mut trail);
        }
        self.conclude(context, &mut trail)?;
        self.revision += 1;
        Ok((Offer::Made(supplied), trail))
    }

    /// The backup sets that hold copies of what a processor holds.
    fn sets_of<'a>(&self, processor: &Processor, context: &Context<'a>) -> Vec<&'a Processor> {
        let copies = |set: &&Processor| {
            set.backup
                .as_ref()
                .is_some_and(|backup| backup.sources.contains(&processor.id))
        };
        context.registry.processors.iter().filter(copies).collect()
    }

    fn places_of(&self, ids: &[ProcessorId]) -> Vec<u16> {
        self.ordinals()
            .filter(|place| ids.contains(&self.task(*place).processor))
            .collect()
    }

    fn add(
        &mut self,
        planned: PlannedTask,
        processor: &Processor,
        supplied: &mut Supplied,
        trail: &mut Trail,
    ) -> u16 {
        let ordinal = u16::try_from(self.tasks.len()).unwrap_or(u16::MAX);
        trail.entries.push(Entry::TaskAdded {
            ordinal,
            processor: processor.id.clone(),
        });
        trail.entries.extend(kept((ordinal, &planned)));
        let mut task = planned.task;
        task.after = self.places_of(&processor.after);
        if let (Some(set), Share::Wave { sources, .. }) = (&processor.backup, &mut task.share) {
            *sources = self.places_of(&set.sources);
        }
        let waits = !task.after.is_empty() || processor.backup.is_some();
        if waits && matches!(task.state, TaskState::Ready { .. }) {
            task.state = TaskState::Blocked;
        }
        trail.moves.push(Move {
            ordinal,
            from: None,
            to: task.state.name(),
        });
        self.tasks.push(task);
        supplied.push((ordinal, planned.identities));
        ordinal
    }

    /// Has a set cover what was added: its copies of it grow old like those of the others.
    fn cover(
        &mut self,
        set: &Processor,
        places: &[u16],
        opening: &Opening,
        start: Start<'_>,
        context: &Context<'_>,
        (supplied, trail): (&mut Supplied, &mut Trail),
    ) -> Result<(), IllegalEvent> {
        let waves: Vec<u16> = self.places_of(std::slice::from_ref(&set.id));
        let Some(first) = waves.first().copied() else {
            for planned in addition(set, opening, context.registry, start) {
                self.add(planned, set, supplied, trail);
            }
            return Ok(());
        };
        // A command that left the set out has left out these copies as well.
        let is_left_out = |request: &Self, wave: u16| {
            let state = &request.task(wave).state;
            matches!(state, TaskState::Exempt { basis } if basis.as_str() != KEPT_AT_SOURCE)
        };
        if is_left_out(self, first) {
            return Ok(());
        }
        let waiting = waves
            .iter()
            .find(|wave| self.task(**wave).state == TaskState::Blocked);
        if let (Some(wave), Some(Share::Wave { sources, .. })) =
            (waiting, waiting.map(|wave| &self.task(*wave).share))
        {
            let sources = sources.iter().chain(places).copied().collect();
            return self.record_event(*wave, TaskEvent::Rewaved { sources }, trail);
        }
        let like = Task {
            state: TaskState::Blocked,
            ..self.task(first).clone()
        };
        for place in places {
            self.add_wave(&like, *place, trail);
        }
        Ok(())
    }
}
