//! Who is signed in to the console.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::time::At;

/// Sessions of the console. Each of these is a statement of its own.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Begins one.
    async fn add_session(&self, session: &ConsoleSession) -> Result<(), StoreError>;
    /// The one with this digest.
    async fn session(&self, digest: &[u8; 32]) -> Result<Option<ConsoleSession>, StoreError>;
    /// It was used.
    async fn session_seen(&self, digest: &[u8; 32], at: At) -> Result<(), StoreError>;
    /// Ends it; whether there was one.
    async fn end_session(&self, digest: &[u8; 32]) -> Result<bool, StoreError>;
    /// Forgets those that have ended by now, and those that were not used since `seen_before`.
    async fn forget_sessions(&self, now: At, seen_before: At) -> Result<u64, StoreError>;
}

/// A session of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSession {
    /// The digest of what the browser has.
    pub digest: [u8; 32],
    /// When somebody signed in.
    pub started: At,
    /// When it was used last, about.
    pub seen: At,
    /// When it ends in any case.
    pub ends: At,
    /// Whose it is, as JSON.
    pub holder: String,
}
