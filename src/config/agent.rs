//! `agent.toml`: what an agent takes its tasks from, and what it carries them out on.

mod command;
mod metrics;
mod objects;
mod source;
mod sql;
mod topics;

use std::{net::SocketAddr, path::Path};

pub use self::{
    command::AgentCommand,
    objects::{Bucket, Objects, ObjectsAt},
    source::{AgentSource, HttpSource, KafkaSource},
    sql::{Action, Anonymized, Dialect, Generalized, KAnonymity, Sql, SqlTable, Through},
    topics::{CompactedTopic, KafkaTopics},
};
use super::{
    problems::Problems,
    read_file,
    reader::{Section, Source},
    secret::Secret,
};
use crate::domain::ids::ProcessorId;

/// The whole of `agent.toml`. Its checks have passed, its secrets are fetched, its paths are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Whose tasks it takes.
    pub processor: ProcessorId,
    /// Where they come from.
    pub source: AgentSource,
    /// What they are carried out on.
    pub place: AgentPlace,
    /// How many tasks it takes at a time.
    pub batch: u32,
    /// Where it shows its metrics; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
}

/// What tasks are carried out on: one an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentPlace {
    /// A database.
    Sql(Sql),
    /// A bucket or a folder.
    Objects(Objects),
    /// Topics of Kafka.
    KafkaTopics(KafkaTopics),
    /// A program.
    Command(AgentCommand),
}

/// A database does many tasks with one statement.
const SQL_BATCH: u32 = 500;
/// Tombstones of many tasks are confirmed, and read again, together; and a lease is long enough for so many.
const FEW: u32 = 100;

impl Agent {
    /// Reads a file, and finds every mistake in it.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let text = read_file(path, &name)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read_text(&name, folder, &text, &|name| std::env::var_os(name))
    }

    /// Reads a text.
    pub fn read_text(
        file: &str,
        folder: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, Problems> {
        let read = Source::new(file, folder, text, environment).read(read)?;
        // What is missing has been reported: without a problem all of it is there.
        read.ok_or_else(|| Problems::of_file(file, None, "incomplete".to_owned()))
    }
}

fn read(section: &Section<'_>) -> Option<Agent> {
    let processor = section
        .need("processor")
        .and_then(|e| e.checked(ProcessorId::new));
    let source = section.section("source", |source| source::read(source, processor.as_ref()));
    let hmac = section.get("hmac").and_then(|e| sql::hmac(&e));
    let place = place(section, hmac);
    let default = match &place {
        Some(AgentPlace::Sql(_)) => SQL_BATCH,
        Some(AgentPlace::KafkaTopics(_) | AgentPlace::Objects(_)) => FEW,
        Some(AgentPlace::Command(_)) | None => 1,
    };
    let metrics = section
        .get("metrics")
        .and_then(|e| e.table(metrics::read).flatten());
    let batch = section.integer_or("batch", 1..=500, default);
    Some(Agent {
        processor: processor?,
        source: source?,
        place: place?,
        batch,
        metrics,
    })
}

fn place(section: &Section<'_>, hmac: Option<Secret>) -> Option<AgentPlace> {
    const ONE: &str = "expected one of [sql], [objects], [kafka_topics] and [command]: an agent has one place; run another agent for another one";
    let known = ["sql", "objects", "kafka_topics", "command"];
    let given: Vec<_> = known
        .into_iter()
        .filter(|name| section.get(name).is_some())
        .collect();
    match given.as_slice() {
        ["sql"] => section
            .section("sql", |section| sql::read(section, hmac))
            .map(AgentPlace::Sql),
        ["objects"] => section.section("objects", objects::read).map(AgentPlace::Objects),
        ["kafka_topics"] => section
            .section("kafka_topics", topics::read)
            .map(AgentPlace::KafkaTopics),
        ["command"] => section.section("command", command::read).map(AgentPlace::Command),
        [] => {
            section.problem("sql", ONE);
            None
        }
        given => {
            section.problem(given[given.len() - 1], ONE);
            for name in given.iter().copied() {
                // Only the first mistake is worth saying.
                if let Some(entry) = section.get(name) {
                    entry.table(Section::take_any);
                }
            }
            None
        }
    }
}
