//! What may happen, and to what kinds of requests.

use proptest::{collection::vec, option, prelude::*};

use super::super::*;
use crate::domain::registry::{CompletesBy, EvidenceField};

/// Something that happens to a request.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// An ack of any kind, for the task's numbers shifted by these.
    Ack {
        task: u16,
        generation: i64,
        attempt: i64,
        answer: usize,
        seconds: Option<u32>,
        genuine: bool,
        proof: bool,
    },
    /// The last ack once more.
    AckAgain,
    Pass(Duration),
    /// The agenda, with the acks read up to now or not at all.
    Wake {
        seen: bool,
    },
    /// Until the agenda wakes it.
    Sleep,
    Retry(u16),
    Waive(u16),
    Cancel,
    /// Every n-th processor is registered; 1: all of them.
    Register(usize),
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let ack = (
        0..5u16,
        -1..=1i64,
        -1..=1i64,
        0..12usize,
        option::of(0..100u32),
        any::<bool>(),
        any::<bool>(),
    );
    let op = prop_oneof![
        // Mostly answers to what was asked last: other ones change nothing.
        8 => ack.clone().prop_map(|(task, _, _, answer, seconds, _, proof)| Op::Ack {
            task, generation: 0, attempt: 0, answer, seconds, genuine: true, proof
        }),
        4 => ack.prop_map(|(task, generation, attempt, answer, seconds, genuine, proof)| Op::Ack {
            task, generation, attempt, answer, seconds, genuine, proof
        }),
        2 => Just(Op::AckAgain),
        3 => (0..200_000u64).prop_map(|seconds| Op::Pass(Duration::from_secs(seconds))),
        2 => any::<bool>().prop_map(|seen| Op::Wake { seen }),
        6 => Just(Op::Sleep),
        2 => (0..5u16).prop_map(Op::Retry),
        1 => (0..5u16).prop_map(Op::Waive),
        1 => Just(Op::Cancel),
        1 => (1..4usize).prop_map(Op::Register),
    ];
    vec(op, 1..60)
}

pub(super) fn worlds() -> impl Strategy<Value = Bench> {
    let one = (any::<[bool; 8]>(), 1..4u32, option::of((1..4u16, any::<bool>())));
    (
        vec(one, 1..5),
        option::of(0..400_000u64),
        0..3u32,
        option::of(0..5u16),
    )
        .prop_map(|(processors, gate, keep, excluded)| {
            let names = ["a", "b", "c", "d", "e"];
            let processors = (0..).zip(&processors).map(|(n, (flags, attempts, term))| {
                let [
                    lenient,
                    evidence,
                    after,
                    backup,
                    nobody,
                    exempting,
                    unable,
                    idempotent,
                ] = *flags;
                Processor {
                    idempotent,
                    completes_by: term.map(|(days, probe)| CompletesBy {
                        after: Period::days(days),
                        probe,
                    }),
                    accept_anonymized: lenient,
                    require_evidence: if evidence {
                        vec![EvidenceField::Method]
                    } else {
                        Vec::new()
                    },
                    after: if after && n > 0 {
                        vec![id(names[n - 1])]
                    } else {
                        Vec::new()
                    },
                    actions: vec![if unable { Action::Anonymize } else { Action::Erase }],
                    kind: if backup {
                        ProcessorKind::Backup
                    } else {
                        ProcessorKind::Crm
                    },
                    identities: vec![kind(if nobody { "phone" } else { "email" })],
                    missing_identity: if exempting {
                        MissingIdentity::Exempt
                    } else {
                        MissingIdentity::Block
                    },
                    retry: Retry {
                        attempts: *attempts,
                        ..Retry::default()
                    },
                    ..processor(names[n])
                }
            });
            let exclude = excluded
                .filter(|n| *n < 4)
                .map(|n| crate::domain::command::Exclusion {
                    processor: id(names[usize::from(n)]),
                    basis: crate::domain::words::RefusalBasis::LegalClaims,
                });
            let opening = Opening {
                not_before: gate.map(|seconds| START.plus(Duration::from_secs(seconds))),
                exclude: exclude.into_iter().collect(),
                ..opening()
            };
            let mut bench = Bench::open_with(processors.collect(), &opening);
            bench.keep = DAY * keep;
            // Whatever waits in the queue of a lane is claimed as soon as somebody looks.
            bench.claims = bench.request.ordinals().map(|n| (bench.request.id, n)).collect();
            bench
        })
}

pub(super) fn answer_of(place: usize, seconds: Option<u32>, now: At) -> Answer {
    let later = seconds.map(|seconds| now.plus(HOUR * seconds));
    [
        accepted(later),
        Answer::Erased,
        Answer::Anonymized,
        Answer::NotFound,
        retained(later),
        Answer::Partial {
            retry_after_seconds: seconds,
        },
        Answer::Failed {
            retry_after_seconds: seconds,
        },
        Answer::Rejected,
        Answer::Unsupported,
        Answer::Present,
        Answer::Absent,
        Answer::Lost {
            retry_after_seconds: seconds,
        },
    ][place]
        .clone()
}
