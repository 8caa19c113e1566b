//! Which history a store has: how many facts, how many revisions of the registry, and a hash chained over all of them.
//!
//! A number alone does not tell one history from another. After a failover that lost commits, or after a backup was put
//! back, fact 10 may be another fact 10; its chain is then another one too, and so is that of every fact after it.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::time::At;

/// A hash over something and everything before it. All zeros: there is nothing yet.
pub type Chain = [u8; 32];

/// How far a history has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The number of the last one; 0: there is none.
    pub number: u32,
    /// The hash over all of them.
    pub chain: Chain,
}

/// What a transaction learns when it passes the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// The facts.
    pub facts: Head,
    /// The revisions of the registry.
    pub registry: Head,
    /// The database's clock, read after the lock was got.
    pub now: At,
}

/// Chains a fact to those before it. Its body is not in it: that a hold was on somebody stays, on whom is forgotten.
pub(super) fn after_fact(before: Head, id: Uuid, at: At, key: &str, digest: &[u8]) -> Head {
    let number = before.number + 1;
    let parts = [
        &number.to_be_bytes()[..],
        id.as_bytes(),
        &at.millis().to_be_bytes(),
        key.as_bytes(),
        digest,
    ];
    Head {
        number,
        chain: link(b"lacuna fact", &before.chain, &parts),
    }
}

/// Chains a revision of the registry to those before it.
pub(super) fn after_revision(before: &Chain, revision: u32, at: At, text: &str) -> Head {
    let parts = [
        &revision.to_be_bytes()[..],
        &at.millis().to_be_bytes(),
        text.as_bytes(),
    ];
    Head {
        number: revision,
        chain: link(b"lacuna registry", before, &parts),
    }
}

/// What is read of the head of a table: number and chain. A number without a chain was written by a version that did not
/// know of it: `None`.
pub(super) fn head_of(number: Option<u32>, chain: Option<Vec<u8>>) -> Option<Head> {
    match number {
        None => Some(Head::default()),
        Some(number) => Some(Head {
            number,
            chain: chain?.try_into().ok()?,
        }),
    }
}

/// Each part goes in with its length, so that no two lists of parts are the same bytes.
fn link(what: &[u8], before: &Chain, parts: &[&[u8]]) -> Chain {
    let mut hash = Sha256::new();
    hash.update(what);
    hash.update(before);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_fact_changes_chain_of_all_after_it() {
        let start = Head::default();
        let (id, at) = (Uuid::from_u128(1), At::from_millis(5));
        let first = after_fact(start, id, at, "hold/a/1", &[0; 16]);
        assert_eq!(first, after_fact(start, id, at, "hold/a/1", &[0; 16]));
        let others = [
            after_fact(start, Uuid::from_u128(2), at, "hold/a/1", &[0; 16]),
            after_fact(start, id, At::from_millis(6), "hold/a/1", &[0; 16]),
            after_fact(start, id, at, "hold/a/2", &[0; 16]),
            after_fact(start, id, at, "hold/a/1", &[1; 16]),
        ];
        for other in others {
            assert_eq!(other.number, first.number);
            assert_ne!(other.chain, first.chain);
            let next = |before| after_fact(before, Uuid::from_u128(9), at, "registry/2", &[0; 16]);
            assert_ne!(next(other).chain, next(first).chain);
        }
    }
}
