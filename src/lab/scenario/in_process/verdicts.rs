//! What became of messages, in a word or two.

use crate::{
    engine::{facts::FactOutcome, intake::Verdict, settlement::AckVerdict},
    wire::Rejection,
};

pub(super) fn of_command(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Taken(_) => "taken".to_owned(),
        Verdict::Duplicate(_) => "duplicate".to_owned(),
        Verdict::Waiting(_) => "waiting".to_owned(),
        Verdict::Rejected(rejection) => refused(rejection),
    }
}

pub(super) fn of_ack(verdict: &AckVerdict) -> String {
    match verdict {
        AckVerdict::Counted { .. } => "counted".to_owned(),
        AckVerdict::Repeated => "repeated".to_owned(),
        AckVerdict::Rejected(rejection) => refused(rejection),
    }
}

pub(super) fn of_backup(told: &FactOutcome) -> String {
    match told {
        FactOutcome::Taken { contradiction: None } => "taken".to_owned(),
        FactOutcome::Taken {
            contradiction: Some(contradiction),
        } => format!("contradiction {contradiction:?}").to_lowercase(),
        FactOutcome::Duplicate => "duplicate".to_owned(),
        FactOutcome::Rejected(rejection) => refused(rejection),
    }
}

fn refused(rejection: &Rejection) -> String {
    format!("refused {}", rejection.reason.as_str())
}
