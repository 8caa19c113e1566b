//! Free text as people may see it: without the identifiers of the subject that somebody has written into it.

use super::{Engine, questions::FullRequest};
use crate::{
    domain::{body::Subject, identity::Mask},
    vault::Vault,
};

/// What masks the identifiers of a request. Where they cannot be read, whatever looks like an identifier is masked.
pub fn mask_of(vault: &Vault, full: &FullRequest) -> Mask {
    let (request, Some(key), Some(body)) = (full.request(), &full.stored.wrapped_key, &full.body) else {
        return Mask::of_forgotten();
    };
    let opened = vault.open_subject(&request.head.tenant, request.id, key, &body.sealed);
    match opened.map(|plain| Subject::unpack(&plain)) {
        Ok(Ok(subject)) => Mask::of(&subject.identities),
        // Whoever has to use them says it loudly.
        Ok(Err(_)) | Err(_) => Mask::of_forgotten(),
    }
}

impl Engine {
    /// The same with this worker's keys.
    pub fn mask_of(&self, full: &FullRequest) -> Mask {
        mask_of(&self.vault, full)
    }
}
