//! What a transaction writes, in the order in which it takes keys, and packed as it is stored.

use std::collections::BTreeMap;

use uuid::{NoContext, Timestamp, Uuid};

use super::{
    changes::Changes,
    counters::CounterKey,
    ledger::LeafRow,
    requests::{MovedRow, OpenedRow, SubjectDigest},
};
use crate::domain::{ids::RequestId, time::At};

/// The counter that the store keeps by itself: how many leaves the ledger has. Counting them would read all of them.
pub(super) const LEDGER_LEAVES: &str = "ledger_leaves";

/// New requests by id: every transaction takes keys in the same order, so that two of them never wait for each other.
pub(super) fn opened_in_order(changes: &Changes) -> Vec<&OpenedRow> {
    let mut rows: Vec<_> = changes.opened.iter().collect();
    rows.sort_unstable_by_key(|row| row.state.id);
    rows
}

/// Changed requests by id.
pub(super) fn moved_in_order(changes: &Changes) -> Vec<&MovedRow> {
    let mut rows: Vec<_> = changes.moved.iter().collect();
    rows.sort_unstable_by_key(|row| row.state.id);
    rows
}

/// The digests under which new requests are found, in order. Two identifiers of a subject may be the same value: one
/// row is enough for both.
pub(super) fn subjects(opened: &[&OpenedRow]) -> Vec<(SubjectDigest, RequestId)> {
    let mut rows: Vec<_> = opened
        .iter()
        .flat_map(|row| row.digests.iter().map(|digest| (*digest, row.state.id)))
        .collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// A wake-up: the request, when, when it was received, by when it is due, and whether all that is left of it has to grow old.
pub(super) type Wake = (RequestId, At, At, At, bool);

/// The wake-ups that a transaction sets and those that it deletes, each by id.
pub(super) fn wakes(opened: &[&OpenedRow], moved: &[&MovedRow]) -> (Vec<Wake>, Vec<RequestId>) {
    let opened = opened.iter().map(|row| &row.state);
    let moved = moved.iter().filter(|row| row.rewake).map(|row| &row.state);
    let (mut set, mut deleted) = (Vec::new(), Vec::new());
    for state in opened.chain(moved.clone()) {
        if let Some(at) = state.wake_at {
            set.push((state.id, at, state.received_at, state.deadline, state.is_parked()));
        }
    }
    deleted.extend(
        moved
            .filter(|state| state.wake_at.is_none())
            .map(|state| state.id),
    );
    set.sort_unstable();
    (set, deleted)
}

/// What identifies the leaves of a transaction, in order: 20 bytes a leaf.
pub(super) fn leaf_keys(leaves: &[LeafRow]) -> Vec<u8> {
    let mut keys = Vec::with_capacity(20 * leaves.len());
    for leaf in leaves {
        keys.extend_from_slice(leaf.request_id.0.as_bytes());
        keys.extend_from_slice(&leaf.n.to_be_bytes());
    }
    keys
}

/// A time-ordered id.
pub(super) fn id_at(at: At) -> Uuid {
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, millis / 1_000, nanos))
}

/// The differences to counters by key, each key once.
pub(super) fn counters(changes: &Changes) -> BTreeMap<(&str, &str, &str), i64> {
    let mut sums = BTreeMap::new();
    for (key, n) in &changes.counters {
        debug_assert!(
            CounterKey::KINDS.contains(&key.kind),
            "{} would be written and never read",
            key.kind
        );
        *sums
            .entry((key.kind, key.a.as_str(), key.b.as_str()))
            .or_insert(0) += n;
    }
    if !changes.leaves.is_empty() {
        sums.insert(
            (LEDGER_LEAVES, "", ""),
            i64::try_from(changes.leaves.len()).unwrap_or(i64::MAX),
        );
    }
    sums.retain(|_, n| *n != 0);
    sums
}

/// The highest revision of each request, by id.
pub(super) fn highest(rows: &[(RequestId, u32)]) -> BTreeMap<RequestId, u32> {
    let mut highest = BTreeMap::new();
    for (id, revision) in rows {
        let known = highest.entry(*id).or_insert(*revision);
        *known = (*known).max(*revision);
    }
    highest
}

/// The digests of each request, one after the other.
pub(super) fn by_request(found_by: &[(SubjectDigest, RequestId)]) -> BTreeMap<RequestId, Vec<u8>> {
    let mut digests: BTreeMap<RequestId, Vec<u8>> = BTreeMap::new();
    for (digest, id) in found_by {
        digests.entry(*id).or_default().extend_from_slice(digest);
    }
    digests
}

/// Digests one after the other.
pub(super) fn packed_digests(digests: &[SubjectDigest]) -> Vec<u8> {
    let mut digests = digests.to_vec();
    digests.sort_unstable();
    digests.dedup();
    digests.concat()
}

/// Rows by their keys. A batch may bring a row twice: what was said last counts.
pub(super) fn last_of_each<T, K: Ord>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let last: BTreeMap<K, &T> = rows.iter().map(|row| (key(row), row)).collect();
    last.into_values().collect()
}

pub(super) fn keys_in_order(keys: &[(RequestId, u16)]) -> Vec<(RequestId, u16)> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ids::ProcessorId, words::Why},
        store::deferred::DeferredRow,
    };

    #[test]
    fn what_was_said_last_about_a_task_counts() {
        let row = |ordinal, until| DeferredRow {
            request_id: RequestId(Uuid::from_u128(1)),
            ordinal,
            reason: Why::Retention,
            processor: ProcessorId::new("billing").unwrap(),
            until: Some(At::from_millis(until)),
            mark: At::from_millis(0),
        };
        let rows = [row(1, 10), row(0, 20), row(1, 30)];
        let last = last_of_each(&rows, |row| (row.request_id, row.ordinal));
        assert_eq!(last, [&row(0, 20), &row(1, 30)]);
    }
}
