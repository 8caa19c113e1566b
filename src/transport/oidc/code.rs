//! Signing a person in: the authorization code flow with PKCE, `state` and `nonce`.

use std::{fmt, pin::Pin};

use hyper::body::Bytes;
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse as _, TokenUrl,
    basic::{
        BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    OidcError, Provider, WITHIN, away,
    claims::{self, Expected, audiences},
    discovery::Discovery,
};
use crate::{
    config::OidcClient,
    transport::http_client::{CallError, HttpClient},
};

/// A sign-in under way, as only the browser knows it that began it.
#[derive(Clone)]
pub struct Attempt {
    /// What the provider sends back with the code.
    pub state: String,
    /// What the ID token has to hold.
    pub nonce: String,
    /// What proves that the code is ours: 43 to 128 unreserved characters.
    pub verifier: String,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What comes with an access token.
#[derive(Debug, Deserialize, Serialize)]
struct IdToken {
    #[serde(default)]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Tokens = StandardTokenResponse<IdToken, BasicTokenType>;
type OidcOAuth = Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

const NO_CLIENT: OidcError =
    OidcError::Rejected("nobody signs in to the console with OpenID Connect here (auth.oidc.client_id)");

impl Provider {
    /// Where a browser is sent to sign in. `redirect`: where it comes back to.
    pub async fn authorization_url(&self, attempt: &Attempt, redirect: &str) -> Result<String, OidcError> {
        let discovery = self.discovery().await?;
        let client = self.oidc.client.as_ref().ok_or(NO_CLIENT)?;
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let oauth = oauth(client, &discovery, redirect)?;
        let state = attempt.state.clone();
        let mut request = oauth
            .authorize_url(|| CsrfToken::new(state))
            .add_scope(Scope::new("openid".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_extra_param("nonce", attempt.nonce.clone());
        for scope in &client.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, _) = request.url();
        Ok(url.into())
    }

    /// The claims of whoever comes back with this code. `issuer`: who the browser says has sent it back (RFC 9207).
    pub async fn signed_in(
        &self,
        code: &str,
        issuer: Option<&str>,
        attempt: &Attempt,
        redirect: &str,
    ) -> Result<Value, OidcError> {
        let discovery = self.discovery().await?;
        let client = self.oidc.client.as_ref().ok_or(NO_CLIENT)?;
        let is_ours = match issuer {
            Some(issuer) => issuer == self.oidc.issuer,
            None => !discovery.authorization_response_iss_parameter_supported,
        };
        if !is_ours {
            return Err(OidcError::Rejected(
                "the answer is from another identity provider (iss)",
            ));
        }
        let tokens = self.tokens(client, &discovery, code, attempt, redirect).await?;
        let id_token = tokens.extra_fields().id_token.as_deref();
        let id_token = id_token.ok_or(OidcError::Rejected(
            "the identity provider has sent no ID token: the scope openid is missing there",
        ))?;
        let claims = self.verified(id_token, claims::ID_TOKENS).await?;
        self.check_id_token(&claims, client, &attempt.nonce)?;
        self.with_user_info(claims, &discovery, tokens.access_token().secret())
            .await
    }

    async fn tokens(
        &self,
        client: &OidcClient,
        discovery: &Discovery,
        code: &str,
        attempt: &Attempt,
        redirect: &str,
    ) -> Result<Tokens, OidcError> {
        let oauth = oauth(client, discovery, redirect)?;
        let calls = Calls(&self.http);
        let exchanged = oauth
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()))
            .request_async(&calls)
            .await;
        exchanged.map_err(|error| match error {
            RequestTokenError::Request(error) => away(&error),
            RequestTokenError::ServerResponse(refused) => {
                // Its description may hold anything.
                tracing::warn!(error = %refused.error(), "the identity provider gives no token for a code");
                OidcError::Rejected("the identity provider does not take the code: begin again")
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                OidcError::Away("its answer to a code cannot be read".to_owned())
            }
        })
    }

    fn check_id_token(&self, claims: &Value, client: &OidcClient, nonce: &str) -> Result<(), OidcError> {
        Expected {
            issuer: &self.oidc.issuer,
            audience: &client.id,
            now: self.clock.now(),
        }
        .check(claims)?;
        let party = claims.get("azp").map(|party| party.as_str() == Some(&client.id));
        if party == Some(false) || party.is_none() && audiences(claims).len() > 1 {
            return Err(OidcError::Rejected(
                "the ID token is meant for another client (azp)",
            ));
        }
        if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
            return Err(OidcError::Rejected(
                "the ID token is not the answer to this sign-in (nonce)",
            ));
        }
        Ok(())
    }

    /// Many providers say roles only where one asks for more with the access token. What the ID token says goes before.
    async fn with_user_info(
        &self,
        mut claims: Value,
        discovery: &Discovery,
        access_token: &str,
    ) -> Result<Value, OidcError> {
        let Some(url) = discovery
            .userinfo_endpoint
            .as_deref()
            .filter(|_| self.lacks_any(&claims))
        else {
            return Ok(claims);
        };
        let info: Value = self.get(url, Some(access_token), "its user info").await?;
        if info.get("sub") != claims.get("sub") {
            return Err(OidcError::Rejected("the user info is about somebody else (sub)"));
        }
        if let (Some(claims), Value::Object(info)) = (claims.as_object_mut(), info) {
            for (name, value) in info {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }

    /// Whether a claim that is needed is not there.
    fn lacks_any(&self, claims: &Value) -> bool {
        let oidc = &self.oidc;
        [
            Some(&oidc.role_claim),
            Some(&oidc.name_claim),
            oidc.tenant_claim.as_ref(),
            oidc.rights_claim.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(|claim| claim.of(claims).is_none())
    }
}

/// Makes calls as the library wants them.
struct Calls<'a>(&'a HttpClient);

impl<'c> AsyncHttpClient<'c> for Calls<'_> {
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.0.call(request.map(Bytes::from), WITHIN).await?;
            let mut response = HttpResponse::new(answer.body.to_vec());
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}

fn oauth(client: &OidcClient, discovery: &Discovery, redirect: &str) -> Result<OidcOAuth, OidcError> {
    let bad = |_| OidcError::Away("an address in its discovery document is none".to_owned());
    let auth_type = if discovery.wants_secret_in_body() {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    };
    let redirect = RedirectUrl::new(redirect.to_owned())
        .map_err(|_| OidcError::Rejected("http.public_url is no address that a browser can come back to"))?;
    let mut oauth = Client::new(ClientId::new(client.id.clone()));
    if let Some(secret) = &client.secret {
        oauth = oauth.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
    }
    Ok(oauth
        .set_auth_uri(AuthUrl::new(discovery.authorization_endpoint.clone()).map_err(bad)?)
        .set_token_uri(TokenUrl::new(discovery.token_endpoint.clone()).map_err(bad)?)
        .set_auth_type(auth_type)
        .set_redirect_uri(redirect))
}
