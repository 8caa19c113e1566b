//! The command ids that idempotency keys of HTTP stand for.

use std::borrow::Cow;

use uuid::Uuid;

use super::fields::uuid;
use crate::domain::ids::{CommandId, Tenant};

/// Names ids that are derived from an `Idempotency-Key`. Chosen once, by chance; never to change.
const KEYS: Uuid = Uuid::from_u128(0xa1f4_0b92_37c6_4d58_b0e3_7e92_d4c1_5f06);

/// The command id that an `Idempotency-Key` stands for: the key itself where it is a UUID, else one derived from it.
///
/// Takes a structured-field string (in quotes) or a bare key; both spellings of a key give the same id.
pub fn command_id_from_key(key: &str) -> CommandId {
    let key = unquoted(key);
    CommandId(uuid(&key).unwrap_or_else(|| Uuid::new_v5(&KEYS, key.as_bytes())))
}

/// The same for a key that one caller has chosen for one tenant: another's key of the same text is another key. One
/// that is a UUID is taken as it is, because it is meant to be unique everywhere.
pub fn command_id_of_caller(key: &str, caller: &str, tenant: &Tenant) -> CommandId {
    let key = unquoted(key);
    match uuid(&key) {
        Some(id) => CommandId(id),
        // The length keeps apart what would read the same; a tenant has no colon.
        None => command_id_from_key(&format!("{}:{caller}:{tenant}:{key}.", caller.len())),
    }
}

fn unquoted(key: &str) -> Cow<'_, str> {
    let key = key.trim();
    match key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => Cow::Owned(inner.replace("\\\"", "\"").replace("\\\\", "\\")),
        None => Cow::Borrowed(key),
    }
}
