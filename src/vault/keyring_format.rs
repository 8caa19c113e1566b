//! The JSON that a keyring file holds. Nothing of what it contains ever gets into an error.
//!
//! ```json
//! {"version": 1, "root": "base64", "epochs": [{"id": 1, "created_at": "…", "key": "base64"},
//!                                             {"id": 2, "created_at": "…", "retired_at": "…"}]}
//! ```
//! A member that this release does not know is refused, not skipped: rewriting the file would drop a key. New
//! members are optional ones; what an older reading would misunderstand takes a new `version`.

use std::{fmt, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::{
    epoch::{Epoch, EpochKey},
    keyring_error::KeyringError,
    secret::{KEY_BYTES, SecretKey},
};
use crate::domain::time::At;

/// The format that this release reads and writes.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    root: SecretKey,
    epochs: Vec<Member>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    id: u32,
    created_at: At,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<SecretKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired_at: Option<At>,
}

/// The version alone, read first: a newer file is called newer, not damaged.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What is wrong with a file's content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadFormat {
    Version(u32),
    Corrupt(String),
}

impl BadFormat {
    pub(super) fn of(self, path: &Path) -> KeyringError {
        match self {
            Self::Version(found) => KeyringError::Version {
                path: path.into(),
                found,
                known: VERSION,
            },
            Self::Corrupt(why) => KeyringError::Corrupt {
                path: path.into(),
                why,
            },
        }
    }
}

/// Reads the members and checks what they say together.
pub(super) fn read(bytes: &[u8]) -> Result<(SecretKey, Vec<Epoch>), BadFormat> {
    let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| position(&error))?;
    if version != VERSION {
        return Err(BadFormat::Version(version));
    }
    let file: File = serde_json::from_slice(bytes).map_err(|error| position(&error))?;
    let epochs = file
        .epochs
        .into_iter()
        .map(epoch)
        .collect::<Result<Vec<_>, _>>()?;
    if !epochs.is_sorted_by(|one, next| one.id < next.id) {
        return Err(BadFormat::Corrupt("its epochs are not in ascending order".into()));
    }
    if !epochs
        .iter()
        .any(|epoch| matches!(epoch.key, EpochKey::Living(_)))
    {
        return Err(BadFormat::Corrupt("none of its epochs has a key".into()));
    }
    Ok((file.root, epochs))
}

/// Writes them. The buffer has room for everything at once, because one that grows leaves copies of the keys
/// behind.
pub(super) fn write(root: &SecretKey, epochs: &[Epoch]) -> Zeroizing<Vec<u8>> {
    // An epoch takes less than 180 bytes, the rest less than 120.
    let mut bytes = Zeroizing::new(Vec::with_capacity(256 + 256 * epochs.len()));
    let file = File {
        version: VERSION,
        root: root.clone(),
        epochs: epochs.iter().map(member).collect(),
    };
    serde_json::to_writer_pretty(&mut *bytes, &file).expect("plain members, written to memory");
    bytes.push(b'\n');
    bytes
}

fn epoch(member: Member) -> Result<Epoch, BadFormat> {
    let key = match (member.key, member.retired_at) {
        (Some(key), None) => EpochKey::Living(key),
        (None, Some(at)) => EpochKey::Retired(at),
        (Some(_), Some(_)) => {
            return Err(BadFormat::Corrupt(format!(
                "epoch {} is retired and still has its key",
                member.id
            )));
        }
        (None, None) => {
            return Err(BadFormat::Corrupt(format!(
                "epoch {} has lost its key",
                member.id
            )));
        }
    };
    Ok(Epoch {
        id: member.id,
        created_at: member.created_at,
        key,
    })
}

fn member(epoch: &Epoch) -> Member {
    let (key, retired_at) = match &epoch.key {
        EpochKey::Living(key) => (Some(key.clone()), None),
        EpochKey::Retired(at) => (None, Some(*at)),
    };
    Member {
        id: epoch.id,
        created_at: epoch.created_at,
        key,
        retired_at,
    }
}

/// Where reading stopped. The error's own text is not used: it may quote what it found, and that may be a
/// key.
fn position(error: &serde_json::Error) -> BadFormat {
    let (line, column) = (error.line(), error.column());
    BadFormat::Corrupt(match error.classify() {
        serde_json::error::Category::Eof => format!("it ends too early, at line {line}"),
        serde_json::error::Category::Syntax => format!("it is not JSON at line {line}, column {column}"),
        _ => format!("it has an unexpected, missing or malformed member at line {line}, column {column}"),
    })
}

impl Serialize for SecretKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.bytes())))
    }
}

impl<'de> Deserialize<'de> for SecretKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor, since reading into a `String` first would leave a copy of the key in freed memory.
        deserializer.deserialize_str(Base64Key)
    }
}

struct Base64Key;

impl de::Visitor<'_> for Base64Key {
    type Value = SecretKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("32 bytes in base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretKey, E> {
        // The decoder asks for room for its estimate, which is up to two bytes more than the 32.
        let mut bytes = Zeroizing::new([0; KEY_BYTES + 4]);
        let decoded = STANDARD.decode_slice(text, bytes.as_mut_slice()).ok();
        decoded
            .and_then(|length| SecretKey::from_slice(&bytes[..length]))
            .ok_or_else(|| E::custom("not 32 bytes in base64"))
    }
}
