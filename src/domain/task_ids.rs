//! Task ids, derived from request ids and back again.
//!
//! An ack names its task, and its request has to be found. A row a task that leads from the one to the other
//! would be the largest index of the store and the only random write of the happy path. So a task id *is* its
//! request id, put through a permutation of all 16-byte values: AES-128 under a key that belongs to the
//! task's ordinal in the plan. Decrypting with each ordinal's key gives the few requests that the task can
//! belong to, and the store knows which of them exists.
//!
//! A block cipher, not addition or XOR: upstream may number its requests consecutively, and the third task of
//! one request must not be the second task of the next. The keys are public; nothing here is secret or has to
//! be, because an ack counts only with its token. Someone who may choose request ids can make two whose tasks
//! share an id, so of several candidates that exist, the one whose token matches is meant.

use std::sync::LazyLock;

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ids::{RequestId, TaskId};

/// The most tasks a plan may have. It bounds the work that an ack with an invented task id can cause.
pub const MAX_TASKS: u16 = 512;

/// Plans have a handful of tasks; for these many the key schedules are kept, in 22 KiB.
const KEPT: u16 = 64;

static CIPHERS: LazyLock<Vec<Aes128>> = LazyLock::new(|| (0..KEPT).map(scheduled).collect());

/// The id of the task at this place of the request's plan. Ids of places from `MAX_TASKS` on lead back to no
/// request.
pub fn task_id(request: RequestId, ordinal: u16) -> TaskId {
    let mut block = request.0.into_bytes().into();
    with_cipher(ordinal, |cipher| cipher.encrypt_block(&mut block));
    TaskId(Uuid::from_bytes(block.into()))
}

/// The requests that a task can belong to, each with the task's place in its plan; lower places, which are
/// likelier, first. At most one of them exists, unless someone chose request ids to that end.
pub fn request_candidates(task: TaskId) -> impl Iterator<Item = (RequestId, u16)> {
    (0..MAX_TASKS).map(move |ordinal| (request_at(task, ordinal), ordinal))
}

/// The request that a task belongs to if it has this place in its plan.
pub fn request_at(task: TaskId, ordinal: u16) -> RequestId {
    let mut block = task.0.into_bytes().into();
    with_cipher(ordinal, |cipher| cipher.decrypt_block(&mut block));
    RequestId(Uuid::from_bytes(block.into()))
}

fn with_cipher(ordinal: u16, run: impl FnOnce(&Aes128)) {
    match CIPHERS.get(usize::from(ordinal)) {
        Some(cipher) => run(cipher),
        None => run(&scheduled(ordinal)),
    }
}

/// The cipher of an ordinal. Part of the format: another key would orphan every ack under way.
fn scheduled(ordinal: u16) -> Aes128 {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"lacuna task id v1")
        .chain_update(ordinal.to_be_bytes())
        .finalize()
        .into();
    Aes128::new_from_slice(&hash[..16]).expect("16 bytes are a key of AES-128")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn request(n: u128) -> RequestId {
        RequestId(Uuid::from_u128(n))
    }

    #[test]
    fn ids_are_those_of_aes_128() {
        // Computed with Python's `cryptography`: AES(sha256(b"lacuna task id v1" + ordinal)[:16]), ECB, one
        // block.
        let known = [
            (
                0x0190_0000_0000_7000_8000_0000_0000_0001,
                0,
                "4e6b7ea6-d74c-f3a4-418c-a18067c3d5ce",
            ),
            (
                0x0190_0000_0000_7000_8000_0000_0000_0001,
                63,
                "de482b72-30a5-d3a1-5fcd-5468b05adff8",
            ),
            (
                0x0190_0000_0000_7000_8000_0000_0000_0001,
                64,
                "a5fec906-3e1b-8f60-d85f-8a172f1cebd0",
            ),
            (u128::MAX, 511, "96fe05c6-339b-35fe-4349-7dddb0c74010"),
        ];
        for (id, ordinal, expected) in known {
            assert_eq!(task_id(request(id), ordinal).to_string(), expected, "{ordinal}");
        }
    }

    #[test]
    fn a_task_leads_back_to_its_request() {
        for ordinal in [0, 1, 7, 63, 64, 300, MAX_TASKS - 1] {
            let task = task_id(request(42), ordinal);
            assert_eq!(request_at(task, ordinal), request(42));
            let found: Vec<_> = request_candidates(task)
                .filter(|(id, _)| *id == request(42))
                .collect();
            assert_eq!(found, [(request(42), ordinal)]);
        }
    }

    #[test]
    fn candidates_are_bounded_and_in_order() {
        let ordinals: Vec<u16> = request_candidates(TaskId(Uuid::nil()))
            .map(|(_, ordinal)| ordinal)
            .collect();
        assert_eq!(ordinals, (0..MAX_TASKS).collect::<Vec<_>>());
    }

    #[test]
    fn consecutive_requests_share_no_task() {
        let mut seen = HashSet::new();
        for n in 0..500 {
            assert!(seen.insert(request(n).0));
        }
        for n in 0..500 {
            for ordinal in 0..80 {
                assert!(
                    seen.insert(task_id(request(n), ordinal).0),
                    "request {n}, task {ordinal}"
                );
            }
        }
    }
}
