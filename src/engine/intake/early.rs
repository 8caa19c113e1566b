//! Commands that come before the request that they name: they wait, for a while, and are carried out with its opening,
//! before anything of it is sent.
//!
//! Invariants 1 and 3. Whoever waits keeps those away that open requests ([`Gate::Waiting`]), and nobody else: no opening
//! is under way then, so one that was committed before is seen, and one that comes later sees the command. In the same
//! transaction the inbox has its key, so a repeat is a duplicate. What nothing came for is dead-lettered, see
//! [`crate::engine::early`].

use super::{Verdict, decider::Decider};
use crate::{
    domain::{
        command::Opening,
        early::EarlyCommand,
        ids::RequestId,
        request::{Context, Withheld},
        time::At,
        words::DeadLetterReason,
    },
    engine::{
        Engine, EngineError,
        dead_letters::RejectedMessage,
        prepare::{Arrival, PreparedCommand},
    },
    store::{DeadLetter, EarlyRow, Gate, Transaction},
    wire::Rejection,
};

/// What waits is a decision about one request; what is larger is no such thing and would only fill the store.
const MAX_BYTES: usize = 16 * 1024;

/// What a batch knows about commands whose request has not come.
#[derive(Default)]
pub(super) struct Early {
    /// Those that wait for requests that this batch names.
    stored: Vec<EarlyRow>,
    /// How many more may wait.
    room: u64,
    /// Whether no opening can be under way in another transaction.
    alone: bool,
    /// One would have to wait, and another opening may be under way.
    pub(super) undecided: bool,
    /// Why those were dead-lettered that had waited, for the counters.
    pub(super) refused: Vec<DeadLetterReason>,
}

/// How a batch passes the gate, as long as nothing in it has to wait.
pub(super) fn gate_of(arrivals: &[Arrival<PreparedCommand>]) -> Gate {
    let opens =
        |arrival: &Arrival<PreparedCommand>| arrival.content.as_ref().is_ok_and(|p| p.subject.is_some());
    if arrivals.iter().any(opens) {
        Gate::Opening
    } else {
        Gate::Shared
    }
}

impl Early {
    /// Reads what a batch needs: nearly always one look that finds nothing.
    pub(super) async fn read(
        engine: &Engine,
        arrivals: &[Arrival<PreparedCommand>],
        gate: Gate,
        tx: &mut dyn Transaction,
    ) -> Result<Self, EngineError> {
        let prepared = || {
            arrivals
                .iter()
                .filter_map(|arrival| arrival.content.as_ref().ok())
        };
        let opened: Vec<RequestId> = prepared()
            .filter(|p| p.subject.is_some())
            .filter_map(|p| p.command.request_id())
            .collect();
        let stored = if opened.is_empty() {
            Vec::new()
        } else {
            tx.early_of(&opened).await?
        };
        let may_wait = !engine.policy().early.wait.is_zero()
            && prepared().any(|p| EarlyCommand::of(&p.command).is_some());
        let room = if may_wait {
            u64::from(engine.policy().early.most).saturating_sub(tx.early_count().await?)
        } else {
            0
        };
        Ok(Self {
            stored,
            room,
            alone: gate == Gate::Waiting,
            undecided: false,
            refused: Vec::new(),
        })
    }
}

impl<'e, 'a> Decider<'e, '_, 'a> {
    pub(super) fn context(&self) -> Context<'e> {
        let context = self.engine.context(self.inputs);
        Context {
            withheld: if self.withhold {
                Withheld::Everything
            } else {
                context.withheld
            },
            ..context
        }
    }

    /// Lets a command wait that was refused because there is no such request, where it can.
    pub(super) fn wait_or_refuse(
        &mut self,
        rejection: Rejection,
        arrival: &Arrival<PreparedCommand>,
    ) -> Result<Result<Verdict, Rejection>, EngineError> {
        let (Ok(prepared), Some(origin)) = (&arrival.content, &arrival.origin) else {
            return Ok(Err(rejection));
        };
        let unknown = rejection.reason == DeadLetterReason::UnknownRequest;
        let (Some(command), Some(id)) = (EarlyCommand::of(&prepared.command), prepared.command.request_id())
        else {
            return Ok(Err(rejection));
        };
        // One that is there belongs to another tenant.
        let is_there = self.batch.get_mut(id).is_some();
        if !unknown || is_there || self.loaded.early.room == 0 || arrival.raw.len() > MAX_BYTES {
            return Ok(Err(rejection));
        }
        if !self.loaded.early.alone {
            self.loaded.early.undecided = true;
            return Ok(Ok(Verdict::Waiting(id)));
        }
        self.loaded.early.room -= 1;
        let vault = &self.engine.vault;
        self.batch.changes.early.waiting.push(EarlyRow {
            origin: origin.clone(),
            request_id: id,
            tenant: prepared.command.tenant().clone(),
            command_id: prepared.command.command_id(),
            arrived_at: self.inputs.now,
            expires_at: self.inputs.now.plus(self.engine.policy().early.wait),
            command: vault.seal_dead_letter(&zeroize::Zeroizing::new(command.pack()?)),
            raw: vault.seal_dead_letter(&arrival.raw),
            headers: self.engine.seal_headers(&arrival.headers),
        });
        self.remember(prepared, id);
        Ok(Ok(Verdict::Waiting(id)))
    }

    /// Opens a request, and carries out what came before it before anything of it is sent.
    pub(super) fn open_in_order(
        &mut self,
        opening: &'a Opening,
        prepared: &'a PreparedCommand,
    ) -> Result<Result<RequestId, Rejection>, EngineError> {
        let id = opening.request_id;
        let comes_first = |row: &EarlyRow| row.request_id == id;
        self.withhold = self
            .loaded
            .early
            .stored
            .iter()
            .chain(&self.batch.changes.early.waiting)
            .any(comes_first);
        let opened = self.open(opening, prepared)?;
        if self.withhold && opened.is_ok() {
            self.carry_out_early(id)?;
            self.withhold = false;
            let context = self.context();
            if let Some(touched) = self.batch.get_mut(id) {
                let trail = touched.request.release(&context)?;
                touched.trail.append(trail);
            }
        }
        self.withhold = false;
        Ok(opened)
    }

    fn carry_out_early(&mut self, id: RequestId) -> Result<(), EngineError> {
        let of_this = |row: &mut EarlyRow| row.request_id == id;
        let stored: Vec<EarlyRow> = self.loaded.early.stored.extract_if(.., of_this).collect();
        for row in stored {
            match self.carry_out_one(&row)? {
                Ok(_) => self.batch.changes.early.taken.push(row.origin),
                Err(rejection) => {
                    self.dead_letter_early(&row, &rejection);
                    self.batch
                        .changes
                        .early
                        .forgotten
                        .push((row.tenant, row.command_id));
                    self.batch.changes.early.refused.push(row.origin);
                }
            }
        }
        // Those that came before it in this very batch.
        let waiting: Vec<EarlyRow> = self.batch.changes.early.waiting.extract_if(.., of_this).collect();
        for row in waiting {
            if let Err(rejection) = self.carry_out_one(&row)? {
                self.batch
                    .changes
                    .inbox
                    .retain(|known| known.command_id != row.command_id || known.tenant != row.tenant);
                self.loaded.known.remove(&(row.tenant.clone(), row.command_id));
                self.dead_letter_early(&row, &rejection);
            }
        }
        Ok(())
    }

    fn carry_out_one(&mut self, row: &EarlyRow) -> Result<Result<RequestId, Rejection>, EngineError> {
        let opened = self.engine.vault.open_dead_letter(&row.command);
        let command = opened
            .map_err(EngineError::from)
            .and_then(|plain| Ok(EarlyCommand::unpack(&plain)?));
        match command {
            Ok(EarlyCommand::Cancel(cancel)) => self.cancel(&cancel),
            Ok(EarlyCommand::Decide(decide)) => self.decide_request(&decide),
            Ok(EarlyCommand::Supply(supply)) => self.supply(&supply),
            Err(error) => {
                // It must not keep its request from being opened.
                tracing::error!(request = %row.request_id, %error, "a command that waited cannot be read");
                Ok(Err(super::internal("a command that waited cannot be read")))
            }
        }
    }

    fn dead_letter_early(&mut self, row: &EarlyRow, rejection: &Rejection) {
        self.loaded.early.refused.push(rejection.reason);
        let letter = self.engine.letter_of(row, rejection, self.inputs.now);
        self.batch.changes.dead_letters.push(letter);
    }
}

impl Engine {
    /// The dead letter of a command that waited.
    pub(in crate::engine) fn letter_of(&self, row: &EarlyRow, rejection: &Rejection, at: At) -> DeadLetter {
        // Sealed as it came; where its key is gone, nobody can say what it was.
        let raw = self.vault.open_dead_letter(&row.raw).ok();
        self.letter(RejectedMessage {
            origin: &row.origin,
            reason: rejection.reason,
            detail: &rejection.detail,
            raw: raw.as_ref().map(|raw| raw.as_slice()),
            sealed: Some(row.raw.clone()),
            headers: row.headers.clone(),
            at,
        })
    }
}
