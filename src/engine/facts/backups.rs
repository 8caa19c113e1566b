//! What backup systems tell: who may say what, and what becomes of it.

use std::collections::BTreeMap;

use super::{Decided, FactCommand, FactOutcome, Message, same};
use crate::{
    domain::{
        backup::{BackupChange, BackupEvent, Contradiction, Copies},
        fact::Fact,
        ids::ProcessorId,
        registry::Registry,
        similar_names::similar,
        time::At,
        words::DeadLetterReason,
    },
    engine::{
        Engine, EngineError,
        decision_inputs::DecisionInputs,
        effects::Effects,
        prepare::{Arrival, PreparedBackup},
        use_cases::BackupEvents,
    },
    store::{Origin, Transaction},
    wire::Rejection,
};

/// How many backup events share a transaction: it keeps everything else from the gate while it lasts, so it has to be short,
/// and a flood of events must not stand at the gate once for each of them.
const BATCH: usize = 50;

impl BackupEvents<'_> {
    /// A backup event as its own processor sends it: with its token.
    pub fn shown_by_token(self, event: &[u8]) -> Result<Vec<u8>, EngineError> {
        let mut event: serde_json::Value = serde_json::from_slice(event)?;
        let processor = event["processor"]
            .as_str()
            .and_then(|id| ProcessorId::new(id).ok());
        if let Some(processor) = processor {
            event["token"] = self.shared.vault.backup_token(&processor).as_str().into();
        }
        Ok(serde_json::to_vec(&event)?)
    }

    /// Takes backup events in, in their order, some of them in a transaction.
    pub async fn record_backups(
        self,
        arrivals: &[Arrival<PreparedBackup>],
    ) -> Result<(Vec<FactOutcome>, Effects), EngineError> {
        self.shared
            .note("backups", self.record_all_backups(arrivals).await)
    }

    async fn record_all_backups(
        &self,
        arrivals: &[Arrival<PreparedBackup>],
    ) -> Result<(Vec<FactOutcome>, Effects), EngineError> {
        let (mut all, mut emission) = (Vec::with_capacity(arrivals.len()), Effects::default());
        for some in arrivals.chunks(BATCH) {
            let messages: Vec<Message<'_>> =
                some.iter().map(|arrival| self.fact_of_backup(arrival)).collect();
            let (told, emitted) = self
                .shared
                .record(&messages, &self.shared.advances_of(some))
                .await?;
            for (told, message) in told.iter().zip(&messages) {
                if let (FactOutcome::Rejected(rejection), Some(_)) = (told, message.origin) {
                    self.shared.metrics.dead_letter(rejection.reason);
                }
            }
            all.extend(told);
            emission.append(emitted);
        }
        Ok((all, emission))
    }

    fn fact_of_backup<'a>(&self, arrival: &'a Arrival<PreparedBackup>) -> Message<'a> {
        let (news, digest) = match &arrival.content {
            Ok(prepared) => match self.check_teller(prepared, arrival.origin.as_ref()) {
                Ok(()) => (FactCommand::Backup(prepared), prepared.digest),
                Err(rejection) => (FactCommand::Forged(rejection), [0; 16]),
            },
            Err(rejection) => (FactCommand::Unreadable(rejection), [0; 16]),
        };
        Message {
            news,
            digest,
            former_id: None,
            former_event: arrival.content.as_ref().ok().and_then(|prepared| prepared.former),
            origin: arrival.origin.as_ref(),
            raw: &arrival.raw,
            headers: &arrival.headers,
        }
    }

    /// Whether it can be its processor who tells it. Over HTTP the bearer has shown who it is.
    fn check_teller(&self, prepared: &PreparedBackup, origin: Option<&Origin>) -> Result<(), &'static str> {
        match prepared.token_matches {
            Some(true) => Ok(()),
            Some(false) => Err("token: not the one of this backup system"),
            None if origin.is_some() && self.shared.backup_tokens => {
                Err("token: missing; `lacuna keys backup-token` prints the one of this backup system")
            }
            None => Ok(()),
        }
    }
}

impl Engine {
    /// Says of a backup event that was taken what somebody should look at.
    pub(super) fn mention(
        &self,
        event: &BackupEvent,
        contradiction: Option<Contradiction>,
    ) -> Result<(), EngineError> {
        let processor = event.processor.as_str();
        for warning in self.warnings_of_backup(event)? {
            tracing::warn!(processor, warning, "a backup event may not mean what it says");
        }
        if let Some(contradiction) = contradiction {
            tracing::warn!(processor, %contradiction, "a backup event contradicts what is known");
            self.metrics.backup_contradiction(processor);
        }
        Ok(())
    }

    /// What whoever told of a backup should look at again: a misspelt name would leave restored data alive.
    pub fn warnings_of_backup(&self, event: &BackupEvent) -> Result<Vec<String>, EngineError> {
        let active = self.active()?;
        let BackupChange::Restored { restored_into, .. } = &event.change else {
            return Ok(Vec::new());
        };
        let set = active
            .registry
            .get(&event.processor)
            .and_then(|processor| processor.backup.as_ref());
        let is_source = |id: &ProcessorId| set.is_some_and(|set| set.sources.contains(id));
        Ok(restored_into
            .iter()
            .filter_map(|id| match active.registry.get(id) {
                None => Some(format!("restored_into: no processor {id} is registered; nothing of it is done again")),
                Some(_) if !is_source(id) => Some(format!(
                    "restored_into: {id} is no source of this set, so forgotten identifiers were not kept for it"
                )),
                Some(_) => None,
            })
            .collect())
    }

    pub(super) async fn decide_backup(
        &self,
        prepared: &PreparedBackup,
        message: &Message<'_>,
        known: &Latest,
        tx: &mut dyn Transaction,
        now: At,
    ) -> Result<Result<Decided, Rejection>, EngineError> {
        let event = &prepared.event;
        let fact = Fact::Backup(event.clone());
        if let Some(before) = tx.fact(&fact.key()).await? {
            return Ok(same(before.digest == prepared.digest, "event_id"));
        }
        if let Some((id, digest)) = message.former_event {
            let former = Fact::Backup(BackupEvent {
                event_id: id,
                ..event.clone()
            });
            if tx
                .fact(&former.key())
                .await?
                .is_some_and(|before| before.digest == digest)
            {
                return Ok(Ok(Decided::Known));
            }
        }
        Ok(self
            .check_backup(prepared, &known.known.active.registry, now)
            .map(|()| Decided::New(Box::new(fact), known.contradiction(event, now))))
    }

    /// What nobody can know yet is a mistake, and a set that is not registered proves nothing.
    fn check_backup(&self, prepared: &PreparedBackup, registry: &Registry, now: At) -> Result<(), Rejection> {
        let event = &prepared.event;
        let registered = registry.get(&event.processor);
        let set = registered.and_then(|processor| processor.backup.as_ref());
        let Some(set) = set.filter(|set| set.set == event.set) else {
            return Err(Rejection::new(
                DeadLetterReason::UnknownBackup,
                "processor, set: no processor of this id is registered with this set",
            ));
        };
        if let BackupChange::Restored { restored_into, .. } = &event.change
            && !prepared.by_operator
            && restored_into.iter().any(|into| !set.sources.contains(into))
        {
            // A backup system says what happened to its own copies, and those are of its sources.
            return Err(Rejection::new(
                DeadLetterReason::NotAllowed,
                "restored_into: expected sources of this set; of others an operator tells, over HTTP",
            ));
        }
        if let BackupChange::Restored { restored_into, .. } = &event.change {
            check_names(restored_into, registry)?;
        }
        let (field, at) = match &event.change {
            BackupChange::Taken { taken_at, .. } | BackupChange::Restored { taken_at, .. } => {
                ("taken_at: lies in the future", *taken_at)
            }
            BackupChange::Rotated { oldest_retained_at } => {
                ("oldest_retained_at: lies in the future", *oldest_retained_at)
            }
        };
        if at > now.plus(self.clock_skew) {
            return Err(Rejection::schema(field));
        }
        Ok(())
    }
}

/// Refuses a name that is nearly one that is registered: nothing would be done again for it. One of another name may have
/// left the registry.
fn check_names(restored_into: &[ProcessorId], registry: &Registry) -> Result<(), Rejection> {
    let known = || registry.processors.iter().map(|processor| processor.id.as_str());
    for (place, id) in restored_into.iter().enumerate() {
        if registry.get(id).is_some() {
            continue;
        }
        let similar = similar(id.as_str(), known());
        if !similar.is_empty() {
            return Err(Rejection::schema(format!(
                "restored_into[{place}]: no processor of this id is registered, so nothing would be done again; did you mean {}?",
                similar.join(" or ")
            )));
        }
    }
    Ok(())
}

/// What a transaction knows, with what it has learned itself.
pub(super) struct Latest {
    pub(super) known: DecisionInputs,
    /// What is known now of the copies of sets that something was told of.
    copies: BTreeMap<ProcessorId, Copies>,
}

impl Latest {
    pub(super) const fn of(known: DecisionInputs) -> Self {
        Self {
            known,
            copies: BTreeMap::new(),
        }
    }

    pub(super) fn learn(&mut self, fact: &Fact, now: At) {
        let Fact::Backup(event) = fact else { return };
        let copies = self.copies.entry(event.processor.clone());
        let copies = copies.or_insert_with(|| {
            self.known
                .facts
                .copies(&event.processor)
                .cloned()
                .unwrap_or_default()
        });
        copies.learn(&event.change, now);
    }

    fn contradiction(&self, event: &BackupEvent, now: At) -> Option<Contradiction> {
        let learned = self.copies.get(&event.processor);
        learned
            .or_else(|| self.known.facts.copies(&event.processor))?
            .contradicts(&event.change, now)
    }
}
