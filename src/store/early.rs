//! Commands that wait for the request that they name.

use async_trait::async_trait;

use super::{error::StoreError, origin::Origin};
use crate::domain::{
    ids::{CommandId, RequestId, Tenant},
    time::At,
};

/// Commands that wait, as they are committed.
#[async_trait]
pub trait EarlyStore: Send + Sync {
    /// Commands that waited in vain and were dead-lettered before this time, and whose dead letters nobody has reported as
    /// produced. They are taken: nobody else gets them until `now` is `before`.
    async fn take_early_unproduced(&self, before: At, now: At, limit: u32)
    -> Result<Vec<Origin>, StoreError>;
    /// Their dead letters have been produced.
    async fn early_produced(&self, origins: &[Origin]) -> Result<(), StoreError>;
}

/// Commands that wait, within a transaction.
#[async_trait]
pub trait EarlyTransaction: Send {
    /// The commands that wait for these requests, locked, in the order in which they came.
    async fn early_of(&mut self, ids: &[RequestId]) -> Result<Vec<EarlyRow>, StoreError>;
    /// The commands that have waited in vain, locked; what another worker has locked is passed over.
    async fn early_expired(&mut self, now: At, limit: u32) -> Result<Vec<EarlyRow>, StoreError>;
    /// How many commands wait for their requests, those that have waited in vain too.
    async fn early_count(&mut self) -> Result<u64, StoreError>;
}

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
