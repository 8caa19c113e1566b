//! Whether somebody may come in: by a token of the configuration, by one of the identity provider's, or by a session.
//!
//! A token is never logged, and it takes the same time to find one as to find none.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};

use super::{
    admission::{Access, Admission},
    auth::{ANONYMOUS, Caller, Roles},
    problem::Problem,
};
use crate::{
    clock::Clock,
    config::{Auth, Oidc, Rights, Role, Token},
    domain::{ids::Tenant, person::is_same_person},
    engine::sessions::{Holder, SessionId, SessionLimits},
    telemetry::metrics::Metrics,
    transport::oidc::{OidcError, Provider},
};

/// The longest name that somebody may have: it stands in the ledger.
const LONGEST_NAME: usize = 200;

/// Knows who may call, and counts who may not.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    admission: Admission,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// Why a token lets nobody in.
enum Unfit {
    /// Nobody has it.
    Unknown,
    /// It was good once.
    Expired,
}

impl Gatekeeper {
    pub(super) fn new(admission: Admission, clock: Clock, metrics: Arc<Metrics>) -> Self {
        // A series that has not begun yet cannot be alerted on.
        for kind in ["token", "expired", "role", "provider", "sign_in", "form"] {
            metrics.auth_failures.with_label_values(&[kind]).inc_by(0);
        }
        Self {
            admission,
            clock,
            metrics,
        }
    }

    /// Whether everybody has every role, because there is no `[auth]`.
    pub(super) const fn is_open(&self) -> bool {
        self.admission.is_open()
    }

    /// Whether somebody can sign in with a token.
    pub(super) fn has_tokens(&self) -> bool {
        let access = self.admission.current();
        access.is_some_and(|access| !access.auth.tokens.is_empty())
    }

    /// The identity provider that signs people in to the console.
    pub(super) fn provider(&self) -> Option<Arc<Provider>> {
        let provider = self.admission.current()?.provider.clone()?;
        provider.config().client.is_some().then_some(provider)
    }

    /// How long somebody stays signed in.
    pub(super) fn session_limits(&self) -> SessionLimits {
        let access = self.admission.current();
        let times = access.map(|access| access.auth.session).unwrap_or_default();
        SessionLimits {
            idle: times.idle,
            absolute: times.absolute,
        }
    }

    /// Whoever sends these headers, whatever the role.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(access) = self.admission.current() else {
            return Ok(Caller::anonymous());
        };
        let Some(presented) = bearer_token(headers) else {
            return Err(self.refuse("token", "expected a bearer token"));
        };
        match (self.token(&access.auth, presented), &access.provider) {
            (Ok(token), _) => Ok(Caller::bearer(token)),
            (Err(Unfit::Expired), _) => {
                Err(self.refuse("expired", "the bearer token has expired (not_after)"))
            }
            (Err(Unfit::Unknown), Some(provider)) if is_signed(presented) => {
                let believed = provider.bearer(presented).await;
                let claims = believed.map_err(|error| self.not_believed(&error))?;
                self.caller_of(&access.auth, provider.config(), &claims)
            }
            (Err(Unfit::Unknown), _) => Err(self.refuse("token", "the bearer token is not known")),
        }
    }

    fn token<'a>(&self, auth: &'a Auth, presented: &str) -> Result<&'a Token, Unfit> {
        let mut found = None;
        for token in &auth.tokens {
            // All of them are looked at, whichever it is.
            if token.digest.matches(presented) {
                found = Some(token);
            }
        }
        match found {
            None => Err(Unfit::Unknown),
            Some(token) if token.has_expired(self.clock.now()) => Err(Unfit::Expired),
            Some(token) => Ok(token),
        }
    }

    /// Refuses a caller of another role.
    pub(super) fn check<R: Roles>(&self, caller: &Caller) -> Result<(), Problem> {
        let Some(role) = caller.role().filter(|role| !R::include(role)) else {
            return Ok(());
        };
        let detail = format!(
            "this call takes the role {}; the bearer's is {}",
            R::NAMES,
            role.as_str()
        );
        Err(self.forbid(&detail))
    }

    /// Refuses a caller who may not see identifiers.
    pub(super) fn check_identifiers(&self, caller: &Caller) -> Result<(), Problem> {
        if caller.sees_identifiers() {
            return Ok(());
        }
        Err(self.forbid(
            "this call takes the right identifiers (rights = [\"identifiers\"] of the bearer's token)",
        ))
    }

    /// The bearer of a token that somebody signs in with, and what a session with this id remembers of it.
    pub(super) fn signs_in(&self, token: &str, id: &SessionId) -> Result<(Caller, Holder), &'static str> {
        let access = self.admission.current().ok_or("Nobody has to sign in here.")?;
        let token = self.token(&access.auth, token).map_err(|unfit| {
            self.count("sign_in");
            match unfit {
                Unfit::Unknown => "This token is not known here.",
                Unfit::Expired => "This token has expired. Ask whoever runs this installation for a new one.",
            }
        })?;
        let holder = Holder::Token {
            mark: mark(token, id),
        };
        Ok((Caller::bearer(token), holder))
    }

    /// Whoever the identity provider says these claims are of, and what a session remembers of it.
    pub(super) fn signed_in(&self, claims: &serde_json::Value) -> Result<(Caller, Holder), Problem> {
        let access = self.admission.current().ok_or_else(Problem::internal)?;
        let oidc = access.auth.oidc.as_ref().ok_or_else(Problem::internal)?;
        let caller = self.caller_of(&access.auth, oidc, claims)?;
        let holder = Holder::Oidc {
            issuer: oidc.issuer.clone(),
            name: caller.name.clone(),
            role: caller.role().map(Role::to_string).unwrap_or_default(),
            tenant: caller.tenant().map(|tenant| tenant.as_str().to_owned()),
            identifiers: caller.rights().identifiers,
        };
        Ok((caller, holder))
    }

    /// Who the holder of a session is now; `None`: somebody who may not be signed in any more.
    pub(super) fn holder(&self, holder: &Holder, id: &SessionId) -> Option<Caller> {
        let access: Arc<Access> = self.admission.current()?;
        match holder {
            Holder::Token { mark: known } => {
                let token = access
                    .auth
                    .tokens
                    .iter()
                    .find(|token| mark(token, id) == *known)?;
                (!token.has_expired(self.clock.now())).then(|| Caller::bearer(token))
            }
            Holder::Oidc {
                issuer,
                name,
                role,
                tenant,
                identifiers,
            } => {
                let oidc = access.auth.oidc.as_ref()?;
                if oidc.issuer != *issuer || oidc.client.is_none() || is_taken(&access.auth, name) {
                    return None;
                }
                let tenant = match tenant {
                    Some(tenant) => Some(Tenant::new(tenant).ok()?),
                    None => None,
                };
                let rights = Rights {
                    identifiers: *identifiers,
                };
                Some(Caller::known(name.clone(), Role::parse(role)?, tenant, rights))
            }
        }
    }

    /// Who claims say somebody is: they come from the identity provider, and what they do not say is nobody's.
    fn caller_of(&self, auth: &Auth, oidc: &Oidc, claims: &serde_json::Value) -> Result<Caller, Problem> {
        let Some(role) = oidc.role(claims) else {
            return Err(self.forbid(
                "the identity provider knows you, and gives you no role here: ask whoever manages roles there (auth.oidc.role_claim)",
            ));
        };
        let name = oidc.name_claim.text(claims).map(str::trim).unwrap_or_default();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(self.forbid(
                "the identity provider says no name that can stand in the ledger (auth.oidc.name_claim)",
            ));
        }
        if is_taken(auth, name) {
            return Err(self.forbid(
                "the identity provider's name for you is that of a token of auth.tokens: nobody could tell the two apart",
            ));
        }
        let tenant = match &oidc.tenant_claim {
            None => None,
            Some(claim) => match claim.text(claims) {
                Some("*") => None,
                Some(name) => Some(Tenant::new(name).map_err(|_| self.forbid(NO_TENANT))?),
                None => return Err(self.forbid(NO_TENANT)),
            },
        };
        if tenant.is_some() && matches!(role, Role::Operator | Role::Processor(_)) {
            return Err(self.forbid(
                "an operator or a processor cannot be limited to a tenant: lanes and backups are everybody's",
            ));
        }
        Ok(Caller::known(name.to_owned(), role, tenant, oidc.rights(claims)))
    }

    /// What is said to whoever the identity provider does not vouch for.
    pub(super) fn not_believed(&self, error: &OidcError) -> Problem {
        match error {
            OidcError::Away(_) => {
                self.count("provider");
                Problem::unavailable(
                    "the identity provider cannot be asked just now, so its tokens cannot be checked: those of auth.tokens are \
                     still taken",
                )
            }
            OidcError::Rejected(why) => {
                self.refuse("token", &format!("the bearer token is not believed: {why}"))
            }
        }
    }

    fn refuse(&self, kind: &'static str, detail: &str) -> Problem {
        self.count(kind);
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    fn forbid(&self, detail: &str) -> Problem {
        self.count("role");
        Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Counts who was turned away.
    pub(super) fn count(&self, kind: &'static str) {
        self.metrics.auth_failures.with_label_values(&[kind]).inc();
    }
}

const NO_TENANT: &str = "the identity provider says no tenant for you (auth.oidc.tenant_claim)";

/// Whether somebody else has this name: two people with one name could approve what they have submitted.
fn is_taken(auth: &Auth, name: &str) -> bool {
    is_same_person(name, ANONYMOUS) || auth.tokens.iter().any(|token| is_same_person(&token.name, name))
}

/// What a session remembers of a token: it says nothing about it to whoever has not the session's id.
fn mark(token: &Token, id: &SessionId) -> String {
    id.bind("token", token.digest.bytes())
}

/// Whether it looks like a token that an identity provider has signed.
fn is_signed(token: &str) -> bool {
    token.split('.').count() == 3
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
