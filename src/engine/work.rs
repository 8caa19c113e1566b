//! A transaction's work in memory: the requests that it touches, what happens to each, and what all of it comes to.

use std::{collections::HashMap, time::Duration};

use zeroize::Zeroizing;

use super::{
    Engine, EngineError,
    counters::Counters,
    outputs::{Emission, Secrets},
    prepare::PreparedSubject,
};
use crate::{
    domain::{
        body::Body,
        entry::Leaf,
        identity::Identity,
        ids::RequestId,
        request::{Context, Life, Request, Trail, deferral::Deferred, open::Opened},
        time::At,
    },
    store::{
        Changes, DeadLetter, DeferredRow, InboxRow, LeafRow, MovedRow, OpenedRow, ResealedRow, StoredRequest,
    },
};

/// When a request is looked at again that could not be woken: somebody has to mend the program first.
const WOKEN_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// A request that the transaction touches.
#[derive(Debug)]
pub(super) struct Touched<'a> {
    pub(super) request: Request,
    pub(super) trail: Trail,
    /// Free text and references, for the sealed side row: each one a JSON object.
    pub(super) notes: Vec<String>,
    /// Whether its row in the agenda was due: it has to move in any case.
    pub(super) woken: bool,
    source: Source<'a>,
    before: Option<Life>,
    /// What was deferred before.
    deferred: Vec<Deferred>,
    /// What is written anew because identifiers were supplied.
    pub(super) resealed: Option<ResealedRow>,
}

#[derive(Debug)]
enum Source<'a> {
    New {
        body: Box<Body>,
        identities: &'a [Identity],
        subject: &'a PreparedSubject,
    },
    Loaded {
        revision: u32,
        wrapped_key: Option<Vec<u8>>,
    },
}

/// Who writes: use cases that run at the same time count into rows of their own, so that none waits for another's commit.
#[derive(Debug, Clone, Copy)]
pub(super) enum UseCase {
    Intake,
    Settle,
    Other,
}

/// Everything that a transaction does.
#[derive(Debug, Default)]
pub(super) struct Work<'a> {
    /// In the order in which they were touched first.
    touched: Vec<Touched<'a>>,
    /// Where each of them stands.
    places: HashMap<RequestId, usize>,
    pub(super) inbox: Vec<InboxRow>,
    pub(super) dead_letters: Vec<DeadLetter>,
}

/// What a committed transaction leaves to be produced: built before the commit, opened and sent after it.
#[derive(Debug)]
pub(super) struct Finished<'a> {
    touched: Vec<Touched<'a>>,
    pub(super) changes: Changes,
}

impl<'a> Work<'a> {
    pub(super) fn with_loaded(stored: Vec<StoredRequest>, clock_skew: Duration) -> Self {
        let mut work = Self {
            touched: Vec::with_capacity(stored.len()),
            places: HashMap::with_capacity(stored.len()),
            ..Self::default()
        };
        for StoredRequest { request, wrapped_key } in stored {
            let source = Source::Loaded {
                revision: request.revision,
                wrapped_key,
            };
            let before = Some(request.life.clone());
            let touched = Touched {
                resealed: None,
                deferred: request.deferred(clock_skew).collect(),
                request,
                trail: Trail::default(),
                notes: Vec::new(),
                woken: false,
                source,
                before,
            };
            work.touch(touched);
        }
        work
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Touched<'a>> {
        self.places
            .get(&id)
            .and_then(|place| self.touched.get_mut(*place))
    }

    fn touch(&mut self, touched: Touched<'a>) {
        self.places.insert(touched.request.id, self.touched.len());
        self.touched.push(touched);
    }

    /// Has all of them look at what has become known. One that cannot must not keep its neighbours from it.
    pub(super) fn review(&mut self, context: &Context<'_>) {
        for touched in &mut self.touched {
            let mut request = touched.request.clone();
            match request.review(context) {
                Ok(trail) => {
                    touched.request = request;
                    touched.trail.append(trail);
                }
                Err(error) => {
                    tracing::error!(request = %request.id, %error, "a request cannot take what is known")
                }
            }
        }
    }

    /// Lets time pass for all of them. One that cannot is left as it is and looked at again later: it must neither keep
    /// its neighbours from waking nor wake in their place for ever.
    pub(super) fn wake(&mut self, context: &Context<'_>, acks_seen_until: At) {
        for touched in &mut self.touched {
            let mut request = touched.request.clone();
            match request.wake(context, acks_seen_until) {
                Ok(trail) => {
                    touched.request = request;
                    touched.trail.append(trail);
                }
                Err(error) => {
                    tracing::error!(request = %request.id, %error, "a request cannot be woken");
                    touched.request.life.wake_at = Some(context.now.plus(WOKEN_AGAIN_AFTER));
                    touched.request.revision += 1;
                }
            }
            touched.woken = true;
        }
    }

    pub(super) fn opened(
        &mut self,
        opened: Opened,
        body: Body,
        identities: &'a [Identity],
        subject: &'a PreparedSubject,
    ) {
        let Opened {
            request,
            trail,
            identities: _,
        } = opened;
        let source = Source::New {
            body: Box::new(body),
            identities,
            subject,
        };
        self.touch(Touched {
            request,
            trail,
            notes: Vec::new(),
            woken: false,
            source,
            before: None,
            deferred: Vec::new(),
            resealed: None,
        });
    }

    /// Turns the work into what is written. `outboxed`: whether outbox rows have to remember the outputs.
    pub(super) fn finish(
        mut self,
        engine: &Engine,
        use_case: UseCase,
        now: At,
        outboxed: bool,
    ) -> Result<Finished<'a>, EngineError> {
        let mut changes = Changes {
            inbox: self.inbox,
            dead_letters: self.dead_letters,
            slot: engine.slot_of(use_case),
            at: now,
            ..Changes::default()
        };
        let mut counters = Counters::default();
        self.touched.retain(Touched::has_changed);
        for touched in &mut self.touched {
            touched.write_leaf(engine, now, &mut changes)?;
            counters.count(&touched.request, &touched.trail.moves, touched.before.as_ref());
            touched.write_deferred(engine.clock_skew(), &mut counters, &mut changes);
            touched.write_row(&mut changes)?;
            changes.resealed.extend(touched.resealed.take());
            if outboxed && touched.is_worth_telling() {
                changes
                    .outbox
                    .push((touched.request.id, touched.request.revision));
            }
        }
        changes.counters = counters.into_sorted();
        Ok(Finished {
            touched: self.touched,
            changes,
        })
    }
}

impl Touched<'_> {
    /// The wrapped key of its identifiers, where it was loaded and has one.
    pub(super) fn wrapped_key(&self) -> Option<&[u8]> {
        match &self.source {
            Source::New { .. } => None,
            Source::Loaded { wrapped_key, .. } => wrapped_key.as_deref(),
        }
    }

    fn has_changed(&self) -> bool {
        match self.source {
            Source::New { .. } => true,
            Source::Loaded { revision, .. } => self.request.revision != revision,
        }
    }

    /// Whether outsiders see a difference: a wake-up that only moved is none.
    fn is_worth_telling(&self) -> bool {
        let Some(before) = &self.before else { return true };
        let unseen = |life: &Life| Life {
            wake_at: None,
            leaves: 0,
            readable: true,
            capsule: None,
            facts: 0,
            ..life.clone()
        };
        !self.trail.moves.is_empty() || unseen(before) != unseen(&self.request.life)
    }

    fn write_leaf(&mut self, engine: &Engine, now: At, changes: &mut Changes) -> Result<(), EngineError> {
        if self.trail.entries.is_empty() {
            return Ok(());
        }
        let n = self.request.life.leaves;
        self.request.life.leaves += 1;
        let leaf = Leaf {
            request: self.request.id,
            n,
            at: now,
            entries: std::mem::take(&mut self.trail.entries),
        };
        let sealed = if self.notes.is_empty() {
            None
        } else {
            let notes = Zeroizing::new(format!("[{}]", self.notes.join(",")));
            Some(engine.vault.seal_record(self.request.id, n, notes.as_bytes()))
        };
        changes.leaves.push(LeafRow {
            request_id: self.request.id,
            n,
            leaf: leaf.to_bytes()?,
            sealed,
        });
        Ok(())
    }

    /// What is deferred has rows of its own, so that lists, sweeps and gauges find it.
    fn write_deferred(&self, clock_skew: Duration, counters: &mut Counters, changes: &mut Changes) {
        let after: Vec<Deferred> = self.request.deferred(clock_skew).collect();
        if after == self.deferred {
            return;
        }
        for new in after.iter().filter(|new| !self.deferred.contains(new)) {
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
        for old in self.deferred.iter().filter(|old| !after.contains(old)) {
            counters.deferred(old.why, -1);
            if !after.iter().any(|new| new.ordinal == old.ordinal) {
                changes.resumed.push((self.request.id, old.ordinal));
            }
        }
    }

    fn write_row(&self, changes: &mut Changes) -> Result<(), EngineError> {
        let request = self.request.clone();
        match &self.source {
            Source::New { body, subject, .. } => changes.opened.push(OpenedRow {
                wrapped_key: request.life.readable.then(|| subject.sealed.wrapped_key.clone()),
                body: body.pack()?,
                sealed: subject.sealed.sealed.clone(),
                digests: subject.digests.clone(),
                request,
            }),
            Source::Loaded { revision, .. } => changes.moved.push(MovedRow {
                from_revision: *revision,
                shred: !request.life.readable && self.before.as_ref().is_some_and(|life| life.readable),
                rewake: self.needs_rewake(),
                request,
            }),
        }
        Ok(())
    }

    /// The agenda's row moves when the time comes earlier, when it has come, and when there is none left. A row that is
    /// earlier than it needs to be is harmless: it is never later than what the aggregate remembers. It moves later only
    /// once nobody is asked any more: what is parked for years would wake once for nothing otherwise.
    fn needs_rewake(&self) -> bool {
        let Some(before) = &self.before else { return true };
        match (before.wake_at, self.request.life.wake_at) {
            (Some(row), Some(wanted)) => {
                self.woken || wanted < row || (wanted > row && self.request.is_at_rest())
            }
            (row, wanted) => self.woken || row != wanted,
        }
    }
}

impl Finished<'_> {
    /// The requests whose capsule has to be sealed, each with the wrapped key of its identifiers, if it still has one.
    pub(super) fn encapsulated(&self) -> impl Iterator<Item = (&Request, Option<&[u8]>)> {
        self.touched.iter().filter_map(|touched| {
            let before = touched.before.as_ref().and_then(|life| life.capsule);
            let Source::Loaded { wrapped_key, .. } = &touched.source else {
                return None;
            };
            let is_new = touched.request.life.capsule.is_some() && touched.request.life.capsule != before;
            is_new.then_some((&touched.request, wrapped_key.as_deref()))
        })
    }

    /// Whether a task has to be sent.
    pub(super) fn sends(&self) -> bool {
        self.touched
            .iter()
            .any(|touched| !touched.trail.dispatched.is_empty())
    }

    /// Counts what was sent and what came to an end, once the changes are committed.
    fn observe(&self, engine: &Engine) {
        for touched in &self.touched {
            for ordinal in &touched.trail.dispatched {
                engine
                    .metrics
                    .dispatch(touched.request.task(*ordinal).processor.as_str(), "sent");
            }
            let was_open = touched.before.as_ref().is_none_or(|life| !life.status.is_final());
            if let (true, Some(end)) = (was_open, touched.request.life.completed_at) {
                let head = &touched.request.head;
                engine
                    .metrics
                    .request_duration(head.action.as_str(), end.since(head.received_at));
            }
        }
    }

    /// Builds what has to be produced, once the changes are committed.
    pub(super) async fn emit(self, engine: &Engine, outboxed: bool) -> Result<Emission, EngineError> {
        self.observe(engine);
        let mut emission = Emission {
            outboxed,
            ..Emission::default()
        };
        let to_open: Vec<RequestId> = self
            .touched
            .iter()
            .filter(|touched| {
                !touched.trail.dispatched.is_empty() && matches!(touched.source, Source::Loaded { .. })
            })
            .map(|touched| touched.request.id)
            .collect();
        let forgotten: Vec<RequestId> = self
            .touched
            .iter()
            .filter(|touched| touched.request.life.capsule.is_some() && !touched.trail.dispatched.is_empty())
            .map(|touched| touched.request.id)
            .collect();
        let secrets = engine.secrets(&to_open, &forgotten).await?;
        for touched in &self.touched {
            if touched.is_worth_telling() {
                engine.emit_status(&touched.request, &mut emission)?;
            }
            touched.emit_tasks(engine, &secrets, &mut emission)?;
        }
        for letter in &self.changes.dead_letters {
            engine.emit_dead_letter(letter, &mut emission);
        }
        Ok(emission)
    }
}

impl Touched<'_> {
    fn emit_tasks(
        &self,
        engine: &Engine,
        secrets: &Secrets,
        emission: &mut Emission,
    ) -> Result<(), EngineError> {
        match &self.source {
            Source::New { body, identities, .. } => {
                for ordinal in &self.trail.dispatched {
                    engine.emit_task(&self.request, *ordinal, body, identities, emission)?;
                }
            }
            Source::Loaded { wrapped_key, .. } => {
                let sent = &self.trail.dispatched;
                engine.emit_stored(&self.request, sent, wrapped_key.as_deref(), secrets, emission)?;
            }
        }
        Ok(())
    }
}
