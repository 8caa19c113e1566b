//! What can happen to a task.

use serde::{Deserialize, Serialize};

use super::{Deferral, Purpose, Queued, Undelivered};
use crate::domain::{
    ids::{HoldId, Label, ProcessorId},
    time::At,
    words::{AbandonCause, Action, Outcome, Proof},
};

/// Something that happens to a task. The ledger keeps these, so new members go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskEvent {
    /// What it waited for is out of the way.
    Unblocked {
        /// From when it may be sent.
        due: At,
    },
    /// The date that it waited for has come.
    Woken {
        /// What is asked now.
        action: Action,
        /// From when it may be sent.
        due: At,
    },
    /// One more attempt is sent.
    Dispatched {
        /// When.
        at: At,
        /// By when an answer is expected.
        ack_by: At,
    },
    /// The processor says that it will do it.
    Accepted {
        /// When it said so.
        at: At,
        /// By when it is expected to be done.
        expected_by: At,
    },
    /// The attempt did not lead to an end: it is sent again.
    AskedAgain {
        /// What it was answered; `None`: nothing in time.
        outcome: Option<Outcome>,
        /// Whether the attempt counts towards the limit.
        counts: bool,
        /// From when it may be sent.
        due: At,
    },
    /// Proved.
    Settled {
        /// The attempt whose answer it was: the current one, or an earlier one that was late.
        attempt: u32,
        /// How.
        proof: Proof,
        /// When the proof was received.
        at: At,
    },
    /// The processor has to keep it until a date.
    Retained {
        /// The date.
        until: At,
    },
    /// The processor has to keep it for good.
    RetainedForGood {
        /// The legal basis.
        basis: Label,
    },
    /// Given up.
    Abandoned {
        /// Why.
        cause: AbandonCause,
        /// What the last attempt was answered; `None`: nothing in time.
        outcome: Option<Outcome>,
    },
    /// An operator has it done again.
    Retried {
        /// From when it may be sent.
        due: At,
    },
    /// An operator has decided to do without it.
    Waived,
    /// Withdrawn before it was sent.
    Cancelled,
    /// Nothing can be done before a date.
    Parked {
        /// Why.
        why: Deferral,
        /// The date.
        until: At,
        /// What the last attempt was answered, where there was one; `None`: nothing in time.
        outcome: Option<Outcome>,
    },
    /// The date of a parked task has moved.
    Moved {
        /// Before.
        from: At,
        /// After.
        to: At,
    },
    /// A legal hold covers it.
    Held {
        /// One that does.
        hold: HoldId,
    },
    /// No hold covers it any more.
    Released {
        /// From when it may be sent.
        due: At,
    },
    /// Proved, and to be looked at again.
    SecondLook {
        /// The attempt whose answer it was.
        attempt: u32,
        /// What the next generation is for.
        purpose: Purpose,
        /// When.
        until: At,
    },
    /// A second look has found data.
    Found {
        /// From when it may be sent.
        due: At,
    },
    /// A backup was put back into its processor: it has to be done again.
    Restored {
        /// From when it may be sent.
        due: At,
    },
    /// A source of its wave has to be done again, so its horizon has to run anew.
    Reopened,
    /// The tasks of its wave are others now.
    Rewaved {
        /// The tasks, by their place.
        sources: Vec<u16>,
    },
    /// An identity that its processor knows was supplied.
    Identified,
    /// It was refused on a legal ground before it was sent.
    Refused {
        /// The ground.
        basis: Label,
    },
    /// There is nothing to wait for: none of the sources of its wave was erased, or nobody can bring it an identity any more.
    Exempted {
        /// The legal basis of the first of those sources, or that no identity is known.
        basis: Label,
    },
    /// Its topic does not take its message.
    Undeliverable {
        /// From when it may be tried again.
        due: At,
        /// Why.
        why: Undelivered,
        /// Whether it is certain that the current attempt did not leave; nothing left where it was not sent at all.
        certain: bool,
    },
    /// It is put into the queue of its lane.
    Queued {
        /// From when it may be claimed.
        due: At,
        /// What it waits for.
        why: Queued,
    },
    /// It leaves the queue of its lane without having been sent: something else keeps it back now.
    Unqueued {
        /// From when it may be sent.
        due: At,
    },
    /// What was claimed was not sent: it goes back into the queue, and the attempt does not count.
    Unsent {
        /// From when it may be claimed.
        due: At,
        /// What it waits for.
        why: Queued,
    },
    /// The term that its processor has published counts for what it has accepted, or counts no more.
    #[serde(rename = "Termed")]
    TermSet {
        /// When the term has passed; `None`: there is none any more.
        until: Option<At>,
    },
    /// The term has passed, and its processor is asked whether it has done it.
    #[serde(rename = "Probed")]
    ProbeDue {
        /// From when it may be asked.
        due: At,
    },
    /// Whether its processor has carried out what it was sent is not known: it is asked before it is sent again.
    #[serde(rename = "Doubted")]
    ResultUnknown {
        /// How many sends count towards the registry's limit so far.
        sends: u32,
        /// From when it may be asked.
        due: At,
    },
    /// Its processor has left the registry, and another one takes it over.
    HandedOver {
        /// Who had it.
        from: ProcessorId,
        /// Who has it now.
        to: ProcessorId,
        /// What that one is asked; `None`: it can do nothing of what is wanted.
        action: Option<Action>,
        /// Whether the subject has an identity that it knows.
        named: bool,
        /// From when it may be sent.
        due: At,
    },
}
