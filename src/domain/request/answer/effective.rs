//! What an answer comes to under the registry's rules.

use std::time::Duration;

use crate::domain::{
    ack::{Answer, Evidence, Retained},
    ids::Label,
    method::{is_pseudonymisation, is_same},
    registry::{EvidenceField, Processor},
    task::Task,
    time::At,
    words::{Action, Proof},
};

/// What an answer comes to under the registry's rules.
#[derive(Clone, Copy)]
pub(super) enum Effective<'a> {
    Success(Proof),
    Accepted(Option<At>),
    Retained(&'a Retained),
    Partial(Option<Duration>),
    Failed(Option<Duration>),
    /// There was none: it may have been carried out, or not.
    Lost(Option<Duration>),
    Rejected,
    /// Called anonymized, and only pseudonymised.
    Pseudonymised,
    Unsupported,
    /// A second look has found data.
    Found,
}

/// What the evidence has to name where a backup system was asked to destroy the subject's key.
pub const CRYPTO_ERASE: &str = "crypto_erase";

pub(super) fn effective<'a>(
    task: &Task,
    answer: &'a Answer,
    evidence: Option<&Evidence>,
    registered: Option<&Processor>,
    asked_for_key: bool,
) -> Effective<'a> {
    let seconds = |after: &Option<u32>| after.map(|s| Duration::from_secs(u64::from(s)));
    let proof = match answer {
        Answer::Accepted { expected_by } => return Effective::Accepted(*expected_by),
        // Whoever has to keep the key cannot keep its copies from growing old.
        Answer::Retained(_) if asked_for_key => return Effective::Unsupported,
        Answer::Retained(retained) => return Effective::Retained(retained),
        Answer::Partial { retry_after_seconds } => return Effective::Partial(seconds(retry_after_seconds)),
        Answer::Failed { retry_after_seconds } => return Effective::Failed(seconds(retry_after_seconds)),
        // It is asked again like one that has done a part: the attempt does not count.
        Answer::NotNow { retry_after_seconds } => return Effective::Partial(seconds(retry_after_seconds)),
        Answer::Lost { retry_after_seconds } => return Effective::Lost(seconds(retry_after_seconds)),
        Answer::Rejected => return Effective::Rejected,
        Answer::Unsupported => return Effective::Unsupported,
        Answer::Present if task.purpose.only_asks() => return Effective::Found,
        // The data is still there: what was asked has not happened.
        Answer::Present => return Effective::Failed(None),
        Answer::Erased => Proof::Erased,
        Answer::Anonymized if names(evidence).is_some_and(is_pseudonymisation) => Proof::Pseudonymised,
        Answer::Anonymized => Proof::Anonymized,
        Answer::NotFound => Proof::NotFound,
        // Also where an answer was lost: nobody has said that anything was erased, and it may never have been asked.
        Answer::Absent => Proof::NotFound,
    };
    // Only a destroyed key makes copies unreadable that are still there; with anything else they have to grow old.
    let by_key = || names(evidence) == Some(CRYPTO_ERASE);
    if asked_for_key && !(proof == Proof::Erased && by_key()) {
        return Effective::Unsupported;
    }
    let allows = |rule: fn(&Processor) -> bool| registered.is_some_and(rule);
    let is_anonymization = matches!(proof, Proof::Anonymized | Proof::Pseudonymised);
    if is_anonymization && task.action == Action::Erase && !allows(|processor| processor.accept_anonymized) {
        return Effective::Rejected;
    }
    if proof == Proof::Pseudonymised && !allows(|processor| processor.accept_pseudonymised) {
        return Effective::Pseudonymised;
    }
    // A processor that has nothing has erased nothing, so there is no method to name.
    let lacks = |processor: &Processor| {
        // Only one method destroys a key, whatever the registry wants to see of other tasks.
        lacks_evidence(processor, evidence)
            || !(asked_for_key || is_by_one_of(&processor.require_method, evidence))
    };
    if proof != Proof::NotFound && registered.is_some_and(lacks) {
        return Effective::Failed(None);
    }
    Effective::Success(proof)
}

/// Whether a field is missing that the registry wants to see.
fn lacks_evidence(processor: &Processor, evidence: Option<&Evidence>) -> bool {
    let required = &processor.require_evidence;
    !required.iter().all(|field| brings(evidence, *field))
}

/// Whether the evidence names one of these methods; none of them: any will do.
fn is_by_one_of(methods: &[Label], evidence: Option<&Evidence>) -> bool {
    let is_named = |method| methods.iter().any(|one| is_same(one.as_str(), method));
    methods.is_empty() || names(evidence).is_some_and(is_named)
}

/// The method that the evidence names.
fn names(evidence: Option<&Evidence>) -> Option<&str> {
    evidence?.method.as_deref()
}

fn brings(evidence: Option<&Evidence>, field: EvidenceField) -> bool {
    evidence.is_some_and(|evidence| match field {
        EvidenceField::Method => evidence.method.as_ref().is_some_and(|text| !text.is_empty()),
        EvidenceField::Records => evidence.records.is_some(),
        EvidenceField::Reference => evidence.reference.as_ref().is_some_and(|text| !text.is_empty()),
        EvidenceField::Digest => evidence.digest.as_ref().is_some_and(|text| !text.is_empty()),
    })
}
