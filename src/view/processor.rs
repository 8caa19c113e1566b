//! A registered processor, and how much work it has.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    domain::{
        calendar::Period,
        ids::{IdentityType, ProcessorId},
        registry::{BackupSet, Processor, Retention, Transport},
        time::At,
        words::{Action, ProcessorKind},
    },
    engine::lanes::ShutLane,
    store::CounterKey,
};

/// A processor as the active registry has it, with its work.
#[derive(Debug, Serialize)]
pub struct ProcessorView<'a> {
    id: &'a ProcessorId,
    name: &'a str,
    kind: ProcessorKind,
    transport: Transport,
    actions: &'a [Action],
    identities: &'a [IdentityType],
    /// What it has to keep.
    #[serde(skip_serializing_if = "<[Retention]>::is_empty")]
    retention: &'a [Retention],
    /// What it is as a backup set.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<&'a BackupSet>,
    /// How long after a proof it is asked whether the data is really gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_after: Option<Period>,
    /// How long after a proof it is asked to erase once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep_after: Option<Period>,
    /// How many tasks it has, by their state.
    tasks: BTreeMap<&'a str, i64>,
    /// `open`; `braked`, `paused`: somebody has stopped it; or `undeliverable`: its topic takes nothing, as far as this worker
    /// knows.
    lane: &'static str,
    /// Why, since when, and when it is tried again; or why some of its tasks wait where the others go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    lane_reason: Option<LaneReason>,
    /// How many of its tasks are ready and not taken by its topic.
    undeliverable: i64,
}

impl<'a> ProcessorView<'a> {
    /// Of a processor: `topic`: where its tasks go; `lane`: what keeps them from it; `counters`: everybody's.
    pub fn of(
        processor: &'a Processor,
        topic: Option<String>,
        lane: Lane,
        counters: &'a [(CounterKey, i64)],
    ) -> Self {
        let Lane { stopped, shut } = lane;
        let own = |kind: &'static str| {
            counters
                .iter()
                .filter(move |(key, _)| key.kind == kind && key.a == processor.id.as_str())
        };
        let undeliverable = own("undeliverable").map(|(_, n)| n).sum();
        Self {
            id: &processor.id,
            name: &processor.name,
            kind: processor.kind,
            transport: match topic {
                Some(topic) => Transport::Kafka { topic: Some(topic) },
                None => processor.transport.clone(),
            },
            actions: &processor.actions,
            identities: &processor.identities,
            retention: &processor.retention,
            backup: processor.backup.as_ref(),
            verify_after: processor.verify_after,
            sweep_after: processor.sweep_after,
            tasks: own("tasks")
                .filter(|(_, n)| *n != 0)
                .map(|(key, n)| (key.b.as_str(), *n))
                .collect(),
            lane: match (&stopped, &shut) {
                (Some(stopped), _) => stopped.lane,
                (None, Some(_)) => "undeliverable",
                (None, None) => "open",
            },
            lane_reason: stopped
                .map(LaneReason::Stopped)
                .or_else(|| LaneReason::of(shut, undeliverable)),
            undeliverable,
        }
    }
}

/// What may keep tasks from leaving a lane.
#[derive(Debug, Default)]
pub struct Lane {
    /// Who has stopped it.
    pub stopped: Option<StoppedLane>,
    /// Why its topic takes nothing.
    pub shut: Option<ShutLane>,
}

/// A lane that somebody has stopped, or that is stopped with all others.
#[derive(Debug, Serialize)]
pub struct StoppedLane {
    /// `braked` or `paused`.
    #[serde(skip)]
    pub lane: &'static str,
    /// Since when.
    pub since: At,
    /// By whom.
    pub by: String,
    /// Why, where whoever asks may read it.
    pub why: Option<String>,
}

/// Why a lane does not take everything.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum LaneReason {
    /// Somebody has stopped it.
    Stopped(StoppedLane),
    /// Its topic takes nothing.
    Shut(ShutLane),
    /// Its topic does not take some of its tasks.
    Some { why: &'static str },
}

impl LaneReason {
    fn of(lane: Option<ShutLane>, undeliverable: i64) -> Option<Self> {
        const WHY: &str = "its topic takes tasks, and some of them wait: they are larger than max.message.bytes of the topic, or are \
                           about to be tried again; GET /v1/requests/{id} of each says which";
        match lane {
            Some(lane) => Some(Self::Shut(lane)),
            None => (undeliverable > 0).then_some(Self::Some { why: WHY }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_is_open_says_why_some_tasks_wait() {
        let shown = |lane, undeliverable| serde_json::to_value(LaneReason::of(lane, undeliverable)).unwrap();
        assert!(shown(None, 0).is_null());
        let why = shown(None, 1);
        assert!(
            why["why"].as_str().unwrap().contains("max.message.bytes"),
            "{why}"
        );
        let at = crate::domain::time::At::from_millis(0);
        let shut = ShutLane {
            since: at,
            until: at,
            why: "unknown topic".to_owned(),
            tries: 0,
        };
        assert_eq!(
            shown(Some(shut), 1),
            serde_json::json!({ "since": at, "until": at, "why": "unknown topic" })
        );
    }
}
