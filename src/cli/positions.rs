//! `lacuna positions`: how far each partition has been taken in, and having one be read on whose log is another one now.

use std::{collections::HashMap, sync::Arc};

use super::{
    Exit, Failure, arguments,
    output::{Out, Table},
    session::{self, ConfigArg, block_on},
};
use crate::{
    config::{self, Config},
    engine::positions::{Accepting, accept as accept_log},
    kafka::{
        KafkaError,
        admin::Admin,
        client::{Cluster, PATIENCE},
        log_reader::{Held, LogReader},
        positions::{Finding, Known},
        types::Partition,
    },
    store::{Acceptance, Store, StoreError},
    vault::Vault,
    view::position::PositionView,
};

/// Arguments of `lacuna positions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna positions list")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the partitions that Lacuna reads: the next offset to take in, what the log holds, and whether it is read.
    #[command(
        after_help = "LOG counts the logs that a partition has had: 0, and one more with each that was accepted. Exit code 1: \
        a partition is stopped, or missing.\n\nExample:\n  lacuna positions list --json"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Has a stopped partition be read on, from the beginning of what its topic holds now. The ledger has who and why.
    #[command(
        after_help = "Whatever the topic holds is taken in again: a command that was taken in before is a duplicate and changes \
        nothing. Running workers go on within seconds. What was lost is lost: `lacuna reconcile FILE` says which of upstream's \
        commands never arrived.\n\nExamples:\n  lacuna positions accept lacuna.commands 3 --actor j.doe \
        --reason 'topic made anew, ticket T-17'\n  lacuna positions accept lacuna.commands --all-stopped --actor j.doe \
        --reason 'topic made anew, ticket T-17'"
    )]
    Accept {
        #[command(flatten)]
        config: ConfigArg,
        /// The topic.
        topic: String,
        /// The partition.
        #[arg(value_parser = clap::value_parser!(i32).range(0..), required_unless_present = "all_stopped")]
        partition: Option<i32>,
        /// All partitions of the topic that are stopped.
        #[arg(long, conflicts_with = "partition")]
        all_stopped: bool,
        /// Who decides it.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        actor: String,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
    },
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::List { config, json } => list(&config.load()?, json),
        Action::Accept {
            config,
            topic,
            partition,
            all_stopped: _,
            actor,
            reason,
        } => accept(&config.load()?, &topic, partition, (&actor, &reason)),
    }
}

/// The store and the logs, side by side.
pub(super) struct Look {
    store: Arc<dyn Store>,
    vault: Vault,
    cluster_id: Arc<str>,
    known: Known,
    held: HashMap<Partition, Held>,
    /// The partitions that there are.
    there: Vec<Partition>,
    /// Those that were taken in and are gone.
    gone: Vec<Partition>,
}

impl Look {
    pub(super) async fn take(config: &Config) -> Result<Self, Failure> {
        let cluster = session::cluster(config)?;
        let vault = session::vault(config)?;
        let store = session::open_store(config).await?;
        session::check_keyring(config, &vault, store.as_ref()).await?;
        let topics = &config.kafka.topics;
        let read = [&topics.commands, &topics.control, &topics.acks, &topics.backups]
            .map(|name| Arc::<str>::from(name.as_str()));
        let (cluster_id, there) = asked({
            let (cluster, read) = (cluster.clone(), read.clone());
            move || partitions(&cluster, &read)
        })
        .await?;
        let known = Known::read(store.as_ref(), &cluster_id).await?;
        let is_gone = |key: &&Partition| read.contains(&key.0) && !there.contains(key);
        let mut gone: Vec<Partition> = known.partitions().filter(is_gone).cloned().collect();
        gone.sort_unstable();
        let questions = there.iter().map(|key| known.question(key)).collect::<Vec<_>>();
        let held = asked({
            let (group, vault) = (config.kafka.group_id.clone(), vault.clone());
            move || LogReader::new(&cluster, &group, vault)?.look(&questions)
        })
        .await?;
        Ok(Self {
            store,
            vault,
            cluster_id,
            known,
            held,
            there,
            gone,
        })
    }

    /// The cluster that positions are kept for.
    pub(super) fn cluster(&self) -> &str {
        &self.cluster_id
    }

    /// Every partition that there is, and those that are gone.
    pub(super) fn all(&self) -> impl Iterator<Item = PositionView<'_>> {
        self.there.iter().chain(&self.gone).map(|key| self.shown(key))
    }

    fn finding(&self, key: &Partition) -> Option<Finding> {
        self.known.judge(key, self.held.get(key)).err()
    }

    fn shown<'a>(&'a self, key: &'a Partition) -> PositionView<'a> {
        let (position, held) = (self.known.position(key), self.held.get(key));
        let finding = self.finding(key);
        let (state, why) = if self.gone.contains(key) {
            let has_topic = self.there.iter().any(|(topic, _)| *topic == key.0);
            let why = if has_topic {
                "the topic has no such partition any more"
            } else {
                "the topic does not exist any more"
            };
            ("missing", Some(why.to_owned()))
        } else if let Some(finding) = finding {
            ("stopped", Some(finding.to_string()))
        } else {
            ("ok", None)
        };
        PositionView {
            topic: &key.0,
            partition: key.1,
            next_offset: position.map(|position| position.next_offset),
            low: held.map(|held| held.low),
            high: held.map(|held| held.high),
            log: position.map(|position| position.incarnation),
            state,
            why,
        }
    }
}

async fn asked<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, Failure> {
    let answer = tokio::task::spawn_blocking(question).await;
    Ok(answer.map_err(|_| KafkaError::Ended("asking Kafka"))??)
}

/// The cluster's id, and the partitions of these topics, in order.
fn partitions(cluster: &Cluster, topics: &[Arc<str>]) -> Result<(Arc<str>, Vec<Partition>), KafkaError> {
    let id = cluster.id(PATIENCE)?;
    let there = Admin::new(cluster)?.list()?;
    let partitions = topics
        .iter()
        .filter_map(|topic| Some((topic, *there.get(&**topic)?)))
        .flat_map(|(topic, count)| (0..count).map(|partition| (Arc::clone(topic), partition)))
        .collect();
    Ok((Arc::from(id), partitions))
}

fn list(config: &Config, json: bool) -> Result<Exit, Failure> {
    let look = block_on(Look::take(config))?;
    let shown: Vec<PositionView<'_>> = look.all().collect();
    let mut out = Out::stdout();
    if json {
        shown.iter().try_for_each(|one| out.json(one))?;
    } else {
        let mut table = Table::new(&[
            "topic",
            "partition",
            "next offset",
            "low",
            "high",
            "log",
            "state",
            "why",
        ]);
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        for one in &shown {
            table.row([
                one.topic.to_owned(),
                one.partition.to_string(),
                number(one.next_offset),
                number(one.low),
                number(one.high),
                number(one.log.map(i64::from)),
                one.state.to_owned(),
                one.why.clone().unwrap_or_default(),
            ]);
        }
        out.table(&table)?;
    }
    out.end()?;
    let is_wrong = shown.iter().any(|one| one.why.is_some());
    Ok(if is_wrong { Exit::NotSo } else { Exit::Ok })
}

/// What to do about what the log before may have held and was never taken in.
fn next(topic: &str, topics: &config::Topics) -> &'static str {
    if topic == topics.acks {
        "nothing: a processor whose answer was lost is asked again when its ack_timeout is over, and says it again"
    } else if topic == topics.backups {
        "have the backup systems tell again what has happened since, restores above all: what was told before changes nothing"
    } else if topic == topics.control {
        "have holds, releases and decisions sent again that were sent since: `lacuna holds` lists the holds that are known, and \
         what was taken in before changes nothing"
    } else {
        "`lacuna reconcile FILE` says which of upstream's commands never arrived"
    }
}

/// `partition`: one of the topic; `None`: all of them that are stopped.
fn accept(
    config: &Config,
    topic: &str,
    partition: Option<i32>,
    who_and_why: (&str, &str),
) -> Result<Exit, Failure> {
    block_on(async {
        let look = Look::take(config).await?;
        let keys: Vec<Partition> = match partition {
            Some(partition) => vec![(Arc::from(topic), partition)],
            None => stopped_of(&look, topic)?,
        };
        let mut out = Out::stdout();
        for key in &keys {
            accept_one(&look, key, who_and_why, &mut out).await?;
        }
        out.line(format_args!("next      {}", next(topic, &config.kafka.topics)))?;
        out.end()?;
        Ok(Exit::Ok)
    })
}

/// The partitions of a topic that are stopped, and that an operator can have be read on.
fn stopped_of(look: &Look, topic: &str) -> Result<Vec<Partition>, Failure> {
    let can_be_accepted = |key: &&Partition| {
        *key.0 == *topic && look.finding(key).is_some_and(|finding| finding.can_be_accepted())
    };
    let stopped: Vec<Partition> = look.there.iter().filter(can_be_accepted).cloned().collect();
    if stopped.is_empty() {
        return Err(Failure::NotSo(format!(
            "no partition of {topic} is stopped that can be accepted: `lacuna positions list` shows how they stand"
        )));
    }
    Ok(stopped)
}

async fn accept_one(
    look: &Look,
    key: &Partition,
    (actor, reason): (&str, &str),
    out: &mut Out,
) -> Result<(), Failure> {
    let name = format!("{}/{}", key.0, key.1);
    if !look.there.contains(key) {
        return Err(Failure::NotSo(format!(
            "there is no partition {name} among those that Lacuna reads: `lacuna positions list` shows them"
        )));
    }
    let Some(finding) = look.finding(key) else {
        return Err(Failure::NotSo(format!(
            "{name} is not stopped: its log is the one that is being taken in"
        )));
    };
    let Some(held) = look.held.get(key).filter(|_| finding.can_be_accepted()) else {
        return Err(Failure::NotSo(format!(
            "{name} cannot be accepted now: {finding}"
        )));
    };
    let position = look.known.position(key);
    let accepting = Accepting {
        acceptance: Acceptance {
            cluster: Arc::clone(&look.cluster_id),
            topic: Arc::clone(&key.0),
            partition: key.1,
            incarnation: position.map(|position| position.incarnation),
            next_offset: held.low,
        },
        from: position.map(|position| position.next_offset),
        actor,
        reason,
    };
    // The store's own time: this machine's may be wrong.
    let now = look.store.now().await?;
    match accept_log(look.store.as_ref(), &look.vault, &accepting, now).await {
        Err(crate::engine::EngineError::Store(StoreError::Conflict)) => {
            return Err(Failure::NotSo(format!(
                "somebody else has just accepted {name}: `lacuna positions list` shows how it stands"
            )));
        }
        done => done?,
    }
    out.line(format_args!("found     {name}: {finding}"))?;
    out.line(format_args!(
        "accepted  it is read on from offset {}, as log {}; it holds {} messages at the most",
        held.low,
        accepting.acceptance.next_incarnation(),
        held.high - held.low
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_after_a_lost_log_depends_on_the_topic() {
        let topics = Config::default().kafka.topics;
        assert!(next(&topics.commands, &topics).contains("lacuna reconcile"));
        for (topic, said) in [
            (&topics.acks, "is asked again"),
            (&topics.backups, "restores"),
            (&topics.control, "lacuna holds"),
        ] {
            let next = next(topic, &topics);
            assert!(next.contains(said) && !next.contains("reconcile"), "{next}");
        }
    }
}
