//! An identity provider of OpenID Connect: what it says of itself, its keys, and what it has signed.
//!
//! Nothing that it says is taken on trust but over the connection to its own address: a token counts when one of the keys that
//! stand there has signed it, with an algorithm that is allowed here, for us, and for now. A provider that is away leaves what
//! does not need it as it was.

mod claims;
mod code;
mod discovery;
mod fetched;
mod keys;

use std::time::Duration;

use hyper::{
    Request, StatusCode,
    body::Bytes,
    header::{AUTHORIZATION, HeaderValue},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::code::Attempt;
use self::{claims::Expected, discovery::Discovery, fetched::Fetched, keys::Keys};
use super::{
    http_client::{CallError, Guard, HttpClient},
    local::{Reader, Unusable},
};
use crate::{clock::Clock, config::Oidc, domain::registry::HttpOptions};

/// How long the provider may take for one answer: somebody waits for it.
const WITHIN: Duration = Duration::from_secs(5);

/// How long its discovery document and its keys count as current. What it takes back stops counting within this.
const CURRENT: Duration = Duration::from_secs(3600);

/// How soon its keys are read again for a token that names another one: as often as that, whatever anybody sends.
pub const KEYS_AGAIN: Duration = Duration::from_secs(30);

/// Why somebody is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer, or not as it should. It may later.
    #[error("the identity provider cannot be asked: {0}")]
    Away(String),
    /// What was presented does not count.
    #[error("{0}")]
    Rejected(&'static str),
}

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    oidc: Oidc,
    http: HttpClient,
    clock: Clock,
    discovery: Fetched<Discovery>,
    keys: Fetched<Keys>,
}

impl Provider {
    /// The provider of a configuration. It is asked when somebody needs it. It may be anywhere, also inside: its address is the
    /// operator's own word.
    pub fn new(oidc: Oidc, clock: Clock) -> Result<Self, Unusable> {
        let options = HttpOptions {
            ca: oidc.ca.as_ref().map(|path| path.display().to_string()),
            ..HttpOptions::default()
        };
        let guard = Guard { allow_private: true };
        let http = HttpClient::new(&options, guard, &mut Reader::new(std::path::Path::new("")))?;
        Ok(Self {
            oidc,
            http,
            clock,
            discovery: Fetched::default(),
            keys: Fetched::default(),
        })
    }

    /// What is configured of it.
    pub const fn config(&self) -> &Oidc {
        &self.oidc
    }

    /// The claims of a bearer token of the API.
    pub async fn bearer(&self, token: &str) -> Result<Value, OidcError> {
        let claims = self.verified(token, claims::ACCESS_TOKENS).await?;
        Expected {
            issuer: &self.oidc.issuer,
            audience: &self.oidc.audience,
            now: self.clock.now(),
        }
        .check(&claims)?;
        Ok(claims)
    }

    /// What a token says, which one of the provider's keys has signed.
    async fn verified(&self, token: &str, types: &[&str]) -> Result<Value, OidcError> {
        let header = claims::header(token, types, &self.oidc.algorithms)?;
        let keys = self.keys(CURRENT).await?;
        if let Some(claims) = keys.open(token, &header)? {
            return Ok(claims);
        }
        // It may have begun to sign with another key.
        match self.keys(KEYS_AGAIN).await?.open(token, &header)? {
            Some(claims) => Ok(claims),
            None => Err(OidcError::Rejected(
                "it is signed with a key that the identity provider does not have",
            )),
        }
    }

    async fn keys(&self, newer_than: Duration) -> Result<std::sync::Arc<Keys>, OidcError> {
        let read = async {
            let discovery = self.discovery().await?;
            let set: Value = self.get(&discovery.jwks_uri, None, "its keys").await?;
            Keys::read(&set)
        };
        self.keys.current(self.clock.now(), newer_than, read).await
    }

    async fn discovery(&self) -> Result<std::sync::Arc<Discovery>, OidcError> {
        let read = async {
            let url = format!(
                "{}/.well-known/openid-configuration",
                self.oidc.issuer.trim_end_matches('/')
            );
            let found: Discovery = self.get(&url, None, "its discovery document").await?;
            found.checked(&self.oidc.issuer)
        };
        self.discovery.current(self.clock.now(), CURRENT, read).await
    }

    /// Reads a document of the provider's.
    async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        bearer: Option<&str>,
        what: &'static str,
    ) -> Result<T, OidcError> {
        let mut request = Request::get(url);
        if let Some(token) = bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| OidcError::Away("its access token is no text of a header".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request
            .body(Bytes::new())
            .map_err(|_| OidcError::Away(format!("the address of {what} is none")))?;
        let answer = self
            .http
            .call(request, WITHIN)
            .await
            .map_err(|error| away(&error))?;
        if answer.status != StatusCode::OK {
            return Err(OidcError::Away(format!(
                "it answers {} where {what} should be",
                answer.status.as_u16()
            )));
        }
        // What stands there instead is not repeated.
        serde_json::from_slice(&answer.body).map_err(|_| OidcError::Away(format!("{what} cannot be read")))
    }
}

fn away(error: &CallError) -> OidcError {
    OidcError::Away(match error {
        CallError::Late(within) => format!("no answer within {} s", within.as_secs()),
        other => other.to_string(),
    })
}
