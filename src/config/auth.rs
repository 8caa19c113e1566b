//! `[auth]`: who may call the API, and as what.

use std::time::Duration;

use super::{
    oidc::{self, Oidc},
    reader::{Entry, Section},
    role::{ROLES, Rights, Role, RoleName},
    secret::{SecretSource, TokenDigest},
    values::Zero,
};
use crate::domain::{
    ids::{ProcessorId, Tenant},
    registry::Registry,
    time::At,
};

/// Who may call the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The bearer tokens: no two are alike, and several of one name differ in nothing but how long they are good for.
    pub tokens: Vec<Token>,
    /// The identity provider that says who others are.
    pub oidc: Option<Oidc>,
    /// How long somebody stays signed in to the console.
    pub session: SessionTimes,
}

/// How long somebody stays signed in to the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimes {
    /// Without asking for a page.
    pub idle: Duration,
    /// In any case.
    pub absolute: Duration,
    /// How long that counts which an identity provider has said of somebody: after it, it is asked again.
    pub recheck: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self {
            // As long as a desk is left for a talk.
            idle: Duration::from_secs(30 * 60),
            // A long working day: nobody is asked twice in one.
            absolute: Duration::from_secs(12 * 3600),
            // A role that is taken away there is worth nothing here within minutes.
            recheck: Duration::from_secs(5 * 60),
        }
    }
}

impl Auth {
    /// The tokens, each with its place in the list, whose processor is not registered: its bearer can answer nothing.
    pub fn unregistered<'a>(
        &'a self,
        registry: &Registry,
    ) -> impl Iterator<Item = (usize, &'a Token, &'a ProcessorId)> {
        let of_processor = |(n, token): (usize, &'a Token)| match &token.role {
            Role::Processor(id) => Some((n, token, id)),
            _ => None,
        };
        self.tokens
            .iter()
            .enumerate()
            .filter_map(of_processor)
            .filter(|(_, _, id)| registry.get(id).is_none())
    }
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who bears it: the `actor` of what is done with it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one tenant that it may do it for; `None`: every one.
    pub tenant: Option<Tenant>,
    /// What it may do besides.
    pub rights: Rights,
    /// From when on it is good for nothing.
    pub not_after: Option<At>,
    /// Its SHA-256.
    pub digest: TokenDigest,
}

impl Token {
    /// Whether its time is over.
    pub fn has_expired(&self, now: At) -> bool {
        self.not_after.is_some_and(|end| end <= now)
    }

    /// Whether it is another token for the same bearer, so that one can replace the other.
    fn is_of_the_same_bearer(&self, other: &Self) -> bool {
        self.role == other.role && self.tenant == other.tenant && self.rights == other.rights
    }
}

/// The rights, of which there is one so far.
const RIGHTS: &[(&str, ())] = &[("identifiers", ())];

/// `tenants`: those that are served; none: every one.
pub(super) fn read(section: &Section<'_>, tenants: &[Tenant]) -> Auth {
    let oidc = section.get("oidc");
    let list = section.get("tokens");
    let entries = list.as_ref().and_then(Entry::list);
    if oidc.is_none() && entries.as_ref().map_or(list.is_none(), Vec::is_empty) {
        section.problem(
            "tokens",
            "expected at least one token: without any, nobody could call the API",
        );
    }
    Auth {
        tokens: tokens(&entries.unwrap_or_default(), tenants),
        oidc: oidc.and_then(|e| e.table(oidc::read)).flatten(),
        session: section
            .get("session")
            .and_then(|e| e.table(session))
            .unwrap_or_default(),
    }
}

fn session(section: &Section<'_>) -> SessionTimes {
    let default = SessionTimes::default();
    let times = SessionTimes {
        idle: section.duration_or("idle", Zero::Refused, default.idle),
        absolute: section.duration_or("absolute", Zero::Refused, default.absolute),
        recheck: section.duration_or("recheck", Zero::Refused, default.recheck),
    };
    if times.idle > times.absolute {
        section.problem(
            "idle",
            "expected no more than absolute, which ends a session in any case",
        );
    }
    times
}

fn tokens(entries: &[Entry<'_>], tenants: &[Tenant]) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for entry in entries {
        let Some(Some(token)) = entry.table(|section| token(section, tenants)) else {
            continue;
        };
        if let Some(problem) = found.iter().find_map(|other| clash(other, &token)) {
            entry.problem(&problem);
        } else if let Some(other) = found.iter().find(|other| other.digest == token.digest) {
            entry.problem(&format!(
                "the same token as that of {:?}: nobody could tell them apart",
                other.name
            ));
        }
        found.push(token);
    }
    found
}

/// Two tokens of one name are the old one and the new one of the same bearer, and it is known until when the old one is good.
fn clash(one: &Token, other: &Token) -> Option<String> {
    if one.name != other.name {
        return None;
    }
    let name = &one.name;
    if one.not_after.is_none() && other.not_after.is_none() {
        return Some(format!(
            "another token has the name {name:?}: of several that replace one another, all but one need not_after"
        ));
    }
    (!one.is_of_the_same_bearer(other)).then(|| {
        format!("another token has the name {name:?}, and differs in its role, processor, tenant or rights")
    })
}

fn token(section: &Section<'_>, tenants: &[Tenant]) -> Option<Token> {
    let name = section.need("name").and_then(|e| e.line_of_text());
    let role = section.need("role").and_then(|e| e.word(ROLES));
    let processor = section.get("processor");
    let id = processor.as_ref().and_then(|e| e.checked(ProcessorId::new));
    match (&processor, role) {
        (None, Some(RoleName::Processor)) => {
            section.problem(
                "processor",
                "missing: the role processor needs the id of the processor",
            );
        }
        (Some(entry), Some(other)) if other != RoleName::Processor => {
            entry.problem("only a token with the role processor has one");
        }
        _ => {}
    }
    let digest = section.need("token").and_then(|e| digest(&e));
    let tenant = section.get("tenant");
    if let (Some(entry), Some(RoleName::Processor | RoleName::Operator)) = (&tenant, role) {
        entry.problem("only a submitter, compliance or an auditor can be limited to a tenant: lanes and backups are everybody's");
    }
    let served = |text: &str| {
        let tenant = Tenant::new(text).map_err(|error| error.to_string())?;
        if tenants.is_empty() || tenants.contains(&tenant) {
            Ok(tenant)
        } else {
            Err("expected one of tenants: nothing is served for any other".to_owned())
        }
    };
    let tenant = tenant.and_then(|e| e.checked(served));
    let not_after = section.get("not_after").and_then(|e| e.time());
    let rights = section
        .get("rights")
        .map_or_else(Rights::default, |entry| rights(&entry, role));
    let role = match role? {
        RoleName::Submitter => Role::Submitter,
        RoleName::Processor => Role::Processor(id?),
        RoleName::Compliance => Role::Compliance,
        RoleName::Operator => Role::Operator,
        RoleName::Auditor => Role::Auditor,
    };
    Some(Token {
        name: name?.to_owned(),
        role,
        tenant,
        rights,
        not_after,
        digest: digest?,
    })
}

/// What a role does not allow by itself. `role`: of whom.
fn rights(entry: &Entry<'_>, role: Option<RoleName>) -> Rights {
    let words = entry.set(|e| e.word(RIGHTS)).unwrap_or_default();
    let identifiers = !words.is_empty();
    if identifiers && !matches!(role, None | Some(RoleName::Compliance | RoleName::Operator)) {
        entry.problem("only compliance and operator can have the right to see identifiers");
    }
    Rights { identifiers }
}

/// The shortest token in characters: what is shorter is guessed sooner or later, and each guess may be an erasure.
const SHORTEST: usize = 16;

fn digest(entry: &Entry<'_>) -> Option<TokenDigest> {
    let source = entry.secret_source()?;
    if let SecretSource::Digest(digest) = source {
        return Some(digest);
    }
    let token = entry.resolved(&source)?;
    // It comes in a header, where nothing else can stand.
    if !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return entry
            .refused("expected a token of visible ASCII characters without spaces: it is sent in a header");
    }
    if token.expose().len() < SHORTEST {
        return entry.refused(&format!(
            "expected a token of {SHORTEST} characters at least, found a shorter one: `openssl rand -hex 16` makes one"
        ));
    }
    Some(TokenDigest::of(token.expose()))
}
