//! The cluster: topics, how long they keep messages, who may see them, how far they were taken in.

use std::{collections::BTreeMap, time::Duration};

use super::Findings;
use crate::{
    app::topics::needed,
    cli::{positions::Look, session},
    config::Config,
    domain::{registry::Registry, time::At},
    kafka::{
        KafkaError,
        admin::{Admin, Described, Topic},
    },
    store::Store,
    telemetry::logs::chain,
};

/// What comes in while nobody reads has to be there still when somebody does: the shortest that makes sense over a weekend.
const SHORTEST: Duration = Duration::from_secs(3 * 24 * 3600);
/// Beyond this a lag is worth a look.
const LAG: i64 = 10_000;
/// A partition that no worker has looked at for so long is read by none: they say so every second.
const UNREAD_FOR: Duration = Duration::from_secs(60);

/// Looks at brokers and topics. Whether the cluster was reached.
pub(super) async fn look(config: &Config, registry: &Registry, findings: &mut Findings) -> bool {
    let Ok(cluster) = session::cluster(config) else {
        findings.warn(
            "kafka",
            "the broker is embedded: it is memory only, and lives within `lacuna serve`",
            "name a real one in kafka.bootstrap_servers before anything depends on it",
        );
        return false;
    };
    let topics = needed(&config.kafka.topics, registry);
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let asked = async {
        let admin = Admin::new(&cluster)?;
        admin.check_session(config.dispatch.lease).await?;
        admin.describe(&names).await
    };
    let described = match asked.await {
        Ok(described) => described,
        Err(error @ KafkaError::SessionRefused { .. }) => {
            findings.wrong(
                "kafka",
                chain(&error),
                "change dispatch.lease, or the brokers' setting",
            );
            return false;
        }
        Err(error) => {
            findings.away("kafka", chain(&error), "docs/runbooks/kafka-unreachable.md");
            return false;
        }
    };
    findings.fine("kafka", format!("{}: reached", cluster.servers));
    for topic in &topics {
        match described.get(&topic.name) {
            None => findings.wrong(
                "topics",
                format!("{} does not exist", topic.name),
                "`lacuna topics create`",
            ),
            Some(Err(code)) => findings.wrong(
                "topics",
                format!("{} cannot be seen: {code}", topic.name),
                "`lacuna topics create` prints the rights that it needs",
            ),
            Some(Ok(found)) => judge(config, topic, found, findings),
        }
    }
    true
}

/// One topic that is there.
fn judge(config: &Config, topic: &Topic, found: &Described, findings: &mut Findings) {
    let before = findings.counts();
    let name = &topic.name;
    if found.without_leader > 0 {
        findings.wrong(
            "topics",
            format!("{name} has {} partitions without a leader", found.without_leader),
            "look at the brokers that hold them",
        );
    }
    if found.replicas < 2 {
        findings.warn(
            "topics",
            format!("{name} is on one broker only: it is lost with that broker's disk"),
            "three replicas and min.insync.replicas=2 (kafka-reassign-partitions.sh)",
        );
    }
    if found.partitions < topic.partitions {
        findings.warn(
            "topics",
            format!(
                "{name} has {} partitions, and the configuration says {}",
                found.partitions, topic.partitions
            ),
            "`lacuna topics create --grow`",
        );
    }
    match &found.settings {
        None => findings.warn(
            "topics",
            format!("what {name} is set to is not said to this client"),
            "give it the right DescribeConfigs, or look yourself: cleanup.policy, retention.ms, max.message.bytes",
        ),
        Some(settings) => settings_of(config, topic, settings, findings),
    }
    if findings.counts().0 == before.0 && findings.counts().1 == before.1 {
        findings.fine("topics", format!("{name}: {} partitions", found.partitions));
    }
}

fn settings_of(config: &Config, topic: &Topic, settings: &BTreeMap<String, String>, findings: &mut Findings) {
    let name = &topic.name;
    let setting = |key: &str| settings.get(key).map(String::as_str).unwrap_or_default();
    for (key, value) in topic.settings() {
        let is_right = match key {
            "max.message.bytes" => setting(key).parse::<u64>().ok() >= value.parse().ok(),
            _ => setting(key) == value,
        };
        if !is_right {
            findings.wrong(
                "topics",
                format!("{name} has {key}={}, and needs {value}", setting(key)),
                format!("kafka-configs.sh --alter --topic {name} --add-config {key}={value}"),
            );
        }
    }
    if topic.compacted {
        return;
    }
    let policy = setting("cleanup.policy");
    if policy != "delete" {
        findings.wrong(
            "topics",
            format!("{name} has cleanup.policy={policy}: compaction takes records away that nobody has read"),
            format!("kafka-configs.sh --alter --topic {name} --add-config cleanup.policy=delete"),
        );
    }
    let Ok(millis) = setting("retention.ms").parse::<i64>() else {
        return;
    };
    let longest = longest(config);
    let kept = u64::try_from(millis).map(Duration::from_millis);
    match kept {
        Ok(kept) if kept < SHORTEST => findings.warn(
            "topics",
            format!("{name} keeps messages for {} h: what comes in over a weekend without a worker is lost", kept.as_secs() / 3600),
            "raise retention.ms to three days or more",
        ),
        Ok(kept) if kept > longest => findings.warn(
            "topics",
            format!(
                "{name} keeps messages for {} days, longer than the {} days of the policy's regime: identifiers stay readable in it after their erasure",
                kept.as_secs() / 86_400,
                longest.as_secs() / 86_400
            ),
            "lower retention.ms",
        ),
        Err(_) => findings.wrong(
            "topics",
            format!("{name} keeps messages for ever (retention.ms=-1): identifiers stay readable in it after their erasure"),
            "set retention.ms to no more than the policy's period",
        ),
        Ok(_) => {}
    }
}

/// How long a message may be kept: as long as a request of the policy's regime has, and a week for a long weekend.
fn longest(config: &Config) -> Duration {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let policy = &config.policy;
    let now = At::from_millis(0);
    let Some(terms) = policy.regimes.terms(&policy.regime) else {
        return WEEK;
    };
    terms.respond_by.after(now, &policy.calendar).rolled.since(now) + WEEK
}

/// Looks at how far each partition was taken in, and whether any worker reads it.
pub(super) async fn positions(config: &Config, store: &dyn Store, findings: &mut Findings) {
    let Ok(look) = Look::take(config).await else {
        // What is missing is said already.
        return;
    };
    let now = store.now().await.unwrap_or(At::from_millis(0));
    let stored = store.positions(look.cluster()).await.unwrap_or_default();
    let mut is_well = true;
    for shown in look.all() {
        let name = format!("{}/{}", shown.topic, shown.partition);
        if let Some(why) = &shown.why {
            is_well = false;
            findings.wrong(
                "positions",
                format!("{name} is not read: {why}"),
                "docs/runbooks/lost-log.md",
            );
            continue;
        }
        let lag = match (shown.next_offset, shown.low, shown.high) {
            (Some(next), Some(low), Some(high)) => high - next.max(low),
            (None, Some(low), Some(high)) => high - low,
            _ => 0,
        };
        if lag > LAG {
            is_well = false;
            findings.warn(
                "lag",
                format!("{lag} messages of {name} have not been taken in"),
                "docs/runbooks/lag.md",
            );
        }
        let position = stored
            .iter()
            .find(|position| position.topic == shown.topic && position.partition == shown.partition);
        let unread = position.map(|position| now.since(position.seen_until));
        if lag > 0 && unread.is_none_or(|unread| unread > UNREAD_FOR) {
            is_well = false;
            let since = unread.map_or_else(
                || "never".to_owned(),
                |unread| format!("not for {} min", unread.as_secs() / 60),
            );
            findings.wrong(
                "workers",
                format!("no worker reads {name} ({since}), and {lag} messages lie there"),
                "start a worker; docs/runbooks/not-ready.md",
            );
        }
    }
    if is_well {
        findings.fine("positions", "every partition is taken in");
    }
}
