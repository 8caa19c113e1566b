//! A legal hold, without whom it is on.

use serde::Serialize;

use crate::{
    domain::{
        hold::Hold,
        ids::{HoldId, Label, ProcessorId, RequestId, TaskId, Tenant},
        time::At,
        words::{HoldBasis, TaskStateName},
    },
    engine::hold::{AlreadyDispatched, PlacedHold},
};

/// A hold, without whom it is on.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct HoldView<'a> {
    /// By which it is released.
    pub hold_id: HoldId,
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The legal ground.
    pub basis: HoldBasis,
    /// When it was placed.
    pub placed_at: At,
    /// By whom.
    pub placed_by: &'a str,
    /// Whether it names a subject; who that is lies nowhere in the clear.
    pub by_subject: bool,
    /// The request, where it names one.
    pub request_id: Option<RequestId>,
    /// The processor, where it names one.
    pub processor: Option<&'a ProcessorId>,
    /// The categories of data, where it names some.
    pub categories: &'a [Label],
}

impl<'a> HoldView<'a> {
    /// Of a hold.
    pub fn of(hold: &'a Hold) -> Self {
        Self {
            hold_id: hold.hold_id,
            tenant: &hold.tenant,
            basis: hold.basis,
            placed_at: hold.placed_at,
            placed_by: &hold.actor,
            by_subject: !hold.subject.is_empty(),
            request_id: hold.request_id,
            processor: hold.processor.as_ref(),
            categories: &hold.categories,
        }
    }
}

/// A hold that covers a part of a request, beside that request.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct CoveringHold {
    /// By which it is released.
    pub hold_id: HoldId,
    /// The legal ground.
    pub basis: HoldBasis,
}

impl CoveringHold {
    /// Of a hold.
    pub const fn of(hold: &Hold) -> Self {
        Self {
            hold_id: hold.hold_id,
            basis: hold.basis,
        }
    }
}

/// A hold with what it came too late for.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PlacedHoldView<'a> {
    #[serde(flatten)]
    hold: HoldView<'a>,
    /// Whether it has not been released.
    active: bool,
    /// How many requests of its subject there were when it was placed; `None`: it names none.
    requests_found: Option<usize>,
    already_dispatched: Vec<DispatchedView<'a>>,
    /// Whether more may have been dispatched than are listed.
    truncated: bool,
    /// What it covers nothing of, now: a misspelt name must not pass for a hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

impl<'a> PlacedHoldView<'a> {
    /// Of a hold, with what was sent before it and what whoever placed it should look at again.
    pub fn of(
        PlacedHold { hold, active }: &'a PlacedHold,
        found: &'a AlreadyDispatched,
        warnings: Vec<&'static str>,
    ) -> Self {
        Self {
            hold: HoldView::of(hold),
            active: *active,
            requests_found: (!hold.subject.is_empty()).then_some(hold.found.len()),
            already_dispatched: DispatchedView::all(found),
            truncated: found.truncated,
            warnings,
        }
    }
}

/// A task that was sent before the hold.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct DispatchedView<'a> {
    request_id: RequestId,
    task_id: TaskId,
    processor: &'a ProcessorId,
    state: TaskStateName,
}

impl<'a> DispatchedView<'a> {
    fn all(found: &'a AlreadyDispatched) -> Vec<Self> {
        let views = found.requests.iter().flat_map(|(request, places)| {
            places.iter().map(|ordinal| {
                let task = request.task(*ordinal);
                Self {
                    request_id: request.id,
                    task_id: request.task_id(*ordinal),
                    processor: &task.processor,
                    state: task.state.name(),
                }
            })
        });
        views.collect()
    }
}
