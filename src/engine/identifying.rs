//! Types of identifiers that nobody knows: a misspelt one finds nobody, which must not pass for an answer.

use super::{Engine, EngineError, decision_inputs::DecisionInputs, use_cases::Intake};
use crate::{
    domain::{
        body::Subject,
        command::{Command, PlaceHold},
        identity::{Identity, SubjectDigest, sure_digests},
        ids::{IdentityType, RequestId, Tenant},
        registry::Registry,
        similar_names::similar,
    },
    store::{StoredBody, StoredRequest, Transaction},
    vault::Vault,
    wire::Rejection,
};

/// How many tenants a search goes through where the configuration lists none.
pub const MAX_TENANTS: usize = 1_000;

impl Engine {
    /// The tenants that a search is about which names none; `None`: there are too many of them.
    pub async fn known_tenants(&self) -> Result<Option<Vec<Tenant>>, EngineError> {
        if !self.tenants.is_empty() {
            return Ok(Some(self.tenants.clone()));
        }
        let most = u32::try_from(MAX_TENANTS).unwrap_or(u32::MAX);
        let mut found = self.store.tenants(most + 1).await?;
        // Whoever has sent nothing yet has nobody to be found.
        if found.is_empty() {
            found.push(self.tenant_default.clone());
        }
        Ok((found.len() <= MAX_TENANTS).then_some(found))
    }

    /// The tenant that a look into the suppression list is about which names none: the default one, where no other is served.
    /// Nobody of a tenant that was not meant is suppressed, which must not clear a whole import.
    pub async fn only_tenant(&self) -> Result<Option<&Tenant>, EngineError> {
        let served = match self.tenants.as_slice() {
            [] => self.store.tenants(2).await?,
            listed => listed.to_vec(),
        };
        let is_alone = served.iter().all(|tenant| *tenant == self.tenant_default);
        Ok(is_alone.then_some(&self.tenant_default))
    }

    /// The requests of a subject in these tenants, newest first.
    pub async fn requests_of(
        &self,
        tenants: &[Tenant],
        identity: &Identity,
        limit: u32,
    ) -> Result<Vec<RequestId>, EngineError> {
        let mut digests = Vec::new();
        for tenant in tenants {
            let (current, former) = self.digests_of(tenant, std::slice::from_ref(identity));
            digests.extend(sure_digests(&current, &former));
        }
        Ok(self.store.of_subject(&digests, limit).await?)
    }

    /// The requests in these tenants whose commands had this ticket in their metadata, newest first.
    pub async fn requests_of_ticket(
        &self,
        tenants: &[Tenant],
        ticket: &str,
        limit: u32,
    ) -> Result<Vec<RequestId>, EngineError> {
        let digests: Vec<SubjectDigest> = tenants
            .iter()
            .map(|tenant| self.vault.ticket_digest(tenant, ticket))
            .collect();
        Ok(self.store.of_ticket(&digests, limit).await?)
    }

    /// Refuses a search for what the configuration calls a placeholder: whoever finds nobody under one has learned nothing.
    pub fn check_searched(&self, identity: &Identity) -> Result<(), Rejection> {
        self.policy()
            .placeholders
            .check(identity)
            .map_err(|fault| Rejection::schema(format!("identity.value: {fault}")))
    }

    /// What is wrong with a search for an identifier that has found nothing, if anything is.
    pub fn unknown_search(&self, kind: &IdentityType) -> Option<Rejection> {
        // Without a registry nobody knows any type.
        let active = self.active().ok()?;
        let what = unknown(kind, &active.registry)?;
        Some(Rejection::schema(format!(
            "identity.type: no processor and no request knows this type{what}"
        )))
    }

    /// Refuses a hold on an identifier of a type that is misspelt: it is nearly one that a processor knows, and no request
    /// has it. A type of another name is taken: a hold may come before the first request that has it.
    pub(super) async fn unknown_type(
        &self,
        hold: &PlaceHold,
        inputs: &DecisionInputs,
        tx: &mut dyn Transaction,
    ) -> Result<Option<Rejection>, EngineError> {
        for (place, identity) in hold.identities.iter().enumerate() {
            let registry = &inputs.active.registry;
            let Some(what) = unknown(&identity.kind, registry) else {
                continue;
            };
            if similar(identity.kind.as_str(), types_of(registry)).is_empty() {
                continue;
            }
            let (digests, former) = self.digests_of(&hold.tenant, std::slice::from_ref(identity));
            if tx.of_subjects(&sure_digests(&digests, &former)).await?.is_empty() {
                return Ok(Some(Rejection::schema(format!(
                    "subject.identities[{place}].type: no processor and no request knows this type{what}"
                ))));
            }
        }
        Ok(None)
    }
}

impl Intake<'_> {
    /// What whoever sent a command should look at again: it is carried out all the same, because one of its other
    /// identifiers may be the one that matters.
    pub fn warnings_of_types(self, command: &Command) -> Vec<String> {
        let (Command::Open(opening), Ok(active)) = (command, self.shared.active()) else {
            return Vec::new();
        };
        unknown_types(&opening.identities, &active.registry)
    }
}

/// The same of a request that was taken in, through whichever channel: for as long as its identifiers can be read.
pub fn warnings_of_stored(
    vault: &Vault,
    registry: &Registry,
    StoredRequest { request, wrapped_key }: &StoredRequest,
    body: &StoredBody,
) -> Vec<String> {
    let Some(key) = wrapped_key else {
        return Vec::new();
    };
    let opened = vault.open_subject(&request.head.tenant, request.id, key, &body.sealed);
    match opened.map(|plain| Subject::unpack(&plain)) {
        Ok(Ok(subject)) => unknown_types(&subject.identities, registry),
        // Whoever has to use them says it loudly; here only a warning is missed.
        Ok(Err(error)) => {
            tracing::error!(request = %request.id, %error, "the identifiers of a request cannot be read");
            Vec::new()
        }
        Err(error) => {
            tracing::error!(request = %request.id, %error, "the identifiers of a request do not open");
            Vec::new()
        }
    }
}

/// A warning for each identifier whose type no processor knows.
pub fn unknown_types(identities: &[Identity], registry: &Registry) -> Vec<String> {
    let unknown = |(place, identity): (usize, &Identity)| {
        let what = unknown(&identity.kind, registry)?;
        Some(format!(
            "subject.identities[{place}].type: no processor knows this type, so nobody was sent the identifier{what}"
        ))
    };
    identities.iter().enumerate().filter_map(unknown).collect()
}

/// What to say of a type that no processor takes or provides; nothing of the name itself, which is the sender's.
fn unknown(kind: &IdentityType, registry: &Registry) -> Option<String> {
    let known = || types_of(registry);
    if known().any(|name| name == kind.as_str()) {
        return None;
    }
    let similar = similar(kind.as_str(), known());
    Some(if similar.is_empty() {
        let mut all: Vec<&str> = known().collect();
        all.sort_unstable();
        all.dedup();
        format!("; known are: {}", all.join(", "))
    } else {
        format!("; did you mean {}?", similar.join(" or "))
    })
}

/// The types that some processor takes or provides.
fn types_of(registry: &Registry) -> impl Iterator<Item = &str> {
    let processors = registry.processors.iter();
    let types = processors.flat_map(|processor| processor.identities.iter().chain(&processor.provides));
    types.map(IdentityType::as_str)
}
