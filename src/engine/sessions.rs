//! Who is signed in to the console.
//!
//! A browser has an id that nobody can guess; the store has its digest, so that whoever reads the store is signed in as nobody.
//! Whether the holder may still be signed in is for the one to say who knows tokens and identity providers.

use std::{fmt, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Engine, EngineError};
use crate::{
    domain::{backup::earlier, time::At},
    store::ConsoleSession,
};

/// The use of a session is written down this many times within its idle time-out, and not with every page.
const NOTES: u32 = 20;

/// What a browser has: as long as it is nobody else's, whoever has it is who has signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// One that nobody has.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Reads what a browser sends.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// As the browser gets it. It is a secret.
    pub fn expose(&self) -> String {
        hex::encode(self.0)
    }

    /// What only who has the id can make of these bytes: it says nothing about the id.
    pub fn bind(&self, purpose: &str, bytes: &[u8]) -> String {
        let mut mac = <Hmac<Sha256>>::new((&self.padded()).into());
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(bytes);
        hex::encode(mac.finalize().into_bytes())
    }

    /// As a key of one block of SHA-256, which HMAC takes as it is.
    fn padded(&self) -> [u8; 64] {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        block
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How long somebody stays signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without asking for a page.
    pub idle: Duration,
    /// In any case.
    pub absolute: Duration,
}

/// Who has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Holder {
    /// The bearer of a token: what the session's id makes of the token's digest. What he may do is looked up each time.
    Token {
        /// See [`SessionId::bind`].
        mark: String,
    },
    /// Somebody whom an identity provider has signed in, as it was said then.
    Oidc {
        /// Which one.
        issuer: String,
        /// The name.
        name: String,
        /// The role, as the configuration writes it.
        role: String,
        /// The one tenant.
        tenant: Option<String>,
        /// Whether identifiers may be shown.
        identifiers: bool,
        /// When it was said; `None`: by a version that did not write it down.
        #[serde(default)]
        said_at: Option<At>,
    },
}

impl Engine {
    /// Somebody has signed in. Whatever has ended by now is forgotten.
    pub async fn begin_session(
        &self,
        id: &SessionId,
        holder: &Holder,
        limits: SessionLimits,
    ) -> Result<(), EngineError> {
        let now = self.clock.now();
        self.store.forget_sessions(now, earlier(now, limits.idle)).await?;
        let session = ConsoleSession {
            digest: id.digest(),
            started: now,
            seen: now,
            ends: now.plus(limits.absolute),
            holder: serde_json::to_string(holder)?,
        };
        Ok(self.store.add_session(&session).await?)
    }

    /// Who is signed in with this id, and uses it now; `None`: nobody, or not any more.
    pub async fn use_session(
        &self,
        id: &SessionId,
        limits: SessionLimits,
    ) -> Result<Option<Holder>, EngineError> {
        let digest = id.digest();
        let Some(session) = self.store.session(&digest).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        if is_over(&session, now, limits) {
            self.store.end_session(&digest).await?;
            return Ok(None);
        }
        if now.since(session.seen) >= limits.idle / NOTES {
            self.store.session_seen(&digest, now).await?;
        }
        let Ok(holder) = serde_json::from_str(&session.holder) else {
            // Of another version: whoever it is signs in again.
            self.store.end_session(&digest).await?;
            return Ok(None);
        };
        Ok(Some(holder))
    }

    /// Somebody has signed out.
    pub async fn end_session(&self, id: &SessionId) -> Result<bool, EngineError> {
        Ok(self.store.end_session(&id.digest()).await?)
    }
}

/// The absolute limit is also counted from the beginning, in case that it was shortened since then.
fn is_over(session: &ConsoleSession, now: At, limits: SessionLimits) -> bool {
    session.ends.min(session.started.plus(limits.absolute)) <= now || session.seen.plus(limits.idle) <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let id = SessionId::random();
        assert_eq!(SessionId::parse(&id.expose()), Some(id.clone()));
        assert_ne!(SessionId::random(), id);
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"x".repeat(64)] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
        assert!(!format!("{id:?}").contains(&id.expose()[..8]));
    }

    #[test]
    fn what_is_bound_differs_by_id_purpose_and_bytes() {
        let (one, other) = (SessionId([1; 32]), SessionId([2; 32]));
        let bound = one.bind("form", b"a");
        assert_eq!(bound, one.bind("form", b"a"));
        for different in [
            other.bind("form", b"a"),
            one.bind("token", b"a"),
            one.bind("form", b"b"),
        ] {
            assert_ne!(bound, different);
        }
    }

    #[test]
    fn a_session_ends_at_the_earlier_of_its_limits() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let start = At::from_millis(0);
        let limits = SessionLimits {
            idle: minutes(30),
            absolute: minutes(60),
        };
        let session = |seen| ConsoleSession {
            digest: [0; 32],
            started: start,
            seen: start.plus(minutes(seen)),
            ends: start.plus(minutes(60)),
            holder: String::new(),
        };
        let over = |seen, now, limits| is_over(&session(seen), start.plus(minutes(now)), limits);
        assert!(!over(0, 29, limits));
        assert!(over(0, 30, limits), "idle");
        assert!(!over(40, 59, limits));
        assert!(over(59, 60, limits), "absolute");
        let shorter = SessionLimits {
            absolute: minutes(45),
            ..limits
        };
        assert!(over(44, 45, shorter), "the limit was shortened since then");
    }
}
