//! A transaction's requests in memory: what happens to each, and what all of it comes to.

mod ending;
mod finished;
mod supplied;
mod writing;

pub(super) use ending::last_word;
pub(super) use finished::Finished;
use writing::{OutSince, marked_of, out_of, queued_of, undeliverable_of, write_marks};

use std::{borrow::Cow, collections::HashMap, time::Duration};

use foldhash::HashMapExt;

use super::{
    Engine, EngineError,
    counter_slot::CounterSlot,
    counters::{Before, Counters},
    prepare::PreparedSubject,
};
use crate::{
    domain::{
        body::Body,
        identity::Identity,
        ids::{ProcessorId, RequestId},
        note::Notes,
        request::{
            Context, Request, Trail, deferral::Deferred, marks::Marks, merged::Leader, open::Opened,
            waves::AskedWave,
        },
        task::IllegalEvent,
        time::At,
    },
    store::{
        Changes, MovedRow, QueuedRow, ResealedRow, StateRow, StoredRequest, SuppressionRow, UndeliverableRow,
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
    before: Option<Before>,
    /// What was deferred before.
    deferred: Vec<Deferred>,
    /// The waves that were asked about before.
    asked: Vec<AskedWave>,
    /// The tasks that their topics did not take before.
    undeliverable: Vec<UndeliverableRow>,
    /// The tasks that were in queues before.
    queued: Vec<QueuedRow>,
    /// The tasks that were out before.
    out: Vec<OutSince>,
    /// What made it stand out before, and by when it was due.
    marked: (Marks, At),
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

/// Everything that a transaction does to requests.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    /// In the order in which they were touched first.
    touched: Vec<Touched<'a>>,
    /// Where each of them stands.
    places: foldhash::HashMap<RequestId, usize>,
    /// What is written besides.
    pub(super) changes: Changes,
    /// Requests that are set aside, each with how it stood: nothing is decided about them.
    aside: Vec<(Request, Before, (Marks, At))>,
}

impl<'a> Batch<'a> {
    pub(super) fn with_loaded(stored: Vec<StoredRequest>, clock_skew: Duration) -> Self {
        let mut batch = Self {
            touched: Vec::with_capacity(stored.len()),
            places: foldhash::HashMap::with_capacity(stored.len()),
            ..Self::default()
        };
        for StoredRequest { request, wrapped_key } in stored {
            let source = Source::Loaded {
                revision: request.revision,
                wrapped_key,
            };
            let before = Some(Before::of(&request));
            let touched = Touched {
                resealed: None,
                suppression: Vec::new(),
                purged: false,
                deferred: request.deferred(clock_skew).collect(),
                asked: request.asked_waves(clock_skew).collect(),
                undeliverable: undeliverable_of(&request),
                queued: queued_of(&request),
                out: out_of(&request),
                marked: marked_of(&request),
                request,
                trail: Trail::default(),
                notes: Notes::default(),
                woken: false,
                source,
                before,
            };
            batch.touch(touched);
        }
        batch
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

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Touched<'a>> {
        self.places
            .get(&id)
            .and_then(|place| self.touched.get_mut(*place))
    }

    /// All of them, in the order in which they were touched first.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.touched.iter().map(|touched| &touched.request)
    }

    fn touch(&mut self, touched: Touched<'a>) {
        self.places.insert(touched.request.id, self.touched.len());
        self.touched.push(touched);
    }

    /// Has all of them look at what has become known. One that cannot must not keep its neighbours from it.
    pub(super) fn review(&mut self, context: &Context<'_>) {
        for touched in &mut self.touched {
            if let Err(error) = touched.attempt(|request| request.review(context)) {
                tracing::error!(request = %touched.request.id, %error, "a request cannot take what is known");
            }
        }
    }

    /// Lets time pass for all of them, and has those that were merged follow their leaders. One that cannot is left as it
    /// is and looked at again later: it must neither keep its neighbours from waking nor wake in their place for ever.
    pub(super) fn wake(
        &mut self,
        context: &Context<'_>,
        acks_seen: &dyn Fn(RequestId, &ProcessorId) -> At,
        leaders: &HashMap<RequestId, Leader>,
    ) {
        for touched in &mut self.touched {
            let following = touched.request.life.following.as_ref();
            let leader = following
                .and_then(|following| leaders.get(&following.leader))
                .copied();
            let id = touched.request.id;
            let woken = touched.attempt(|request| match leader {
                Some(leader) => request.follow(leader, context),
                None => request.wake_as_read(context, &|processor| acks_seen(id, processor)),
            });
            if let Err(error) = woken {
                tracing::error!(request = %id, %error, "a request cannot be woken");
                let again = context.now.plus(WOKEN_AGAIN_AFTER);
                touched.request.set_aside(context.now, again);
            }
            touched.woken = true;
        }
    }

    /// Sets a request aside, as it was loaded: nothing of it is looked at but its flags.
    pub(super) fn set_aside(&mut self, stored: StoredRequest, now: At) {
        let mut request = stored.request;
        let (before, marked) = (Before::of(&request), marked_of(&request));
        request.set_aside(now, now.plus(WOKEN_AGAIN_AFTER));
        self.aside.push((request, before, marked));
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
            queued: Vec::new(),
            out: Vec::new(),
            marked: (Marks::default(), At::default()),
            resealed: None,
            suppression: subject.suppression.clone(),
            purged: false,
        });
    }

    /// Turns the batch into what is written. `outboxed`: whether outbox rows have to remember the outputs.
    pub(super) fn finish(
        mut self,
        engine: &Engine,
        use_case: CounterSlot,
        now: At,
        outboxed: bool,
    ) -> Result<Finished<'a>, EngineError> {
        self.touched
            .retain(|touched| touched.purged || touched.has_changed());
        let mut changes = Changes {
            slot: engine.slot_of(use_case),
            at: now,
            ..std::mem::take(&mut self.changes)
        };
        changes.closings.extend(self.closing(now));
        let mut counters = Counters::new(engine.census());
        for touched in &mut self.touched {
            if touched.purged {
                touched.write_purge(engine, now, &mut counters, &mut changes)?;
                continue;
            }
            changes.suppression.extend(touched.suppression.iter().cloned());
            touched.write_leaf(engine, now, &mut changes)?;
            let trail = &touched.trail;
            let before = touched.before.as_ref();
            counters.count(&touched.request, &trail.moves, &trail.handed_over, before);
            touched.write_deferred(engine.clock_skew(), &mut counters, &mut changes);
            touched.write_asked(engine.clock_skew(), &mut changes);
            touched.write_undeliverable(&mut counters, &mut changes);
            touched.write_queued(&mut counters, &mut changes);
            touched.count_out(&mut counters);
            write_marks(&touched.request, touched.marked, &mut changes);
            touched.write_polled(engine, now, &mut changes);
            touched.write_told(engine, &mut changes);
            touched.write_row(&mut changes)?;
            changes.resealed.extend(touched.resealed.take());
            touched.write_merging(&mut changes);
            if outboxed && touched.is_worth_telling() {
                changes
                    .outbox
                    .push((touched.request.id, touched.request.revision));
            }
        }
        let aside = self.aside.iter().map(|(request, ..)| request.id).collect();
        for (request, before, marked) in self.aside {
            write_marks(&request, marked, &mut changes);
            counters.count(&request, &[], &[], Some(&before));
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
        changes.counters.extend(counters.into_sorted());
        Ok(Finished {
            touched: self.touched,
            aside,
            changes,
        })
    }
}

impl Touched<'_> {
    /// Tries a change on a copy: one that is refused leaves nothing behind.
    pub(super) fn attempt<E>(
        &mut self,
        change: impl FnOnce(&mut Request) -> Result<Trail, E>,
    ) -> Result<(), E> {
        let mut request = self.request.clone();
        let trail = change(&mut request)?;
        self.request = request;
        self.trail.append(trail);
        Ok(())
    }

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

    /// Whether outsiders see a difference: a wake-up that only moved is none, and neither is a task that was ready and is being
    /// sent: its answer tells.
    fn is_worth_telling(&self) -> bool {
        let Some(before) = &self.before else { return true };
        self.trail.moves.len() > self.trail.claimed || before.life != self.request.life
    }
}
