//! What a transaction leaves once its batch is decided: what is written, and what has to be produced after the commit.

use super::{Source, Touched};
use crate::{
    domain::{ids::RequestId, request::Request},
    engine::{
        Engine, EngineError,
        effects::{Effects, building::Secrets},
    },
    store::Changes,
};

/// What a committed transaction leaves to be produced: built before the commit, opened and sent after it.
#[derive(Debug)]
pub(in crate::engine) struct Finished<'a> {
    pub(super) touched: Vec<Touched<'a>>,
    /// The requests that were set aside.
    pub(in crate::engine) aside: Vec<RequestId>,
    pub(in crate::engine) changes: Changes,
}

impl Finished<'_> {
    /// The requests whose capsule has to be sealed, each with the wrapped key of its identifiers, if it still has one.
    pub(in crate::engine) fn encapsulated(&self) -> impl Iterator<Item = (&Request, Option<&[u8]>)> {
        self.touched.iter().filter_map(|touched| {
            let before = touched
                .before
                .as_ref()
                .and_then(|before| before.bookkeeping.capsule);
            let Source::Loaded { wrapped_key, .. } = &touched.source else {
                return None;
            };
            let capsule = touched.request.bookkeeping.capsule;
            let is_new = capsule.is_some() && capsule != before;
            is_new.then_some((&touched.request, wrapped_key.as_deref()))
        })
    }

    /// Whether a task has to be sent.
    pub(in crate::engine) fn sends(&self) -> bool {
        self.touched
            .iter()
            .any(|touched| !touched.trail.dispatched.is_empty())
    }

    /// Counts what was sent and what came to an end, once the changes are committed.
    fn observe(&self, engine: &Engine) {
        if !self.changes.queued.is_empty() {
            engine.queued.notify_one();
            engine.polled.ring();
        }
        let mut counting = engine.counting();
        for touched in &self.touched {
            for ordinal in &touched.trail.dispatched {
                let processor = &touched.request.task(*ordinal).processor;
                engine.metrics.dispatch(processor.as_str(), "sent");
                counting.sent(processor, self.changes.at);
            }
            for ordinal in &touched.trail.attested {
                let processor = &touched.request.task(*ordinal).processor;
                engine.metrics.attested(processor.as_str());
            }
            let had = |ordinal| touched.undeliverable.iter().any(|row| row.ordinal == ordinal);
            for (_, processor, ..) in touched
                .request
                .undeliverable()
                .filter(|(ordinal, ..)| !had(*ordinal))
            {
                engine.metrics.dispatch(processor.as_str(), "undeliverable");
            }
            let was_open = touched
                .before
                .as_ref()
                .is_none_or(|before| !before.life.status.is_final());
            if let (true, Some(end)) = (was_open, touched.request.life.completed_at) {
                let head = &touched.request.head;
                engine
                    .metrics
                    .request_duration(head.action.as_str(), end.since(head.received_at));
            }
        }
    }

    /// Builds what has to be produced, once the changes are committed.
    pub(in crate::engine) async fn emit(
        self,
        engine: &Engine,
        outboxed: bool,
    ) -> Result<Effects, EngineError> {
        self.observe(engine);
        let mut emission = Effects {
            outboxed,
            decided_at: outboxed.then_some(self.changes.at),
            ..Effects::default()
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
            .filter(|touched| {
                touched.request.bookkeeping.capsule.is_some() && !touched.trail.dispatched.is_empty()
            })
            .map(|touched| touched.request.id)
            .collect();
        let secrets = engine.secrets(&to_open, &forgotten).await?;
        let mut failed = Vec::new();
        for touched in &self.touched {
            let said = engine.emit_catching_panics(&touched.request, &mut emission, |emission| {
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
    fn emit_tasks(&self, engine: &Engine, secrets: &Secrets, emission: &mut Effects) {
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
