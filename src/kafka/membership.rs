//! Whether a stage has its share of the group's partitions: it is not ready before, and not ready when it has lost it.
//!
//! A share of nothing is one as well, once the group has answered: it has more workers than partitions.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::{
    clock::Stopwatch,
    telemetry::readiness::{Cause, Readiness},
};

/// What a stage's consumer is to its group.
#[derive(Debug)]
pub struct Membership {
    stage: &'static str,
    group_id: String,
    session: Duration,
    longest_rest: Duration,
    readiness: Readiness,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether the group has answered, and has not taken it back since.
    is_member: bool,
    /// Since messages were asked for the last time.
    polled: Stopwatch,
}

impl Membership {
    /// Of a consumer that is about to join.
    pub fn new(
        stage: &'static str,
        group_id: &str,
        session: Duration,
        longest_rest: Duration,
        readiness: Readiness,
    ) -> Self {
        let this = Self {
            stage,
            group_id: group_id.to_owned(),
            session,
            longest_rest,
            readiness,
            state: Mutex::new(State {
                is_member: false,
                polled: Stopwatch::start(),
            }),
        };
        let why = format!("joining the consumer group {group_id}: no partitions are assigned yet");
        this.readiness.because(stage, Cause::Group, why);
        this
    }

    /// The group has answered. `count`: how many partitions this consumer has now.
    pub fn assigned(&self, count: usize) {
        self.lock().is_member = true;
        self.readiness.no_longer(self.stage, Cause::Group);
        if count == 0 {
            // With nothing to read there is no batch that could show that a trouble is over.
            self.readiness.ready(self.stage);
        }
    }

    /// The partitions are others' now, although nobody here has given them back.
    pub fn lost(&self, why: &str) {
        self.lock().is_member = false;
        let group = &self.group_id;
        self.say(format!(
            "it has lost its partitions and joins the consumer group {group} again: {why}"
        ));
    }

    /// The client library has an error to report.
    pub fn heard(&self, code: Option<Code>, reason: &str) {
        match code {
            Some(Code::UnknownMemberId | Code::IllegalGeneration | Code::PollExceeded) => self.lost(reason),
            // Whoever is a member stays one until the group says otherwise.
            _ if self.lock().is_member => {}
            code => {
                let (group, why) = (&self.group_id, self.explained(code, reason));
                self.say(format!("it cannot join the consumer group {group}: {why}"));
            }
        }
    }

    fn explained(&self, code: Option<Code>, reason: &str) -> String {
        match code {
            Some(Code::InvalidSessionTimeout) => format!(
                "{reason}: the session of {} ms (0.7 of dispatch.lease) lies outside of the broker's \
                 group.min.session.timeout.ms and group.max.session.timeout.ms; change dispatch.lease, or the broker",
                self.session.as_millis()
            ),
            Some(Code::InconsistentGroupProtocol) => format!(
                "{reason}: another program is in it, with another partition.assignment.strategy; end that program, or choose \
                 another kafka.group_id"
            ),
            _ => reason.to_owned(),
        }
    }

    /// Messages are asked for.
    pub fn polled(&self) {
        self.lock().polled = Stopwatch::start();
    }

    /// Looks whether messages have been asked for lately: without that the group gives the partitions to others, and says so
    /// only when messages are asked for again.
    pub fn look(&self) {
        let rested = {
            let state = self.lock();
            state.is_member && state.polled.elapsed() > self.longest_rest
        };
        if rested {
            let seconds = self.longest_rest.as_secs();
            self.lost(&format!(
                "no message was taken for {seconds} s (max.poll.interval.ms)"
            ));
        }
    }

    fn say(&self, why: String) {
        tracing::warn!(stage = self.stage, why, "not ready");
        self.readiness.because(self.stage, Cause::Group, why);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(rest: Duration) -> (Membership, Readiness) {
        let readiness = Readiness::default();
        let session = Duration::from_secs(6);
        let member = Membership::new("intake", "lacuna", session, rest, readiness.clone());
        (member, readiness)
    }

    const LONG: Duration = Duration::from_secs(300);

    #[test]
    fn member_is_ready_once_group_answered_even_unassigned() {
        for count in [0, 3] {
            let (member, readiness) = member(LONG);
            let [(stage, why)] = &readiness.problems()[..] else {
                panic!("{readiness:?}")
            };
            assert!(
                *stage == "intake" && why.contains("consumer group lacuna"),
                "{why}"
            );
            member.assigned(count);
            assert_eq!(readiness.problems(), []);
        }
    }

    #[test]
    fn what_a_group_refuses_is_explained() {
        for (code, named) in [
            (Code::InvalidSessionTimeout, "dispatch.lease"),
            (Code::InconsistentGroupProtocol, "kafka.group_id"),
            (Code::GroupAuthorizationFailed, "said"),
        ] {
            let (member, readiness) = member(LONG);
            member.heard(Some(code), "said");
            assert!(readiness.problems()[0].1.contains(named), "{readiness:?}");
        }
    }

    #[test]
    fn member_stays_ready_only_through_harmless_errors() {
        let (member, readiness) = member(LONG);
        member.assigned(2);
        member.heard(Some(Code::BrokerTransportFailure), "a broker is away");
        assert_eq!(readiness.problems(), []);
        for code in [Code::UnknownMemberId, Code::IllegalGeneration, Code::PollExceeded] {
            member.heard(Some(code), "said");
            assert!(
                readiness.problems()[0].1.contains("has lost its partitions"),
                "{code:?}"
            );
            member.assigned(2);
            assert_eq!(readiness.problems(), []);
        }
    }

    #[test]
    fn whoever_takes_no_messages_is_no_member_for_long() {
        let (member, readiness) = member(Duration::ZERO);
        member.look();
        assert!(readiness.problems()[0].1.contains("joining"), "it was none yet");
        member.assigned(1);
        member.look();
        assert!(
            readiness.problems()[0].1.contains("max.poll.interval.ms"),
            "{readiness:?}"
        );
    }

    #[test]
    fn an_old_failure_of_a_stage_ends_where_it_has_nothing_to_read() {
        let (member, readiness) = member(LONG);
        readiness.not_ready("intake", "fenced");
        member.assigned(2);
        assert_eq!(readiness.problems(), [("intake", "fenced".to_owned())]);
        member.assigned(0);
        assert_eq!(readiness.problems(), []);
    }
}
