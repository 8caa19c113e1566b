//! Suppression: who asked to be erased and must not be brought back, for those who ask and for those who read the topic.
//!
//! What suppresses a subject is decided in the domain ([`crate::domain::request::Head::suppresses`]). An identity may be
//! that of several requests, so what the topic says of it is read from all of them, each time anew: what is said twice,
//! or late, is what is true by then.

use std::collections::{BTreeMap, HashMap};

use super::{
    Engine, EngineError,
    effects::{Effect, Effects, SuppressionUpdate},
};
use crate::{
    domain::{
        identity::{Identity, Recipe, SubjectDigest, SuppressionDigest, sure_digests},
        ids::{RequestId, Tenant},
        time::At,
        words::Status,
    },
    store::{CompactedKey, SuppressionRow},
};

/// The statuses in which a request can suppress its subject; the domain looks again.
const PAST_ITS_GATES: [Status; 4] = [
    Status::InProgress,
    Status::Deferred,
    Status::Completed,
    Status::ClosedWithExceptions,
];

impl Engine {
    /// Since when each of these identities is suppressed, in their order.
    pub async fn suppressed_since(
        &self,
        tenant: &Tenant,
        identities: &[Identity],
    ) -> Result<Vec<Option<At>>, EngineError> {
        // An identity that nobody could have asked with suppresses nobody, whatever an earlier version has taken.
        let asked: Vec<Vec<SubjectDigest>> = identities
            .iter()
            .map(|identity| {
                let is_somebody =
                    identity.check().is_ok() && self.policy().placeholders.check(identity).is_ok();
                let identities = if is_somebody {
                    std::slice::from_ref(identity)
                } else {
                    &[]
                };
                let (digests, former) = self.digests_of(tenant, identities);
                sure_digests(&digests, &former)
            })
            .collect();
        let mut wanted = asked.concat();
        wanted.sort_unstable();
        wanted.dedup();
        let mut earliest: HashMap<SubjectDigest, At> = HashMap::new();
        for (digest, request) in self.store.with_subjects(&wanted, &PAST_ITS_GATES).await? {
            if let Some(since) = request.suppressed_since() {
                let known = earliest.entry(digest).or_insert(since);
                *known = (*known).min(since);
            }
        }
        let since =
            |digests: &Vec<SubjectDigest>| digests.iter().filter_map(|one| earliest.get(one)).min().copied();
        let answers: Vec<Option<At>> = asked.iter().map(since).collect();
        let found = answers.iter().flatten().count();
        self.metrics.suppression_checked(found, answers.len() - found);
        Ok(answers)
    }

    /// A subject's identifiers as the suppression topic has them; none where there is no such topic.
    pub(super) fn suppression_rows(
        &self,
        request_id: RequestId,
        tenant: &Tenant,
        identities: &[Identity],
    ) -> Vec<SuppressionRow> {
        if !self.has_suppression_topic {
            return Vec::new();
        }
        identities
            .iter()
            .map(|identity| SuppressionRow {
                digest: self.vault.suppression_digest(tenant, identity),
                request_id,
                identity_type: identity.kind.clone(),
                recipe: Recipe::CURRENT,
            })
            .collect()
    }

    /// Adds what is true of the identities that these requests have in the topic.
    pub(super) async fn emit_suppression_of(
        &self,
        ids: &[RequestId],
        emission: &mut Effects,
    ) -> Result<(), EngineError> {
        if !self.has_suppression_topic || ids.is_empty() {
            return Ok(());
        }
        let rows = self.store.suppression_of(ids).await?;
        let keys: Vec<SuppressionDigest> = rows.iter().map(|row| row.digest).collect();
        self.emit_suppression_keys(keys, emission).await
    }

    /// Adds what is true of these keys of the topic.
    pub(super) async fn emit_suppression_keys(
        &self,
        keys: Vec<SuppressionDigest>,
        emission: &mut Effects,
    ) -> Result<(), EngineError> {
        for (key, suppressed) in self.suppressed_keys(keys).await? {
            emit_suppression(key, suppressed, emission);
        }
        Ok(())
    }

    /// The same for those of these keys of which something else was said.
    pub(super) async fn correct_suppression(
        &self,
        said: &[(SuppressionDigest, Option<At>)],
        emission: &mut Effects,
    ) -> Result<(), EngineError> {
        let keys = said.iter().map(|(key, _)| *key).collect();
        let said: HashMap<SuppressionDigest, Option<At>> = said.iter().copied().collect();
        for (key, suppressed) in self.suppressed_keys(keys).await? {
            if said.get(&key) != Some(&suppressed.as_ref().map(|one| one.since)) {
                emit_suppression(key, suppressed, emission);
            }
        }
        Ok(())
    }

    /// What is true of these keys, each once.
    async fn suppressed_keys(
        &self,
        mut keys: Vec<SuppressionDigest>,
    ) -> Result<BTreeMap<SuppressionDigest, Option<SuppressionUpdate>>, EngineError> {
        if !self.has_suppression_topic || keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        keys.sort_unstable();
        keys.dedup();
        let mut found: BTreeMap<SuppressionDigest, Option<SuppressionUpdate>> =
            keys.iter().map(|key| (*key, None)).collect();
        for (row, request) in self.store.suppressed(&keys).await? {
            let (Some(since), Some(known)) = (request.suppressed_since(), found.get_mut(&row.digest)) else {
                continue;
            };
            if known.as_ref().is_none_or(|known| since < known.since) {
                *known = Some(SuppressionUpdate {
                    key: row.digest,
                    tenant: request.head.tenant,
                    identity_type: row.identity_type,
                    recipe: row.recipe,
                    since,
                });
            }
        }
        Ok(found)
    }
}

fn emit_suppression(key: SuppressionDigest, suppressed: Option<SuppressionUpdate>, emission: &mut Effects) {
    let since = suppressed.as_ref().map(|one| one.since);
    emission.tombstones.suppressed.push((key, since));
    emission.effects.push(match suppressed {
        Some(suppressed) => Effect::Suppression(suppressed),
        None => Effect::Tombstone(CompactedKey::Suppression(key)),
    });
}
