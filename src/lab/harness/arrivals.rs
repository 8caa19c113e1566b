//! Messages as a worker reads them: parsed and prepared, with where they came from.

use zeroize::Zeroizing;

use crate::{
    engine::{
        Engine,
        prepare::{Arrival, PreparedAck, PreparedBackup, PreparedCommand},
    },
    store::Origin,
    wire::{KeptHeaders, Rejection, ack::parse_ack, command::Channel, envelope::Envelope},
};

/// A command.
pub fn command(
    engine: &Engine,
    origin: Option<Origin>,
    channel: Channel,
    bytes: &[u8],
) -> Arrival<PreparedCommand> {
    let content = engine
        .intake()
        .prepare_command(bytes, &Envelope::bare(&engine.tenant_default), channel);
    arrival(origin, content, bytes)
}

/// An ack.
pub fn ack(engine: &Engine, origin: Option<Origin>, bytes: &[u8]) -> Arrival<PreparedAck> {
    let parsed = parse_ack(bytes, &Envelope::bare(&engine.tenant_default));
    arrival(
        origin,
        parsed.and_then(|ack| engine.settlement().prepare_ack(ack)),
        bytes,
    )
}

/// What a backup system tells.
pub fn backup(engine: &Engine, origin: Option<Origin>, bytes: &[u8]) -> Arrival<PreparedBackup> {
    let content = engine
        .backup_events()
        .prepare_backup(bytes, &Envelope::bare(&engine.tenant_default));
    arrival(origin, content, bytes)
}

/// Any message, with what became of it.
pub fn arrival<T>(origin: Option<Origin>, content: Result<T, Rejection>, bytes: &[u8]) -> Arrival<T> {
    Arrival {
        origin,
        content,
        raw: Zeroizing::new(bytes.to_vec()),
        headers: KeptHeaders::default(),
        reading: None,
    }
}
