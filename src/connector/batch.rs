//! Many people in one call: how they are split, and what an answer means for each of them.

use std::ops::Range;

use serde_json::Value;

use super::{
    judge::{NO_LIST, only_list},
    language::{Batch, Step},
    rules::{Answer, Judged, Means},
};

/// Splits identifiers into calls: no more than `count` in one, and no more bytes than it takes.
pub fn split(ids: &[&str], limits: Batch) -> Vec<Range<usize>> {
    /// For quotes and a comma.
    const AROUND: usize = 3;
    /// For what a body has besides.
    const ENVELOPE: usize = 512;
    let most = (limits.bytes as usize).saturating_sub(ENVELOPE).max(1);
    let mut calls = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, id) in ids.iter().enumerate() {
        let size = id.len() + AROUND;
        let is_full = place - start >= limits.count as usize || bytes + size > most;
        if is_full && place > start {
            calls.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += size;
    }
    if start < ids.len() {
        calls.push(start..ids.len());
    }
    calls
}

/// What an answer to a batch leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// This, for each of them, in the order of the call.
    Each(Vec<Judged>),
    /// One of them may be at fault for all: halve it, and ask again.
    Halve,
}

impl Step {
    /// What an answer to a call about these means.
    pub fn judge_batch(&self, answer: Answer<'_>, ids: &[&str]) -> Answered {
        let judged = self.judge(answer, "");
        let is_fault = (400..=499).contains(&answer.status)
            && matches!(
                judged.means,
                Means::Failed | Means::Rejected | Means::NotFound | Means::Gone
            );
        if is_fault && ids.len() > 1 {
            return Answered::Halve;
        }
        let (Means::Each, Some(each)) = (judged.means, &self.each) else {
            return Answered::Each(vec![judged; ids.len()]);
        };
        let nobody = |why: &str| Answered::Each(vec![self.unreadable(answer.status, why); ids.len()]);
        let Some(elements) = only_list(&each.list, answer.body) else {
            return nobody(NO_LIST);
        };
        // Outcomes without names belong to people only where there is one for each: one left out shifts all after it.
        if each.id.is_none() && elements.len() != ids.len() {
            return nobody(
                "with another number of outcomes than people were in the call, and without their names",
            );
        }
        let of = |(place, id): (usize, &&str)| {
            let is_about = |(other, element): &(usize, &Value)| match &each.id {
                None => *other == place,
                Some(at) => at.texts(element).iter().any(|text| text == id),
            };
            let own = elements
                .iter()
                .enumerate()
                .filter(is_about)
                .map(|(_, element)| element);
            self.judge_each(answer.status, own).unwrap_or_else(|| {
                Judged::plain(
                    each.missing,
                    format!("{}: the answer does not name the person", self.id),
                )
            })
        };
        Answered::Each(ids.iter().enumerate().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::connector::language::Length;

    fn limits(count: u32, bytes: u32) -> Batch {
        Batch {
            count,
            bytes,
            linger: Length(Duration::from_millis(1)),
        }
    }

    #[test]
    fn a_batch_ends_by_count_or_by_bytes() {
        let ids = ["a"; 7];
        assert_eq!(split(&ids, limits(3, 10_000)), [0..3, 3..6, 6..7]);
        let long = "x".repeat(100);
        let ids = [long.as_str(); 5];
        assert_eq!(split(&ids, limits(50, 512 + 206)), [0..2, 2..4, 4..5]);
        // One that is too long for any call still gets one, whose answer says so.
        let alone = split(&ids[..1], limits(50, 1));
        assert!(matches!(alone[..], [Range { start: 0, end: 1 }]), "{alone:?}");
        assert!(split(&[], limits(3, 100)).is_empty());
    }
}
