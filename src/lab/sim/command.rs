//! Writes commands, as an upstream service that was built from the contract would.

use rand::RngExt as _;
use serde::{Serialize, Serializer};
use uuid::{Builder, Uuid};

use super::random::Random;
use crate::domain::time::At;

#[derive(Debug, Serialize)]
struct Command<'a> {
    command_id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    request_id: Uuid,
    tenant: &'static str,
    subject: Subject<'a>,
    regime: &'static str,
    reason: &'static str,
    requested_at: At,
    anchors: Anchors,
    identity_verified: bool,
    metadata: Metadata<'a>,
}

#[derive(Debug, Serialize)]
struct Subject<'a> {
    identities: [Identity<'a>; 2],
}

#[derive(Debug, Serialize)]
struct Identity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: Text<'a>,
}

#[derive(Debug, Serialize)]
struct Anchors {
    account_closed_at: At,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    ticket: Text<'a>,
    source: &'static str,
    channel: &'static str,
    note: &'static str,
}

/// A text that is put together while it is written.
#[derive(Debug)]
struct Text<'a>(std::fmt::Arguments<'a>);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What the ids are like that an upstream service gives its commands and requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Ids {
    /// Random ones (UUID version 4): they fall anywhere into every index.
    V4,
    /// Time-ordered ones (UUID version 7): indexes grow at their right edge.
    #[default]
    V7,
}

impl Ids {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V7 => "v7",
        }
    }

    /// The next id, whose chance comes from the simulation's seed.
    pub fn next(self, now: At, random: &mut Random) -> Uuid {
        match self {
            Self::V4 => Builder::from_random_bytes(random.random()).into_uuid(),
            Self::V7 => id_at(now, random),
        }
    }
}

/// An id that sorts by time, whose chance comes from the simulation's seed.
pub fn id_at(now: At, random: &mut Random) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random.random()).into_uuid()
}

/// Writes the command that opens the n-th request of a run. Each run has subjects of its own.
pub(super) fn write(
    into: &mut Vec<u8>,
    request_id: Uuid,
    run: u64,
    n: u64,
    now: At,
) -> Result<(), serde_json::Error> {
    let run = run & 0xffff_ffff;
    let command = Command {
        command_id: request_id,
        kind: "erase",
        request_id,
        tenant: "acme",
        subject: Subject {
            identities: [
                Identity {
                    kind: "email",
                    value: Text(format_args!("person.{n:07}@{run:08x}.customers.example.org")),
                },
                Identity {
                    kind: "customer_id",
                    value: Text(format_args!("{run:08x}-{n:07}")),
                },
            ],
        },
        regime: "gdpr",
        reason: "account_closed",
        requested_at: now,
        anchors: Anchors {
            account_closed_at: now,
        },
        identity_verified: true,
        metadata: Metadata {
            ticket: Text(format_args!("T-{n:07}")),
            source: "account-service",
            channel: "self-service",
            note: "closed by the customer in the account settings",
        },
    };
    serde_json::to_writer(into, &command)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::{
        domain::ids::{RequestId, Tenant},
        wire::{Channel, Envelope, parse_command},
    };

    #[test]
    fn what_it_asks_is_what_the_contract_reads() {
        let tenant = Tenant::new("default").unwrap();
        let now = At::from_millis(1_790_000_000_000);
        let id = id_at(now, &mut Random::seed_from_u64(1));
        let mut bytes = Vec::new();
        write(&mut bytes, id, 1, 2, now).unwrap();
        let parsed = parse_command(&bytes, &Envelope::bare(&tenant), Channel::Commands).unwrap();
        assert_eq!(parsed.command.request_id(), Some(RequestId(id)));
        assert!((500..700).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(id.get_version_num(), 7);
    }

    #[test]
    fn its_ids_are_of_the_version_that_is_asked_for() {
        let now = At::from_millis(1_790_000_000_000);
        for (ids, version) in [(Ids::V4, 4), (Ids::V7, 7)] {
            let mut random = Random::seed_from_u64(1);
            let (one, other) = (ids.next(now, &mut random), ids.next(now, &mut random));
            assert_eq!([one, other].map(|id| id.get_version_num()), [version; 2]);
            assert_ne!(one, other);
        }
    }
}
