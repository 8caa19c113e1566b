//! The packed form of the aggregate: one small row that is rewritten in place.
//!
//! A version byte, then postcard. Rows of the version before are read, and written anew when they change.

mod v2;
mod v3;

use super::Request;
use crate::domain::ids::RequestId;

const VERSION: u8 = 3;
const VERSION_BEFORE: u8 = 2;

/// A packed row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PackedError {
    /// It was written by a later version.
    #[error("a request packed by version {0}, which this version cannot read")]
    Version(u8),
    /// Its bytes are broken.
    #[error("a broken packed request")]
    Broken(#[from] postcard::Error),
}

/// How a name stands in a packed row: a length, and then its bytes. So a row that does not have these bytes does not have the name.
pub fn packed_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + name.len());
    // Names are shorter than what a length of one byte can say.
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

impl Request {
    /// Packs what the row holds besides id and revision.
    pub fn pack(&self) -> Result<Vec<u8>, PackedError> {
        // What does not change comes first, so that a rewritten row differs from its predecessor near its end only.
        let mut bytes = Vec::with_capacity(96 + 48 * self.tasks.len());
        bytes.push(VERSION);
        Ok(postcard::to_extend(&v3::packing(self), bytes)?)
    }

    /// Unpacks a row.
    pub fn unpack(id: RequestId, revision: u32, bytes: &[u8]) -> Result<Self, PackedError> {
        let (version, rest) = bytes
            .split_first()
            .ok_or(PackedError::Broken(postcard::Error::DeserializeUnexpectedEnd))?;
        let (head, (life, bookkeeping), tasks) = match *version {
            VERSION => v3::into_parts(postcard::from_bytes(rest)?),
            VERSION_BEFORE => postcard::from_bytes::<v2::Packed>(rest)?.into_parts(),
            version => return Err(PackedError::Version(version)),
        };
        Ok(Self {
            id,
            revision,
            head,
            life,
            bookkeeping,
            tasks,
        })
    }
}
