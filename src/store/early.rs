//! Commands that wait for the request that they name.

use uuid::Uuid;

use super::{Origin, StoreError};
use crate::domain::{
    ids::{CommandId, RequestId, Tenant},
    time::At,
};

/// A command that has come before its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyRow {
    /// Where it came from.
    pub origin: Origin,
    /// The request that it names.
    pub request_id: RequestId,
    /// The tenant of its idempotency key.
    pub tenant: Tenant,
    /// Its idempotency key, which the inbox has while it waits.
    pub command_id: CommandId,
    /// When it came.
    pub arrived_at: At,
    /// Until when it waits.
    pub expires_at: At,
    /// The command, sealed.
    pub command: Vec<u8>,
    /// The original bytes, sealed as a dead letter is, because that is what they become where nothing comes.
    pub raw: Vec<u8>,
    /// The headers that say what it is, sealed likewise.
    pub headers: Option<Vec<u8>>,
}

/// What a transaction writes about commands that wait.
#[derive(Debug, Default)]
pub struct EarlyChanges {
    /// Those that wait from now on.
    pub waiting: Vec<EarlyRow>,
    /// Those whose request has come.
    pub taken: Vec<Origin>,
    /// Those that were dead-lettered because nothing came: their rows stay until the dead letter has been produced.
    pub buried: Vec<Origin>,
    /// Those that their request refused: their dead letters are left to whoever asks for what was not produced.
    pub refused: Vec<Origin>,
    /// Keys that leave the inbox with their dead letter, so that a redrive is no duplicate.
    pub forgotten: Vec<(Tenant, CommandId)>,
}

#[derive(sqlx::FromRow)]
pub(super) struct EarlyColumns {
    cluster: String,
    topic: String,
    part: i32,
    off: i64,
    incarnation: i32,
    request_id: Uuid,
    tenant: String,
    command_id: Uuid,
    arrived_at: i64,
    expires_at: i64,
    command: Vec<u8>,
    raw: Vec<u8>,
    headers: Option<Vec<u8>>,
}

impl EarlyColumns {
    pub(super) fn into_row(self) -> Result<EarlyRow, StoreError> {
        let tenant = Tenant::new(&self.tenant).map_err(|error| StoreError::Unreadable {
            table: "early_command",
            detail: format!("{}: {error}", self.command_id),
        })?;
        Ok(EarlyRow {
            origin: origin((self.cluster, self.topic, self.part, self.off, self.incarnation)),
            request_id: RequestId(self.request_id),
            tenant,
            command_id: CommandId(self.command_id),
            arrived_at: At::from_millis(self.arrived_at),
            expires_at: At::from_millis(self.expires_at),
            command: self.command,
            raw: self.raw,
            headers: self.headers,
        })
    }
}

/// Columns: cluster, topic, partition, offset, incarnation.
pub(super) type OriginColumns = (String, String, i32, i64, i32);

pub(super) fn origin((cluster, topic, partition, offset, incarnation): OriginColumns) -> Origin {
    Origin {
        cluster: cluster.into(),
        topic: topic.into(),
        partition,
        offset,
        incarnation: incarnation.cast_unsigned(),
    }
}
