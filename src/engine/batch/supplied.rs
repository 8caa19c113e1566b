//! Identifiers that come after the command: written anew for a stored request, and with the rest for a new one.

use std::borrow::Cow;

use super::{Source, Touched};
use crate::{
    domain::{body::Body, identity::Identity},
    engine::{EngineError, prepare::PreparedSubject},
    store::{ResealedRow, StoredBody},
    vault::SealedSubject,
};

impl Touched<'_> {
    /// The body of a request that this transaction opens, as it will be stored; `None`: it is stored already.
    pub(in crate::engine) fn new_body(&self) -> Result<Option<StoredBody>, EngineError> {
        let Source::New { body, subject, .. } = &self.source else {
            return Ok(None);
        };
        Ok(Some(StoredBody {
            id: self.request.id,
            body: body.pack()?,
            sealed: subject.sealed.sealed.clone(),
        }))
    }

    /// Takes what was sealed anew, with the identifiers that are new in it.
    pub(in crate::engine) fn reseal(&mut self, mut resealed: ResealedRow, body: Body, new: &[Identity]) {
        match &mut self.source {
            Source::New {
                body: old,
                identities,
                subject,
            } => {
                **old = body;
                let known: &mut Vec<Identity> = identities.to_mut();
                for identity in new {
                    if !known.contains(identity) {
                        known.push(identity.clone());
                    }
                }
                resealed.digests.extend_from_slice(&subject.digests);
                *subject = Cow::Owned(PreparedSubject {
                    sealed: SealedSubject {
                        wrapped_key: subject.sealed.wrapped_key.clone(),
                        sealed: resealed.sealed,
                    },
                    digests: resealed.digests,
                    former: subject.former.clone(),
                    ticket: subject.ticket,
                    commitment: subject.commitment,
                    suppression: subject.suppression.clone(),
                });
            }
            Source::Loaded { .. } => {
                // What came earlier in the same batch is found again too.
                let before = self.resealed.take();
                resealed
                    .digests
                    .extend(before.into_iter().flat_map(|row| row.digests));
                self.resealed = Some(resealed);
            }
        }
    }
}
