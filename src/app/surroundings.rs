//! What a stage cannot see of itself: that a topic of Lacuna's own is gone, or that another program is in its consumer group
//! and takes a share of the partitions. Either way messages lie unread while the stage has nothing to complain about.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    kafka::{KafkaError, admin::Admin, client::Cluster},
    telemetry::readiness::Readiness,
};

/// How often the cluster is asked.
const EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// The cluster.
    pub cluster: Cluster,
    /// The topics that Lacuna reads and writes itself.
    pub topics: Vec<String>,
    /// The consumer groups that this worker is in.
    pub groups: Vec<String>,
}

/// Looks until the shutdown. A cluster that does not answer says nothing: the stages notice that by themselves.
pub(super) async fn run(
    surroundings: Surroundings,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let mut said = String::new();
    while !shutdown.is_cancelled() {
        let asked = surroundings.clone();
        let found = tokio::task::spawn_blocking(move || look(&asked))
            .await
            .map_err(|_| KafkaError::Ended("looking at topics and groups"))?;
        match found {
            Ok(problems) if problems.is_empty() => {
                readiness.ready("kafka");
                said.clear();
            }
            Ok(problems) => {
                let problems = problems.join("; ");
                if said != problems {
                    tracing::error!("{problems}");
                }
                readiness.not_ready("kafka", problems.as_str());
                said = problems;
            }
            Err(error) => tracing::debug!(%error, "topics and groups could not be asked for"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            // A look now and then: no due time of the domain.
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    Ok(())
}

fn look(surroundings: &Surroundings) -> Result<Vec<String>, KafkaError> {
    let admin = Admin::new(&surroundings.cluster)?;
    let there = admin.serving_within(PATIENCE)?;
    let mut problems: Vec<String> = missing(&surroundings.topics, &there).into_iter().collect();
    for group in &surroundings.groups {
        // Who may not describe a group is told nothing about it.
        let clients = admin.clients_of(group, PATIENCE).unwrap_or_default();
        problems.extend(strangers(group, surroundings.cluster.client_id(), &clients));
    }
    Ok(problems)
}

fn missing(needed: &[String], there: &BTreeMap<String, bool>) -> Option<String> {
    let missing: Vec<&str> = needed
        .iter()
        .map(String::as_str)
        .filter(|topic| !there.contains_key(*topic))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "these topics do not exist any more: {}; what was in them and had not been read is lost. `lacuna topics create` \
             makes them anew, docs/runbooks/lost-log.md says how to go on",
            missing.join(", ")
        )
    })
}

/// Members of the group that are no workers: those of another `client.id`, unless that begins with `lacuna` too.
fn strangers(group: &str, own: &str, clients: &[String]) -> Option<String> {
    let mut strangers: Vec<&str> = clients
        .iter()
        .map(String::as_str)
        .filter(|client| *client != own && !client.starts_with("lacuna"))
        .collect();
    strangers.sort_unstable();
    strangers.dedup();
    (!strangers.is_empty()).then(|| {
        format!(
            "another program is in the consumer group {group:?} (client.id {}): what lies in its share of the partitions is not \
             taken in; end it, or give it a group of its own. Workers have the same client.id, or one that begins with \
             \"lacuna\"",
            strangers.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_gone_is_named() {
        let there = BTreeMap::from([("a".to_owned(), true), ("b".to_owned(), false)]);
        assert_eq!(missing(&["a".to_owned(), "b".to_owned()], &there), None);
        let said = missing(&["a".to_owned(), "c".to_owned()], &there).unwrap();
        assert!(said.contains("any more: c;"), "{said}");
    }

    #[test]
    fn a_member_of_another_client_id_is_a_stranger() {
        let clients = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        assert_eq!(strangers("g", "lacuna", &clients(&["lacuna", "lacuna-2"])), None);
        assert_eq!(strangers("g", "eraser", &clients(&["eraser", "lacuna"])), None);
        let said = strangers("g", "lacuna", &clients(&["lacuna", "console-consumer"])).unwrap();
        assert!(said.contains("client.id console-consumer"), "{said}");
    }
}
