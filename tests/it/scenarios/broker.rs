//! The same scenarios on a real Kafka and a real PostgreSQL: a worker in this process, whose clock alone is turned by hand.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use lacuna::{
    app::{self, Roles, Running, remote_cluster, topics},
    clock::{Clock, ManualClock, Stopwatch},
    config::{Brokers, Config, Inlet, Secret, StoreUrl, registry_file},
    domain::{
        registry::Lane,
        request::Request,
        task::{Task, TaskState},
        time::At,
    },
    kafka::admin::{Admin, Topic as NeededTopic},
    lab::scenario::{
        Stuck,
        agents::Agent,
        call::Caller,
        environment::{Environment, Output, Topic},
        system_answer::Answers,
        systems::Systems,
        upstream::{Emitted, UpstreamEvent},
    },
    policies::Profile,
    vault::Keyring,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    end_to_end::kafka::Publisher,
    support::{service, unique},
};

/// How long anything may take that follows by itself.
const PATIENCE: Duration = Duration::from_secs(30);

type Partition = (String, i32);

/// Carries messages through a broker.
pub struct Broker {
    running: Option<Running>,
    clock: ManualClock,
    caller: Caller,
    systems: Systems,
    /// The policy's agent, where it has one, and its loop.
    agent: Option<(Agent, JoinHandle<Result<(), Stuck>>)>,
    /// What the worker was set up with.
    config: Config,
    publisher: Publisher,
    /// What the worker reads: each of its groups, with its partitions.
    groups: Vec<(BaseConsumer, Vec<Partition>)>,
    outputs: BaseConsumer,
    written: Vec<Partition>,
    /// How far each partition of the outputs has been read.
    read: HashMap<Partition, i64>,
    _folder: tempfile::TempDir,
}

impl Broker {
    /// Starts a worker with what a profile's files say, under names of its own.
    pub async fn start(profile: &Profile, start: At, store: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut config, secrets) = profile.config(folder.path()).unwrap();
        let clock = ManualClock::starting_at(start);
        let systems = Systems::start(profile, clock.clone()).await.unwrap();
        std::fs::write(&config.registry.path, &systems.registry).unwrap();
        move_to(&mut config, store);
        let lacuna::config::Keyring::File(keyring) = &config.vault.keyring;
        Keyring::init(keyring, start).unwrap();
        let registry = registry_file::read(&config.registry).unwrap();
        let mut needed = topics::needed(&config.kafka.topics, &registry);
        let sources = config.sources.iter();
        let of_upstreams: Vec<String> = sources
            .filter_map(|source| source.topic().map(str::to_owned))
            .collect();
        needed.extend(of_upstreams.iter().map(|topic| upstreams_topic(topic)));
        let cluster = remote_cluster(&config).unwrap();
        Admin::new(&cluster).unwrap().create(&needed, 1).await.unwrap();
        let running = app::start(config.clone(), Roles::ALL, Clock::Manual(clock.clone()))
            .await
            .unwrap();
        let own = &config.kafka.topics;
        let mut read_by = vec![
            (config.kafka.group_id.clone(), vec![&own.commands, &own.control]),
            (config.kafka.ack_group(), vec![&own.acks]),
            (config.kafka.backup_group(), vec![&own.backups]),
        ];
        for topic in &of_upstreams {
            read_by.push((config.kafka.source_group(topic), vec![topic]));
        }
        let is_input = |name: &String| read_by.iter().any(|(_, topics)| topics.contains(&name));
        let partitions_of = |wanted: &dyn Fn(&String) -> bool| -> Vec<Partition> {
            let found = needed.iter().filter(|topic| wanted(&topic.name));
            found
                .flat_map(|topic| (0..topic.partitions).map(|n| (topic.name.clone(), n)))
                .collect()
        };
        let written = partitions_of(&|name| !is_input(name));
        let groups = read_by
            .iter()
            .map(|(group, topics)| (client(group), partitions_of(&|name| topics.contains(&name))));
        let caller = Caller::new(running.http.unwrap(), &config, &secrets);
        let agent = Agent::open(profile, folder.path(), &caller.url(), &clock)
            .await
            .unwrap()
            .map(|agent| {
                let working = tokio::spawn(agent.work().unwrap());
                (agent, working)
            });
        Self {
            caller,
            agent,
            running: Some(running),
            systems,
            clock,
            publisher: Publisher::new(),
            outputs: reader(&written),
            groups: groups.collect(),
            written,
            read: HashMap::new(),
            config,
            _folder: folder,
        }
    }

    /// Ends the worker. Nothing of it may have failed.
    pub async fn end(mut self) {
        if let Some((agent, working)) = self.agent.take() {
            drop(agent);
            working.await.unwrap().unwrap();
        }
        self.running.take().unwrap().end().await.unwrap();
    }

    /// Waits until everything has happened that follows by itself, and has been produced.
    async fn rest(&self) -> Result<(), Stuck> {
        let watch = Stopwatch::start();
        // The worker does it as well, but not more often than every ten minutes of those who watch.
        let engine = &self.running.as_ref().unwrap().engine;
        engine.retention().forget_old_capsules(self.clock.now()).await?;
        // Nobody else writes to the inputs.
        let ends: Vec<_> = tokio::task::block_in_place(|| {
            self.groups
                .iter()
                .map(|(consumer, partitions)| ends_of(consumer, partitions))
                .collect()
        });
        loop {
            let busy = match tokio::task::block_in_place(|| self.unread(&ends)) {
                Some(unread) => unread,
                None => match self.undone().await? {
                    Some(undone) => undone,
                    None => return Ok(()),
                },
            };
            if watch.elapsed() > PATIENCE {
                return Err(Stuck::Fell(format!("not within {PATIENCE:?}: {busy}")));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A topic whose messages have not all been taken in, with all that follows from them.
    fn unread(&self, ends: &[Vec<(Partition, i64)>]) -> Option<String> {
        for ((consumer, _), ends) in self.groups.iter().zip(ends) {
            let mut asked = TopicPartitionList::new();
            for ((topic, partition), _) in ends.iter().filter(|(_, end)| *end > 0) {
                asked.add_partition(topic, *partition);
            }
            if asked.count() == 0 {
                continue;
            }
            let committed = consumer.committed_offsets(asked, PATIENCE).unwrap();
            for ((topic, partition), end) in ends.iter().filter(|(_, end)| *end > 0) {
                let found = committed.find_partition(topic, *partition).unwrap().offset();
                if !matches!(found, Offset::Offset(read) if read >= *end) {
                    return Some(format!("{topic} is read to its end, {end}: {found:?}"));
                }
            }
        }
        None
    }

    async fn undone(&self) -> Result<Option<String>, Stuck> {
        let store = self.running.as_ref().unwrap().engine.store();
        let now = self.clock.now();
        let page = store.page(None, 1_000).await?;
        let mut wake_ups = page
            .iter()
            .filter_map(|stored| stored.request.bookkeeping.wake_at);
        let busy = if !store.sweeps(true, 1).await?.is_empty() {
            "sweeps come to their end"
        } else if wake_ups.any(|at| at <= now) {
            "what is due wakes"
        } else if page.iter().any(|stored| self.is_called_now(&stored.request)) {
            "systems are called"
        } else if !store.outbox(At::from_millis(i64::MAX), 1).await?.is_empty() {
            "what was decided is produced"
        } else {
            return Ok(None);
        };
        Ok(Some(busy.to_owned()))
    }

    /// Whether a call about it has to be made, or is under way.
    fn is_called_now(&self, request: &Request) -> bool {
        let active = self.running.as_ref().unwrap().engine.active().unwrap();
        let is_called = |task: &Task| {
            active
                .registry
                .get(&task.processor)
                .is_some_and(|processor| matches!(processor.lane(), Lane::Queued | Lane::Polled))
        };
        request.tasks.iter().any(|task| match task.state {
            TaskState::Queued { due, .. } => is_called(task) && due <= self.clock.now(),
            TaskState::Dispatched { .. } => is_called(task),
            _ => false,
        })
    }

    fn hear(&mut self) -> Vec<Output> {
        let mut said = self.systems.heard();
        said.extend(self.agent.iter().flat_map(|(agent, _)| agent.heard()));
        // On a connection that fetches, an answer would wait behind the fetch.
        let ends = ends_of(&self.groups[0].0, &self.written);
        let watch = Stopwatch::start();
        while ends
            .iter()
            .any(|(partition, end)| self.read.get(partition).unwrap_or(&0) < end)
        {
            assert!(watch.elapsed() < PATIENCE, "the outputs cannot be read");
            let Some(message) = self.outputs.poll(Duration::from_millis(100)) else {
                continue;
            };
            let message = message.unwrap();
            let place = (message.topic().to_owned(), message.partition());
            self.read.insert(place, message.offset() + 1);
            let value = || -> Value { serde_json::from_slice(message.payload().unwrap()).unwrap() };
            said.push(if message.topic() == self.config.kafka.topics.status {
                Output::Status(value())
            } else if message.topic() == self.config.kafka.topics.dead_letters {
                let headers = message.headers().unwrap();
                let reason = headers
                    .iter()
                    .find(|header| header.key == "lacuna_reason")
                    .unwrap();
                Output::DeadLetter(String::from_utf8(reason.value.unwrap().to_vec()).unwrap())
            } else if message
                .topic()
                .starts_with(&self.config.kafka.topics.tasks_prefix)
            {
                Output::Task(value())
            } else {
                continue;
            });
        }
        said
    }
}

impl Environment for Broker {
    fn now(&self) -> At {
        self.clock.now()
    }

    fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The agenda has its own pace, and so have requests that follow others.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// In one leap: as if nobody had been at work meanwhile. That makes things late, never early; `settle` follows.
    async fn pass_until(&mut self, at: At) -> Result<(), Stuck> {
        self.clock.advance(at.since(self.clock.now()));
        Ok(())
    }

    async fn send(&mut self, topic: Topic, mut messages: Vec<Vec<u8>>) -> Result<Vec<String>, Stuck> {
        if matches!(topic, Topic::Backups) {
            // A backup system shows that it is itself.
            let engine = &self.running.as_ref().unwrap().engine;
            for message in &mut messages {
                *message = engine.backup_events().shown_by_token(message)?;
            }
        }
        if matches!(topic, Topic::Acks) {
            let mut written = Vec::new();
            for message in messages {
                let ack = serde_json::from_slice(&message)?;
                if !self.systems.say(&ack, &self.caller).await? {
                    written.push(message);
                }
            }
            messages = written;
        }
        let topic = match topic {
            Topic::Commands => &self.config.kafka.topics.commands,
            Topic::Control => &self.config.kafka.topics.control,
            Topic::Acks => &self.config.kafka.topics.acks,
            Topic::Backups => &self.config.kafka.topics.backups,
            Topic::Operator => return Err(Stuck::Fell("an operator calls the API".to_owned())),
        };
        tokio::task::block_in_place(|| {
            for message in messages {
                let value: Value = serde_json::from_slice(&message).unwrap();
                self.publisher
                    .publish(topic, value["request_id"].as_str(), &message);
            }
            self.publisher.flush();
        });
        // The worker reads them when it comes to them.
        Ok(Vec::new())
    }

    fn answer(&mut self, system: &str, answers: Answers) -> Result<(), Stuck> {
        self.systems.answer(system, answers)
    }

    async fn emit(&mut self, event: UpstreamEvent) -> Result<Emitted, Stuck> {
        match event.inlet(&self.config)? {
            Inlet::Http(inlet) => Ok(Emitted::Answered(event.call(inlet, &self.caller).await?)),
            Inlet::Topic(topic) => {
                assert!(
                    event.headers.is_empty(),
                    "no upstream of a scenario writes headers"
                );
                tokio::task::block_in_place(|| {
                    self.publisher.publish(topic, None, event.body.as_bytes());
                    self.publisher.flush();
                });
                Ok(Emitted::Read(Vec::new()))
            }
        }
    }

    async fn rows(&mut self) -> Result<BTreeMap<String, i64>, Stuck> {
        match &self.agent {
            Some((agent, _)) => agent.rows().await,
            None => Ok(BTreeMap::new()),
        }
    }

    async fn apply(&mut self, _: &str) -> Result<(), Stuck> {
        Err(Stuck::Fell("the worker has its registry from a file".to_owned()))
    }

    /// The worker does it by itself, and whoever watches has patience.
    async fn measure(&mut self) -> Result<(), Stuck> {
        Ok(())
    }

    async fn settle(&mut self) -> Result<Vec<Output>, Stuck> {
        self.rest().await?;
        Ok(tokio::task::block_in_place(|| self.hear()))
    }
}

/// Names of its own, on the services that the tests run against.
fn move_to(config: &mut Config, store: &str) {
    let prefix = unique("s");
    let own = &mut config.kafka.topics;
    for topic in [
        &mut own.commands,
        &mut own.control,
        &mut own.acks,
        &mut own.backups,
        &mut own.status,
        &mut own.dead_letters,
        &mut own.tasks_prefix,
    ] {
        *topic = topic.replace("lacuna.", &format!("{prefix}."));
    }
    for source in &mut config.sources {
        if let Inlet::Topic(topic) = &mut source.inlet {
            *topic = format!("{prefix}.{topic}");
        }
    }
    config.kafka.group_id = prefix;
    config.kafka.bootstrap_servers = Brokers::Servers(service("LACUNA_TEST_KAFKA"));
    config.store.url = StoreUrl::Postgres(Secret::new(store));
    config.http.listen.set_port(0);
}

/// The topic of an upstream, which Lacuna never creates.
fn upstreams_topic(name: &str) -> NeededTopic {
    NeededTopic {
        name: name.to_owned(),
        purpose: "events",
        writers: "the upstream",
        readers: "lacuna",
        partitions: 1,
        compacted: false,
        large: false,
    }
}

fn client(group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", service("LACUNA_TEST_KAFKA"));
    config.set("group.id", group).set("enable.auto.commit", "false");
    config.create().unwrap()
}

fn reader(partitions: &[Partition]) -> BaseConsumer {
    let consumer = client("tests");
    let mut all = TopicPartitionList::new();
    for (topic, partition) in partitions {
        all.add_partition_offset(topic, *partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&all).unwrap();
    consumer
}

/// Where these partitions end now.
fn ends_of(consumer: &BaseConsumer, partitions: &[Partition]) -> Vec<(Partition, i64)> {
    let end =
        |(topic, partition): &Partition| consumer.fetch_watermarks(topic, *partition, PATIENCE).unwrap().1;
    partitions
        .iter()
        .map(|partition| (partition.clone(), end(partition)))
        .collect()
}
