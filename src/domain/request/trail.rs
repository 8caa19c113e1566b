//! What a change leaves behind besides the new state.

use crate::domain::{entry::Entry, ids::ProcessorId, words::TaskStateName};

/// What a change leaves behind besides the new state.
#[derive(Debug, Default)]
pub struct Trail {
    /// Entries for the ledger.
    pub entries: Vec<Entry>,
    /// The task states that were left and entered, for counters.
    pub moves: Vec<Move>,
    /// The tasks, by place, that a message has to be sent for.
    pub dispatched: Vec<u16>,
    /// How many of them were claimed of the queue of their lane.
    pub claimed: usize,
    /// The tasks, by place, that a published term has closed.
    pub attested: Vec<u16>,
    /// The tasks, by place, that another processor has taken over: whose they were, and how they stood there.
    pub handed_over: Vec<(u16, ProcessorId, TaskStateName)>,
}

/// A task went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The task's place in the plan.
    pub ordinal: u16,
    /// The state that it left; `None`: it is new.
    pub from: Option<TaskStateName>,
    /// The state that it entered.
    pub to: TaskStateName,
}

impl Trail {
    /// Adds what happened next.
    pub fn append(&mut self, mut next: Self) {
        self.entries.append(&mut next.entries);
        self.moves.append(&mut next.moves);
        self.dispatched.append(&mut next.dispatched);
        self.claimed += next.claimed;
        self.attested.append(&mut next.attested);
        self.handed_over.append(&mut next.handed_over);
    }
}
