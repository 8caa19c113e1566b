//! What a transaction does to requests that come to their end, and to those that were kept for long enough.

use super::{Batch, Finished, Touched};
use crate::{
    domain::{request::Request, time::At},
    engine::{Engine, EngineError, counters::Counters, time_ordered_id},
    store::{Changes, Closing, CompactedKey, LastWord, Line, PurgedRow},
};

impl<'a> Batch<'a> {
    /// Marks those whose rows go; the question is told whether the transaction has changed the request.
    pub(in crate::engine) fn purge(&mut self, mut goes: impl FnMut(&Request, bool) -> bool) {
        for touched in &mut self.touched {
            touched.purged = goes(&touched.request, touched.has_changed());
        }
    }

    /// Those that have just come to their end, in line for what is deleted of them.
    pub(super) fn closing(&self, now: At) -> Option<Closing> {
        let ended = |touched: &&Touched<'a>| {
            let before = touched
                .before
                .as_ref()
                .and_then(|before| before.life.completed_at);
            let end = touched.request.life.completed_at;
            end.is_some() && end != before
        };
        let ended: Vec<&Request> = self
            .touched
            .iter()
            .filter(ended)
            .map(|touched| &touched.request)
            .collect();
        Some(Closing {
            line: Line::Lookups,
            at: ended
                .iter()
                .filter_map(|request| request.life.completed_at)
                .max()?,
            id: time_ordered_id(now),
            requests: ended.iter().map(|request| request.id).collect(),
        })
    }
}

impl Touched<'_> {
    /// The ledger says that it is gone, and upstream's copy of its status is told until that is confirmed.
    pub(super) fn write_purge(
        &mut self,
        engine: &Engine,
        now: At,
        counters: &mut Counters,
        changes: &mut Changes,
    ) -> Result<(), EngineError> {
        self.trail.entries.push(self.request.purged());
        self.write_leaf(engine, now, changes)?;
        counters.forget(&self.request);
        if let Some(following) = &self.request.life.following {
            changes.separated.push((following.leader, self.request.id));
        }
        let (marks, _) = self.marked;
        changes
            .unmarked
            .extend(marks.iter().map(|mark| (mark, self.request.id)));
        changes.purged.push(PurgedRow {
            id: self.request.id,
            tenant: self.request.head.tenant.clone(),
            revision: self.request.revision,
            received_at: self.request.head.received_at,
            regime: self.request.head.regime.to_string(),
            status: self.request.life.status,
        });
        let key = CompactedKey::Status(self.request.id);
        changes.last_words.push(last_word(key, now));
        Ok(())
    }

    /// Whether the suppression topic has to say something else of its subject.
    pub(super) fn moves_suppression(&self) -> bool {
        let before = self
            .before
            .as_ref()
            .and_then(|before| self.request.head.suppresses(&before.life));
        before != self.request.suppressed_since() || (!self.suppression.is_empty() && before.is_some())
    }
}

impl Finished<'_> {
    /// Nothing is written, and nothing has to be produced.
    pub(in crate::engine) fn nothing(now: At) -> Self {
        Self {
            touched: Vec::new(),
            aside: Vec::new(),
            changes: Changes {
                at: now,
                ..Changes::default()
            },
        }
    }
}

/// A key whose last record has to say what is true from now on.
pub(in crate::engine) fn last_word(key: CompactedKey, now: At) -> LastWord {
    LastWord {
        id: time_ordered_id(now),
        key,
    }
}
