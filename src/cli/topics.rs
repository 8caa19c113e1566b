//! `lacuna topics`: creates and lists the topics that a configuration and its registry need.

use std::collections::BTreeMap;

use super::{
    Exit, Failure,
    output::{Out, Table},
    session::{self, ConfigArg, block_on},
};
use crate::{
    app::topics::needed,
    config::Config,
    domain::registry::Registry,
    kafka::{
        KafkaError,
        admin::{Admin, Made, Topic},
        client::Cluster,
    },
};

/// Arguments of `lacuna topics`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna topics create --replication 3")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Creates the topics that are missing, those of the processors too, and prints who may write and read each.
    #[command(
        after_help = "Existing topics are left as they are, so it is harmless when it runs again. The printed \
        commands name placeholders in <> for the principals of your cluster. Partitions never become fewer.\n\n\
        Examples:\n  lacuna topics create --replication 3\n  lacuna topics create --partitions 12 --grow"
    )]
    Create {
        #[command(flatten)]
        config: ConfigArg,
        /// How many brokers keep each partition; the cluster's own default where it is absent.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
        replication: Option<i16>,
        /// Adds the partitions that kafka.partitions has more, to topics that are there; workers read them within a minute.
        #[arg(long)]
        grow: bool,
        /// How many partitions the topics of commands and of acks have, instead of kafka.partitions.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
        partitions: Option<i32>,
    },
    /// Lists the topics: name, purpose, partitions, and whether each exists.
    #[command(after_help = "Example:\n  lacuna topics list")]
    List {
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Create {
            config,
            replication,
            grow,
            partitions,
        } => create(&config, replication, grow, partitions),
        Action::List { config } => list(&config),
    }
}

/// What a command about topics works on.
struct Wanted {
    config: Config,
    registry: Registry,
    cluster: Cluster,
    topics: Vec<Topic>,
}

impl Wanted {
    /// `partitions`: how many those of commands and acks have, instead of what the configuration says.
    fn load(arg: &ConfigArg, partitions: Option<i32>) -> Result<Self, Failure> {
        let (mut config, registry) = Config::load_with_registry(arg.path())?;
        if let Some(count) = partitions {
            config.kafka.topics.partitions.commands = count;
            config.kafka.topics.partitions.acks = count;
        }
        let cluster = session::cluster(&config)?;
        let topics = needed(&config.kafka.topics, &registry);
        Ok(Self {
            config,
            registry,
            cluster,
            topics,
        })
    }

    async fn there(&self) -> Result<(Admin, BTreeMap<String, i32>), Failure> {
        let cluster = self.cluster.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let admin = Admin::new(&cluster)?;
            let there = admin.list()?;
            Ok::<_, KafkaError>((admin, there))
        });
        Ok(asked.await.map_err(|_| KafkaError::Ended("listing topics"))??)
    }
}

fn create(
    arg: &ConfigArg,
    replication: Option<i16>,
    grow: bool,
    partitions: Option<i32>,
) -> Result<Exit, Failure> {
    let wanted = Wanted::load(arg, partitions)?;
    let (before, made, grown) = block_on(async {
        let (admin, before) = wanted.there().await?;
        // -1: the broker's own default.
        let made = admin
            .create(&wanted.topics, replication.map_or(-1, i32::from))
            .await?;
        let mut grown = Vec::new();
        for topic in wanted.topics.iter().filter(|_| grow) {
            let has = before.get(&topic.name).copied();
            if has.is_some_and(|has| has < topic.partitions) {
                admin.grow(&topic.name, topic.partitions).await?;
                grown.push(&topic.name);
            }
        }
        Ok((before, made, grown))
    })?;
    let mut out = Out::stdout();
    for topic in &wanted.topics {
        let created = made
            .iter()
            .any(|(name, made)| *name == topic.name && *made == Made::Created);
        let has_grown = grown.contains(&&topic.name);
        let partitions = match before.get(&topic.name) {
            Some(before) if !has_grown => *before,
            _ => topic.partitions,
        };
        let note = match (created, has_grown) {
            (true, _) => "created",
            (false, true) => "grown  ",
            (false, false) => "existed",
        };
        out.line(format_args!(
            "{note}  {}  ({}, {partitions} partitions)",
            topic.name, topic.purpose
        ))?;
    }
    out.line("")?;
    print_acls(&mut out, &wanted)?;
    print_acls_of_sources(&mut out, &wanted)?;
    out.end()?;
    Ok(Exit::Ok)
}

/// Who may write and read each topic, as commands for a cluster with ACLs.
fn print_acls(out: &mut Out, wanted: &Wanted) -> Result<(), Failure> {
    out.line(
        "# Who may write and read each topic. On a cluster with ACLs, with your principals for those in <>:",
    )?;
    for topic in &wanted.topics {
        let acl = |who: &str, rights: &str| {
            format!(
                "kafka-acls.sh --bootstrap-server {} --add --allow-principal 'User:<{who}>' --topic '{}' {rights}",
                wanted.cluster.servers, topic.name
            )
        };
        out.line(format_args!(
            "# {} ({}): written by {}, read by {}",
            topic.name,
            topic.purpose,
            topic.writers,
            reader(wanted, topic)
        ))?;
        if topic.name == wanted.config.kafka.topics.control {
            out.line(
                "# Whoever writes it decides about requests and places and releases holds, so few may, each under a principal of its own.",
            )?;
        }
        if Some(&topic.name) == wanted.config.kafka.topics.suppression.as_ref() {
            out.line(
                "# Whoever reads it needs a tenant's key, which `lacuna keys suppression` prints: give it to those alone who hold the identifiers anyway.",
            )?;
        }
        if topic.name == wanted.config.kafka.topics.backups {
            for line in backup_notes(&wanted.registry) {
                out.line(line)?;
            }
        }
        out.line(acl(topic.writers, "--producer"))?;
        let reader = reader(wanted, topic);
        let kafka = &wanted.config.kafka;
        let group = if topic.name == kafka.topics.acks {
            format!("'{}'", kafka.ack_group())
        } else if topic.name == kafka.topics.backups {
            format!("'{}'", kafka.backup_group())
        } else if reader == "lacuna" {
            format!("'{}'", kafka.group_id)
        } else {
            format!("'<group of {reader}>'")
        };
        out.line(acl(&reader, &format!("--consumer --group {group}")))?;
    }
    Ok(())
}

/// What Lacuna needs on the topics of upstreams.
fn print_acls_of_sources(out: &mut Out, wanted: &Wanted) -> Result<(), Failure> {
    let mut shown: Vec<&str> = Vec::new();
    for source in &wanted.config.sources {
        let Some(topic) = source.topic().filter(|topic| !shown.contains(topic)) else {
            continue;
        };
        shown.push(topic);
        out.line(format_args!(
            "# {topic} (source {}): its upstream's, which creates it and writes it; read by lacuna",
            source.name()
        ))?;
        out.line(format_args!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal 'User:<lacuna>' --topic '{topic}' --consumer --group '{}'",
            wanted.cluster.servers,
            wanted.config.kafka.source_group(topic)
        ))?;
    }
    if !shown.is_empty() {
        out.line(format_args!(
            "# Dead letters of sources are redriven as commands: whoever redrives writes {}, as those that send commands do.",
            wanted.config.kafka.topics.commands
        ))?;
    }
    Ok(())
}

/// Whoever writes that a backup has rotated says that data is gone, so only the backup systems may.
fn backup_notes(registry: &Registry) -> Vec<String> {
    let sets: Vec<String> = registry
        .processors
        .iter()
        .filter_map(|processor| Some((processor, processor.backup.as_ref()?)))
        .map(|(processor, backup)| format!("{} (set {})", processor.id, backup.set))
        .collect();
    if sets.is_empty() {
        return vec!["# No backup set is registered, so nobody has to write it yet.".to_owned()];
    }
    vec![format!(
        "# Whoever writes it proves that copies are gone, so only backup systems may: {}.",
        sets.join(", ")
    )]
}

/// Who reads a topic; a processor by its id.
fn reader(wanted: &Wanted, topic: &Topic) -> String {
    let topics = &wanted.config.kafka.topics;
    let processor = wanted
        .registry
        .processors
        .iter()
        .find(|processor| topics.tasks_of(processor).as_ref() == Some(&topic.name));
    processor.map_or_else(|| topic.readers.to_owned(), |processor| processor.id.to_string())
}

fn list(arg: &ConfigArg) -> Result<Exit, Failure> {
    let wanted = Wanted::load(arg, None)?;
    let (_, there) = block_on(wanted.there())?;
    let mut table = Table::new(&["topic", "purpose", "partitions", "exists"]);
    for topic in &wanted.topics {
        let found = there.get(&topic.name);
        table.row([
            topic.name.clone(),
            topic.purpose.to_owned(),
            found.unwrap_or(&topic.partitions).to_string(),
            if found.is_some() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    // Those of upstreams are only read: nobody creates them here.
    for source in &wanted.config.sources {
        let Some(topic) = source.topic() else { continue };
        let found = there.get(topic);
        table.row([
            topic.to_owned(),
            format!("source {}", source.name()),
            found.map(ToString::to_string).unwrap_or_default(),
            if found.is_some() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let mut out = Out::stdout();
    out.table(&table)?;
    out.end()?;
    Ok(Exit::Ok)
}
