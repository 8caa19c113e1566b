//! The two people of a run. With `[auth]` each proves who they are by their bearer token; without it their names are
//! only stated, and that is said.

use serde::{Deserialize, Serialize};

use crate::{
    cli::Failure,
    config::{Config, Role, SecretSource},
    domain::{ids::Tenant, person::is_same_person},
};

/// The longest name: what commands take as an actor.
const MAX_NAME: usize = 256;

/// Somebody who prepares or approves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    /// The bearer's name, or the one that was stated.
    pub(super) name: String,
    /// Whether a token has shown it.
    pub(super) proved: bool,
}

impl Person {
    /// The name, with what it is worth.
    pub(super) fn shown(&self) -> String {
        let worth = if self.proved {
            "shown by token"
        } else {
            "stated only"
        };
        format!("{} ({worth})", self.name)
    }

    /// Whether both are the same person.
    pub(super) fn is(&self, other: &Self) -> bool {
        is_same_person(&self.name, &other.name)
    }
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Prepares a plan.
    Prepare,
    /// Approves one.
    Approve,
}

impl Part {
    const fn allows(self, role: &Role) -> bool {
        match self {
            Self::Prepare => matches!(role, Role::Submitter | Role::Compliance | Role::Operator),
            Self::Approve => matches!(role, Role::Compliance),
        }
    }

    const fn roles(self) -> &'static str {
        match self {
            Self::Prepare => "submitter, compliance or operator",
            Self::Approve => "compliance",
        }
    }
}

/// Who it is, by token where there is `[auth]`, else by name.
pub(super) fn identify(
    config: &Config,
    part: Part,
    actor: Option<&str>,
    token: Option<&str>,
) -> Result<Person, Failure> {
    let Some(auth) = &config.auth else {
        return named(actor, token);
    };
    let Some(token) = token else {
        return Err(usage(
            "--token env:NAME or file:PATH is needed: with [auth], people show who they are by their bearer token",
        ));
    };
    let source = SecretSource::parse(token).map_err(|error| usage(&format!("--token: {error}")))?;
    if !matches!(source, SecretSource::Env(_) | SecretSource::File(_)) {
        return Err(usage(
            "--token: expected env:NAME or file:PATH; a token itself would show in the list of processes",
        ));
    }
    let secret = source
        .fetch()
        .map_err(|error| usage(&format!("--token: {error}")))?;
    // All of them are looked at, whichever it is.
    let mut found = None;
    for known in &auth.tokens {
        if known.digest.matches(secret.expose()) {
            found = Some(known);
        }
    }
    let Some(found) = found else {
        return Err(Failure::NotSo(
            "--token: no token of [auth] is this one".to_owned(),
        ));
    };
    if !part.allows(&found.role) {
        return Err(Failure::NotSo(format!(
            "{} has the role {}; this takes {}",
            found.name,
            found.role.as_str(),
            part.roles()
        )));
    }
    if actor.is_some_and(|actor| actor.trim() != found.name) {
        return Err(Failure::NotSo(format!(
            "--actor: the token is that of {}",
            found.name
        )));
    }
    Ok(Person {
        name: found.name.clone(),
        proved: true,
    })
}

/// Somebody whom nothing can be shown by: there is no `[auth]`.
fn named(actor: Option<&str>, token: Option<&str>) -> Result<Person, Failure> {
    if token.is_some() {
        return Err(usage(
            "--token: there is no [auth] in the configuration that it could be compared with",
        ));
    }
    let name = actor.map(str::trim).unwrap_or_default();
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(usage(
            "--actor NAME is needed: who does this? (There is no [auth], so nobody can show it by a token.)",
        ));
    }
    Ok(Person {
        name: name.to_owned(),
        proved: false,
    })
}

/// The tenant of what somebody asks for without naming one, where their token is limited to one.
pub(super) fn tenant_of<'a>(config: &'a Config, person: &Person) -> Option<&'a Tenant> {
    let tokens = &config.auth.as_ref()?.tokens;
    let token = tokens.iter().find(|token| token.name == person.name)?;
    token.tenant.as_ref()
}

/// Refuses a tenant that somebody may not act for, or that nobody serves.
pub(super) fn check_tenant(config: &Config, person: &Person, tenant: &Tenant) -> Result<(), Failure> {
    if let Some(own) = tenant_of(config, person).filter(|own| *own != tenant) {
        return Err(Failure::NotSo(format!(
            "the token of {} is for the tenant {own}, and this is for {tenant}",
            person.name
        )));
    }
    if config.serves(tenant) {
        return Ok(());
    }
    Err(usage(
        "--tenant: not one of the tenants that the configuration lists; every command would be refused",
    ))
}

/// Whether these two may be the two people of a run.
pub(super) fn check_two(first: &Person, second: &Person) -> Result<(), Failure> {
    if first.is(second) {
        return Err(Failure::NotSo(format!(
            "{} has prepared this plan and cannot approve it: another person has to",
            first.name
        )));
    }
    Ok(())
}

fn usage(text: &str) -> Failure {
    Failure::Usage(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(auth: &str) -> Config {
        Config::read_text("lacuna.toml", std::path::Path::new(""), auth, &|_| None).unwrap()
    }

    #[test]
    fn without_auth_a_name_is_stated() {
        let config = config("");
        let person = identify(&config, Part::Approve, Some(" bob "), None).unwrap();
        assert_eq!((person.name.as_str(), person.proved), ("bob", false));
        for (actor, token) in [
            (None, None),
            (Some(" "), None),
            (Some("a\nb"), None),
            (Some("bob"), Some("env:X")),
        ] {
            assert!(identify(&config, Part::Prepare, actor, token).is_err());
        }
    }

    #[test]
    fn with_auth_a_token_says_who_it_is_and_what_they_may_do() {
        let config = config(
            "[auth]\ntokens = [{ name = \"Ann\", role = \"operator\", token = \"token-of-sixteen-a\" }, \
             { name = \"Bob\", role = \"compliance\", token = \"token-of-sixteen-b\" }]",
        );
        let folder = tempfile::tempdir().unwrap();
        let token = |text: &str| {
            let path = folder.path().join(text);
            std::fs::write(&path, text).unwrap();
            format!("file:{}", path.display())
        };
        let (ann, bob, other) = (
            token("token-of-sixteen-a"),
            token("token-of-sixteen-b"),
            token("token-of-sixteen-c"),
        );
        let of = |part, actor, token: &str| identify(&config, part, actor, Some(token));
        let first = of(Part::Prepare, None, &ann).unwrap();
        assert_eq!(first.shown(), "Ann (shown by token)");
        let second = of(Part::Approve, Some("Bob"), &bob).unwrap();
        assert!(check_two(&first, &second).is_ok());
        let again = of(Part::Prepare, None, &bob).unwrap();
        assert!(check_two(&again, &second).is_err());
        assert!(
            of(Part::Approve, None, &ann).is_err(),
            "an operator does not approve"
        );
        assert!(
            of(Part::Approve, Some("Ann"), &bob).is_err(),
            "under another name"
        );
        assert!(of(Part::Prepare, None, &other).is_err());
        assert!(
            of(Part::Prepare, None, "token-of-sixteen-a").is_err(),
            "in the list of processes"
        );
        assert!(identify(&config, Part::Prepare, Some("Ann"), None).is_err());
    }

    #[test]
    fn case_makes_no_second_person() {
        let person = |name: &str| Person {
            name: name.to_owned(),
            proved: false,
        };
        assert!(check_two(&person("Ann"), &person("ann")).is_err());
        assert!(check_two(&person("Ann"), &person("Anna")).is_ok());
    }

    #[test]
    fn a_token_for_one_tenant_ends_no_other() {
        let config = config(
            "tenant_default = \"acme\"\ntenants = [\"acme\", \"other\"]\n[auth]\ntokens = [\
             { name = \"Ann\", role = \"compliance\", tenant = \"acme\", token = \"token-of-sixteen-a\" }, \
             { name = \"Bob\", role = \"compliance\", token = \"token-of-sixteen-b\" }]",
        );
        let person = |name: &str| Person {
            name: name.to_owned(),
            proved: true,
        };
        let check = |name: &str, tenant: &str| {
            check_tenant(&config, &person(name), &Tenant::new(tenant).unwrap()).is_ok()
        };
        assert!(check("Ann", "acme") && !check("Ann", "other"));
        assert!(check("Bob", "acme") && check("Bob", "other"));
        assert!(!check("Bob", "misspelt"), "nobody serves it");
    }
}
