//! When a request has to be looked at again although nothing happens to it.

use std::time::Duration;

use super::{Context, Request, gates::ClosedGate};
use crate::domain::{
    registry::ConfirmBy,
    task::{Deferral, Task, TaskState},
    time::At,
    words::Notice,
};

/// How often a request is looked at that no date will change.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often a request looks at the one that it follows, which wakes it whenever something has changed.
const FOLLOW_EVERY: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a request is looked at that waits for its processor to be registered again, or for its turn in a replay that
/// has passed it by while it was held: soon enough for whoever mends the registry, and rare enough for as many requests
/// as there are.
const LOOK_FOR_PROCESSOR_EVERY: Duration = Duration::from_secs(3600);
/// How often a request is looked at whose task its topic does not take. It is let go as soon as the topic takes it; this
/// is for a worker that has ended before it could.
const LOOK_FOR_LANE_EVERY: Duration = Duration::from_secs(600);

impl Request {
    /// The earliest time at which the passing of time alone changes something. An open request always has one: its row
    /// in the agenda is what lists of open work are made from.
    pub(super) fn next_wake(&self, context: &Context<'_>) -> Option<At> {
        // Whatever changes the request that it follows wakes it; this is for what was missed.
        if let Some(following) = &self.life.following {
            let look = context.now.plus(FOLLOW_EVERY);
            let due = just_after(self.life.clock.due);
            let is_watched = !following.is_clean && due > context.now;
            let next = if is_watched { look.min(due) } else { look };
            return self.life.completed_at.is_none().then_some(next);
        }
        if self.life.status.is_final() {
            return self.forget_at(context).filter(|_| self.bookkeeping.readable);
        }
        let mut earliest: Option<At> = None;
        let mut consider = |at: Option<At>| {
            if let Some(at) = at {
                earliest = Some(earliest.map_or(at, |earlier| earlier.min(at)));
            }
        };
        for ordinal in self.ordinals() {
            let task = self.task(ordinal);
            consider(match &task.state {
                // An acceptance that has run out has raised attention already: waking again would find nothing new.
                TaskState::Accepted { expected_by, .. } if *expected_by <= context.now => None,
                // Past its horizon only an event helps; when that is overdue, somebody has to be told.
                TaskState::Parked {
                    why: Deferral::Rotation,
                    until,
                } if *until <= context.now && is_ended_by_event(task, context) => {
                    overdue_from(task, *until, context).filter(|from| *from > context.now)
                }
                // What is due and was not sent has no processor, or waits for its turn in a replay, which comes to it.
                TaskState::Ready { due } if *due <= context.now => {
                    Some(context.now.plus(LOOK_FOR_PROCESSOR_EVERY))
                }
                // Past its due date somebody has to be told.
                TaskState::Queued { .. } => {
                    let due = self.manual_due(ordinal, context.registry);
                    due.filter(|due| *due > context.now)
                }
                // Whoever opens its lane comes to it.
                TaskState::Undeliverable { due, .. }
                    if *due <= context.now || context.withheld.shut_until(&task.processor).is_some() =>
                {
                    Some(context.now.plus(LOOK_FOR_LANE_EVERY))
                }
                state => state.wake_at(),
            });
        }
        consider(self.reseal_at(context));
        if let Some(ClosedGate::Grace(until) | ClosedGate::NotBefore(until)) = self.closed_gate(context.now) {
            consider(Some(until));
        }
        if self.life.notice == Some(Notice::AcknowledgementDue) {
            consider(self.life.clock.acknowledge_by.map(just_after));
        }
        if self.life.live_clean_at.is_none() && !self.life.overdue {
            consider(Some(just_after(self.life.clock.due)));
            consider(Some(self.life.clock.at_risk_from).filter(|at| !self.life.at_risk && *at > context.now));
        }
        // It waits for a person, or for a processor that is no longer registered: looked at now and then.
        earliest.or_else(|| Some(context.now.plus(LOOK_EVERY)))
    }
}

/// One millisecond later, because a deadline includes its last moment.
pub(super) const fn just_after(deadline: At) -> At {
    At::from_millis(deadline.millis().saturating_add(1))
}

/// From when on a missing proof of rotation is overdue; `None`: its set is registered no more.
pub(super) fn overdue_from(task: &Task, horizon: At, context: &Context<'_>) -> Option<At> {
    let set = context.registry.get(&task.processor)?.backup.as_ref()?;
    Some(set.overdue_after.add_to(horizon, context.zones.controller()))
}

/// Whether only an event ends its horizon; also where nobody knows, because its set is registered no more.
fn is_ended_by_event(task: &Task, context: &Context<'_>) -> bool {
    let set = context
        .registry
        .get(&task.processor)
        .and_then(|processor| processor.backup.as_ref());
    set.is_none_or(|set| set.confirm_by == ConfirmBy::Event)
}
