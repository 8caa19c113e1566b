//! `[auth]`: who may call the API, and as what.

use super::{
    not_built,
    reader::{Entry, Section},
    secret::{SecretSource, TokenDigest},
};
use crate::domain::{
    ids::{ProcessorId, Tenant},
    registry::Registry,
};

/// Who may call the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The bearer tokens; names and tokens are unique, and there is at least one.
    pub tokens: Vec<Token>,
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
    /// Its SHA-256.
    pub digest: TokenDigest,
}

/// What a bearer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Submits commands and sees its own requests.
    Submitter,
    /// Answers the tasks of this processor.
    Processor(ProcessorId),
    /// Decides about requests; may also audit.
    Compliance,
    /// Runs the lanes; may also audit.
    Operator,
    /// Reads the ledger.
    Auditor,
}

impl Role {
    /// Its name in the configuration.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Submitter => "submitter",
            Self::Processor(_) => "processor",
            Self::Compliance => "compliance",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }
}

/// A role's name, before the processor that one of them needs is known.
#[derive(Clone, Copy, PartialEq)]
enum RoleName {
    Submitter,
    Processor,
    Compliance,
    Operator,
    Auditor,
}

const ROLES: &[(&str, RoleName)] = &[
    ("submitter", RoleName::Submitter),
    ("processor", RoleName::Processor),
    ("compliance", RoleName::Compliance),
    ("operator", RoleName::Operator),
    ("auditor", RoleName::Auditor),
];

/// `tenants`: those that are served; none: every one.
pub(super) fn read(section: &Section<'_>, tenants: &[Tenant]) -> Auth {
    let oidc = section.get("oidc");
    if let Some(entry) = &oidc {
        read_oidc(entry);
        not_built::refuse(entry, "auth.oidc");
    }
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
    }
}

fn tokens(entries: &[Entry<'_>], tenants: &[Tenant]) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for entry in entries {
        let Some(Some(token)) = entry.table(|section| token(section, tenants)) else {
            continue;
        };
        if found.iter().any(|other| other.name == token.name) {
            entry.problem(&format!("another token has the name {:?}", token.name));
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
        digest: digest?,
    })
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

/// OpenID Connect is read in full, so that its mistakes are found before it is built.
fn read_oidc(entry: &Entry<'_>) {
    entry.table(|section| {
        for key in ["issuer", "audience", "role_claim"] {
            if let Some(entry) = section.need(key) {
                entry.line_of_text();
            }
        }
    });
}
