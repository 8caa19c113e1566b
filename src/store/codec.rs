//! How rows are laid out, as far as both adapters share it.

use std::collections::BTreeMap;

use uuid::{NoContext, Timestamp, Uuid};

use super::{
    Changes, CounterKey, DeadLetter, DeadLetterState, DroppedLetters, InboxRow, LeafRow, LettersOfTopic,
    Mark, MovedRow, OpenLetters, OpenedRow, Origin, Position, StoreError, StoredBody, StoredRequest,
    SubjectDigest,
};
use crate::domain::{
    ids::{CommandId, RequestId, Tenant},
    request::Request,
    time::At,
    words::{CommandKind, DeadLetterReason},
};

/// The counter that the store keeps by itself: how many leaves the ledger has. Counting them would read all of them.
pub(super) const LEDGER_LEAVES: &str = "ledger_leaves";

/// Columns: id, revision, packed, wrapped key.
pub(super) type StateColumns<N> = (Uuid, N, Vec<u8>, Option<Vec<u8>>);
/// Columns: id, body, sealed.
pub(super) type BodyColumns = (Uuid, Vec<u8>, Vec<u8>);
/// Columns: kind, a, b, n.
pub(super) type CounterColumns = (String, String, String, i64);
/// Columns: tenant, command id, digest, request id.
pub(super) type InboxColumns = (String, Uuid, Vec<u8>, Uuid);

pub(super) fn stored_request(
    id: Uuid,
    revision: u32,
    packed: &[u8],
    wrapped_key: Option<Vec<u8>>,
) -> Result<StoredRequest, StoreError> {
    let request =
        Request::unpack(RequestId(id), revision, packed).map_err(|error| StoreError::Unreadable {
            table: "state",
            detail: format!("request {id}: {error}"),
        })?;
    Ok(StoredRequest { request, wrapped_key })
}

/// A tenant of a row that says nothing else.
pub(super) fn tenant(name: &str) -> Result<Tenant, StoreError> {
    Tenant::new(name).map_err(|error| StoreError::Unreadable {
        table: "inbox",
        detail: error.to_string(),
    })
}

pub(super) fn alike((digest, id): (Vec<u8>, Uuid)) -> Result<(SubjectDigest, RequestId), StoreError> {
    let digest = digest.try_into().map_err(|_| StoreError::Unreadable {
        table: "subject",
        detail: format!("request {id}: a digest of another length"),
    })?;
    Ok((digest, RequestId(id)))
}

/// The digests of each request, one after the other.
pub(super) fn by_request(found_by: &[(SubjectDigest, RequestId)]) -> BTreeMap<RequestId, Vec<u8>> {
    let mut digests: BTreeMap<RequestId, Vec<u8>> = BTreeMap::new();
    for (digest, id) in found_by {
        digests.entry(*id).or_default().extend_from_slice(digest);
    }
    digests
}

pub(super) fn stored_body((id, body, sealed): BodyColumns) -> StoredBody {
    StoredBody {
        id: RequestId(id),
        body,
        sealed,
    }
}

pub(super) fn inbox_row(
    (tenant, command_id, digest, request_id): InboxColumns,
) -> Result<InboxRow, StoreError> {
    let unreadable = |detail| StoreError::Unreadable {
        table: "inbox",
        detail: format!("{command_id}: {detail}"),
    };
    Ok(InboxRow {
        tenant: Tenant::new(&tenant).map_err(|error| unreadable(error.to_string()))?,
        command_id: CommandId(command_id),
        digest: digest
            .try_into()
            .map_err(|_| unreadable("a digest of another length".into()))?,
        request_id: RequestId(request_id),
    })
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

/// The wake-ups that a transaction sets (request, when, received) and those that it deletes, each by id.
pub(super) fn wakes(
    opened: &[&OpenedRow],
    moved: &[&MovedRow],
) -> (Vec<(RequestId, At, At)>, Vec<RequestId>) {
    let opened = opened.iter().map(|row| &row.state);
    let moved = moved.iter().filter(|row| row.rewake).map(|row| &row.state);
    let (mut set, mut deleted) = (Vec::new(), Vec::new());
    for state in opened.chain(moved.clone()) {
        if let Some(at) = state.wake_at {
            set.push((state.id, at, state.received_at));
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

/// A counter of a kind that this version knows.
pub(super) fn counter((kind, a, b, n): CounterColumns) -> Option<(CounterKey, i64)> {
    let kind = CounterKey::KINDS.iter().find(|known| **known == kind)?;
    Some((CounterKey { kind, a, b }, n))
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

pub(super) const fn letter_code(state: DeadLetterState) -> i16 {
    match state {
        DeadLetterState::Open => 0,
        DeadLetterState::Redriven => 1,
        DeadLetterState::Closed => 2,
    }
}

fn letter_state(code: i16) -> Option<DeadLetterState> {
    match code {
        0 => Some(DeadLetterState::Open),
        1 => Some(DeadLetterState::Redriven),
        2 => Some(DeadLetterState::Closed),
        _ => None,
    }
}

/// A word that only a later version knows says as little as none.
fn command_kind(text: Option<&str>) -> Option<CommandKind> {
    text.and_then(CommandKind::parse)
}

/// Columns: reason, kind, how many, the oldest.
pub(super) type OpenLettersColumns = (String, Option<String>, i64, i64);

pub(super) fn open_letters((reason, kind, count, oldest): OpenLettersColumns) -> OpenLetters {
    OpenLetters {
        reason,
        kind: command_kind(kind.as_deref()),
        count: count.cast_unsigned(),
        oldest: At::from_millis(oldest),
    }
}

/// A row of `dead_letter`.
#[derive(sqlx::FromRow)]
pub(super) struct LetterColumns {
    id: Uuid,
    cluster: String,
    topic: String,
    part: i32,
    off: i64,
    incarnation: i32,
    reason: String,
    detail: String,
    kind: Option<String>,
    at: i64,
    state: i16,
    sealed: Option<Vec<u8>>,
    headers: Option<Vec<u8>>,
    ids: Option<Vec<u8>>,
}

/// How many bytes a row keeps of a letter; `None`: none.
pub(super) fn kept_size(letter: &DeadLetter) -> Option<i64> {
    let sealed = letter.sealed.as_ref().filter(|_| letter.kept)?;
    let size = sealed.len() + letter.headers.as_ref().map_or(0, Vec::len);
    Some(i64::try_from(size).unwrap_or(i64::MAX))
}

/// What a row keeps of a letter's bytes.
pub(super) fn kept_bytes(letter: &DeadLetter) -> (Option<&[u8]>, Option<&[u8]>) {
    if letter.kept {
        (letter.sealed.as_deref(), letter.headers.as_deref())
    } else {
        (None, None)
    }
}

/// Ids one after the other; `None`: there are none.
pub(super) fn packed_letter_ids(letter: &DeadLetter) -> Option<Vec<u8>> {
    (!letter.ids.is_empty()).then(|| letter.ids.iter().flat_map(|id| id.into_bytes()).collect())
}

/// Columns: topic, bytes, open ones.
pub(super) type LettersOfTopicColumns = (String, i64, i64);

pub(super) fn letters_of_topic((topic, bytes, open): LettersOfTopicColumns) -> LettersOfTopic {
    LettersOfTopic {
        topic,
        bytes: bytes.cast_unsigned(),
        open: open.cast_unsigned(),
    }
}

/// Columns: topic, reason, how many, the first, the last.
pub(super) type DroppedColumns = (String, String, i64, i64, i64);

pub(super) fn dropped_letters((topic, reason, count, since, until): DroppedColumns) -> DroppedLetters {
    DroppedLetters {
        topic,
        reason,
        count: count.cast_unsigned(),
        since: At::from_millis(since),
        until: At::from_millis(until),
    }
}

impl LetterColumns {
    pub(super) fn into_letter(self) -> Result<DeadLetter, StoreError> {
        let state = letter_state(self.state).ok_or_else(|| StoreError::Unreadable {
            table: "dead_letter",
            detail: format!("{}: state {}", self.id, self.state),
        })?;
        Ok(DeadLetter {
            id: self.id,
            reason: DeadLetterReason::parse(&self.reason).ok_or_else(|| StoreError::Unreadable {
                table: "dead_letter",
                detail: format!("{}: an unknown reason", self.id),
            })?,
            detail: self.detail,
            kind: command_kind(self.kind.as_deref()),
            origin: Origin {
                cluster: self.cluster.into(),
                topic: self.topic.into(),
                partition: self.part,
                offset: self.off,
                incarnation: self.incarnation.cast_unsigned(),
            },
            at: At::from_millis(self.at),
            state,
            kept: self.sealed.is_some(),
            sealed: self.sealed,
            headers: self.headers,
            ids: self
                .ids
                .unwrap_or_default()
                .as_chunks()
                .0
                .iter()
                .map(|id| Uuid::from_bytes(*id))
                .collect(),
        })
    }
}

/// A row of `position`.
#[derive(sqlx::FromRow)]
pub(super) struct PositionColumns {
    cluster: String,
    topic: String,
    part: i32,
    next_offset: i64,
    seen_until: i64,
    incarnation: i32,
    last_offset: Option<i64>,
    last_at: Option<i64>,
    last_digest: Option<Vec<u8>>,
    checked_offset: Option<i64>,
    checked_at: Option<i64>,
    checked_digest: Option<Vec<u8>>,
    stray: Option<i64>,
}

impl PositionColumns {
    /// With its cluster.
    pub(super) fn into_position(self) -> Result<(String, Position), StoreError> {
        let mark = |offset: Option<i64>, at: Option<i64>, digest: Option<Vec<u8>>| {
            let (Some(offset), Some(digest)) = (offset, digest) else {
                return Ok(None);
            };
            let digest = digest.try_into().map_err(|_| StoreError::Unreadable {
                table: "position",
                detail: format!("{}/{}: a digest of another length", self.topic, self.part),
            })?;
            Ok::<_, StoreError>(Some(Mark {
                offset,
                at: at.map(At::from_millis),
                digest,
            }))
        };
        let last = mark(self.last_offset, self.last_at, self.last_digest)?;
        let checked = mark(self.checked_offset, self.checked_at, self.checked_digest)?;
        let position = Position {
            partition: self.part,
            next_offset: self.next_offset,
            seen_until: At::from_millis(self.seen_until),
            incarnation: self.incarnation.cast_unsigned(),
            last,
            checked,
            stray: self.stray,
            topic: self.topic,
        };
        Ok((self.cluster, position))
    }
}
