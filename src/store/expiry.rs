//! What waits to be deleted, what is said of it, and how both are laid out as far as the adapters share it.

use uuid::Uuid;

use super::StoreError;
use crate::domain::{
    identity::{Recipe, SubjectDigest, SuppressionDigest},
    ids::{IdentityType, RequestId, Tenant},
    time::At,
};

/// What is deleted of a request after its end, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The keyed digests by which its subject is found again.
    Lookups,
    /// Its rows.
    Records,
}

/// Requests that came to their end together, in line for what is deleted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The line that they stand in.
    pub line: Line,
    /// When the last of them came to its end; or the time that they stand in line by, where they had to wait.
    pub at: At,
    /// Tells rows of one time apart.
    pub id: Uuid,
    /// The requests.
    pub requests: Vec<RequestId>,
}

/// An identifier of a request as the suppression topic has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SuppressionRow {
    /// The digest under the tenant's suppression key.
    pub digest: SuppressionDigest,
    /// The request.
    pub request_id: RequestId,
    /// The type of the identifier.
    pub identity_type: IdentityType,
    /// By which recipe the digest was computed.
    pub recipe: Recipe,
}

/// A request whose rows go: deleted only where it still has this revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgedRow {
    /// The request.
    pub id: RequestId,
    /// Its tenant.
    pub tenant: Tenant,
    /// The revision that it was read at.
    pub revision: u32,
}

/// A key of a compacted topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompactedKey {
    /// Of the status topic.
    Status(RequestId),
    /// Of the suppression topic.
    Suppression(SuppressionDigest),
}

/// A key whose last record has to say what is true now, after its rows have gone. It stays until that is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWord {
    /// Its own id.
    pub id: Uuid,
    /// The key.
    pub key: CompactedKey,
}

/// The rows of each line, where it has any.
pub(super) fn by_line(rows: &[Closing]) -> impl Iterator<Item = (Line, Vec<&Closing>)> {
    [Line::Lookups, Line::Records].into_iter().filter_map(|line| {
        let of_line: Vec<&Closing> = rows.iter().filter(|row| row.line == line).collect();
        (!of_line.is_empty()).then_some((line, of_line))
    })
}

/// Ids one after the other, 16 bytes each.
pub(super) fn packed_ids(ids: &[RequestId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0.into_bytes()).collect()
}

/// Digests one after the other.
pub(super) fn packed_digests(digests: &[SubjectDigest]) -> Vec<u8> {
    let mut digests = digests.to_vec();
    digests.sort_unstable();
    digests.dedup();
    digests.concat()
}

/// Columns: request id, its digests one after the other.
pub(super) type LookupColumns = (Uuid, Vec<u8>);

/// The rows of `subject` that these requests have.
pub(super) fn lookups(rows: Vec<LookupColumns>) -> Vec<(SubjectDigest, RequestId)> {
    let mut keys: Vec<_> = rows
        .iter()
        .flat_map(|(id, digests)| {
            let (digests, _) = digests.as_chunks();
            digests.iter().map(|digest| (*digest, RequestId(*id)))
        })
        .collect();
    keys.sort_unstable();
    keys
}

/// Columns: at, id, requests.
pub(super) type ClosingColumns = (i64, Uuid, Vec<u8>);

pub(super) fn closings(line: Line, rows: Vec<ClosingColumns>) -> Vec<Closing> {
    rows.into_iter()
        .map(|(at, id, requests)| Closing {
            line,
            at: At::from_millis(at),
            id,
            requests: requests
                .as_chunks()
                .0
                .iter()
                .map(|id| RequestId(Uuid::from_bytes(*id)))
                .collect(),
        })
        .collect()
}

/// Columns: digest, request id, type, recipe.
pub(super) type SuppressionColumns = (Vec<u8>, Uuid, String, i16);

/// Columns: digest, request id, type, recipe, and the request's revision and packed state.
pub(super) type SuppressedColumns<N> = (Vec<u8>, Uuid, String, i16, N, Vec<u8>);

pub(super) fn suppression_row(
    (digest, id, identity_type, recipe): SuppressionColumns,
) -> Result<SuppressionRow, StoreError> {
    let unreadable = |detail| StoreError::Unreadable {
        table: "suppression",
        detail: format!("request {id}: {detail}"),
    };
    Ok(SuppressionRow {
        digest: digest
            .try_into()
            .map_err(|_| unreadable("a digest of another length".into()))?,
        request_id: RequestId(id),
        identity_type: IdentityType::new(&identity_type).map_err(|error| unreadable(error.to_string()))?,
        recipe: Recipe::numbered(recipe)
            .ok_or_else(|| unreadable(format!("recipe {recipe} is not known here")))?,
    })
}

/// The digest of a row of `subject`.
pub(super) fn subject_digest(bytes: Vec<u8>) -> Result<SubjectDigest, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Unreadable {
        table: "subject",
        detail: "a digest of another length".into(),
    })
}

const STATUS: i16 = 0;
const SUPPRESSION: i16 = 1;

/// A key as its columns: kind, bytes.
pub(super) fn key_columns(key: &CompactedKey) -> (i16, &[u8]) {
    match key {
        CompactedKey::Status(id) => (STATUS, id.0.as_bytes()),
        CompactedKey::Suppression(digest) => (SUPPRESSION, digest),
    }
}

/// Columns: id, kind, key.
pub(super) type WordColumns = (Uuid, i16, Vec<u8>);

pub(super) fn last_word((id, kind, key): WordColumns) -> Result<LastWord, StoreError> {
    let of_status = || {
        Uuid::from_slice(&key)
            .ok()
            .map(|id| CompactedKey::Status(RequestId(id)))
    };
    let of_suppression = || key.as_slice().try_into().ok().map(CompactedKey::Suppression);
    let known = match kind {
        STATUS => of_status(),
        SUPPRESSION => of_suppression(),
        _ => None,
    };
    let key = known.ok_or_else(|| StoreError::Unreadable {
        table: "last_word",
        detail: format!("{id}: no key of kind {kind}"),
    })?;
    Ok(LastWord { id, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let id = Uuid::from_u128(7);
        for key in [
            CompactedKey::Status(RequestId(id)),
            CompactedKey::Suppression([9; 32]),
        ] {
            let (kind, bytes) = key_columns(&key);
            assert_eq!(last_word((id, kind, bytes.to_vec())).unwrap().key, key);
        }
        assert!(last_word((id, STATUS, vec![1; 32])).is_err());
        assert!(last_word((id, 7, vec![1; 32])).is_err());
    }

    #[test]
    fn what_is_packed_is_read_back() {
        let ids: Vec<RequestId> = (1..4).map(|n| RequestId(Uuid::from_u128(n))).collect();
        let read = closings(Line::Records, vec![(5, Uuid::nil(), packed_ids(&ids))]);
        assert_eq!(read[0].requests, ids);
        let packed = packed_digests(&[[2; 16], [1; 16], [2; 16]]);
        let read = lookups(vec![(Uuid::from_u128(1), packed)]);
        assert_eq!(read, [([1; 16], ids[0]), ([2; 16], ids[0])]);
    }
}
