//! What a task waits for that could be sent, and what copies wait for.

use super::{Context, Need, Request};
use crate::domain::{registry::ConfirmBy, request::gates::ClosedGate, task::TaskState, time::At};

impl Request {
    pub(super) fn need_of_ready<'a>(&self, ordinal: u16, due: At, context: &Context<'a>) -> Need<'a> {
        let task = self.task(ordinal);
        let registered = context.registry.get(&task.processor);
        let stopped = context.facts.stops().of(&task.processor);
        match (&task.state, self.shown_gate()) {
            (TaskState::Ready { .. }, Some(gate @ (ClosedGate::Verification | ClosedGate::Approval))) => {
                Need::Gate(gate)
            }
            _ if registered.is_some_and(|processor| !self.spares(task, processor)) => Need::Consent,
            _ if let Some(stopped) = stopped => Need::Resumption(stopped),
            _ if let Some(by) = self.manual_due(ordinal, context.registry) => Need::Manual(by),
            (TaskState::Undeliverable { why, .. }, _) => Need::Delivery(due, *why),
            _ => Need::Nothing(due),
        }
    }

    pub(super) fn need_of_copies<'a>(&self, ordinal: u16, horizon: At, context: &Context<'a>) -> Need<'a> {
        let rule = self.rule_of_wave(ordinal, context);
        match (rule.map(|rule| rule.confirm_by), self.copies_since(ordinal)) {
            (None, _) => Need::Registration,
            (Some(ConfirmBy::Event), Some(confirmed)) => Need::Rotation {
                oldest_retained_at: confirmed.plus(context.clock_skew),
                horizon,
            },
            (Some(confirm_by), _) => Need::Horizon(confirm_by, horizon),
        }
    }
}
