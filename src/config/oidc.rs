//! `[auth] oidc`: an identity provider that says who somebody is.

use std::{net::IpAddr, path::PathBuf};

use hyper::Uri;

use super::{
    reader::{Entry, Section},
    role::{Rights, Role},
    secret::Secret,
};

/// An identity provider of OpenID Connect, and what its claims mean here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// Who it is: the address that its discovery document is found under, and the claim `iss`.
    pub issuer: String,
    /// Whom bearer tokens of the API are meant for: the claim `aud`.
    pub audience: String,
    /// As whom the console asks it to sign people in; `None`: it does not.
    pub client: Option<OidcClient>,
    /// What says the role.
    pub role_claim: Claim,
    /// Which role each value of it is, in the order in which they are looked for; empty: the values are the names of roles.
    pub roles: Vec<(String, Role)>,
    /// What says the name.
    pub name_claim: Claim,
    /// What says the one tenant; `None`: everybody may act for every tenant.
    pub tenant_claim: Option<Claim>,
    /// What says the rights; `None`: nobody has any.
    pub rights_claim: Option<Claim>,
    /// The algorithms that a signature may be made with.
    pub algorithms: Vec<SigningAlgorithm>,
    /// A file of authorities that its certificate has to be from, instead of those of this machine.
    pub ca: Option<PathBuf>,
}

/// As whom the console asks to sign people in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcClient {
    /// Its id.
    pub id: String,
    /// Its secret; `None`: it has none, and is protected by PKCE alone.
    pub secret: Option<Secret>,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
}

/// Where in a token something stands: the name of a claim, or a JSON pointer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim(String);

/// An algorithm of asymmetric signatures. There is no other kind: a secret that two know proves nothing to either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSA with PKCS#1 and SHA-256.
    Rs256,
    /// RSA with PKCS#1 and SHA-384.
    Rs384,
    /// RSA with PKCS#1 and SHA-512.
    Rs512,
    /// RSA with PSS and SHA-256.
    Ps256,
    /// RSA with PSS and SHA-384.
    Ps384,
    /// RSA with PSS and SHA-512.
    Ps512,
    /// ECDSA with P-256.
    Es256,
    /// ECDSA with P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

const ALGORITHMS: &[(&str, SigningAlgorithm)] = &[
    ("RS256", SigningAlgorithm::Rs256),
    ("RS384", SigningAlgorithm::Rs384),
    ("RS512", SigningAlgorithm::Rs512),
    ("PS256", SigningAlgorithm::Ps256),
    ("PS384", SigningAlgorithm::Ps384),
    ("PS512", SigningAlgorithm::Ps512),
    ("ES256", SigningAlgorithm::Es256),
    ("ES384", SigningAlgorithm::Es384),
    ("EdDSA", SigningAlgorithm::EdDsa),
];

/// The roles that stand by themselves in a claim, in the order in which they are looked for.
const NAMED: [(&str, Role); 4] = [
    ("compliance", Role::Compliance),
    ("operator", Role::Operator),
    ("auditor", Role::Auditor),
    ("submitter", Role::Submitter),
];

impl Claim {
    /// What stands there.
    pub fn of<'a>(&self, claims: &'a serde_json::Value) -> Option<&'a serde_json::Value> {
        if self.0.starts_with('/') {
            claims.pointer(&self.0)
        } else {
            claims.get(&self.0)
        }
    }

    /// As the configuration has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The texts that stand there: a text of several words, or a list of texts.
    pub fn words<'a>(&self, claims: &'a serde_json::Value) -> Vec<&'a str> {
        match self.of(claims) {
            Some(serde_json::Value::String(text)) => text.split_ascii_whitespace().collect(),
            Some(serde_json::Value::Array(list)) => list.iter().filter_map(|word| word.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The one text that stands there.
    pub fn text<'a>(&self, claims: &'a serde_json::Value) -> Option<&'a str> {
        self.of(claims).and_then(|value| value.as_str())
    }
}

impl Oidc {
    /// The role that claims say: of several the first one.
    pub fn role(&self, claims: &serde_json::Value) -> Option<Role> {
        let mut words = self.role_claim.words(claims);
        // A value may hold spaces where the list of roles names it.
        words.extend(self.role_claim.text(claims));
        if self.roles.is_empty() {
            let named = NAMED.iter().find(|(name, _)| words.contains(name));
            return named.map(|(_, role)| role.clone());
        }
        let listed = self
            .roles
            .iter()
            .find(|(value, _)| words.contains(&value.as_str()));
        listed.map(|(_, role)| role.clone())
    }

    /// The rights that claims say.
    pub fn rights(&self, claims: &serde_json::Value) -> Rights {
        let claim = self.rights_claim.as_ref();
        Rights {
            identifiers: claim.is_some_and(|claim| claim.words(claims).contains(&"identifiers")),
        }
    }
}

pub(super) fn read(section: &Section<'_>) -> Option<Oidc> {
    let issuer = section.need("issuer").and_then(|e| issuer(&e));
    let audience = section.need("audience").and_then(|e| e.line_of_text());
    let role_claim = section.need("role_claim").and_then(|e| claim(&e));
    let client = client(section);
    let roles = section
        .get("roles")
        .and_then(|e| e.table(roles))
        .unwrap_or_default();
    let name_claim = section.get("name_claim").and_then(|e| claim(&e));
    let algorithms = section
        .get("algorithms")
        .and_then(|e| e.some_set(|e| e.word(ALGORITHMS)));
    Some(Oidc {
        issuer: issuer?,
        audience: audience?.to_owned(),
        client,
        role_claim: role_claim?,
        roles,
        name_claim: name_claim.unwrap_or_else(|| Claim("sub".to_owned())),
        tenant_claim: section.get("tenant_claim").and_then(|e| claim(&e)),
        rights_claim: section.get("rights_claim").and_then(|e| claim(&e)),
        algorithms: algorithms.unwrap_or_else(|| ALGORITHMS.iter().map(|(_, a)| *a).collect()),
        ca: section.get("ca").and_then(|e| file(&e)),
    })
}

/// Exactly as the provider writes it: the claim `iss` is compared with it byte for byte.
fn issuer(entry: &Entry<'_>) -> Option<String> {
    let text = entry.line_of_text()?;
    let url = text.parse::<Uri>().ok();
    let host = url.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_local = match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
    };
    if text.contains(['?', '#', ' ']) {
        return entry.refused("expected an address without ?, # and spaces");
    }
    match url.as_ref().and_then(Uri::scheme_str) {
        Some("https") => Some(text.to_owned()),
        Some("http") if is_local => Some(text.to_owned()),
        Some("http") => entry.refused(
            "expected https: whoever can change what comes over http says who everybody is (http is taken for this machine only)",
        ),
        _ => entry.refused("expected the issuer as the identity provider writes it, such as https://id.example.org"),
    }
}

fn claim(entry: &Entry<'_>) -> Option<Claim> {
    entry.line_of_text().map(|name| Claim(name.to_owned()))
}

fn file(entry: &Entry<'_>) -> Option<PathBuf> {
    let path = entry.path()?;
    if path.is_file() {
        return Some(path);
    }
    entry.refused(&format!("there is no file {}", path.display()))
}

fn client(section: &Section<'_>) -> Option<OidcClient> {
    let id = section.get("client_id").and_then(|e| e.line_of_text());
    let secret = section.get("client_secret");
    let scopes = section.get("scopes");
    for (entry, key) in [(&secret, "client_secret"), (&scopes, "scopes")] {
        if let (None, Some(entry)) = (id, entry) {
            entry.problem(&format!(
                "{key} needs client_id: without it the console signs nobody in with OpenID Connect"
            ));
        }
    }
    let secret = secret.and_then(|e| {
        let source = e.secret_source()?;
        e.resolved(&source)
    });
    let word = |entry: &Entry<'_>| {
        let text = entry.line_of_text()?;
        if text.contains(' ') {
            return entry.refused("expected one scope, without spaces");
        }
        Some(text.to_owned())
    };
    let scopes = scopes.and_then(|e| e.set(word)).unwrap_or_default();
    Some(OidcClient {
        id: id?.to_owned(),
        secret,
        scopes,
    })
}

fn roles(section: &Section<'_>) -> Vec<(String, Role)> {
    section.take_any();
    let role = |(value, entry): (&str, Entry<'_>)| Some((value.to_owned(), listed(&entry)?));
    section.entries().into_iter().filter_map(role).collect()
}

/// A role, or `processor:` and the processor's id.
fn listed(entry: &Entry<'_>) -> Option<Role> {
    Role::parse(entry.text()?).or_else(|| {
        entry.refused("expected one of: submitter, compliance, operator, auditor, or processor: and its id")
    })
}
