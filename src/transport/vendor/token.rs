//! Access tokens of OAuth 2.0, fetched once for all calls of a worker to a vendor and renewed before they expire.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock::Stopwatch;

/// A token is not used any more when it has only this long to live.
const MARGIN: Duration = Duration::from_secs(30);
/// How long one lives of which its server does not say so.
const UNSAID: Duration = Duration::from_secs(15 * 60);

/// The token of a vendor.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<State>);

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// A refresh token that the server has given in place of the configured one.
    refresh: Option<Zeroizing<String>>,
}

struct Held {
    token: Zeroizing<String>,
    since: Stopwatch,
    lives: Duration,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// A text that is wiped when it is not needed any more.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Wiped(Zeroizing<String>);

impl From<String> for Wiped {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// What an authorisation server answers.
#[derive(Deserialize)]
pub(super) struct Granted {
    access_token: Wiped,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<Wiped>,
}

impl Tokens {
    /// The token, or a new one. Whoever comes meanwhile waits for the same one.
    pub(super) async fn get<E>(
        &self,
        fetch: impl AsyncFnOnce(Option<&str>) -> Result<Granted, E>,
    ) -> Result<Zeroizing<String>, E> {
        let mut state = self.0.lock().await;
        if let Some(held) = &state.held
            && held.since.elapsed() + MARGIN < held.lives
        {
            return Ok(held.token.clone());
        }
        state.held = None;
        let granted = fetch(state.refresh.as_ref().map(|token| token.as_str())).await?;
        if let Some(Wiped(renewed)) = granted.refresh_token {
            state.refresh = Some(renewed);
        }
        let lives = granted.expires_in.map_or(UNSAID, Duration::from_secs);
        state.held = Some(Held {
            token: granted.access_token.0.clone(),
            since: Stopwatch::start(),
            // One that lives less than the margin is used for what it was fetched for.
            lives,
        });
        Ok(granted.access_token.0)
    }

    /// Forgets a token that was refused, unless another call has renewed it already.
    pub(super) async fn forget(&self, refused: &str) {
        let mut state = self.0.lock().await;
        if state
            .held
            .as_ref()
            .is_some_and(|held| held.token.as_str() == refused)
        {
            state.held = None;
        }
    }
}
