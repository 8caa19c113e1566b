//! The id that a processor knows our request by.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::domain::ids::TaskId;

/// The id of a task's generation: the same for each try, so that a processor that has it already does not begin anew. The
/// specification wants version 4, which says "random": it is a digest, which nobody can tell from that.
pub fn subject_request_id(task: TaskId, generation: u32) -> Uuid {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(b"lacuna opendsr subject_request_id v1")
        .chain_update(task.0.as_bytes())
        .chain_update(generation.to_be_bytes())
        .finalize()
        .into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_try_of_a_generation_has_one_id_of_version_4() {
        let task = TaskId(Uuid::from_u128(7));
        let id = subject_request_id(task, 1);
        assert_eq!(id, subject_request_id(task, 1));
        assert_ne!(id, subject_request_id(task, 2));
        assert_ne!(id, subject_request_id(TaskId(Uuid::from_u128(8)), 1));
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.to_string(), id.to_string().to_lowercase());
    }
}
