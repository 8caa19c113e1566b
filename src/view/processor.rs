//! A registered processor: how its lane stands, how much work it has, and what it has answered lately.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    domain::{
        calendar::Period,
        ids::{IdentityType, ProcessorId},
        registry::{BackupSet, Processor, Retention, Transport},
        time::At,
        words::{Action, ProcessorKind, TaskStateName},
    },
    engine::{lane_states::LaneStates, lanes::ShutLane},
    view::lane::{CIRCUIT_OPEN, LaneReason, lane_word},
};

/// A processor as the active registry has it, with its work.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ProcessorView<'a> {
    /// Its id.
    pub id: &'a ProcessorId,
    /// What people call it.
    pub name: &'a str,
    /// What kind of system it is.
    pub kind: ProcessorKind,
    /// How it is asked.
    pub transport: TransportView<'a>,
    /// What it can do.
    pub actions: &'a [Action],
    /// The identifiers that it is sent.
    pub identities: &'a [IdentityType],
    /// What it has to keep.
    #[serde(skip_serializing_if = "<[Retention]>::is_empty")]
    pub retention: &'a [Retention],
    /// What it is as a backup set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<&'a BackupSet>,
    /// How long after a proof it is asked whether the data is really gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_after: Option<Period>,
    /// How long after a proof it is asked to erase once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep_after: Option<Period>,
    /// How many tasks it has, by their state.
    pub tasks: BTreeMap<&'a str, i64>,
    /// `open`; `braked`, `paused`: somebody has stopped it; `circuit_open`: it fails, or does not let us in; or `undeliverable`:
    /// its topic takes nothing, as far as this worker knows.
    pub lane: &'static str,
    /// Why, since when, and when it is tried again; or why some of its tasks wait where the others go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane_reason: Option<LaneReason>,
    /// How many of its tasks are ready and not taken by its topic.
    pub undeliverable: i64,
    /// How many of its tasks could be sent, as far as they themselves are concerned.
    pub ready: i64,
    /// How many are sent and not answered.
    pub in_flight: i64,
    /// For how long the first of them waits in the queue of the lane.
    pub oldest_ready_seconds: Option<u64>,
    /// For how long a task is out that was not answered, to the minute.
    pub oldest_unanswered_seconds: Option<u64>,
    /// How many it may be sent at the most, and how much of that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateView>,
    /// How long it took to answer within the last day.
    pub ack_seconds: AckSeconds,
    /// What it has answered within the last hour.
    pub outcomes_hour: BTreeMap<&'static str, i64>,
    /// Within the last day.
    pub outcomes_day: BTreeMap<&'static str, i64>,
    /// The share of `not_found` in what was proved within the last day.
    pub not_found_share: Option<f64>,
    /// The same of the 28 days before: where they differ much, it may be asked for by identifiers that it does not know.
    pub not_found_share_usual: Option<f64>,
}

/// How it is asked, without what is secret about it.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct TransportView<'a> {
    /// Its word in the registry.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The topic that its tasks go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The address that is called, without what is secret in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Who does it by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<&'a str>,
}

/// How long answers take, in seconds.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct AckSeconds {
    /// Half of them, at the most.
    pub p50: Option<f64>,
    /// 99 of a hundred.
    pub p99: Option<f64>,
}

/// A rate, and how much of it is used.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct RateView {
    /// So many tasks.
    pub tasks: u32,
    /// Within so many seconds.
    pub per_seconds: f64,
    /// How much of it was used over the last ten minutes: 1 is all of it.
    pub used: f64,
}

impl<'a> ProcessorView<'a> {
    /// Of a processor: `topic`: where its tasks go; `shut`: why its topic takes nothing, as far as this worker knows.
    pub fn of(
        processor: &'a Processor,
        topic: Option<String>,
        shut: Option<ShutLane>,
        lane_states: &'a LaneStates,
    ) -> Self {
        let id = &processor.id;
        let own = |kind: &'static str| {
            let counters = lane_states.counters.iter();
            counters.filter(move |(key, _)| key.kind == kind && key.a == id.as_str())
        };
        let undeliverable = own("undeliverable").map(|(_, n)| n).sum();
        let answers = lane_states.answers(id);
        let ago = |since: Option<At>| since.map(|since| lane_states.now.since(since).as_secs());
        let (lane, lane_reason) = lane_of(id, shut, undeliverable, lane_states);
        Self {
            id,
            name: &processor.name,
            kind: processor.kind,
            transport: TransportView::of(&processor.transport, topic),
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
            lane,
            lane_reason,
            undeliverable,
            ready: lane_states.tasks(id, TaskStateName::Ready),
            in_flight: lane_states.tasks(id, TaskStateName::Dispatched),
            oldest_ready_seconds: ago(lane_states.oldest_ready(id)),
            oldest_unanswered_seconds: ago(lane_states.oldest_unanswered(id)),
            rate: processor.rate.map(|rate| RateView {
                tasks: rate.tasks,
                per_seconds: rate.per.as_secs_f64(),
                used: rounded(answers.share_of(rate)),
            }),
            ack_seconds: AckSeconds {
                p50: answers.seconds.map(|(half, _)| half),
                p99: answers.seconds.map(|(_, most)| most),
            },
            outcomes_hour: answers.hour,
            outcomes_day: answers.day,
            not_found_share: answers.not_found.map(rounded),
            not_found_share_usual: answers.not_found_usual.map(rounded),
        }
    }
}

/// What a lane is called, and why. What somebody has stopped comes first: nothing else matters until it goes on.
fn lane_of(
    id: &ProcessorId,
    shut: Option<ShutLane>,
    undeliverable: i64,
    lane_states: &LaneStates,
) -> (&'static str, Option<LaneReason>) {
    const WHY: &str = "its topic takes tasks, and some of them wait: they are larger than max.message.bytes of the topic, or are \
                       about to be tried again; GET /v1/requests/{id} of each says which";
    if let Some((stopped, why)) = lane_states.stopped(id) {
        let reason = LaneReason::Stopped {
            since: stopped.since,
            by: stopped.stop.actor.clone(),
            why: why.map(str::to_owned),
        };
        return (lane_word(Some(id), lane_states.facts().stops()), Some(reason));
    }
    if let Some(open) = lane_states.circuit(id) {
        return (CIRCUIT_OPEN, Some(LaneReason::from(open)));
    }
    match shut {
        Some(shut) => {
            let reason = LaneReason::Shut {
                since: shut.since,
                until: shut.until,
                why: shut.why,
            };
            ("undeliverable", Some(reason))
        }
        None => (
            "open",
            (undeliverable > 0).then_some(LaneReason::Some { why: WHY }),
        ),
    }
}

impl<'a> TransportView<'a> {
    fn of(transport: &'a Transport, topic: Option<String>) -> Self {
        let mut view = Self {
            kind: transport.kind(),
            topic,
            url: None,
            assignee: None,
        };
        match transport {
            Transport::Kafka { .. } | Transport::Agent => {}
            Transport::Webhook(webhook) => view.url = Some(bare(&webhook.url)),
            Transport::OpenDsr(opendsr) => view.url = Some(bare(&opendsr.url)),
            Transport::Vendor(vendor) => view.url = vendor.url.as_deref().map(bare),
            Transport::Manual(manual) => view.assignee = Some(&manual.assignee),
        }
        view
    }
}

/// Without what may be secret in it: a name and a password, and the query.
fn bare(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// To three digits: figures for people.
fn rounded(share: f64) -> f64 {
    (share * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_an_address_is_not_shown() {
        for (url, shown) in [
            (
                "https://erase.example/v1/hook?token=s3cret#x",
                "https://erase.example/v1/hook",
            ),
            (
                "https://user:s3cret@erase.example:8443",
                "https://erase.example:8443",
            ),
            ("http://erase.example/a@b", "http://erase.example/a@b"),
        ] {
            assert_eq!(bare(url), shown);
        }
    }

    #[test]
    fn a_lane_says_why_it_does_not_take_everything() {
        let at = At::from_millis(0);
        let shut = LaneReason::Shut {
            since: at,
            until: at,
            why: "unknown topic".to_owned(),
        };
        assert_eq!(
            serde_json::to_value(shut).unwrap(),
            serde_json::json!({ "since": at, "until": at, "why": "unknown topic" })
        );
        let stopped = LaneReason::Stopped {
            since: at,
            by: "ops".to_owned(),
            why: Some("it moves".to_owned()),
        };
        assert_eq!(stopped.says(), "by ops since 1970-01-01T00:00:00Z: it moves");
    }
}
