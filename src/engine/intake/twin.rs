//! Whether a request that the store refuses is refused for what it is, or for which it is: the same request of somebody else,
//! under other ids, is written and rolled back.

use zeroize::Zeroizing;

use super::{TakeIn, early::gate_of};
use crate::{
    domain::{
        command::Command,
        ids::{CommandId, RequestId},
    },
    engine::{
        EngineError,
        dry_run::DryRun,
        prepare::{Arrival, PreparedCommand},
        unit_of_work::dry_run,
        use_cases::Intake,
    },
    wire::KeptHeaders,
};

impl Intake<'_> {
    /// Writes a command's twin, and leaves nothing behind. What opens no request has none: then anything is written that is
    /// surely right.
    pub async fn dry_run_command(self, prepared: &PreparedCommand) -> Result<DryRun, EngineError> {
        let Some(twin) = twin_of(prepared) else {
            return self.shared.dry_run().await;
        };
        let arrivals = [Arrival {
            origin: None,
            content: Ok(twin),
            raw: Zeroizing::default(),
            headers: KeptHeaders::default(),
            reading: None,
        }];
        let unit = TakeIn {
            engine: self.shared,
            arrivals: &arrivals,
            gate: gate_of(&arrivals),
        };
        match dry_run(self.shared, &unit).await? {
            Some(finished) if !finished.changes.opened.is_empty() => Ok(DryRun::Twin),
            _ => self.shared.dry_run().await,
        }
    }
}

/// The same request, of nobody: only its ids and whom it is about are others.
fn twin_of(prepared: &PreparedCommand) -> Option<PreparedCommand> {
    let Command::Open(opening) = &prepared.command else {
        return None;
    };
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut twin = prepared.clone();
    let mut opening = opening.clone();
    opening.command_id = CommandId(id);
    opening.request_id = RequestId(id);
    twin.command = Command::Open(opening);
    twin.former_id = None;
    twin.digest = rand::random();
    if let Some(subject) = &mut twin.subject {
        subject
            .digests
            .iter_mut()
            .for_each(|digest| *digest = rand::random());
        subject.former.clear();
        subject.suppression.clear();
    }
    Some(twin)
}
