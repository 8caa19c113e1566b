//! Who calls, and whether they may: bearer tokens and the roles of the contract's table.
//!
//! A token is never logged, and it takes the same time to find one as to find none. The API takes bearer tokens only, never the
//! cookie of the console: its calls carry no token against forgery, and a browser sends a cookie by itself.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};

use super::{Api, problem::Problem};
use crate::{
    clock::Clock,
    config::{Auth, Rights, Role, Token},
    domain::{
        ids::{ProcessorId, RequestId, Tenant},
        words::DeadLetterReason,
    },
    engine::{
        Engine,
        sessions::{Holder, SessionId, SessionLimits},
    },
    telemetry::metrics::Metrics,
};

/// Who everybody is where there is no `[auth]`.
const ANONYMOUS: &str = "anonymous";

/// Knows the tokens, and counts who has none.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    auth: Option<Arc<Auth>>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// Somebody who may make the call.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The bearer's name.
    pub(super) name: String,
    /// The role; `None`: every one, because there is no `[auth]`.
    role: Option<Role>,
    /// The one tenant that it may act for; `None`: every one.
    tenant: Option<Tenant>,
    /// What it may do besides what its role allows.
    rights: Rights,
}

/// A caller who has one of the roles that `R` names.
pub(super) struct By<R> {
    /// Who it is.
    pub(super) caller: Caller,
    roles: PhantomData<R>,
}

/// The roles that a call takes.
pub(super) trait Roles {
    /// Their names, for whoever has another one.
    const NAMES: &'static str;
    /// Whether this is one of them.
    fn include(role: &Role) -> bool;
}

macro_rules! roles {
    ($($(#[$meta:meta])* $name:ident = $pattern:pat, $names:literal;)+) => {$(
        $(#[$meta])*
        pub(super) struct $name;
        impl Roles for $name {
            const NAMES: &'static str = $names;
            fn include(role: &Role) -> bool {
                matches!(role, $pattern)
            }
        }
    )+};
}

roles! {
    /// Submits commands.
    Submitter = Role::Submitter, "submitter";
    /// Answers tasks.
    Processor = Role::Processor(_), "processor";
    /// Decides about requests.
    Compliance = Role::Compliance, "compliance";
    /// Runs the lanes.
    Operator = Role::Operator, "operator";
    /// Does tasks by hand.
    Person = Role::Operator | Role::Compliance, "operator or compliance";
    /// Looks at everything and changes nothing: compliance and operator include it.
    Auditor = Role::Auditor | Role::Compliance | Role::Operator, "auditor, compliance or operator";
    /// Sees requests: a submitter only its own.
    Reader = Role::Auditor | Role::Compliance | Role::Operator | Role::Submitter,
        "auditor, compliance, operator or submitter";
    /// Whoever has any role.
    Anyone = _, "any";
    /// Tells what happens to backups: a processor to its own.
    BackupKeeper = Role::Operator | Role::Processor(_), "operator or processor";
    /// Asks what is known of backups: a processor of its own.
    BackupReader = Role::Auditor | Role::Compliance | Role::Operator | Role::Processor(_),
        "auditor, compliance, operator or processor";
}

impl Caller {
    /// Everybody, where there is no `[auth]`.
    fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            role: None,
            tenant: None,
            rights: Rights { identifiers: true },
        }
    }

    fn bearer(token: &Token) -> Self {
        Self {
            name: token.name.clone(),
            role: Some(token.role.clone()),
            tenant: token.tenant.clone(),
            rights: token.rights,
        }
    }

    /// Whether it has one of these roles.
    pub(super) fn has<R: Roles>(&self) -> bool {
        self.role.as_ref().is_none_or(R::include)
    }

    /// What its role is called; `None`: it has every one.
    pub(super) fn role(&self) -> Option<&'static str> {
        self.role.as_ref().map(Role::as_str)
    }

    /// Whether identifiers may be shown to it. Each look is a ledger entry.
    pub(super) fn sees_identifiers(&self) -> bool {
        self.rights.identifiers && self.has::<Person>()
    }

    /// Whether it sees only what it has submitted itself.
    pub(super) fn sees_only_its_own(&self) -> bool {
        matches!(self.role, Some(Role::Submitter))
    }

    /// Whether it may answer for this processor.
    pub(super) fn answers_for(&self, processor: &ProcessorId) -> bool {
        match &self.role {
            None => true,
            Some(Role::Processor(own)) => own == processor,
            Some(_) => false,
        }
    }

    /// The tenant of what it sends or asks for without naming one.
    pub(super) fn tenant_or<'a>(&'a self, default: &'a Tenant) -> &'a Tenant {
        self.tenant.as_ref().unwrap_or(default)
    }

    /// Whether it may know of what belongs to this tenant.
    pub(super) fn sees(&self, tenant: &Tenant) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// Refuses a tenant that it names and that is not its own.
    pub(super) fn check(&self, tenant: &Tenant) -> Result<(), Problem> {
        if self.sees(tenant) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "tenant: the bearer token is for another one",
        ))
    }

    /// Limits what it asks for to its own tenant.
    pub(super) fn narrow(&self, asked: Option<Tenant>) -> Result<Option<Tenant>, Problem> {
        if let Some(tenant) = &asked {
            self.check(tenant)?;
        }
        Ok(asked.or_else(|| self.tenant.clone()))
    }

    /// Refuses one that is limited to a tenant where what is asked for is everybody's.
    pub(super) fn check_unlimited(&self) -> Result<(), Problem> {
        if self.tenant.is_none() {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "the bearer token is limited to one tenant, and what is asked for is of all of them",
        ))
    }

    /// Whether free text that others wrote is kept from it: it may hold identifiers.
    pub(super) const fn sees_no_free_text(&self) -> bool {
        matches!(self.role, Some(Role::Auditor))
    }

    /// Refuses a request of another tenant as one that does not exist: that it does is the other's affair.
    pub(super) async fn check_request(&self, engine: &Engine, id: RequestId) -> Result<(), Problem> {
        if self.sees_request(engine, id).await? {
            Ok(())
        } else {
            Err(Problem::unknown("request"))
        }
    }

    /// The same for a command about it, which is counted as the topic's commands are.
    pub(super) async fn check_command(
        &self,
        engine: &Engine,
        id: RequestId,
        kind: &str,
    ) -> Result<(), Problem> {
        if self.sees_request(engine, id).await? {
            return Ok(());
        }
        engine
            .metrics
            .command(kind, DeadLetterReason::UnknownRequest.as_str());
        Err(Problem::unknown("request"))
    }

    async fn sees_request(&self, engine: &Engine, id: RequestId) -> Result<bool, Problem> {
        if self.tenant.is_none() {
            return Ok(true);
        }
        let request = engine.request(id).await?;
        Ok(request.is_some_and(|request| self.sees(&request.head.tenant)))
    }

    /// Whether it runs the installation.
    pub(super) const fn is_operator(&self) -> bool {
        matches!(self.role, None | Some(Role::Operator))
    }

    /// Whether it may speak of this processor's backups.
    pub(super) fn keeps_backups_of(&self, processor: &ProcessorId) -> bool {
        self.is_operator() || self.answers_for(processor)
    }

    /// Whether it may ask about this processor's backups.
    pub(super) fn reads_backups_of(&self, processor: &ProcessorId) -> bool {
        !matches!(self.role, Some(Role::Processor(_))) || self.answers_for(processor)
    }
}

/// Why a token lets nobody in.
enum Unfit {
    /// Nobody has it.
    Unknown,
    /// It was good once.
    Expired,
}

impl Gatekeeper {
    pub(super) fn new(auth: Option<Auth>, clock: Clock, metrics: Arc<Metrics>) -> Self {
        // A series that has not begun yet cannot be alerted on.
        for kind in ["token", "expired", "role", "sign_in", "form"] {
            metrics.auth_failures.with_label_values(&[kind]).inc_by(0);
        }
        Self {
            auth: auth.map(Arc::new),
            clock,
            metrics,
        }
    }

    /// Whether everybody has every role, because there is no `[auth]`.
    pub(super) const fn is_open(&self) -> bool {
        self.auth.is_none()
    }

    /// How long somebody stays signed in.
    pub(super) fn session_limits(&self) -> SessionLimits {
        let times = self.auth.as_ref().map(|auth| auth.session).unwrap_or_default();
        SessionLimits {
            idle: times.idle,
            absolute: times.absolute,
        }
    }

    /// Whoever sends these headers, whatever the role.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(auth) = &self.auth else {
            return Ok(Caller::anonymous());
        };
        let Some(presented) = bearer_token(headers) else {
            return Err(self.refuse("token", "expected a bearer token"));
        };
        match self.token(auth, presented) {
            Ok(token) => Ok(Caller::bearer(token)),
            Err(Unfit::Unknown) => Err(self.refuse("token", "the bearer token is not known")),
            Err(Unfit::Expired) => Err(self.refuse("expired", "the bearer token has expired (not_after)")),
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
        let Some(role) = caller.role.as_ref().filter(|role| !R::include(role)) else {
            return Ok(());
        };
        let detail = format!(
            "this call takes the role {}; the bearer's is {}",
            R::NAMES,
            role.as_str()
        );
        self.count("role");
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
    }

    /// The bearer of a token that somebody signs in with, and what a session with this id remembers of it.
    pub(super) fn signs_in(&self, token: &str, id: &SessionId) -> Result<(Caller, Holder), &'static str> {
        let auth = self.auth.as_ref().ok_or("nobody has to sign in here")?;
        let token = self.token(auth, token).map_err(|unfit| {
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

    /// Who the holder of a session is now; `None`: somebody who may not be signed in any more.
    pub(super) fn holder(&self, holder: &Holder, id: &SessionId) -> Option<Caller> {
        let auth = self.auth.as_ref()?;
        match holder {
            Holder::Token { mark: known } => {
                let token = auth.tokens.iter().find(|token| mark(token, id) == *known)?;
                (!token.has_expired(self.clock.now())).then(|| Caller::bearer(token))
            }
        }
    }

    fn refuse(&self, kind: &'static str, detail: &str) -> Problem {
        self.count(kind);
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// Counts who was turned away.
    pub(super) fn count(&self, kind: &'static str) {
        self.metrics.auth_failures.with_label_values(&[kind]).inc();
    }
}

/// What a session remembers of a token: it says nothing about it to whoever has not the session's id.
fn mark(token: &Token, id: &SessionId) -> String {
    id.bind("token", token.digest.bytes())
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl<R: Roles> FromRequestParts<Arc<Api>> for By<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let caller = api.gatekeeper.caller(&parts.headers)?;
        api.gatekeeper.check::<R>(&caller)?;
        Ok(Self {
            caller,
            roles: PhantomData,
        })
    }
}
