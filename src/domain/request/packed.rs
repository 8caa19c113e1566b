//! The packed form of the aggregate: one small row that is rewritten in place.
//!
//! A version byte, then postcard. Rows of the version before are read, and written anew when they change.

mod v2;

use serde::{Deserialize, Serialize};

use super::{Head, Life, Request};
use crate::domain::{ids::RequestId, task::Task};

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

#[derive(Serialize)]
struct Packing<'a>(&'a Head, &'a Life, &'a [Task]);

#[derive(Deserialize)]
struct Packed(Head, Life, Vec<Task>);

impl Request {
    /// Packs what the row holds besides id and revision.
    pub fn pack(&self) -> Result<Vec<u8>, PackedError> {
        // What does not change comes first, so that a rewritten row differs from its predecessor near its end only.
        let mut bytes = Vec::with_capacity(96 + 48 * self.tasks.len());
        bytes.push(VERSION);
        Ok(postcard::to_extend(
            &Packing(&self.head, &self.life, &self.tasks),
            bytes,
        )?)
    }

    /// Unpacks a row.
    pub fn unpack(id: RequestId, revision: u32, bytes: &[u8]) -> Result<Self, PackedError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                let Packed(head, life, tasks) = postcard::from_bytes(rest)?;
                Ok(Self {
                    id,
                    revision,
                    head,
                    life,
                    tasks,
                })
            }
            Some((&VERSION_BEFORE, rest)) => {
                let old: v2::Packed = postcard::from_bytes(rest)?;
                let (head, life, tasks) = old.into_parts();
                Ok(Self {
                    id,
                    revision,
                    head,
                    life,
                    tasks,
                })
            }
            Some((version, _)) => Err(PackedError::Version(*version)),
            None => Err(PackedError::Broken(postcard::Error::DeserializeUnexpectedEnd)),
        }
    }
}
