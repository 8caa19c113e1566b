//! Every metric, with its help text beside its name. Labels never hold a subject, a request or free text.

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::freshness::{Freshness, GaugeGroup};
use crate::{
    domain::time::At,
    domain::words::{DeadLetterReason, Status, TaskStateName, Why},
    store::{CounterKey, Observer},
};

/// From a millisecond to a minute: transactions.
const TRANSACTION_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// From a tenth of a second to 90 days: answers and whole requests.
const LIFE_BUCKETS: &[f64] = &[
    0.1,
    0.5,
    1.0,
    5.0,
    30.0,
    60.0,
    300.0,
    1_800.0,
    3_600.0,
    21_600.0,
    86_400.0,
    259_200.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
    5_184_000.0,
    7_776_000.0,
];

/// A metric, as its page in the documentation shows it.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// With its prefix.
    pub name: &'static str,
    /// One of `counters`, `gauge`, `gauges`, `histograms`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Declares the metrics: field, kind, name, labels, help.
macro_rules! metrics {
    ($($field:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal $(, buckets $buckets:expr)?;)+) => {
        /// Every metric.
        pub const METRICS: &[Described] = &[$(Described {
            name: concat!("lacuna_", $name),
            kind: stringify!($kind),
            labels: &[$($label),*],
            help: $help,
        }),+];

        /// The metrics of one worker.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            freshness: Freshness,
            $(#[doc = $help] pub $field: metrics!(@type $kind),)+
        }

        impl Metrics {
            /// Makes and registers them.
            pub fn new() -> Result<Self, prometheus::Error> {
                let registry = Registry::new_custom(Some("lacuna".to_owned()), None)?;
                $(
                    let $field = metrics!(@make $kind $name [$($label),*] $help $(, $buckets)?);
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { registry, freshness: Freshness::start(), $($field),+ })
            }
        }
    };
    (@type counters) => { IntCounterVec };
    (@type gauges) => { IntGaugeVec };
    (@type gauge) => { IntGauge };
    (@type histograms) => { HistogramVec };
    (@make counters $name:literal [$($label:literal),*] $help:literal) => {
        IntCounterVec::new(Opts::new($name, $help), &[$($label),*])?
    };
    (@make gauges $name:literal [$($label:literal),*] $help:literal) => {
        IntGaugeVec::new(Opts::new($name, $help), &[$($label),*])?
    };
    (@make gauge $name:literal [] $help:literal) => { IntGauge::with_opts(Opts::new($name, $help))? };
    (@make histograms $name:literal [$($label:literal),*] $help:literal, $buckets:expr) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets($buckets.to_vec()), &[$($label),*])?
    };
}

metrics! {
    commands: counters "commands_total" ["type", "result"] "Commands read, by type and what became of them.";
    tenant_commands: counters "tenant_commands_total" ["tenant", "type", "result"] "Commands read for the tenants that the configuration lists, by type and what became of them.";
    requests: gauges "requests" ["status"] "Requests in the store, by status, final ones included.";
    requests_overdue: gauge "requests_overdue" [] "Requests whose deadline has passed while live systems are not clean.";
    requests_at_risk: gauge "requests_at_risk" [] "Requests with little of their period left while live systems are not clean.";
    oldest_open: gauge "oldest_open_request_seconds" [] "Age of the oldest request that is not closed.";
    request_duration: histograms "request_duration_seconds" ["action"] "Time from receipt to the end of a request.", buckets LIFE_BUCKETS;
    tasks: gauges "tasks" ["processor", "state"] "Tasks in the store, by processor and state.";
    task_ack: histograms "task_ack_seconds" ["processor"] "Time from sending a task to an answer that counts.", buckets LIFE_BUCKETS;
    dispatches: counters "dispatches_total" ["processor", "outcome"] "Attempts of tasks that were decided to be sent (sent), and tasks that the topic of their processor did not take (undeliverable), by processor.";
    undeliverable: gauges "undeliverable_tasks" ["processor"] "Tasks that the topic of their processor does not take: it is missing or forbidden, has no leader, or takes less than they are.";
    queued: gauges "queued_tasks" ["processor"] "Tasks in the queue of a lane: it has a rate or a number of calls at a time, or somebody has stopped it, or its circuit is open.";
    in_flight: gauges "lane_in_flight" ["processor"] "Calls to a processor that are under way in this worker.";
    sends: counters "sends_total" ["processor", "outcome"] "Calls to processors, by what came of them: answered, failed, not_now (it asks for patience), unauthorised.";
    send_duration: histograms "send_seconds" ["processor"] "Duration of calls to processors.", buckets TRANSACTION_BUCKETS;
    circuit_open: gauges "circuit_open" ["processor"] "1 where nothing is sent to a processor but one task now and then, because it fails or does not let us in.";
    acks: counters "acks_total" ["processor", "outcome"] "Acks read, by processor (none where it could not be trusted) and outcome.";
    attested: counters "attested_total" ["processor"] "Tasks closed by the term that their vendor has published (completes_by), by processor: nobody has confirmed them.";
    abandoned: gauges "abandoned_tasks" ["processor"] "Tasks given up until an operator retries or waives them.";
    lane_paused: gauges "lane_paused" ["processor"] "1 where somebody has paused the lane of a processor: nothing is sent to it until it is resumed.";
    brake: gauge "brake" [] "1 while the brake is on: nothing is sent to anybody until it is taken off.";
    deferred: gauges "deferred" ["reason"] "Tasks that wait for a date, an event or the end of a legal hold, by reason.";
    deferred_overdue: gauges "deferred_overdue" ["processor"] "Deferred tasks whose date has passed: a backup that has not proved its rotation, a part that should have woken.";
    sweep_remaining: gauges "sweep_remaining" ["fact"] "Requests that sweeps still have to look at, about, by the kind of fact.";
    backup_contradictions: counters "backup_contradictions_total" ["processor"] "Backup events that contradict what is known of their set: a locked copy that is said to be gone, one said to be gone that is there.";
    requests_set_aside: counters "requests_set_aside_total" ["use_case"] "Requests that the program failed at, and set aside: they need attention, and are tried again after an hour.";
    lost_history: counters "store_history_lost_total" ["of"] "Times that the store's facts or registry were not the ones that this worker knew: a failover or a backup that was put back lost commits.";
    dead_letters: counters "dead_letters_total" ["reason"] "Messages that could not be taken in.";
    dead_letters_open: gauges "dead_letters_open" ["reason"] "Dead letters that nobody has redriven or closed.";
    dead_letter_oldest: gauge "dead_letter_oldest_open_seconds" [] "Age of the oldest open dead letter.";
    dead_erasures_open: gauge "dead_lettered_erasures_open" [] "Erase and anonymize commands among the open dead letters: legal duties that nobody carries out.";
    dead_erasure_oldest: gauge "dead_lettered_erasure_oldest_open_seconds" [] "Age of the oldest of them.";
    dead_letter_payload_bytes: gauges "dead_letter_payload_bytes" ["topic"] "Sealed bytes that are kept of the dead letters of a topic; beyond vault.dead_letters_mib only their places are.";
    dead_letter_payloads_not_kept: counters "dead_letter_payloads_not_kept_total" ["topic"] "Dead letters of which only the place is kept, because their topic had no room left for payloads.";
    dead_letters_dropped: counters "dead_letters_dropped_total" ["topic"] "Open dead letters that ask for no erasure and are only counted any more, because their topic had more than vault.dead_letters_count.";
    registry_mismatch: gauge "registry_mismatch" [] "1 where this worker's registry file differs from the active revision.";
    consumer_lag: gauges "consumer_lag" ["topic", "partition"] "Messages in a partition that have not been taken in.";
    open_transaction: gauges "open_transaction_seconds" ["topic", "partition"] "How long the first transaction in a partition has been open: nothing behind its first record can be read. 0: there is none.";
    producer_throttled: gauge "producer_throttled" [] "1 where the brokers have throttled what this worker produces within the last minute (a quota of its client): outputs take longer.";
    partition_stopped: gauges "partition_stopped" ["topic", "partition"] "1 where a partition is not read because its log is not the one that was taken in, or has lost what was not: see `lacuna positions list`.";
    strays: counters "unknown_replays_total" ["topic"] "Messages before the position of their partition that the store does not know.";
    transactions: histograms "store_transaction_seconds" ["name"] "Duration of store transactions, by name.", buckets TRANSACTION_BUCKETS;
    ledger_entries: gauge "ledger_entries" [] "Entries in the ledger.";
    vault_sealed: gauge "vault_sealed_requests" [] "Requests whose identifiers can still be opened, those among them that only a capsule has for a restore included.";
    suppression_checks: counters "suppression_checks_total" ["result"] "Identities that were looked up in the suppression list, by whether they are in it (suppressed, clear).";
    expired_lookups: counters "expired_lookups_total" [] "Closed requests whose keyed digests were deleted because vault.lookups_keep is over.";
    purged_requests: counters "purged_requests_total" [] "Closed requests whose rows were deleted because vault.records_keep is over.";
    auth_failures: counters "auth_failures_total" ["kind"] "Calls without a valid token (token) or with the wrong role (role).";
    task_last_success: gauges "task_last_success_timestamp_seconds" ["task"] "When a periodic task of this worker (agenda, expiry, sweeps, lanes, …) did its work the last time, in Unix time.";
    gauges_age: gauges "gauges_age_seconds" ["gauge"] "How long ago these gauges were read from the store. They are read every second; older ones still show what was true then.";
    build_info: gauges "build_info" ["version", "commit"] "1, labelled with the version that runs.";
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Set by whoever builds a release.
const COMMIT: &str = match option_env!("LACUNA_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

impl Metrics {
    /// A partition is not read, or it is read.
    pub fn partition_stopped(&self, topic: &str, partition: i32, stopped: bool) {
        let partition = partition.to_string();
        self.partition_stopped
            .with_label_values(&[topic, partition.as_str()])
            .set(i64::from(stopped));
    }

    /// So many messages in a partition have not been taken in.
    pub fn lag(&self, topic: &str, partition: i32, messages: i64) {
        let partition = partition.to_string();
        self.consumer_lag
            .with_label_values(&[topic, partition.as_str()])
            .set(messages.max(0));
    }

    /// The first transaction in a partition has been open for so long.
    pub fn open_transaction(&self, topic: &str, partition: i32, open: Duration) {
        let partition = partition.to_string();
        self.open_transaction
            .with_label_values(&[topic, partition.as_str()])
            .set(i64::try_from(open.as_secs()).unwrap_or(i64::MAX));
    }

    /// This worker has the partition no longer: what it said of it last is true no longer.
    pub fn forget_partition(&self, topic: &str, partition: i32) {
        let partition = partition.to_string();
        for gauges in [&self.consumer_lag, &self.open_transaction] {
            // A series that is not there was never set.
            gauges
                .remove_label_values(&[topic, partition.as_str()])
                .unwrap_or_default();
        }
    }

    /// A periodic task has done its work.
    pub fn task_succeeded(&self, task: &str, now: At) {
        self.task_last_success
            .with_label_values(&[task])
            .set(now.millis() / 1000);
    }

    /// A message before its position is unknown.
    pub fn stray(&self, topic: &str) {
        self.strays.with_label_values(&[topic]).inc();
    }

    /// A command was read.
    pub fn command(&self, kind: &str, result: &str) {
        self.commands.with_label_values(&[kind, result]).inc();
    }

    /// The same of one of the tenants that are listed: others could be anything that somebody writes.
    pub fn command_of_tenant(&self, tenant: &str, kind: &str, result: &str) {
        self.tenant_commands
            .with_label_values(&[tenant, kind, result])
            .inc();
    }

    /// The program failed at a request, which is set aside.
    pub fn set_aside(&self, use_case: &'static str) {
        self.requests_set_aside.with_label_values(&[use_case]).inc();
    }

    /// A message was dead-lettered.
    pub fn dead_letter(&self, reason: DeadLetterReason) {
        self.dead_letters.with_label_values(&[reason.as_str()]).inc();
    }

    /// Of a dead letter only its place is kept. Topics are those of the configuration, so they are few.
    pub fn letter_payload_not_kept(&self, topic: &str) {
        self.dead_letter_payloads_not_kept
            .with_label_values(&[topic])
            .inc();
    }

    /// So many bytes are kept of a topic's dead letters.
    pub fn letter_bytes(&self, topic: &str, bytes: u64) {
        self.dead_letter_payload_bytes
            .with_label_values(&[topic])
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// So many dead letters of a topic are only counted any more.
    pub fn letters_dropped(&self, topic: &str, count: u64) {
        self.dead_letters_dropped
            .with_label_values(&[topic])
            .inc_by(count);
    }

    /// An ack was read.
    pub fn ack(&self, processor: &str, outcome: &str) {
        self.acks.with_label_values(&[processor, outcome]).inc();
    }

    /// A published term has closed a task.
    pub fn attested(&self, processor: &str) {
        self.attested.with_label_values(&[processor]).inc();
    }

    /// The store has lost facts or revisions of the registry that this worker knew.
    pub fn other_history(&self, of: &str) {
        self.lost_history.with_label_values(&[of]).inc();
    }

    /// A backup event contradicts what is known of its set.
    pub fn backup_contradiction(&self, processor: &str) {
        self.backup_contradictions.with_label_values(&[processor]).inc();
    }

    /// A task was answered after this time.
    pub fn ack_time(&self, processor: &str, after: Duration) {
        self.task_ack
            .with_label_values(&[processor])
            .observe(after.as_secs_f64());
    }

    /// A task was sent, or could not be.
    pub fn dispatch(&self, processor: &str, outcome: &str) {
        self.dispatches.with_label_values(&[processor, outcome]).inc();
    }

    /// A call to a processor is over.
    pub fn send(&self, processor: &str, outcome: &str, took: Duration) {
        self.sends.with_label_values(&[processor, outcome]).inc();
        self.send_duration
            .with_label_values(&[processor])
            .observe(took.as_secs_f64());
    }

    /// So many calls to a processor are under way.
    pub fn in_flight(&self, processor: &str, calls: usize) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.in_flight.with_label_values(&[processor]).set(calls);
    }

    /// So many identities were looked up in the suppression list.
    pub fn suppression_checked(&self, suppressed: usize, clear: usize) {
        for (result, n) in [("suppressed", suppressed), ("clear", clear)] {
            self.suppression_checks
                .with_label_values(&[result])
                .inc_by(n as u64);
        }
    }

    /// Of so many closed requests the digests went, and of so many the rows.
    pub fn expired(&self, lookups: usize, records: usize) {
        let none: [&str; 0] = [];
        self.expired_lookups
            .with_label_values(&none)
            .inc_by(lookups as u64);
        self.purged_requests
            .with_label_values(&none)
            .inc_by(records as u64);
    }

    /// A request came to its end.
    pub fn request_duration(&self, action: &str, after: Duration) {
        self.request_duration
            .with_label_values(&[action])
            .observe(after.as_secs_f64());
    }

    /// Takes over the counters of the store. A series that has drained reports zero.
    pub fn take_counters(&self, counters: &[(CounterKey, i64)]) {
        self.tasks.reset();
        self.abandoned.reset();
        self.deferred.reset();
        self.undeliverable.reset();
        self.queued.reset();
        for status in Status::ALL {
            self.requests.with_label_values(&[status.as_str()]).set(0);
        }
        for gauge in [&self.requests_overdue, &self.requests_at_risk, &self.vault_sealed] {
            gauge.set(0);
        }
        for why in [Why::Retention, Why::BackupRotation, Why::Hold, Why::Verification] {
            self.deferred.with_label_values(&[why.as_str()]).set(0);
        }
        for (
            CounterKey {
                kind,
                a: processor,
                b: state,
            },
            n,
        ) in counters
        {
            match *kind {
                "tasks" => {
                    self.tasks.with_label_values(&[processor, state]).set(*n);
                    if state == TaskStateName::Abandoned.as_str() {
                        self.abandoned.with_label_values(&[processor]).set(*n);
                    }
                }
                "undeliverable" => self.undeliverable.with_label_values(&[processor]).set(*n),
                "queued" => self.queued.with_label_values(&[processor]).set(*n),
                "requests" => self.requests.with_label_values(&[state]).set(*n),
                "overdue" => self.requests_overdue.set(*n),
                "at_risk" => self.requests_at_risk.set(*n),
                "deferred" => self.deferred.with_label_values(&[state]).set(*n),
                "sealed" => self.vault_sealed.set(*n),
                _ => {}
            }
        }
    }

    /// Shows gauges of the store that were just read. Nobody sees them half shown.
    pub fn show(&self, group: GaugeGroup, show: impl FnOnce()) {
        self.freshness.show(group, show);
    }

    /// The text that Prometheus reads. Nothing is read for it: the gauges of the store are as old as they say.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        self.build_info.with_label_values(&[VERSION, COMMIT]).set(1);
        let families = self.freshness.look(|ages| {
            let mut unread = Vec::new();
            for (group, age, was_read) in ages {
                let age = i64::try_from(*age).unwrap_or(i64::MAX);
                self.gauges_age.with_label_values(&[group.as_str()]).set(age);
                if !was_read {
                    unread.extend(group.metrics());
                }
            }
            let mut families = self.registry.gather();
            families.retain(|family| {
                let name = family.name().strip_prefix("lacuna_").unwrap_or_default();
                !unread.contains(&name)
            });
            families
        });
        let mut buffer = Vec::new();
        TextEncoder::new().encode(&families, &mut buffer)?;
        String::from_utf8(buffer).map_err(|_| prometheus::Error::Msg("metrics are not UTF-8".to_owned()))
    }
}

impl Observer for Metrics {
    fn observe(&self, name: &'static str, duration: Duration) {
        self.transactions
            .with_label_values(&[name])
            .observe(duration.as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
