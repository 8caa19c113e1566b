//! What is known of the browser that asks for a page: its cookie, and who has signed in with it.
//!
//! Every browser has an id, also before anybody has signed in: the tokens of forms are bound to it. Whoever signs in gets a new
//! one, so that an id which somebody else knew before is worth nothing.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use super::{
    super::{Api, auth::Caller, problem::Problem},
    fault::Fault,
    throttle::Throttle,
};
use crate::engine::{EngineError, sessions::SessionId};

/// What the console keeps of browsers.
#[derive(Debug)]
pub(in crate::http) struct Browsers {
    /// Whether they reach it by HTTPS.
    secure: bool,
    /// Failed sign-ins, by address.
    pub(super) failures: Throttle,
}

/// A browser, as it asks for a page.
#[derive(Debug, Clone)]
pub(super) struct Browser {
    /// What its forms are bound to.
    pub(super) id: SessionId,
    /// Who uses it.
    pub(super) who: Who,
}

/// Who uses a browser.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Somebody who may see pages. `signed_in`: by a session, which can be ended.
    Known {
        /// Who it is.
        caller: Caller,
        /// Whether by a session of the console.
        signed_in: bool,
    },
    /// Somebody who has to sign in first. `ended`: who was signed in before.
    Unknown {
        /// Whether a session has ended.
        ended: bool,
        /// Whether that was so that the identity provider is asked again who it is.
        again: bool,
    },
}

impl Browsers {
    pub(in crate::http) fn new(secure: bool) -> Self {
        Self {
            secure,
            failures: Throttle::default(),
        }
    }

    /// With HTTPS the name keeps other hosts of the same domain from setting it.
    const fn cookie_name(&self) -> &'static str {
        if self.secure { "__Host-lacuna" } else { "lacuna" }
    }

    fn id_in(&self, headers: &HeaderMap) -> Option<SessionId> {
        let jar = CookieJar::from_headers(headers);
        jar.get(self.cookie_name())
            .and_then(|cookie| SessionId::parse(cookie.value()))
    }

    /// The header that gives a browser its id. It forgets it when it is closed.
    pub(super) fn cookie(&self, id: &SessionId) -> HeaderValue {
        let cookie = Cookie::build((self.cookie_name(), id.expose()))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Lax)
            .build();
        let mut value = HeaderValue::try_from(cookie.to_string()).expect("hexadecimal digits and attributes");
        value.set_sensitive(true);
        value
    }
}

/// Finds out who uses a browser, and gives it an id where it has none.
pub(super) async fn recognise(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let known = api.browsers.id_in(request.headers());
    let is_form = !request.method().is_safe();
    let who = match who(&api, request.headers(), known.as_ref(), is_form).await {
        Ok(who) => who,
        Err(refused) => return refused.into_response(),
    };
    let is_new = known.is_none();
    let id = known.unwrap_or_else(SessionId::random);
    request.extensions_mut().insert(Browser { id: id.clone(), who });
    let mut response = next.run(request).await;
    if is_new && !response.headers().contains_key(header::SET_COOKIE) {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, api.browsers.cookie(&id));
    }
    response
}

async fn who(api: &Api, headers: &HeaderMap, id: Option<&SessionId>, is_form: bool) -> Result<Who, Fault> {
    if api.gatekeeper.is_open() || headers.contains_key(header::AUTHORIZATION) {
        // A program that looks at pages; no browser sends this header by itself.
        return Ok(Who::Known {
            caller: api.gatekeeper.caller(headers).await?,
            signed_in: false,
        });
    }
    let Some(id) = id else {
        return Ok(Who::Unknown {
            ended: false,
            again: false,
        });
    };
    Ok(signed_in(api, id, is_form).await?)
}

async fn signed_in(api: &Api, id: &SessionId, is_form: bool) -> Result<Who, EngineError> {
    let ended = |again| Ok(Who::Unknown { ended: true, again });
    let limits = api.gatekeeper.session_limits();
    let Some(holder) = api.engine.use_session(id, limits).await? else {
        return ended(false);
    };
    if api.gatekeeper.is_stale(&holder, is_form) {
        api.engine.end_session(id).await?;
        return ended(true);
    }
    match api.gatekeeper.holder(&holder, id) {
        Some(caller) => Ok(Who::Known {
            caller,
            signed_in: true,
        }),
        None => {
            // The token is not configured any more, or its time is over.
            api.engine.end_session(id).await?;
            ended(false)
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Browser {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        // Every page is behind `recognise`.
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::internal().into())
    }
}

impl Browser {
    /// What a form of this browser brings along.
    pub(super) fn form_token(&self) -> String {
        self.id.bind("form", &[])
    }
}

/// Where a call comes from, as far as one tells callers apart by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address(pub(super) IpAddr);

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let from = from.ok_or_else(Problem::internal)?;
        Ok(Self(network(from.0.ip())))
    }
}

/// Whoever has one address of IPv6 has the 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(bits).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let id = SessionId::random();
        let cookie = |secure| Browsers::new(secure).cookie(&id).to_str().unwrap().to_owned();
        let value = id.expose();
        assert_eq!(
            cookie(true),
            format!("__Host-lacuna={value}; HttpOnly; SameSite=Lax; Secure; Path=/")
        );
        assert_eq!(
            cookie(false),
            format!("lacuna={value}; HttpOnly; SameSite=Lax; Path=/")
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
