//! Who writes: use cases that run at the same time count into rows of their own, so that none waits for another's commit.

/// A kind of transaction, as far as counters are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UseCase {
    /// Commands.
    Intake,
    /// Acks.
    Settlement,
    /// Everything else.
    Other,
}
