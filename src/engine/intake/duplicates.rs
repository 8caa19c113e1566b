//! The requests of the same persons that a batch of commands is compared with.

use std::collections::HashMap;

use crate::{
    domain::{body::Body, identity::FormerDigest, ids::RequestId, request::duplicates::Earlier},
    engine::{
        EngineError,
        batch::Batch,
        prepare::{Arrival, PreparedCommand, PreparedSubject},
    },
    store::{SubjectDigest, Transaction},
};

/// How many requests of one identifier are looked at. Whoever has more of them unmerged is over any limit.
const EACH: u32 = 64;

/// Requests by the digests of their identifiers.
#[derive(Debug, Default)]
pub(super) struct EarlierRequests {
    found: HashMap<SubjectDigest, Vec<RequestId>>,
    /// What those that are stored have kept of their commands.
    bodies: HashMap<RequestId, Body>,
    /// Those that may be of the same person as one of the batch.
    stored: Vec<RequestId>,
}

impl EarlierRequests {
    /// Looks for earlier requests of the persons that a batch is about.
    pub(super) async fn find(
        arrivals: &[Arrival<PreparedCommand>],
        tx: &mut dyn Transaction,
    ) -> Result<Self, EngineError> {
        let subjects = || {
            arrivals
                .iter()
                .filter_map(|arrival| arrival.content.as_ref().ok()?.subject.as_ref())
        };
        let spellings = |former: &'_ [FormerDigest]| -> Vec<SubjectDigest> {
            former
                .iter()
                .filter(|one| one.is_spelling)
                .map(|one| one.digest)
                .collect()
        };
        let mut digests: Vec<SubjectDigest> = subjects()
            .flat_map(|s| s.digests.iter().copied().chain(spellings(&s.former)))
            .collect();
        digests.sort_unstable();
        digests.dedup();
        let mut earlier = Self::default();
        if digests.is_empty() {
            return Ok(earlier);
        }
        for (digest, id) in tx.alike(&digests, EACH).await? {
            earlier.found.entry(digest).or_default().push(id);
        }
        if !earlier.found.is_empty() {
            earlier.stored = subjects()
                .flat_map(|s| earlier.having_all(&s.digests, &s.former))
                .collect();
        }
        Ok(earlier)
    }

    /// The stored requests that have to be loaded.
    pub(super) fn ids(&self) -> impl Iterator<Item = RequestId> {
        self.stored.iter().copied()
    }

    /// Reads what the stored ones have kept of their commands.
    pub(super) async fn read_bodies(&mut self, tx: &mut dyn Transaction) -> Result<(), EngineError> {
        if self.stored.is_empty() {
            return Ok(());
        }
        self.stored.sort_unstable();
        self.stored.dedup();
        for stored in tx.bodies(&self.stored).await? {
            self.bodies.insert(stored.id, Body::unpack(&stored.body)?);
        }
        Ok(())
    }

    /// Remembers one that the batch has opened.
    pub(super) fn opened(&mut self, id: RequestId, digests: &[SubjectDigest]) {
        for digest in digests {
            self.found.entry(*digest).or_default().push(id);
        }
    }

    /// The earlier requests that have all of these identifiers, as they stand now.
    pub(super) fn earlier<'a>(
        &'a self,
        subject: &'a PreparedSubject,
        batch: &'a Batch<'_>,
    ) -> Vec<Earlier<'a>> {
        let mut earlier: Vec<Earlier<'a>> = Vec::new();
        for id in self.having_all(&subject.digests, &subject.former) {
            let request = batch.get(id);
            let body = self.bodies.get(&id).or_else(|| batch.body_of_new(id));
            // Under two spellings of an identifier it is found twice.
            let is_new = earlier.iter().all(|known| known.request.id != id);
            if let (Some(request), Some(body), true) = (request, body, is_new) {
                earlier.push(Earlier { request, body });
            }
        }
        earlier
    }

    /// Those that all of these identifiers have led to, in one spelling or another: see the rule in the domain's `duplicates`.
    fn having_all<'s>(
        &'s self,
        digests: &'s [SubjectDigest],
        former: &'s [FormerDigest],
    ) -> impl Iterator<Item = RequestId> + 's {
        let at = |digest: &SubjectDigest| self.found.get(digest).map_or(&[][..], Vec::as_slice).iter();
        let of = move |digest: &'s SubjectDigest| {
            let spellings = former
                .iter()
                .filter(move |one| one.of == *digest && one.is_spelling)
                .flat_map(move |one| at(&one.digest));
            spellings.chain(at(digest))
        };
        let (first, rest) = match digests.split_first() {
            Some((first, rest)) => (Some(first), rest),
            None => (None, &[][..]),
        };
        first
            .into_iter()
            .flat_map(move |first| of(first).rev().take(EACH as usize))
            .filter(move |id| rest.iter().all(|digest| of(digest).any(|one| one == *id)))
            .copied()
    }
}
