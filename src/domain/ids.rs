//! Identifiers. Each is a type of its own, checked where it is made, so that nothing inside has to check again.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// One data subject's erasure or anonymization.
    RequestId
}
uuid_id! {
    /// One processor's share of a request.
    TaskId
}
uuid_id! {
    /// The idempotency key of a command.
    CommandId
}

uuid_id! {
    /// A legal hold, by which it is released.
    HoldId
}
uuid_id! {
    /// The idempotency key of a backup event.
    EventId
}

/// Why a name is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must match {pattern}")]
pub struct BadName {
    /// What the name is for.
    pub what: &'static str,
    /// The pattern that it must match.
    pub pattern: &'static str,
}

macro_rules! name_id {
    ($(#[$meta:meta])* $name:ident, $what:literal, $pattern:literal, $max:literal, $allowed:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks the name and takes it.
            pub fn new(text: &str) -> Result<Self, BadName> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.bytes().all(allowed) {
                    return Err(BadName { what: $what, pattern: $pattern });
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": concat!("^", $pattern, "$") })
            }
        }
    };
}

name_id! {
    /// A registered downstream system.
    ProcessorId, "a processor id", "[a-z0-9-]{1,63}", 63,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
}
name_id! {
    /// A tenant: rows, keys and searches never cross it.
    Tenant, "a tenant", "[A-Za-z0-9._-]{1,64}", 64,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
}
name_id! {
    /// The type of an identifier: an open set.
    IdentityType, "an identity type", "[a-z0-9_]{1,64}", 64,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
}
name_id! {
    /// A category of data, a purpose or a region, as the controller names them.
    Label, "a category, purpose or region", "[A-Za-z0-9._-]{1,64}", 64,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
}
name_id! {
    /// The name of an anchor, such as `account_closed_at`.
    AnchorName, "an anchor", "[a-z0-9_]{1,64}", 64,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
}
name_id! {
    /// The name of a legal regime, such as `gdpr`.
    RegimeName, "a regime", "[a-z0-9_]{1,32}", 32,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
}

/// Counts the facts, in the order in which they were committed.
pub type FactVersion = u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_where_they_are_made() {
        assert!(ProcessorId::new("crm-2").is_ok());
        assert!(ProcessorId::new("CRM").is_err());
        assert!(ProcessorId::new("").is_err());
        assert!(ProcessorId::new(&"a".repeat(64)).is_err());
        assert!(IdentityType::new("customer_id").is_ok());
        assert!(Tenant::new("acme corp").is_err());
    }
}
