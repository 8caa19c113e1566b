//! What was counted of tasks that may come again: because they were left half done, or because their answer was lost. It is said with
//! the next answer, and nothing depends on it.

use std::collections::{HashMap, VecDeque};

use super::walk::Counts;
use crate::{agent::task::Task, domain::ids::TaskId};

/// Of so many tasks it is remembered what was counted.
const REMEMBERED: usize = 10_000;

/// A task, and its generation.
type Known = (TaskId, u32);

/// What was counted of the tasks that came last.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: HashMap<Known, Remembered>,
    order: VecDeque<Known>,
}

#[derive(Debug)]
struct Remembered {
    counts: Counts,
    /// The attempt that was carried out to its end. The next one asks because its answer was lost.
    done_at: Option<u32>,
}

impl Memory {
    /// Adds what was counted now; gives all that was counted.
    pub(super) fn add(&mut self, task: &Task, now: Counts, is_done: bool) -> Counts {
        let key = (task.id, task.generation);
        let done_at = is_done.then_some(task.attempt);
        let before = self.known.get_mut(&key);
        if let Some(before) = before.filter(|before| before.done_at.is_none_or(|done| done < task.attempt)) {
            for (n, rows) in now.changed {
                *before.counts.changed.entry(n).or_default() += rows;
            }
            before.counts.found.extend(now.found);
            // What stays is as it was seen last.
            before.counts.kept = now.kept;
            before.done_at = done_at;
            return before.counts.clone();
        }
        if now.found.is_empty() {
            return now;
        }
        let counts = now.clone();
        if self.known.insert(key, Remembered { counts, done_at }).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: u64) -> Counts {
        Counts {
            changed: [(0, rows)].into(),
            found: [0].into(),
            ..Counts::default()
        }
    }

    fn task(attempt: u32) -> Task {
        let id = uuid::Uuid::now_v7();
        let text = format!(
            r#"{{"task_id":"{id}","request_id":"{id}","processor":"p","generation":1,"attempt":{attempt},"action":"erase",
            "tenant":"default","identities":[],"scope":{{"purposes":[],"categories":[]}},"reason":"account_closed",
            "data_before":"2026-11-21T10:00:00Z","respond_by":"2026-11-21T10:00:30Z","deadline":"2026-12-21T10:00:00Z",
            "ack":{{"topic":"acks","url":null,"token":"t"}}}}"#
        );
        Task::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_was_counted_is_said_once_more_and_forgotten_in_the_end() {
        let mut memory = Memory::default();
        let mut first = task(1);
        assert_eq!(memory.add(&first, counts(2), false), counts(2));
        assert_eq!(memory.add(&first, counts(1), true), counts(3));
        assert_eq!(
            memory.add(&first, Counts::default(), true),
            Counts::default(),
            "the same attempt again is another question"
        );
        first.attempt = 2;
        assert_eq!(memory.add(&first, Counts::default(), true), counts(3));
        for _ in 0..REMEMBERED {
            memory.add(&task(1), counts(1), true);
        }
        first.attempt = 3;
        assert_eq!(memory.add(&first, Counts::default(), true), Counts::default());
        assert_eq!(memory.known.len(), memory.order.len());
    }
}
