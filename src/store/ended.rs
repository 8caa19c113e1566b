//! When a transaction has come to its end, for whoever may meet the locks that it still holds.

use tokio_util::sync::{CancellationToken, DropGuard};

/// The end of a transaction: committed, or rolled back and its locks released.
///
/// A transaction that is only dropped is rolled back a little later, on another task. Until then what it has locked is
/// passed over or waited for like anybody else's, also by the one that has just dropped it.
#[derive(Debug, Clone, Default)]
pub struct Ended(Option<CancellationToken>);

impl Ended {
    /// An end that is kept from coming by its guard.
    pub(super) fn kept() -> (Self, DropGuard) {
        let token = CancellationToken::new();
        let ended = Self(Some(token.clone()));
        (ended, token.drop_guard())
    }

    /// Where nobody can meet the locks of a transaction that was dropped.
    pub(super) const fn unseen() -> Self {
        Self(None)
    }

    /// Waits for it.
    pub async fn wait(self) {
        if let Some(token) = self.0 {
            token.cancelled().await;
        }
    }
}
