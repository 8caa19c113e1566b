//! Who writes: use cases that run at the same time count into rows of their own, so that none waits for another's commit.

/// Which of a worker's counter rows a transaction writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterSlot {
    /// Commands.
    Intake,
    /// Acks.
    Settlement,
    /// Everything else.
    Other,
}
