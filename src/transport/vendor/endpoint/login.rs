//! How calls are let in: the headers of a login, and the access tokens of OAuth 2.0.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{
    Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use zeroize::Zeroizing;

use super::{super::token::Granted, Endpoint};
use crate::{
    connector::{
        Auth, Kept,
        request::Filling,
        template::{Place, Template},
    },
    transport::{
        http_client::{CallError, parsed},
        local::Unusable,
        sender::{Failed, Reply},
    },
};

impl Endpoint {
    /// The headers that let us in.
    pub(super) fn authorisation(
        &self,
        token: Option<&str>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Unusable> {
        let text = |template| self.setting(template, Place::Json);
        Ok(match &self.connector.auth {
            Auth::None => Vec::new(),
            Auth::Basic { username, password } => {
                let pair = Zeroizing::new(format!("{}:{}", *text(username)?, *text(password)?));
                let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
                vec![(AUTHORIZATION, sensitive(&value)?)]
            }
            Auth::Bearer { token } => vec![bearer(&text(token)?)?],
            Auth::Header { headers } => {
                let mut found = Vec::new();
                for (name, template) in headers {
                    let name = name
                        .parse()
                        .map_err(|_| Unusable::new("connector", "auth: expected the name of a header"))?;
                    found.push((name, sensitive(&text(template)?)?));
                }
                found
            }
            Auth::ClientCredentials { .. } | Auth::RefreshToken { .. } => {
                vec![bearer(token.unwrap_or_default())?]
            }
        })
    }

    /// A template of settings, filled in.
    fn setting(&self, template: &Template, place: Place) -> Result<Zeroizing<String>, Unusable> {
        let filling = Filling {
            values: &self.values,
            kind: "",
            ids: &[],
            kept: &Kept::default(),
            today: "",
            key: "",
        };
        let text = filling.text(template, place);
        text.map(Zeroizing::new)
            .map_err(|error| Unusable::new("connector", error.to_string()))
    }

    /// The token of OAuth 2.0, where the connector has it.
    pub(super) async fn token(&self, within: Duration) -> Result<Option<Zeroizing<String>>, Reply> {
        let (url, fields, configured) = match &self.connector.auth {
            Auth::ClientCredentials {
                token_url,
                client_id,
                client_secret,
                scope,
            } => {
                let mut fields = vec![("grant_type", None), ("client_id", Some(client_id))];
                fields.push(("client_secret", Some(client_secret)));
                fields.extend(scope.as_ref().map(|scope| ("scope", Some(scope))));
                (token_url, fields, None)
            }
            Auth::RefreshToken {
                token_url,
                client_id,
                client_secret,
                refresh_token,
            } => {
                let mut fields = vec![("grant_type", None), ("client_id", Some(client_id))];
                fields.push(("client_secret", Some(client_secret)));
                (token_url, fields, Some(refresh_token))
            }
            _ => return Ok(None),
        };
        let fetch = async |refresh: Option<&str>| self.grant(url, &fields, configured, refresh, within).await;
        self.tokens.get(fetch).await.map(Some)
    }

    async fn grant(
        &self,
        url: &Template,
        fields: &[(&str, Option<&Template>)],
        configured: Option<&Template>,
        refresh: Option<&str>,
        within: Duration,
    ) -> Result<Granted, Reply> {
        let unusable = |why: Unusable| CallError::from(why).reply();
        let mut form: Vec<(&str, Zeroizing<String>)> = Vec::new();
        for (name, template) in fields {
            let value = match template {
                Some(template) => self.setting(template, Place::Json).map_err(unusable)?,
                None if configured.is_some() => Zeroizing::new("refresh_token".to_owned()),
                None => Zeroizing::new("client_credentials".to_owned()),
            };
            form.push((name, value));
        }
        if let Some(configured) = configured {
            let token = match refresh {
                Some(renewed) => Zeroizing::new(renewed.to_owned()),
                None => self.setting(configured, Place::Json).map_err(unusable)?,
            };
            form.push(("refresh_token", token));
        }
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = serde_html_form::to_string(&fields)
            .map_err(|_| unusable(Unusable::new("connector", "auth: the form cannot be written")))?;
        let url = self.setting(url, Place::Host).map_err(unusable)?;
        let request = Request::post(parsed("connector", &self.redirected(&url)).map_err(unusable)?)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .map_err(|_| unusable(Unusable::new("connector", "auth: the call cannot be written")))?;
        let answer = self
            .client
            .call(request, within)
            .await
            .map_err(CallError::reply)?;
        let status = answer.status.as_u16();
        match status {
            200..=299 => serde_json::from_slice(&answer.body).map_err(|_| {
                Reply::Unauthorised(format!("the authorisation server answered {status} without an access token").into())
            }),
            429 | 500..=599 => Err(Reply::Failed(
                Failed::new(format!("the authorisation server answered {status}"))
                    .not_sent()
                    .after(answer.retry_after(self.clock.now())),
            )),
            _ => Err(Reply::Unauthorised(
                format!("the authorisation server answered {status}: the secret or the refresh token is not valid (any more)")
                    .into(),
            )),
        }
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, Unusable> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Unusable::new(
            "connector",
            "auth: expected a line of ASCII text without control characters",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn bearer(token: &str) -> Result<(HeaderName, HeaderValue), Unusable> {
    let text = Zeroizing::new(format!("Bearer {token}"));
    Ok((AUTHORIZATION, sensitive(&text)?))
}
