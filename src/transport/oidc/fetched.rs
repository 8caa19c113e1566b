//! Something that the identity provider says, read when it is needed and kept for a while.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::Mutex;

use super::OidcError;
use crate::domain::time::At;

/// How soon it is read again after it could not be: whoever waits for a provider that is away waits once, not in every call. Well
/// beyond what one reading may take, since it counts from when that began.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// How long what was read serves a provider that is away since then.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// What was read last, and why the last reading failed.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    read: RwLock<Option<(Arc<T>, At)>>,
    /// Held by whoever reads: the others wait for what he finds.
    failed: Mutex<Option<(OidcError, At)>>,
}

impl<T> Default for Fetched<T> {
    fn default() -> Self {
        Self {
            read: RwLock::new(None),
            failed: Mutex::new(None),
        }
    }
}

impl<T> Fetched<T> {
    /// What was read within `newer_than`; else it is read now, by one call for all that wait for it. What is new enough waits for
    /// nobody.
    pub(super) async fn current(
        &self,
        now: At,
        newer_than: Duration,
        read: impl Future<Output = Result<T, OidcError>>,
    ) -> Result<Arc<T>, OidcError> {
        if let Some(value) = self.newer(now, newer_than) {
            return Ok(value);
        }
        let mut failed = self.failed.lock().await;
        if let Some(value) = self.newer(now, newer_than) {
            return Ok(value);
        }
        if let Some((error, at)) = &*failed
            && now.since(*at) < TRY_AGAIN
        {
            return self.newer(now, STALE).ok_or_else(|| error.clone());
        }
        match read.await {
            Ok(value) => {
                let value = Arc::new(value);
                *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&value), now));
                *failed = None;
                Ok(value)
            }
            Err(error) => {
                tracing::warn!(%error, "OpenID Connect");
                *failed = Some((error.clone(), now));
                self.newer(now, STALE).ok_or(error)
            }
        }
    }

    fn newer(&self, now: At, than: Duration) -> Option<Arc<T>> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        let (value, at) = read.as_ref()?;
        (now.since(*at) < than).then(|| Arc::clone(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away<T>() -> Result<T, OidcError> {
        Err(OidcError::Away("on purpose".to_owned()))
    }

    fn at(seconds: u64) -> At {
        At::from_millis(0).plus(Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn it_is_read_again_when_it_is_old_and_not_before() {
        let fetched = Fetched::default();
        let minute = Duration::from_secs(60);
        let ask = async |now, value| fetched.current(at(now), minute, async { Ok(value) }).await;
        assert_eq!(*ask(0, 1).await.unwrap(), 1);
        assert_eq!(*ask(59, 2).await.unwrap(), 1);
        assert_eq!(*ask(60, 3).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_was_read_serves_while_the_provider_is_away() {
        let fetched = Fetched::default();
        let minute = Duration::from_secs(60);
        fetched.current(at(0), minute, async { Ok(1) }).await.unwrap();
        assert_eq!(
            *fetched.current(at(100), minute, async { away() }).await.unwrap(),
            1
        );
        let day = 24 * 3600;
        assert!(fetched.current(at(day), minute, async { away() }).await.is_err());
    }

    #[tokio::test]
    async fn a_provider_that_is_away_is_not_asked_by_every_call() {
        let fetched = Fetched::<u8>::default();
        let minute = Duration::from_secs(60);
        assert!(fetched.current(at(0), minute, async { away() }).await.is_err());
        let asked = async { panic!("it was asked again at once") };
        assert!(fetched.current(at(29), minute, asked).await.is_err());
        assert!(fetched.current(at(30), minute, async { Ok(1) }).await.is_ok());
    }
}
