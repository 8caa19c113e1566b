//! Tokens: what a processor has to send back with an ack, and a backup system with an event, to be believed.
//!
//! A token binds request, task, generation and attempt, and is computed when it is needed. There is none to
//! store, to leak from a backup or to expire.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use super::digest::MacKey;
use crate::domain::ids::{ProcessorId, RequestId, TaskId};

/// 192 bits: no guess succeeds, and base64 needs no padding.
const TOKEN_BYTES: usize = 24;
const TOKEN_CHARS: usize = 32;

/// With the 40 bytes of what a token binds, these 15 just fit into one block of SHA-256.
const PURPOSE: &str = "lacuna token v1";

/// A token as it is sent: 32 characters of base64url. `Display` writes it, `Debug` does not.
#[derive(Clone, Copy)]
pub struct Token([u8; TOKEN_CHARS]);

impl Token {
    pub(super) fn compute(
        key: &MacKey,
        request: RequestId,
        task: TaskId,
        generation: u32,
        attempt: u32,
    ) -> Self {
        let digest = key
            .start(PURPOSE)
            .fixed(request.0.as_bytes())
            .fixed(task.0.as_bytes())
            .fixed(&generation.to_be_bytes())
            .fixed(&attempt.to_be_bytes())
            .finish();
        Self::of_digest(&digest)
    }

    /// The token of a backup system's events.
    pub(super) fn of_backups(key: &MacKey, processor: &ProcessorId) -> Self {
        Self::of_digest(
            &key.start("lacuna backup token v1")
                .part(processor.as_str().as_bytes())
                .finish(),
        )
    }

    fn of_digest(digest: &[u8; 32]) -> Self {
        let mut text = [0; TOKEN_CHARS];
        URL_SAFE_NO_PAD
            .encode_slice(&digest[..TOKEN_BYTES], &mut text)
            .expect("24 bytes are 32 characters of base64");
        Self(text)
    }

    /// Whether this is what was presented. How long it takes does not depend on how much of it is right.
    pub(super) fn matches(&self, presented: &str) -> bool {
        // Slices of different lengths are unequal; the length of a token is no secret.
        self.0.ct_eq(presented.as_bytes()).into()
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

impl AsRef<str> for Token {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Token {
    /// One that nobody believes: for a task that is nobody's.
    pub(crate) const fn nobodys() -> Self {
        Self([b'-'; TOKEN_CHARS])
    }
}

#[cfg(test)]
impl Token {
    /// One that nobody believes.
    pub(crate) const fn for_tests() -> Self {
        Self::nobodys()
    }
}
