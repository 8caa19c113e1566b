//! Legal holds, and how those are found that may cover a request. What one covers: see [`super::request::holds`].

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{
    identity::{FormerDigest, SubjectDigest},
    ids::{HoldId, Label, ProcessorId, RequestId, Tenant},
    registry::Processor,
    time::At,
    words::HoldBasis,
};

/// A legal hold. It covers what meets all of its conditions; one that it does not name is met by everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// By which it is released.
    pub hold_id: HoldId,
    /// The tenant whose requests it covers.
    pub tenant: Tenant,
    /// The legal ground.
    pub basis: HoldBasis,
    /// Who placed it.
    pub actor: String,
    /// The keyed digests of the subject's identifiers: a request that has one of them is covered. Empty: any subject.
    pub subject: Vec<SubjectDigest>,
    /// The requests of that subject that there were when it was placed; later ones are found as they come in.
    pub found: Vec<RequestId>,
    /// The request.
    pub request_id: Option<RequestId>,
    /// The processor.
    pub processor: Option<ProcessorId>,
    /// The categories of data. Empty: any.
    pub categories: Vec<Label>,
    /// When it was placed.
    pub placed_at: At,
}

impl Hold {
    /// A share that names no categories is all that its processor holds.
    pub(super) fn meets(&self, share: &[Label], registered: Option<&Processor>) -> bool {
        let held = if share.is_empty() {
            registered.map_or(&[][..], |processor| &processor.categories)
        } else {
            share
        };
        held.is_empty() || self.categories.iter().any(|category| held.contains(category))
    }

    /// Forgets who it is on, but for how many identifiers there were: what it covers while it is active rests on them.
    pub fn forget_subject(&mut self) {
        self.subject.fill([0; 16]);
    }

    /// Whether it may cover any request of its tenant.
    pub fn is_wide(&self) -> bool {
        self.subject.is_empty() && self.request_id.is_none()
    }
}

/// The holds that have been placed and not released.
#[derive(Debug, Clone, Default)]
pub struct Holds {
    active: BTreeMap<(Tenant, HoldId), Hold>,
    /// Those that name no subject and no request.
    wide: Vec<(Tenant, HoldId)>,
    by_request: HashMap<RequestId, Vec<(Tenant, HoldId)>>,
    by_digest: HashMap<SubjectDigest, Vec<(Tenant, HoldId)>>,
}

impl Holds {
    pub(super) fn place(&mut self, hold: &Hold) {
        let key = (hold.tenant.clone(), hold.hold_id);
        if hold.is_wide() {
            self.wide.push(key.clone());
        }
        for id in hold.found.iter().chain(&hold.request_id) {
            self.by_request.entry(*id).or_default().push(key.clone());
        }
        for digest in &hold.subject {
            self.by_digest.entry(*digest).or_default().push(key.clone());
        }
        self.active.insert(key, hold.clone());
    }

    pub(super) fn release(&mut self, tenant: &Tenant, id: HoldId) {
        let key = (tenant.clone(), id);
        let Some(hold) = self.active.remove(&key) else {
            return;
        };
        self.wide.retain(|known| *known != key);
        for id in hold.found.iter().chain(&hold.request_id) {
            forget(&mut self.by_request, id, &key);
        }
        for digest in &hold.subject {
            forget(&mut self.by_digest, digest, &key);
        }
    }

    /// The hold of this id, if it is active.
    pub fn get(&self, tenant: &Tenant, id: HoldId) -> Option<&Hold> {
        self.active.get(&(tenant.clone(), id))
    }

    /// Every active hold.
    pub fn iter(&self) -> impl Iterator<Item = &Hold> {
        self.active.values()
    }

    /// The holds on a subject who has one of these identifiers, whichever version has written them down: where an earlier
    /// one cannot tell the subject from somebody else, data is kept rather than lost.
    pub fn on_subject(
        &self,
        tenant: &Tenant,
        digests: &[SubjectDigest],
        former: &[FormerDigest],
    ) -> Vec<HoldId> {
        if self.by_digest.is_empty() {
            return Vec::new();
        }
        let found: HashSet<HoldId> = digests
            .iter()
            .chain(former.iter().map(|one| &one.digest))
            .filter_map(|digest| self.by_digest.get(digest))
            .flatten()
            .filter(|(of, _)| of == tenant)
            .map(|(_, id)| *id)
            .collect();
        let mut found: Vec<HoldId> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// The holds that may cover this request of this tenant, whose subject had these when it came in; one may come twice.
    pub(super) fn possibly_covering(
        &self,
        tenant: &Tenant,
        id: RequestId,
        subject_holds: &[HoldId],
    ) -> impl Iterator<Item = &Hold> {
        let of_request = self.by_request.get(&id).into_iter().flatten();
        let of_subject = subject_holds.iter().map(|hold| (tenant.clone(), *hold));
        of_request
            .chain(&self.wide)
            .filter_map(|key| self.active.get(key))
            .chain(of_subject.filter_map(|key| self.active.get(&key)))
    }
}

fn forget<K: std::hash::Hash + Eq>(
    index: &mut HashMap<K, Vec<(Tenant, HoldId)>>,
    at: &K,
    key: &(Tenant, HoldId),
) {
    if let Some(keys) = index.get_mut(at) {
        keys.retain(|known| known != key);
        if keys.is_empty() {
            index.remove(at);
        }
    }
}
