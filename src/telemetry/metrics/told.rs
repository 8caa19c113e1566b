//! What use cases tell the metrics.

use std::time::Duration;

use super::Metrics;
use crate::{
    domain::{
        time::At,
        words::{DeadLetterReason, Status, TaskStateName, Why},
    },
    store::CounterKey,
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
    pub fn dead_letter_bytes(&self, topic: &str, bytes: u64) {
        self.dead_letter_payload_bytes
            .with_label_values(&[topic])
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// So many dead letters of a topic are only counted any more.
    pub fn dead_letters_dropped(&self, topic: &str, count: u64) {
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

    /// A worker has begun: what it needs was just reached.
    pub fn begins(&self) {
        for gauge in [&self.store_reachable, &self.kafka_reachable, &self.clock_trusted] {
            gauge.set(1);
        }
    }

    /// A certificate is valid until this time.
    pub fn certificate(&self, of: &str, until: At) {
        self.certificate_expires
            .with_label_values(&[of])
            .set(until.millis() / 1000);
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
}
