//! Who calls, and whether they may: bearer tokens and the roles of the contract's table.
//!
//! The API takes bearer tokens only, never the cookie of the console: its calls carry no token against forgery, and a browser
//! sends a cookie by itself.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};

use super::{Api, problem::Problem};
use crate::{
    config::{Rights, Role, Token},
    domain::{
        ids::{ProcessorId, RequestId, Tenant},
        words::DeadLetterReason,
    },
    engine::Engine,
};

/// Who everybody is where there is no `[auth]`.
pub(super) const ANONYMOUS: &str = "anonymous";

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
    pub(super) fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            role: None,
            tenant: None,
            rights: Rights { identifiers: true },
        }
    }

    /// The bearer of a token.
    pub(super) fn bearer(token: &Token) -> Self {
        Self::known(
            token.name.clone(),
            token.role.clone(),
            token.tenant.clone(),
            token.rights,
        )
    }

    /// Somebody of whom this is known.
    pub(super) const fn known(name: String, role: Role, tenant: Option<Tenant>, rights: Rights) -> Self {
        Self {
            name,
            role: Some(role),
            tenant,
            rights,
        }
    }

    /// Whether it has one of these roles.
    pub(super) fn has<R: Roles>(&self) -> bool {
        self.role.as_ref().is_none_or(R::include)
    }

    /// Its role; `None`: it has every one.
    pub(super) const fn role(&self) -> Option<&Role> {
        self.role.as_ref()
    }

    /// The one tenant that it may act for; `None`: every one.
    pub(super) const fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// What it may do besides what its role allows.
    pub(super) const fn rights(&self) -> Rights {
        self.rights
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

impl<R: Roles> FromRequestParts<Arc<Api>> for By<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let caller = api.gatekeeper.caller(&parts.headers).await?;
        api.gatekeeper.check::<R>(&caller)?;
        Ok(Self {
            caller,
            roles: PhantomData,
        })
    }
}
