//! Commands that events of sources have become.

use std::sync::Arc;

use super::PreparedCommand;
use crate::{
    domain::words::DeadLetterReason,
    engine::use_cases::Intake,
    wire::{Rejection, command::Channel, envelope::Envelope},
};

impl Intake<'_> {
    /// Prepares the command that an event of a source has become. What is wrong with it is wrong with its mapping.
    pub fn prepare_mapped(
        self,
        command: &[u8],
        envelope: &Envelope<'_>,
        source: &Arc<str>,
    ) -> Result<PreparedCommand, Rejection> {
        let prepared = self.prepare_command(command, envelope, Channel::Commands);
        let mut prepared = prepared.map_err(|rejection| match rejection.reason {
            DeadLetterReason::Schema => Rejection::new(DeadLetterReason::Unmapped, rejection.detail),
            _ => rejection,
        })?;
        prepared.source = Some(Arc::clone(source));
        Ok(prepared)
    }
}
