//! Every metric, with its help text beside its name. Labels never hold a subject, a request or free text.

use std::time::Duration;

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::freshness::{Freshness, GaugeGroup};
use crate::store::Observer;

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
    /// One of `counters`, `gauge`, `gauges`, `ratios`, `histograms`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Described {
    /// Whether every worker says the same of it: then two of them are not added up.
    pub fn is_global(&self) -> bool {
        GaugeGroup::has(self.name)
    }
}

/// What Prometheus shows as the help of a metric.
fn help_of(name: &str, help: &str) -> String {
    if GaugeGroup::has(name) {
        format!("{help} The same at every worker: take max, never sum.")
    } else {
        help.to_owned()
    }
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
    (@type ratios) => { GaugeVec };
    (@type histograms) => { HistogramVec };
    (@make counters $name:literal [$($label:literal),*] $help:literal) => {
        IntCounterVec::new(Opts::new($name, help_of($name, $help)), &[$($label),*])?
    };
    (@make gauges $name:literal [$($label:literal),*] $help:literal) => {
        IntGaugeVec::new(Opts::new($name, help_of($name, $help)), &[$($label),*])?
    };
    (@make ratios $name:literal [$($label:literal),*] $help:literal) => {
        GaugeVec::new(Opts::new($name, help_of($name, $help)), &[$($label),*])?
    };
    (@make gauge $name:literal [] $help:literal) => { IntGauge::with_opts(Opts::new($name, help_of($name, $help)))? };
    (@make histograms $name:literal [$($label:literal),*] $help:literal, $buckets:expr) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets($buckets.to_vec()), &[$($label),*])?
    };
}

metrics! {
    commands: counters "commands_total" ["type", "result"] "Commands read, by type and what became of them.";
    tenant_commands: counters "tenant_commands_total" ["tenant", "type", "result"] "Commands read for the tenants that the configuration lists, by type and what became of them.";
    source_events: counters "source_events_total" ["source", "result"] "Events of sources, by source and what became of them: taken (they became commands, or were commands before), skipped (tombstones, snapshots, what `when` leaves out), dead_lettered, refused (over HTTP, where the sender is told), forged (over HTTP, with a wrong signature), unavailable (over HTTP, while the store or the schema registry is away).";
    requests: gauges "requests" ["status"] "Requests in the store, by status, final ones included.";
    requests_overdue: gauge "requests_overdue" [] "Requests whose deadline has passed while live systems are not clean.";
    requests_at_risk: gauge "requests_at_risk" [] "Requests with little of their period left while live systems are not clean.";
    drop_fetch_due: gauges "drop_fetch_due_timestamp_seconds" ["broker"] "By when the next list of California's deletion mechanism has to be taken in: 45 days after the last one.";
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
    polls: counters "polls_total" ["processor", "outcome"] "Questions to processors of OpenDSR how an accepted request stands, by what came of them: answered, failed.";
    circuit_open: gauges "circuit_open" ["processor"] "1 where nothing is sent to a processor but one task now and then, because it fails or does not let us in.";
    acks: counters "acks_total" ["processor", "outcome"] "Acks read, by processor (none where it could not be trusted) and outcome.";
    attested: counters "attested_total" ["processor"] "Tasks closed by the term that their vendor has published (completes_by), by processor: nobody has confirmed them.";
    abandoned: gauges "abandoned_tasks" ["processor"] "Tasks given up until an operator retries or waives them.";
    lane_paused: gauges "lane_paused" ["processor"] "1 where somebody has paused the lane of a processor: nothing is sent to it until it is resumed.";
    oldest_unanswered: gauges "oldest_unanswered_seconds" ["processor"] "For how long a task is out at a processor that was not answered, to the minute. 0: none is.";
    oldest_waiting: gauges "lane_oldest_waiting_seconds" ["processor"] "For how long the first task waits in the queue of a lane. 0: none does.";
    not_found_share: ratios "not_found_share" ["processor"] "The share of not_found in what a processor has proved within the last day. A processor that proved nothing has none.";
    not_found_share_usual: ratios "not_found_share_usual" ["processor"] "The same of the 28 days before. Where the two differ much, the processor may be asked for by identifiers that it does not know.";
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
    auth_failures: counters "auth_failures_total" ["kind"] "Calls and sign-ins that were turned away: without a valid token (token, expired), with the wrong role (role), at the sign-in of the console (sign_in), a form without its token (form).";
    token_expiry: gauges "auth_token_expiry_seconds" ["name"] "When the last token of a bearer ends (not_after), in Unix time; bearers that have one without an end have none.";
    config_reload_successful: gauge "config_reload_successful" [] "0 where the last SIGHUP found a configuration that is not valid, or that could not be taken over.";
    due_requests: gauge "due_requests" [] "Requests whose time to be looked at has come and that the agenda has not taken yet, 10,000 at the most: with due_tasks and consumer_lag what an autoscaler goes by.";
    due_tasks: gauges "due_tasks" ["processor"] "Tasks in the queue of a lane whose time to be sent has come, 10,000 of a tenant at the most. Lanes that are stopped, and those of people, are left out.";
    manual_open: gauges "manual_open" ["processor"] "Tasks that people do and that are not done, by the processor that stands for them.";
    manual_oldest: gauges "manual_oldest_seconds" ["processor"] "For how long the first of them waits. 0: there is none.";
    gate_oldest: gauges "gate_oldest_seconds" ["gate"] "Age of the oldest request that waits for a person, by gate (verification, approval). 0: none does.";
    open_requests: gauges "open_requests" ["regime"] "Requests that are not closed, by regime (counted: days:N and its like; unknown: received before the store counted this).";
    exposure: gauges "exposure" ["regime", "currency"] "What open requests would cost a day if all were late, where their regime has a fine for each day: requests times fine.";
    overdue_tasks: gauges "overdue_tasks" ["tenant", "processor"] "What is left to do of overdue requests, by tenant (the 100 with most; other: the rest) and processor. Not of requests received before the store counted this.";
    last_backup_event: gauges "backup_last_event_timestamp_seconds" ["processor"] "When a backup system told something last, in Unix time. One that never did has none.";
    ready: gauge "ready" [] "1 while this worker is ready (GET /readyz), to within five seconds.";
    store_reachable: gauge "store_reachable" [] "1 while the database answers this worker.";
    kafka_reachable: gauge "kafka_reachable" [] "1 while the cluster answers this worker.";
    clock_trusted: gauge "clock_trusted" [] "1 while the clock of this worker and that of the database agree. Otherwise it decides nothing.";
    certificate_expires: gauges "certificate_expires_timestamp_seconds" ["certificate"] "Until when a certificate that this worker has loaded is valid, in Unix time: of the listener (http), of OpenDSR (opendsr).";
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

mod told;

#[cfg(test)]
mod tests;
