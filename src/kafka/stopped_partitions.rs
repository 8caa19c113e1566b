//! How partitions that are not read are shown: in `/readyz`, as a metric, and in the log with the command that goes on.

use std::collections::BTreeMap;

use super::{assignment::Assignment, partition_states::PartitionState, positions::Finding, types::Partition};

impl Assignment {
    pub(super) fn part(&self) -> &'static str {
        match self.stage {
            "intake" => "intake.positions",
            "settle" => "settle.positions",
            _ => "backups.positions",
        }
    }

    /// Says of a partition that it is not read, and what to do.
    pub(super) fn say(&self, key: &Partition, state: &PartitionState) {
        self.set_gauge(key, state.stopped.is_some());
        if let Some(finding) = &state.stopped {
            let way_on = commands_to_continue(&[(key.clone(), finding.clone())]).pop();
            tracing::error!(
                stage = self.stage, topic = %key.0, partition = key.1, way_on,
                "a partition is not read: {finding}"
            );
        }
    }

    pub(super) fn set_gauge(&self, (topic, partition): &Partition, stopped: bool) {
        self.engine.metrics.partition_stopped(topic, *partition, stopped);
    }

    pub(super) fn show(&self) {
        let mut stopped: Vec<(Partition, Finding)> = self
            .states
            .assigned()
            .into_iter()
            .filter_map(|(key, state)| Some((key, state.stopped?)))
            .collect();
        if stopped.is_empty() {
            self.readiness.ready(self.part());
        } else {
            stopped.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            self.readiness.not_ready(self.part(), summary(&stopped));
        }
    }
}

/// What was found, a short line a partition, and the way on once.
fn summary(stopped: &[(Partition, Finding)]) -> String {
    let mut lines: Vec<String> = stopped
        .iter()
        .map(|((topic, partition), finding)| format!("{topic}/{partition}: {finding}"))
        .collect();
    let commands = commands_to_continue(stopped);
    if !commands.is_empty() {
        lines.push(format!(
            "all other partitions are read on. Look at what was lost (docs/runbooks/lost-log.md), then: {}",
            commands.join(", ")
        ));
    }
    lines.join("; ")
}

/// The commands that have partitions be read on, one a topic. None, where that is not for an operator to decide.
fn commands_to_continue(stopped: &[(Partition, Finding)]) -> Vec<String> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for ((topic, partition), finding) in stopped {
        if finding.can_be_accepted() {
            topics.entry(topic).or_default().push(*partition);
        }
    }
    let which = |partitions: &[i32]| match partitions {
        [one] => one.to_string(),
        _ => "--all-stopped".to_owned(),
    };
    topics
        .into_iter()
        .map(|(topic, partitions)| {
            let which = which(&partitions);
            format!("lacuna positions accept {topic} {which} --actor NAME --reason TEXT")
        })
        .collect()
}
