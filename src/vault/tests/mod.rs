//! The expected values were computed with Python: `hmac` and `hashlib`, `cryptography` for HKDF and
//! ChaCha20-Poly1305, and HChaCha20 written out after draft-irtf-cfrg-xchacha and checked against its vector.

mod digests;
mod sealing;

use uuid::Uuid;

use super::*;
use crate::domain::{
    identity::{Identity, SubjectData},
    ids::{IdentityType, Tenant},
};

/// Root secret 32 × 1; epoch 1 retired, epoch 2 superseded (32 × 2), epoch 5 current (32 × 3).
fn vault() -> Vault {
    vault_of([1; 32], &[(1, None), (2, Some([2; 32])), (5, Some([3; 32]))])
}

fn vault_of(root: [u8; 32], epochs: &[(u32, Option<[u8; 32]>)]) -> Vault {
    let at = At::from_millis(1_790_000_000_000);
    let key = |bytes: &[u8; 32]| SecretKey::from_slice(bytes).unwrap();
    let epochs = epochs.iter().map(|(id, bytes)| epoch::Epoch {
        id: *id,
        created_at: at,
        key: bytes
            .as_ref()
            .map_or(EpochKey::Retired(at), |bytes| EpochKey::Living(key(bytes))),
    });
    Vault::new(Keyring::for_tests(key(&root), epochs.collect()))
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn request(n: u128) -> RequestId {
    RequestId(Uuid::from_u128(n))
}

const ONE: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0001;

fn identity(kind: &str, value: &str) -> Identity {
    Identity {
        kind: IdentityType::new(kind).unwrap(),
        value: SubjectData::new(value),
    }
}

/// Every flip of a bit, every truncation, and one byte more.
fn mutations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flips = (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    });
    let cuts = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    flips.chain(cuts).chain([[bytes, &[0]].concat()])
}
