//! In which entries a person acts, and as what: what an audit looks for among everything that happens by itself.

use super::{Entry, Leaf};

/// What kind of act it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// Somebody looked at what is about a person.
    Look,
    /// Somebody decided about a request or a task.
    Decision,
    /// Somebody ran the installation: holds, lanes, logs, changes to many requests.
    Operation,
}

impl ActKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Look, Self::Decision, Self::Operation];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Decision => "decision",
            Self::Operation => "operation",
        }
    }

    /// Its number in the store.
    pub const fn code(self) -> u8 {
        match self {
            Self::Look => 1,
            Self::Decision => 2,
            Self::Operation => 3,
        }
    }

    /// The kind of a number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The kind of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Who acts, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// Who.
    pub actor: String,
    /// As what.
    pub kind: ActKind,
}

impl Leaf {
    /// Who acts in it; `None`: nobody does, it happened by itself.
    pub fn acted(&self) -> Option<Acted> {
        let (actor, kind) = self.entries.iter().find_map(actor_of)?;
        let actor = actor.to_owned();
        Some(Acted { actor, kind })
    }
}

fn actor_of(entry: &Entry) -> Option<(&str, ActKind)> {
    match entry {
        Entry::ActedBy { actor } => Some((actor, ActKind::Decision)),
        Entry::Searched { actor, .. }
        | Entry::LetterOpened { actor, .. }
        | Entry::IdentitiesShown { actor, .. } => Some((actor, ActKind::Look)),
        Entry::HoldPlaced { actor, .. }
        | Entry::HoldReleased { actor, .. }
        | Entry::PositionAccepted { actor, .. }
        | Entry::LanePaused { actor, .. }
        | Entry::LaneResumed { actor, .. }
        | Entry::BrakeOn { actor, .. }
        | Entry::BrakeOff { actor, .. }
        | Entry::Bulk { actor, .. } => Some((actor, ActKind::Operation)),
        Entry::Opened { .. }
        | Entry::Task { .. }
        | Entry::Evidence { .. }
        | Entry::Status { .. }
        | Entry::Overdue
        | Entry::Shredded
        | Entry::GateOpened { .. }
        | Entry::DeadlineMoved { .. }
        | Entry::Reactivated { .. }
        | Entry::Supplied { .. }
        | Entry::Refused { .. }
        | Entry::Kept { .. }
        | Entry::WaveAdded { .. }
        | Entry::Restored { .. }
        | Entry::Encapsulated { .. }
        | Entry::BackupEvent { .. }
        | Entry::RegistryActivated { .. }
        | Entry::CapsulesForgotten { .. }
        | Entry::Merged { .. }
        | Entry::Absorbed { .. }
        | Entry::Repeated { .. }
        | Entry::Purged { .. }
        | Entry::Followed { .. }
        | Entry::TaskAdded { .. } => None,
    }
}
