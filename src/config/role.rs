//! What a bearer may do: a role, and rights beside it.

use std::fmt;

use crate::domain::ids::ProcessorId;

/// What somebody may do besides what the role allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// Sees identifiers. Each look is a ledger entry.
    pub identifiers: bool,
}

/// What a bearer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Submits commands and sees its own requests.
    Submitter,
    /// Answers the tasks of this processor.
    Processor(ProcessorId),
    /// Decides about requests; may also audit.
    Compliance,
    /// Runs the lanes; may also audit.
    Operator,
    /// Reads the ledger.
    Auditor,
}

impl Role {
    /// Its name in the configuration.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Submitter => "submitter",
            Self::Processor(_) => "processor",
            Self::Compliance => "compliance",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    /// Reads its name; a processor's with its id: `processor:crm`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(id) = text.strip_prefix("processor:") {
            return ProcessorId::new(id).ok().map(Self::Processor);
        }
        let (_, name) = ROLES.iter().find(|(word, _)| *word == text)?;
        match name {
            RoleName::Submitter => Some(Self::Submitter),
            // Of which one it is has to be said.
            RoleName::Processor => None,
            RoleName::Compliance => Some(Self::Compliance),
            RoleName::Operator => Some(Self::Operator),
            RoleName::Auditor => Some(Self::Auditor),
        }
    }
}

impl fmt::Display for Role {
    /// As [`Role::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor(id) => write!(f, "processor:{}", id.as_str()),
            other => f.write_str(other.as_str()),
        }
    }
}

/// A role's name, before the processor that one of them needs is known.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum RoleName {
    Submitter,
    Processor,
    Compliance,
    Operator,
    Auditor,
}

pub(super) const ROLES: &[(&str, RoleName)] = &[
    ("submitter", RoleName::Submitter),
    ("processor", RoleName::Processor),
    ("compliance", RoleName::Compliance),
    ("operator", RoleName::Operator),
    ("auditor", RoleName::Auditor),
];
