//! What the store has to know of a message once it was taken in.

use super::{PreparedAck, PreparedBackup, PreparedCommand};
use crate::domain::{
    backup::BackupEvent,
    fact::Fact,
    ids::{CommandId, RequestId, Tenant},
};

/// What arrives, by the request that it names.
pub trait Names {
    /// The request; `None`: it names none.
    fn request_id(&self) -> Option<RequestId>;

    /// The request that an earlier version has opened for it, where it would have had another id.
    fn former_request_id(&self) -> Option<RequestId> {
        None
    }

    /// What the store has to know of it once it was taken in; `None`: it may leave no trace.
    fn trace(&self) -> Option<Trace<'_>>;

    /// What an earlier version has left of it, where that would be something else.
    fn former_trace(&self) -> Option<Trace<'_>> {
        None
    }

    /// The `traceparent` that it goes on from, as it was settled when it was read: `Some(None)`: it is not traced; `None`: nothing was
    /// settled.
    fn traceparent(&self) -> Option<Option<&str>> {
        None
    }

    /// The backup event that it is: what it has left may be compacted by now.
    fn backup_event(&self) -> Option<&BackupEvent> {
        None
    }
}

/// What the store knows of a message that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace<'a> {
    /// The inbox has this key.
    Inbox(&'a Tenant, CommandId),
    /// There is a fact of this key.
    Fact(String),
}

impl Names for PreparedBackup {
    fn request_id(&self) -> Option<RequestId> {
        None
    }

    fn trace(&self) -> Option<Trace<'_>> {
        Some(Trace::Fact(Fact::key_of_backup(&self.event)))
    }

    fn former_trace(&self) -> Option<Trace<'_>> {
        let (event_id, _) = self.former?;
        let former = BackupEvent {
            event_id,
            ..self.event.clone()
        };
        Some(Trace::Fact(Fact::key_of_backup(&former)))
    }

    fn backup_event(&self) -> Option<&BackupEvent> {
        Some(&self.event)
    }
}

impl Names for PreparedCommand {
    fn request_id(&self) -> Option<RequestId> {
        self.command.request_id()
    }

    fn traceparent(&self) -> Option<Option<&str>> {
        Some(self.trace.as_deref())
    }

    fn former_request_id(&self) -> Option<RequestId> {
        let is_named_by_it = self.command.request_id()?.0 == self.command.command_id().0;
        self.former_id
            .filter(|_| is_named_by_it)
            .map(|id| RequestId(id.0))
    }

    /// What an event becomes is the configuration's affair, which may have been another one when it was taken in.
    fn trace(&self) -> Option<Trace<'_>> {
        let is_mapped = self.source.is_some();
        (!is_mapped).then(|| Trace::Inbox(self.command.tenant(), self.command.command_id()))
    }

    fn former_trace(&self) -> Option<Trace<'_>> {
        Some(Trace::Inbox(self.command.tenant(), self.former_id?))
    }
}

impl Names for PreparedAck {
    fn request_id(&self) -> Option<RequestId> {
        Some(self.ack.request_id)
    }

    /// An answer that repeats another one changes nothing.
    fn trace(&self) -> Option<Trace<'_>> {
        None
    }
}
