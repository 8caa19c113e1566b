//! The processors of a benchmark: all alike, but for how they are asked, and for those that are dead.

use std::{fmt::Write, path::PathBuf};

use super::{Args, BenchError};
use crate::lab::sim::{Dead, Fleet, Receiver, Simulated};

/// How simulated processors are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Asked {
    /// Through a topic each.
    #[default]
    Kafka,
    /// By webhooks, all of them on one receiver in this process.
    Webhook,
    /// As vendors that take fifty people in one call, imitated by a receiver in this process.
    Vendor,
    /// By an agent, which erases people from a PostgreSQL (--sql).
    AgentSql,
}

/// The connector of those vendors.
pub(super) const CONNECTOR: &str = include_str!("vendor.toml");

/// Who answers in a benchmark.
pub(super) enum Answering {
    /// Those that read topics.
    Fleet(Fleet),
    /// Those that listen for webhooks.
    Receiver(Receiver),
}

/// The registry, and who listens where processors are called.
pub(super) async fn set_up(args: &Args) -> Result<(Option<Receiver>, String), BenchError> {
    match args.transport {
        Asked::Kafka | Asked::Vendor if args.dead > 0 || args.tls.is_some() => {
            Err(BenchError::Usage("--dead and --tls go with --transport webhook"))
        }
        // An agent has a benchmark of its own.
        Asked::Kafka | Asked::AgentSql => Ok((None, on_topics(args.processors))),
        Asked::Vendor => {
            let receiver = Receiver::start(None).await?;
            let registry = as_vendors(args.processors, &receiver);
            Ok((Some(receiver), registry))
        }
        Asked::Webhook if args.dead >= args.processors => {
            Err(BenchError::Usage("--dead: at least one processor has to be well"))
        }
        Asked::Webhook => {
            let receiver = Receiver::start(args.tls.as_deref()).await?;
            let ca = args.tls.as_ref().map(|folder| folder.join("ca.pem"));
            let registry = on_webhooks(args.processors, args.dead, &receiver, ca);
            Ok((Some(receiver), registry))
        }
    }
}

/// The id of the n-th processor.
fn processor_id(n: u32) -> String {
    format!("p{n:02}")
}

/// So many processors that read topics. Each takes the usual two identities.
fn on_topics(processors: u32) -> String {
    let transport = |_| "{ type = \"kafka\" }".to_owned();
    registry(processors, transport, "")
}

/// So many processors that listen for webhooks, the last ones of them dead.
fn on_webhooks(processors: u32, dead: u32, receiver: &Receiver, ca: Option<PathBuf>) -> String {
    // Any secret will do: the receiver measures, and verifies nothing.
    const SECRET: &str = "whsec_bGFjdW5hIGJlbmNoIGxhY3VuYSBiZW5jaA==";
    let ca = ca.map_or_else(String::new, |ca| format!(", ca = {:?}", ca.display().to_string()));
    let transport = |n: u32| {
        let dead = (n > processors - dead).then(|| Dead::nth(n));
        let url = receiver.url(&processor_id(n), dead);
        format!("{{ type = \"webhook\", url = {url:?}, secret = {SECRET:?}, timeout = \"5s\"{ca} }}")
    };
    registry(processors, transport, "concurrency = 32\n")
}

/// So many vendors that are called in batches.
fn as_vendors(processors: u32, receiver: &Receiver) -> String {
    let transport = |n: u32| {
        let url = receiver.vendor_url(&processor_id(n));
        format!("{{ type = \"vendor\", connector = \"bench\", url = {url:?} }}")
    };
    registry(processors, transport, "")
}

/// The processors that read these topics.
pub(super) fn simulated(
    processors: u32,
    prefix: &str,
    character: crate::lab::sim::Character,
) -> Vec<Simulated> {
    let one = |n| Simulated {
        topic: format!("{prefix}{}", processor_id(n)),
        character,
    };
    (1..=processors).map(one).collect()
}

fn registry(processors: u32, transport: impl Fn(u32) -> String, more: &str) -> String {
    let mut text = String::new();
    for n in 1..=processors {
        // Writing to a `String` cannot fail.
        writeln!(
            text,
            "[[processor]]\nid = \"{}\"\nkind = \"other\"\ntransport = {}\nactions = [\"erase\"]\n\
             identities = [\"email\", \"customer_id\"]\n{more}",
            processor_id(n),
            transport(n)
        )
        .unwrap_or_default();
    }
    text
}
