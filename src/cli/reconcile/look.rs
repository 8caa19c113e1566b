//! What became of the commands that upstream believes it has sent, as the store knows it.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{claim::Claim, dead_letters::Letter};
use crate::{
    domain::{
        ids::{CommandId, RequestId, Tenant},
        request::Request,
        words::{CommandKind, Status},
    },
    store::{InboxRow, Store, StoreError},
};

/// How many are looked up at once.
const BATCH: usize = 1_000;

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has arrived, and its request has this status.
    There(Status),
    /// It has arrived, and its request's rows are gone: the ledger still names it.
    Forgotten,
    /// Something else has arrived under its ids.
    Different(Vec<Difference>),
    /// It was refused.
    DeadLettered,
    /// It has never arrived.
    Missing,
}

/// In what the command that has arrived differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Difference {
    /// The command of this id had another payload.
    Payload,
    /// The command of this id opened another request.
    RequestId,
    /// The request was opened by another command.
    CommandId,
    /// It belongs to another tenant.
    Tenant,
    /// Something else was asked for.
    Action,
}

impl Difference {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::RequestId => "request_id",
            Self::CommandId => "command_id",
            Self::Tenant => "tenant",
            Self::Action => "action",
        }
    }
}

/// What became of a claim, with the dead letter that its ids lead to.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) claim: Claim,
    pub(super) fate: Fate,
    pub(super) letter: Option<Letter>,
}

impl Finding {
    /// The ids under which a dead letter of it would be found.
    pub(super) fn ids(&self) -> impl Iterator<Item = Uuid> {
        let Claim {
            command_id,
            request_id,
            ..
        } = &self.claim;
        command_id
            .map(|id| id.0)
            .into_iter()
            .chain(request_id.map(|id| id.0))
    }
}

/// Looks all of them up; dead letters are not looked for yet.
pub(super) async fn look_up(
    store: &dyn Store,
    tenant: &Tenant,
    claims: Vec<Claim>,
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::with_capacity(claims.len());
    let mut claims = claims.into_iter();
    loop {
        let batch: Vec<Claim> = claims.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(findings);
        }
        let known = Known::read(store, tenant, &batch).await?;
        let mut found: Vec<Finding> = batch
            .into_iter()
            .map(|claim| Finding {
                fate: known.fate_of(&claim, tenant),
                claim,
                letter: None,
            })
            .collect();
        look_under_former_ids(store, tenant, &mut found).await?;
        findings.extend(found);
    }
}

/// An earlier version took an event under its id alone: what is missing under its id and source may be there. Another
/// payload is another source's.
async fn look_under_former_ids(
    store: &dyn Store,
    tenant: &Tenant,
    found: &mut [Finding],
) -> Result<(), StoreError> {
    let missing: Vec<(usize, Claim)> = found
        .iter()
        .enumerate()
        .filter(|(_, finding)| matches!(finding.fate, Fate::Missing))
        .filter_map(|(place, finding)| Some((place, finding.claim.under_former_id()?)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let claims: Vec<Claim> = missing.iter().map(|(_, claim)| claim.clone()).collect();
    let known = Known::read(store, tenant, &claims).await?;
    for (place, claim) in missing {
        let fate = known.fate_of(&claim, tenant);
        if matches!(fate, Fate::There(_) | Fate::Forgotten) {
            found[place].claim = claim;
            found[place].fate = fate;
        }
    }
    Ok(())
}

/// What the store has of a batch.
#[derive(Debug, Default)]
struct Known {
    inbox: HashMap<(Tenant, CommandId), InboxRow>,
    requests: HashMap<RequestId, Request>,
    /// Requests of which only the ledger is left.
    recorded: HashSet<RequestId>,
}

impl Known {
    async fn read(store: &dyn Store, tenant: &Tenant, batch: &[Claim]) -> Result<Self, StoreError> {
        let mut known = Self::default();
        let keys: Vec<(&Tenant, CommandId)> = batch
            .iter()
            .filter_map(|claim| Some((claim.tenant.as_ref().unwrap_or(tenant), claim.command_id?)))
            .collect();
        if !keys.is_empty() {
            let rows = store.inbox(&keys).await?;
            known.inbox = rows
                .into_iter()
                .map(|row| ((row.tenant.clone(), row.command_id), row))
                .collect();
        }
        let mut ids: Vec<RequestId> = batch.iter().filter_map(|claim| claim.request_id).collect();
        ids.extend(known.inbox.values().map(|row| row.request_id));
        ids.sort_unstable();
        ids.dedup();
        let found = store.requests(&ids).await?;
        known.requests = found
            .into_iter()
            .map(|stored| (stored.request.id, stored.request))
            .collect();
        ids.retain(|id| !known.requests.contains_key(id));
        if !ids.is_empty() {
            let recorded = store.recorded(&ids).await?;
            // One that came in between the two questions is there, and not forgotten.
            if !recorded.is_empty() {
                let found = store.requests(&recorded).await?;
                let found = found
                    .into_iter()
                    .map(|stored| (stored.request.id, stored.request));
                known.requests.extend(found);
            }
            known.recorded = recorded.into_iter().collect();
        }
        Ok(known)
    }

    fn fate_of(&self, claim: &Claim, tenant: &Tenant) -> Fate {
        let named = claim.tenant.as_ref().unwrap_or(tenant);
        let row = claim
            .command_id
            .and_then(|id| self.inbox.get(&(named.clone(), id)));
        let id = row.map(|row| row.request_id).or(claim.request_id);
        let request = id.and_then(|id| self.requests.get(&id));
        let differences = differences(claim, row, request);
        if !differences.is_empty() {
            return Fate::Different(differences);
        }
        match request {
            Some(request) => Fate::There(request.life.status),
            None if row.is_some() || id.is_some_and(|id| self.recorded.contains(&id)) => Fate::Forgotten,
            None => Fate::Missing,
        }
    }
}

fn differences(claim: &Claim, row: Option<&InboxRow>, request: Option<&Request>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |is_so: bool, difference| {
        if is_so {
            found.push(difference);
        }
    };
    if let Some(row) = row {
        note(
            claim.digest.is_some_and(|digest| digest != row.digest),
            Difference::Payload,
        );
        note(
            claim.request_id.is_some_and(|id| id != row.request_id),
            Difference::RequestId,
        );
    }
    if let Some(request) = request.filter(|_| claim.opens()) {
        let same_tenant = claim
            .tenant
            .as_ref()
            .is_none_or(|tenant| *tenant == request.head.tenant);
        note(!same_tenant, Difference::Tenant);
        // A command's own id is what takes its request's place where it names none.
        note(
            same_tenant && row.is_none() && claim.command_id.is_some(),
            Difference::CommandId,
        );
        let action = claim.kind.map(CommandKind::as_str);
        note(
            action.is_some_and(|action| action != request.head.action.as_str()),
            Difference::Action,
        );
    }
    found
}
