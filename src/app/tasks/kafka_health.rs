//! What a stage cannot see by itself: that a topic of Lacuna's own is gone, that another program is in one of its consumer
//! groups and takes in nothing of its share, that the brokers throttle what is produced.
//!
//! It asks over a client of its own and on a thread of its own, for a bounded time, and no stage waits for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::periodic::{Next, Periodic};
use crate::{
    clock::Stopwatch,
    delivery::relay::Relay,
    domain::time::At,
    kafka::{
        KafkaError,
        client::Cluster,
        observer::{Member, Observer},
        types::Partition,
    },
    store::Position,
    telemetry::readiness::Readiness,
};

/// A topic is gone when so many looks in a row say so: a broker that has just started may not know it yet.
const LOOKS: u32 = 2;

/// A partition that another program has stands still when the store has heard nothing of it for so long. A worker reports each of
/// its partitions every second, also where it has read everything.
const STANDSTILL: Duration = Duration::from_secs(15);

/// What all workers' client ids begin with, unless the configuration gives them another one.
const OUR_IDS: &str = "lacuna";

/// Looks at the cluster.
pub(in crate::app) struct KafkaHealth {
    asked: Asked,
    cluster: Cluster,
    relay: Relay,
    readiness: Readiness,
    observer: Option<Arc<Observer>>,
    history: History,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub(in crate::app) struct Asked {
    /// The topics that Lacuna reads and writes itself.
    pub topics: Vec<String>,
    /// The consumer groups that this worker is in.
    pub groups: Vec<String>,
}

/// What one look at the cluster has found. What did not answer is left out: nothing is said about it.
#[derive(Debug, Default)]
struct Found {
    /// Whether the cluster has answered anything.
    answers: bool,
    /// Whether each topic is there.
    topics: BTreeMap<String, bool>,
    /// The members of each group.
    groups: BTreeMap<String, Vec<Member>>,
}

/// What was found before, and is held against what is found now.
#[derive(Debug, Default)]
struct History {
    /// How often in a row a topic was not there.
    missing: BTreeMap<String, u32>,
    /// The members of each group. One that is between two assignments stays as it was.
    groups: BTreeMap<String, Vec<Member>>,
    /// What the store last said of partitions that other programs have, and since when it says so.
    last_positions: BTreeMap<Partition, (LastPosition, Stopwatch)>,
    /// The partitions whose lag is shown because nobody works it off.
    shown: Vec<Partition>,
}

/// How far a partition has been taken in, and until when it was read.
type LastPosition = Option<(i64, At)>;

#[async_trait]
impl Periodic for KafkaHealth {
    type Error = KafkaError;

    fn name(&self) -> &'static str {
        "kafka_health"
    }

    /// What it finds has parts of its own. A cluster that does not answer is noticed by the stages.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn turn(&mut self) -> Result<Next, KafkaError> {
        let throttled = i64::from(self.relay.transport.is_throttled());
        self.relay.engine.metrics.producer_throttled.set(throttled);
        // Where this one panics, the next look has another one.
        let observer = match self.observer.take() {
            Some(observer) => observer,
            None => Arc::new(Observer::new(&self.cluster)?),
        };
        let (asked, stop) = (self.asked.clone(), self.relay.shutdown.clone());
        let asking = Arc::clone(&observer);
        let found = blocking(move || ask(&asking, &asked, &stop)).await?;
        self.observer = Some(Arc::clone(&observer));
        // One answer is enough: a topic that nobody may describe is another trouble.
        let is_reachable = found.answers || self.asked.topics.is_empty();
        self.relay
            .engine
            .metrics
            .kafka_reachable
            .set(i64::from(is_reachable));
        let problem = missing(&mut self.history.missing, &found.topics);
        self.say("kafka.topics", problem);
        self.history.groups.extend(found.groups);
        self.look_for_strangers(observer).await?;
        Ok(Next::Rest)
    }
}

impl KafkaHealth {
    pub(in crate::app) fn new(asked: Asked, cluster: Cluster, relay: Relay, readiness: Readiness) -> Self {
        Self {
            asked,
            cluster,
            relay,
            readiness,
            observer: None,
            history: History::default(),
        }
    }

    /// Says which programs have partitions that are not taken in, and how much lies there.
    async fn look_for_strangers(&mut self, observer: Arc<Observer>) -> Result<(), KafkaError> {
        let (engine, history) = (&self.relay.engine, &mut self.history);
        let positions = engine.positions().await?;
        let others = others(self.cluster.client_id(), &history.groups);
        let held = others.values().flatten().flat_map(|member| &member.partitions);
        let held: Vec<Partition> = held.cloned().collect();
        let stuck = stuck(&mut history.last_positions, &held, &positions, STANDSTILL);
        let problem = not_taken_in(&others, &stuck);
        for (topic, partition) in &history.shown {
            engine.metrics.forget_partition(topic, *partition);
        }
        history.shown.clone_from(&stuck);
        for ((topic, partition), lag) in blocking(move || lags(&observer, stuck, &positions)).await? {
            engine.metrics.lag(&topic, partition, lag);
        }
        self.say("kafka.groups", problem);
        Ok(())
    }

    /// Says what is wrong, in the log once.
    fn say(&self, part: &'static str, problem: Option<String>) {
        let said = self.readiness.problems();
        let before = said.iter().find(|(name, _)| *name == part).map(|(_, why)| why);
        match problem {
            Some(problem) => {
                if before != Some(&problem) {
                    tracing::error!(part, "{problem}");
                }
                self.readiness.not_ready(part, problem);
            }
            None => {
                if before.is_some() {
                    tracing::info!(part, "it is right again");
                }
                self.readiness.ready(part);
            }
        }
    }
}

/// A cluster that does not answer says nothing: the stages notice that by themselves.
fn unanswered(error: &KafkaError) {
    tracing::debug!(
        error = error as &dyn std::error::Error,
        "topics and groups could not be asked for"
    );
}

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> Result<T, KafkaError> {
    let answer = tokio::task::spawn_blocking(ask).await;
    answer.map_err(|_| KafkaError::Ended("asking for topics and groups"))
}

fn ask(observer: &Observer, asked: &Asked, stop: &CancellationToken) -> Found {
    let mut found = Found::default();
    for topic in asked.topics.iter().take_while(|_| !stop.is_cancelled()) {
        match observer.has_topic(topic) {
            Ok(is_there) => {
                found.answers = true;
                found.topics.extend(is_there.map(|is| (topic.clone(), is)));
            }
            Err(error) => unanswered(&error),
        }
    }
    for group in asked.groups.iter().take_while(|_| !stop.is_cancelled()) {
        // Who may not describe a group is told nothing about it.
        match observer.members(group) {
            Ok(members) => found
                .groups
                .extend(members.map(|members| (group.clone(), members))),
            Err(error) => unanswered(&error),
        }
    }
    observer.hand_out();
    found
}

/// How much lies in partitions that nobody takes in: no worker has them, so none says so.
fn lags(observer: &Observer, stuck: Vec<Partition>, positions: &[Position]) -> Vec<(Partition, i64)> {
    let mut lags = Vec::new();
    for partition in stuck {
        let next = position(positions, &partition).map_or(0, |(next, _)| next);
        match observer.messages_from(&partition, next) {
            Ok(lag) => lags.push((partition, lag)),
            Err(error) => unanswered(&error),
        }
    }
    lags
}

/// Which topics are gone.
fn missing(missing: &mut BTreeMap<String, u32>, found: &BTreeMap<String, bool>) -> Option<String> {
    for (topic, is_there) in found {
        if *is_there {
            missing.remove(topic);
        } else {
            *missing.entry(topic.clone()).or_default() += 1;
        }
    }
    let gone = missing.iter().filter(|(_, looks)| **looks >= LOOKS);
    let gone: Vec<&str> = gone.map(|(topic, _)| topic.as_str()).collect();
    (!gone.is_empty()).then(|| {
        format!(
            "deleted under this worker: {}; what lay there and had not been read is lost. `lacuna topics create` makes what is \
             missing anew, docs/runbooks/lost-log.md says how to go on",
            gone.join(", ")
        )
    })
}

/// Members of the groups that may be other programs: those of another client id, with partitions.
fn others<'a>(own: &str, groups: &'a BTreeMap<String, Vec<Member>>) -> BTreeMap<&'a str, Vec<&'a Member>> {
    let is_other = |member: &&Member| {
        member.client_id != own && !member.client_id.starts_with(OUR_IDS) && !member.partitions.is_empty()
    };
    let others = groups
        .iter()
        .map(|(group, members)| (group.as_str(), members.iter().filter(is_other).collect()));
    others
        .filter(|(_, others): &(_, Vec<_>)| !others.is_empty())
        .collect()
}

fn position(positions: &[Position], (topic, partition): &Partition) -> LastPosition {
    let is_its = |position: &&Position| position.partition == *partition && *position.topic == **topic;
    let found = positions.iter().find(is_its);
    found.map(|position| (position.next_offset, position.seen_until))
}

/// Those of these partitions of which the store has heard nothing for so long: whoever has them does not work for this store.
fn stuck(
    last_positions: &mut BTreeMap<Partition, (LastPosition, Stopwatch)>,
    held: &[Partition],
    positions: &[Position],
    standstill: Duration,
) -> Vec<Partition> {
    last_positions.retain(|partition, _| held.contains(partition));
    let mut stuck = Vec::new();
    for partition in held {
        let now = position(positions, partition);
        match last_positions.get(partition) {
            Some((before, since)) if *before == now => {
                if since.elapsed() >= standstill {
                    stuck.push(partition.clone());
                }
            }
            // It is seen for the first time, or has moved.
            _ => {
                last_positions.insert(partition.clone(), (now, Stopwatch::start()));
            }
        }
    }
    stuck
}

/// Which programs have partitions that are not taken in.
fn not_taken_in(others: &BTreeMap<&str, Vec<&Member>>, stuck: &[Partition]) -> Option<String> {
    let mut said = Vec::new();
    for (group, members) in others {
        for member in members {
            let held = member
                .partitions
                .iter()
                .filter(|partition| stuck.contains(partition));
            let held: Vec<String> = held
                .map(|(topic, partition)| format!("{topic}/{partition}"))
                .collect();
            if !held.is_empty() {
                said.push(format!(
                    "another program is in the consumer group {group} (client.id {} at {}): {} are not taken in",
                    member.client_id,
                    member.host,
                    held.join(", ")
                ));
            }
        }
    }
    (!said.is_empty()).then(|| {
        format!(
            "{}. End it, or give it a group of its own: workers go on by themselves",
            said.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::At;

    fn found(topics: &[(&str, bool)]) -> BTreeMap<String, bool> {
        let topics = topics.iter();
        topics
            .map(|&(name, is_there)| (name.to_owned(), is_there))
            .collect()
    }

    #[test]
    fn topic_is_gone_when_two_looks_say_so_and_until_it_is_back() {
        let mut history = BTreeMap::new();
        let gone = found(&[("acks", true), ("control", false)]);
        assert_eq!(missing(&mut history, &gone), None, "one look may be wrong");
        let said = missing(&mut history, &gone).unwrap();
        assert!(said.contains("worker: control;"), "{said}");
        assert!(
            missing(&mut history, &found(&[])).is_some(),
            "no answer changes nothing"
        );
        assert_eq!(missing(&mut history, &found(&[("control", true)])), None);
    }

    fn member(client_id: &str, partitions: &[i32]) -> Member {
        let topic: Arc<str> = Arc::from("commands");
        Member {
            client_id: client_id.to_owned(),
            host: "10.0.0.7".to_owned(),
            partitions: partitions.iter().map(|n| (Arc::clone(&topic), *n)).collect(),
        }
    }

    fn position_at(next_offset: i64, seen_until: i64) -> Position {
        Position {
            topic: "commands".to_owned(),
            partition: 3,
            next_offset,
            seen_until: At::from_millis(seen_until),
            incarnation: 0,
            last: None,
            checked: None,
            stray: None,
        }
    }

    #[test]
    fn program_that_takes_in_nothing_is_named() {
        let members = [
            member("lacuna-2", &[0]),
            member("eraser", &[1]),
            member("console", &[3]),
        ];
        let groups = BTreeMap::from([("g".to_owned(), members.to_vec())]);
        let others = others("eraser", &groups);
        let held = others["g"][0].partitions.clone();
        assert_eq!(held.len(), 1, "{others:?}");
        let mut last_positions = BTreeMap::new();
        let mut look = |position| stuck(&mut last_positions, &held, &[position], Duration::ZERO);
        assert_eq!(look(position_at(5, 9)), [], "it may have come just now");
        assert_eq!(look(position_at(6, 9)), [], "it takes something in");
        assert_eq!(look(position_at(6, 10)), [], "it has read everything");
        let stuck = look(position_at(6, 10));
        let said = not_taken_in(&others, &stuck).unwrap();
        assert!(
            said.contains("(client.id console at 10.0.0.7): commands/3 are"),
            "{said}"
        );
        assert_eq!(not_taken_in(&others, &[]), None);
    }
}
