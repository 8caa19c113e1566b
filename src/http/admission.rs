//! What `[auth]` says now, and the identity provider that it names. It is replaced as a whole when the configuration is read anew.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{
    clock::Clock,
    config::{Auth, Oidc},
    transport::{local::Unusable, oidc::Provider},
};

/// Who may call. Clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    /// `None`: there is no `[auth]`, and everybody on this machine has every role.
    current: Option<Arc<RwLock<Arc<Access>>>>,
    clock: Clock,
}

/// What `[auth]` says.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) auth: Auth,
    /// The provider of `auth.oidc`.
    pub(super) provider: Option<Arc<Provider>>,
}

/// Why `[auth]` was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum NotReplaced {
    /// The section has come or gone: the listener was bound for the other case.
    #[error("whether there is a section [auth] needs a restart")]
    Presence,
    /// What it names cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

impl Admission {
    /// Of what the configuration says.
    pub fn new(auth: Option<Auth>, clock: Clock) -> Result<Self, Unusable> {
        let current = match auth {
            Some(auth) => Some(Arc::new(RwLock::new(Arc::new(Access::new(auth, None, &clock)?)))),
            None => None,
        };
        Ok(Self { current, clock })
    }

    /// What it is now; `None`: there is no `[auth]`.
    pub(super) fn current(&self) -> Option<Arc<Access>> {
        let current = self.current.as_ref()?;
        Some(Arc::clone(
            &current.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// Whether there is no `[auth]`.
    pub(super) const fn is_open(&self) -> bool {
        self.current.is_none()
    }

    /// What the section says now.
    pub fn auth(&self) -> Option<Auth> {
        self.current().map(|access| access.auth.clone())
    }

    /// Replaces it: from now on every call and every page is judged by what is new.
    pub fn replace(&self, auth: Option<Auth>) -> Result<(), NotReplaced> {
        let (current, auth) = match (&self.current, auth) {
            (None, None) => return Ok(()),
            (Some(current), Some(auth)) => (current, auth),
            (Some(_), None) | (None, Some(_)) => return Err(NotReplaced::Presence),
        };
        let before = Arc::clone(&current.read().unwrap_or_else(PoisonError::into_inner));
        let access = Access::new(auth, before.provider.as_ref(), &self.clock)?;
        *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        Ok(())
    }
}

impl Access {
    /// A provider that is configured as before goes on with what it knows.
    fn new(auth: Auth, before: Option<&Arc<Provider>>, clock: &Clock) -> Result<Self, Unusable> {
        let same = |oidc: &Oidc| before.filter(|before| before.config() == oidc).cloned();
        let provider = match &auth.oidc {
            None => None,
            Some(oidc) => match same(oidc) {
                Some(provider) => Some(provider),
                None => Some(Arc::new(Provider::new(oidc.clone(), clock.clone())?)),
            },
        };
        Ok(Self { auth, provider })
    }
}
