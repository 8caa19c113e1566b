//! A transaction's work in memory: the requests that it touches, what happens to each, and what all of it comes to.

mod ending;
mod supplied;
mod writing;

use writing::undeliverable_of;

use std::{borrow::Cow, collections::HashMap, time::Duration};

use foldhash::HashMapExt;

use super::{
    Engine, EngineError,
    counters::Counters,
    effects::{Emission, building::Secrets},
    prepare::PreparedSubject,
    routes::AcksSeen,
};
use crate::{
    domain::{
        body::Body,
        identity::Identity,
        ids::RequestId,
        note::Notes,
        request::{
            Context, Life, Request, Trail, deferral::Deferred, merged::Leader, open::Opened, waves::AskedWave,
        },
        task::IllegalEvent,
        time::At,
    },
    store::{
        Changes, DeadLetter, EarlyChanges, InboxRow, MovedRow, ResealedRow, StateRow, StoredRequest,
        SuppressionRow, UndeliverableRow,
    },
};

/// When a request is looked at again that could not be woken: somebody has to mend the program first.
const WOKEN_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// A request that the transaction touches.
#[derive(Debug)]
pub(super) struct Touched<'a> {
    pub(super) request: Request,
    pub(super) trail: Trail,
    /// Free text and references, for the sealed side row.
    pub(super) notes: Notes,
    /// Whether its row in the agenda was due: it has to move in any case.
    pub(super) woken: bool,
    source: Source<'a>,
    before: Option<Life>,
    /// What was deferred before.
    deferred: Vec<Deferred>,
    /// The waves that were asked about before.
    asked: Vec<AskedWave>,
    /// The tasks that their topics did not take before.
    undeliverable: Vec<UndeliverableRow>,
    /// What is written anew because identifiers were supplied.
    pub(super) resealed: Option<ResealedRow>,
    /// What the suppression topic has of them.
    pub(super) suppression: Vec<SuppressionRow>,
    /// Whether its rows go.
    purged: bool,
}

#[derive(Debug)]
enum Source<'a> {
    New {
        body: Box<Body>,
        identities: Cow<'a, [Identity]>,
        subject: Cow<'a, PreparedSubject>,
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
    places: foldhash::HashMap<RequestId, usize>,
    pub(super) inbox: Vec<InboxRow>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Commands that wait for their requests.
    pub(super) early: EarlyChanges,
    /// Requests that are set aside, each with its life before: nothing is decided about them.
    aside: Vec<(Request, Life)>,
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
            places: foldhash::HashMap::with_capacity(stored.len()),
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
                suppression: Vec::new(),
                purged: false,
                deferred: request.deferred(clock_skew).collect(),
                asked: request.asked_waves(clock_skew).collect(),
                undeliverable: undeliverable_of(&request),
                request,
                trail: Trail::default(),
                notes: Notes::default(),
                woken: false,
                source,
                before,
            };
            work.touch(touched);
        }
        work
    }

    /// What a request that was opened here has kept of its command.
    pub(super) fn body_of_new(&self, id: RequestId) -> Option<&Body> {
        let touched = self.touched.get(*self.places.get(&id)?)?;
        match &touched.source {
            Source::New { body, .. } => Some(body),
            Source::Loaded { .. } => None,
        }
    }

    pub(super) fn get(&self, id: RequestId) -> Option<&Request> {
        let touched = self.touched.get(*self.places.get(&id)?)?;
        Some(&touched.request)
    }

    pub(super) fn has(&self, id: RequestId) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Touched<'a>> {
        self.places
            .get(&id)
            .and_then(|place| self.touched.get_mut(*place))
    }

    /// The requests that some of these were merged into.
    pub(super) fn followed(&self) -> Vec<RequestId> {
        let mut ids: Vec<RequestId> = self
            .touched
            .iter()
            .filter_map(|touched| Some(touched.request.life.following.as_ref()?.leader))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
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

    /// Lets time pass for all of them, and has those that were merged follow their leaders. One that cannot is left as it
    /// is and looked at again later: it must neither keep its neighbours from waking nor wake in their place for ever.
    pub(super) fn wake(
        &mut self,
        context: &Context<'_>,
        acks_seen: &AcksSeen,
        leaders: &HashMap<RequestId, Leader>,
    ) {
        for touched in &mut self.touched {
            let mut request = touched.request.clone();
            let leader = request
                .life
                .following
                .as_ref()
                .and_then(|following| leaders.get(&following.leader));
            let woken = match leader {
                Some(leader) => request.follow(*leader, context),
                None => {
                    let id = request.id;
                    request.wake_as_read(context, &|processor| acks_seen.until(id, processor))
                }
            };
            match woken {
                Ok(trail) => {
                    touched.request = request;
                    touched.trail.append(trail);
                }
                Err(error) => {
                    tracing::error!(request = %request.id, %error, "a request cannot be woken");
                    let again = context.now.plus(WOKEN_AGAIN_AFTER);
                    touched.request.set_aside(context.now, again);
                }
            }
            touched.woken = true;
        }
    }

    /// Sets a request aside, as it was loaded: nothing of it is looked at but its flags.
    pub(super) fn set_aside(&mut self, stored: StoredRequest, now: At) {
        let mut request = stored.request;
        let before = request.life.clone();
        request.set_aside(now, now.plus(WOKEN_AGAIN_AFTER));
        self.aside.push((request, before));
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
            identities: Cow::Borrowed(identities),
            subject: Cow::Borrowed(subject),
        };
        self.touch(Touched {
            request,
            trail,
            notes: Notes::default(),
            woken: false,
            source,
            before: None,
            deferred: Vec::new(),
            asked: Vec::new(),
            undeliverable: Vec::new(),
            resealed: None,
            suppression: subject.suppression.clone(),
            purged: false,
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
        self.touched
            .retain(|touched| touched.purged || touched.has_changed());
        let mut changes = Changes {
            closings: self.closing(now).into_iter().collect(),
            inbox: self.inbox,
            dead_letters: self.dead_letters,
            early: self.early,
            slot: engine.slot_of(use_case),
            at: now,
            ..Changes::default()
        };
        let mut counters = Counters::default();
        for touched in &mut self.touched {
            if touched.purged {
                touched.write_purge(engine, now, &mut counters, &mut changes)?;
                continue;
            }
            changes.suppression.extend(touched.suppression.iter().cloned());
            touched.write_leaf(engine, now, &mut changes)?;
            counters.count(&touched.request, &touched.trail.moves, touched.before.as_ref());
            touched.write_deferred(engine.clock_skew(), &mut counters, &mut changes);
            touched.write_asked(engine.clock_skew(), &mut changes);
            touched.write_undeliverable(&mut counters, &mut changes);
            touched.write_row(&mut changes)?;
            changes.resealed.extend(touched.resealed.take());
            touched.write_merging(&mut changes);
            if outboxed && touched.is_worth_telling() {
                changes
                    .outbox
                    .push((touched.request.id, touched.request.revision));
            }
        }
        for (request, before) in self.aside {
            counters.count(&request, &[], Some(&before));
            if outboxed {
                changes.outbox.push((request.id, request.revision));
            }
            changes.moved.push(MovedRow {
                from_revision: request.revision - 1,
                shred: false,
                rewake: true,
                state: StateRow::of(&request)?,
            });
        }
        changes.counters = counters.into_sorted();
        Ok(Finished {
            touched: self.touched,
            changes,
        })
    }
}

impl Touched<'_> {
    /// Has one that was merged see how the request stands that it follows, before anything is decided about it.
    pub(super) fn catch_up(
        &mut self,
        leaders: &HashMap<RequestId, Leader>,
        context: &Context<'_>,
    ) -> Result<(), IllegalEvent> {
        let following = self.request.life.following.as_ref();
        if let Some(leader) = following.and_then(|following| leaders.get(&following.leader)) {
            self.trail.append(self.request.follow(*leader, context)?);
        }
        Ok(())
    }

    /// The wrapped key of its identifiers, where it has one.
    pub(super) fn wrapped_key(&self) -> Option<&[u8]> {
        match &self.source {
            Source::New { subject, .. } => Some(&subject.sealed.wrapped_key),
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
            followers: 0,
            ..life.clone()
        };
        !self.trail.moves.is_empty() || unseen(before) != unseen(&self.request.life)
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
            let had = |ordinal| touched.undeliverable.iter().any(|row| row.ordinal == ordinal);
            for (_, processor, ..) in touched
                .request
                .undeliverable()
                .filter(|(ordinal, ..)| !had(*ordinal))
            {
                engine.metrics.dispatch(processor.as_str(), "undeliverable");
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
            decided_at: outboxed.then_some(self.changes.at),
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
        let mut failed = Vec::new();
        for touched in &self.touched {
            let said = engine.emit_contained(&touched.request, &mut emission, |emission| {
                if touched.is_worth_telling() {
                    engine.emit_status(&touched.request, emission);
                }
                touched.emit_tasks(engine, &secrets, emission);
            });
            failed.extend((!said).then_some(touched.request.id));
        }
        engine.set_aside(&failed).await?;
        let moved = self.touched.iter().filter(|touched| touched.moves_suppression());
        let moved: Vec<RequestId> = moved.map(|touched| touched.request.id).collect();
        engine.emit_suppression_of(&moved, &mut emission).await?;
        // What came from elsewhere would not be republished with this batch: see `early`.
        let left = &self.changes.early.refused;
        let letters = self.changes.dead_letters.iter();
        for letter in letters.filter(|letter| !left.contains(&letter.origin)) {
            emission.dead_letter(letter);
        }
        Ok(emission)
    }
}

impl Touched<'_> {
    fn emit_tasks(&self, engine: &Engine, secrets: &Secrets, emission: &mut Emission) {
        let sent = &self.trail.dispatched;
        match &self.source {
            Source::New { body, identities, .. } => {
                engine.emit_tasks(&self.request, sent, body, identities, emission);
            }
            Source::Loaded { wrapped_key, .. } => {
                engine.emit_stored(&self.request, sent, wrapped_key.as_deref(), secrets, emission);
            }
        }
    }
}
