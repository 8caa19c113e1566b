//! What is typed on the command line, read into the domain's types. Each says what was expected.

use crate::domain::{
    ids::{Label, ProcessorId, Tenant},
    time::At,
    words::{
        BulkAction, DeadLetterReason, ExtensionReason, HoldBasis, RefusalBasis, Status, TaskStateName,
        VerificationResult,
    },
};

/// The longest name of a person, as commands take it.
const MAX_NAME: usize = 256;

/// The name of a person.
pub(super) fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(format!("expected a name of 1 to {MAX_NAME} bytes"));
    }
    Ok(name.to_owned())
}

pub(super) fn tenant(text: &str) -> Result<Tenant, String> {
    Tenant::new(text).map_err(|error| error.to_string())
}

pub(super) fn processor(text: &str) -> Result<ProcessorId, String> {
    ProcessorId::new(text).map_err(|error| error.to_string())
}

pub(super) fn label(text: &str) -> Result<Label, String> {
    Label::new(text).map_err(|error| error.to_string())
}

pub(super) fn time(text: &str) -> Result<At, String> {
    At::parse(text).map_err(|error| error.to_string())
}

/// A reader of one word of a fixed list.
macro_rules! word {
    ($($name:ident: $type:ty;)+) => {$(
        pub(super) fn $name(text: &str) -> Result<$type, String> {
            let words: Vec<&str> = <$type>::ALL.iter().map(|word| word.as_str()).collect();
            <$type>::parse(text).ok_or_else(|| format!("expected one of: {}", words.join(", ")))
        }
    )+};
}

word! {
    bulk_action: BulkAction;
    dead_letter_reason: DeadLetterReason;
    extension_reason: ExtensionReason;
    hold_basis: HoldBasis;
    refusal_basis: RefusalBasis;
    status: Status;
    task_state: TaskStateName;
    verification_result: VerificationResult;
}
