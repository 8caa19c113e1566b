//! Each command of a batch is decided in its turn.

use super::{Loaded, Verdict, conflict, internal};
use crate::{
    domain::{command::Command, ids::RequestId},
    engine::{
        Engine, EngineError,
        batch::Batch,
        decision_inputs::DecisionInputs,
        prepare::{Arrival, PreparedCommand},
    },
    store::InboxRow,
    wire::Rejection,
};

/// Decides one command after the other against what is stored and what the batch has done so far.
pub(super) struct Decider<'e, 'w, 'a> {
    pub(super) engine: &'e Engine,
    pub(super) inputs: &'e DecisionInputs,
    pub(super) loaded: Loaded,
    /// Whether nothing is sent yet of the request that is being opened.
    pub(super) withhold: bool,
    pub(super) batch: &'w mut Batch<'a>,
}

impl<'a> Decider<'_, '_, 'a> {
    pub(super) fn decide(&mut self, arrival: &'a Arrival<PreparedCommand>) -> Result<Verdict, EngineError> {
        let decided = match &arrival.content {
            Ok(prepared) => self.carry_out(prepared)?,
            Err(rejection) => Err(rejection.clone()),
        };
        let decided = match decided {
            Err(rejection) => self.wait_or_refuse(rejection, arrival)?,
            decided => decided,
        };
        match decided {
            Ok(verdict) => Ok(verdict),
            Err(rejection) => {
                // Over HTTP the answer says it; on a topic only a dead letter can.
                if let Some(origin) = &arrival.origin {
                    let letter = self.engine.dead_letter(
                        origin,
                        &rejection,
                        &arrival.raw,
                        &arrival.headers,
                        self.inputs.now,
                    )?;
                    self.batch.changes.dead_letters.push(letter);
                }
                Ok(Verdict::Rejected(rejection))
            }
        }
    }

    fn carry_out(
        &mut self,
        prepared: &'a PreparedCommand,
    ) -> Result<Result<Verdict, Rejection>, EngineError> {
        let command = &prepared.command;
        let repeated = self.repeated(prepared);
        // Which regimes there are belongs to the shape of a command, and shape goes before state. But what was taken while
        // its regime was there stays taken.
        if !matches!(repeated, Some(Ok(_)))
            && let Command::Open(opening) = command
            && let Some(fault) = self
                .engine
                .rules_of(&opening.tenant)
                .fault_of_regime(opening, self.inputs.now)
        {
            return Ok(Err(Rejection::schema(fault.to_string())));
        }
        if let Some(verdict) = repeated {
            return Ok(verdict);
        }
        let done = match command {
            Command::Open(opening) => self.open_in_order(opening, prepared)?,
            Command::Cancel(cancel) => self.cancel(cancel)?,
            Command::Decide(decide) => self.decide_request(decide)?,
            Command::Supply(supply) => self.supply(supply)?,
            Command::Reactivated(back) => self.reactivate(back)?,
            // They bring facts, which have transactions of their own.
            Command::Hold(_) | Command::Release(_) => Err(internal("a fact among requests")),
        };
        Ok(done.map(|id| {
            self.remember(prepared, id);
            Verdict::Taken(id)
        }))
    }

    /// The same command again changes nothing; the same id with another payload is a conflict.
    fn repeated(&self, prepared: &PreparedCommand) -> Option<Result<Verdict, Rejection>> {
        let command = &prepared.command;
        let known = |id| self.loaded.known.get(&(command.tenant().clone(), id));
        let Some((digest, request_id)) = known(command.command_id()) else {
            // Under the id of an event alone another source may have sent another one, which is no conflict.
            let (digest, request_id) = known(prepared.former_id?)?;
            return (*digest == prepared.digest).then_some(Ok(Verdict::Duplicate(*request_id)));
        };
        Some(if *digest == prepared.digest {
            Ok(Verdict::Duplicate(*request_id))
        } else {
            Err(conflict("this command_id was taken with another payload"))
        })
    }

    pub(super) fn remember(&mut self, prepared: &PreparedCommand, request_id: RequestId) {
        let (tenant, command_id) = (prepared.command.tenant(), prepared.command.command_id());
        let seen = (prepared.digest, request_id);
        self.loaded.known.insert((tenant.clone(), command_id), seen);
        self.batch.changes.inbox.push(InboxRow {
            tenant: tenant.clone(),
            command_id,
            digest: prepared.digest,
            request_id,
        });
    }
}
