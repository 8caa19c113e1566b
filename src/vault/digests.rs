//! Keyed digests: what finds a person again and what tells a repeat from another payload, and says nothing without the key.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Vault, digest::MacKey, secret::random};
use crate::domain::{
    identity::{FormerDigest, Identity, SubjectData, SubjectDigest, SuppressionDigest},
    ids::Tenant,
};

impl Vault {
    /// What finds a person again: equal for equal (tenant, type, normalised value), and says nothing without
    /// the key.
    pub fn lookup_digest(&self, tenant: &Tenant, identity: &Identity) -> SubjectDigest {
        self.lookup_of(tenant, identity, &identity.normalised())
    }

    /// The same, with what earlier versions would have written for it, which is added to `former`.
    pub fn lookup_digests(
        &self,
        tenant: &Tenant,
        identity: &Identity,
        former: &mut Vec<FormerDigest>,
    ) -> SubjectDigest {
        let normalised = identity.normalised();
        let of = self.lookup_of(tenant, identity, &normalised);
        former.extend(identity.former(&normalised).into_iter().map(|form| FormerDigest {
            of,
            digest: self.lookup_of(tenant, identity, &form.text),
            is_spelling: form.is_spelling,
        }));
        of
    }

    /// The keyed digest under which a request is found by the number that its ticket has upstream. It is in a domain of its own:
    /// two requests of one ticket are not the same person for that.
    pub fn ticket_digest(&self, tenant: &Tenant, ticket: &str) -> SubjectDigest {
        self.0
            .lookup
            .start("lacuna ticket v1")
            .part(tenant.as_str().as_bytes())
            .part(ticket.trim().as_bytes())
            .finish_short()
    }

    fn lookup_of(&self, tenant: &Tenant, identity: &Identity, form: &SubjectData) -> SubjectDigest {
        self.0
            .lookup
            .start("lacuna lookup v1")
            .part(tenant.as_str().as_bytes())
            .part(identity.kind.as_str().as_bytes())
            .part(form.expose().as_bytes())
            .finish_short()
    }

    /// The key of a tenant's suppression list. Who has it can look for people in the list, one guess after the other, and
    /// can do nothing else with it: it finds nobody in the vault, and leads to no other tenant's key.
    pub fn suppression_key(&self, tenant: &Tenant) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.0.suppression.derive(tenant.as_str()).bytes())
    }

    /// An identifier as the suppression list has it: HMAC-SHA-256 under the tenant's key over the type, a zero byte and
    /// the normalised value. Others compute the same: a change is another [`Recipe`](crate::domain::identity::Recipe).
    pub fn suppression_digest(&self, tenant: &Tenant, identity: &Identity) -> SuppressionDigest {
        MacKey::new(&self.0.suppression.derive(tenant.as_str()))
            .start(identity.kind.as_str())
            .fixed(&[0])
            .rest(identity.normalised().expose().as_bytes())
            .finish()
    }

    /// What tells a repeated command from another payload under the same id. Keyed: payloads hold guessable
    /// identifiers.
    pub fn payload_digest(&self, tenant: &Tenant, canonical: &[u8]) -> [u8; 16] {
        self.0
            .payload
            .start("lacuna payload v1")
            .part(tenant.as_str().as_bytes())
            .part(canonical)
            .finish_short()
    }

    /// What tells a record of a log from another one in its place. Keyed: records hold guessable identifiers.
    pub fn log_digest(&self, record: &[u8]) -> [u8; 16] {
        self.0
            .payload
            .start("lacuna log record v1")
            .part(record)
            .finish_short()
    }

    /// What shows that a plan was written by this installation, and not changed since.
    pub fn plan_mac(&self, plan: &[u8]) -> [u8; 32] {
        self.0.plan.start("lacuna plan v1").part(plan).finish()
    }

    /// Whether this is what [`Self::plan_mac`] gives, in constant time.
    pub fn plan_mac_matches(&self, plan: &[u8], presented: &[u8]) -> bool {
        self.plan_mac(plan).as_slice().ct_eq(presented).into()
    }

    /// The name of a subject within a planned run: the same for the same identifiers. Keyed, because it goes where
    /// identifiers may not, and they can be guessed.
    pub fn planned_subject(&self, run: Uuid, identities: &[u8]) -> Uuid {
        let named = self
            .0
            .plan
            .start("lacuna plan subject v1")
            .fixed(run.as_bytes())
            .part(identities)
            .finish();
        Uuid::new_v5(&run, &named)
    }

    /// A salted commitment for a ledger leaf, as (salt, commitment). The salt lies in the side row and is
    /// shredded with it; from then on the leaf says nothing, even about a text that can be guessed.
    pub fn commitment(&self, plaintext: &[u8]) -> ([u8; 16], [u8; 32]) {
        let salt = random();
        (salt, commitment(&salt, plaintext))
    }
}

/// The commitment to a text under a salt: SHA-256(salt ‖ text). Whoever is shown both can check a leaf with
/// nothing else.
pub fn commitment(salt: &[u8; 16], plaintext: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(plaintext)
        .finalize()
        .into()
}
