//! `lacuna drop import`: a downloaded list becomes commands.

use std::collections::{BTreeSet, VecDeque};

use super::{
    super::{
        Exit, Failure,
        output::Out,
        session::{self, block_on},
    },
    ListArgs, read,
};
use crate::{
    clock::Clock,
    domain::{
        command::Command,
        ids::{RequestId, Tenant},
        time::At,
    },
    kafka::publish::{Outgoing, Pending, Publisher},
    store::FetchedList,
    wire::{Channel, Envelope, ce_headers, command, parse_command},
};

/// Where the commands of this subcommand come from.
const SOURCE: &str = "/lacuna/drop";
/// How many commands may be unconfirmed.
const WINDOW: usize = 1000;

pub(super) fn run(args: &ListArgs) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let (list, lines) = read(&args.file)?;
    let tenant = args.tenant.as_ref().unwrap_or(&config.tenant_default);
    if !config.serves(tenant) {
        return Err(Failure::Usage(
            "--tenant: not one of those that the configuration lists".to_owned(),
        ));
    }
    let now = Clock::System.now();
    let zone = &config.policy.calendar_of(Some(tenant)).zone;
    // The 45 days run from the download, of which the list names the day.
    let requested_at = list
        .day
        .to_zoned(zone.clone())
        .map(|start| At::from(start.timestamp()));
    let requested_at = requested_at.ok().filter(|at| *at <= now).ok_or_else(|| {
        Failure::Usage(format!(
            "{}: the day of the list lies in the future",
            args.file.display()
        ))
    })?;
    let commands = lines.iter().map(|line| {
        let payload = list.command(line, tenant, requested_at).to_string().into_bytes();
        (list.request_id(line), payload)
    });
    // Every line makes the same command but for its ids and its hash, which have been checked.
    if let Some((_, payload)) = commands.clone().next() {
        check(&payload, &config.tenant_default)?;
    }
    let cluster = session::cluster(&config)?;
    let topic = &config.kafka.topics.commands;
    block_on(async {
        // Before anything is published: a list that nobody could remember would be missed in its watch.
        let store = session::open_store(&config).await?;
        let publisher = Publisher::connect(&cluster, BTreeSet::from([topic.clone()])).await?;
        publish(&publisher, topic, commands).await?;
        let fetched = FetchedList {
            broker: list.broker.clone(),
            day: list.day.to_string(),
            kind: list.kind.to_string(),
            count: lines.len() as u64,
        };
        Ok(store.drop_fetched(&fetched, now).await?)
    })?;
    let mut out = Out::stdout();
    out.line(format_args!(
        "{} commands published to {topic}, as {}: the same list again changes nothing",
        lines.len(),
        list.kind.identity_type()
    ))?;
    out.end()?;
    Ok(Exit::Ok)
}

/// Publishes them, and waits until each is confirmed.
async fn publish(
    publisher: &Publisher,
    topic: &str,
    commands: impl Iterator<Item = (RequestId, Vec<u8>)>,
) -> Result<(), Failure> {
    let mut flying: VecDeque<Pending> = VecDeque::new();
    for (request, payload) in commands {
        if flying.len() >= WINDOW
            && let Some(earlier) = flying.pop_front()
        {
            earlier.confirmed().await?;
        }
        let event_id = request.to_string();
        let message = Outgoing {
            topic,
            key: Some(event_id.clone()),
            headers: ce_headers(&event_id, SOURCE, command::EVENT_TYPE).to_vec(),
            payload: &payload,
        };
        flying.push_back(publisher.send(&message).await?);
    }
    for pending in flying {
        pending.confirmed().await?;
    }
    Ok(())
}

/// As intake will read it: whatever it would refuse is refused here.
fn check(payload: &[u8], tenant: &Tenant) -> Result<(), Failure> {
    let parsed = parse_command(payload, &Envelope::bare(tenant), Channel::Commands);
    match parsed.map(|parsed| parsed.command) {
        Ok(Command::Open(_)) => Ok(()),
        Ok(_) => Err(Failure::Usage("a line makes no erasure".to_owned())),
        Err(rejection) => Err(Failure::Usage(rejection.to_string())),
    }
}
