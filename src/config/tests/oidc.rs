//! `[auth]` with an identity provider, tokens that replace one another, and what a reload can take over.

use serde_json::json;

use super::{bad_config::check, config};
use crate::config::{Auth, AuthChange, Config, Oidc, Role, SigningAlgorithm};

fn auth(text: &str) -> Auth {
    config(text)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .auth
        .unwrap()
}

fn oidc(more: &str) -> Oidc {
    let text = format!(
        "[auth.oidc]\nissuer = 'https://id.example.org'\naudience = 'lacuna'\nrole_claim = 'role'\n{more}\n"
    );
    auth(&text).oidc.unwrap()
}

#[test]
fn an_identity_provider_needs_three_keys() {
    let read = oidc("");
    assert_eq!(
        (read.client, read.roles.len(), read.algorithms.len()),
        (None, 0, 9)
    );
    let read = oidc(
        "client_id = 'console'\nclient_secret = 'env:CRM_TOKEN'\nscopes = ['a', 'b']\nalgorithms = ['ES256']",
    );
    let client = read.client.unwrap();
    assert_eq!(client.id, "console");
    assert_eq!(client.secret.unwrap().expose(), "from-the-environment");
    assert_eq!(client.scopes, ["a", "b"]);
    assert_eq!(read.algorithms, [SigningAlgorithm::Es256]);
    for local in [
        "http://127.0.0.1:8080",
        "http://localhost/realms/a",
        "http://[::1]:1",
    ] {
        let text = format!("[auth.oidc]\nissuer = '{local}'\naudience = 'a'\nrole_claim = 'r'\n");
        assert_eq!(auth(&text).oidc.unwrap().issuer, local);
    }
}

#[test]
fn mistakes_are_named() {
    let with = |keys: &str| {
        format!("[auth]\noidc = {{ issuer = 'https://id', audience = 'a', role_claim = 'r', {keys} }}")
    };
    let issuer =
        |issuer: &str| format!("[auth]\noidc = {{ issuer = '{issuer}', audience = 'a', role_claim = 'r' }}");
    check(&[
        (
            "[auth]\noidc = {}",
            "2: auth.oidc.audience: missing\nlacuna.toml:2: auth.oidc.issuer: missing\nlacuna.toml:2: auth.oidc.role_claim: missing",
        ),
        (
            &issuer("http://id.example.org"),
            "2: auth.oidc.issuer: expected https: whoever can change what comes over http says who everybody is (http is taken for this machine only)",
        ),
        (
            &issuer("https://id?a=b"),
            "2: auth.oidc.issuer: expected an address without ?, # and spaces",
        ),
        (
            &with("client_secret = 'secret'"),
            "2: auth.oidc.client_secret: client_secret needs client_id: without it the console signs nobody in with OpenID Connect",
        ),
        (
            &with("client_id = 'c', scopes = ['a b']"),
            "2: auth.oidc.scopes[0]: expected one scope, without spaces",
        ),
        (
            &with("roles = { team = 'boss' }"),
            "2: auth.oidc.roles.team: expected one of: submitter, compliance, operator, auditor, or processor: and its id",
        ),
        (
            &with("algorithms = ['HS256']"),
            "2: auth.oidc.algorithms[0]: expected one of: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
        ),
        (
            &with("algorithms = []"),
            "2: auth.oidc.algorithms: expected at least one element",
        ),
        (
            &with("ca = 'none.pem'"),
            "2: auth.oidc.ca: there is no file none.pem",
        ),
    ]);
}

#[test]
fn claims_say_the_role_the_first_of_the_list_counts() {
    let named = oidc("");
    let role = |oidc: &Oidc, claims: serde_json::Value| oidc.role(&claims).map(|role| role.to_string());
    assert_eq!(
        role(&named, json!({ "role": "operator" })).as_deref(),
        Some("operator")
    );
    assert_eq!(
        role(&named, json!({ "role": ["x", "auditor", "compliance"] })).as_deref(),
        Some("compliance")
    );
    // A processor's token says which one: nobody is one by a name alone.
    for none in [
        json!({}),
        json!({ "role": 7 }),
        json!({ "role": "processor" }),
        json!({ "role": "Operator" }),
    ] {
        assert_eq!(role(&named, none.clone()), None, "{none}");
    }
    let listed = oidc("roles = { 'a team' = 'auditor', crm = 'processor:crm', all = 'submitter' }");
    assert_eq!(
        role(&listed, json!({ "role": "a team" })).as_deref(),
        Some("auditor")
    );
    assert_eq!(
        role(&listed, json!({ "role": "all crm" })).as_deref(),
        Some("processor:crm")
    );
    assert_eq!(
        role(&listed, json!({ "role": "operator" })),
        None,
        "the names of roles mean nothing beside a list"
    );
}

#[test]
fn a_claim_may_lie_deep() {
    let text = "[auth.oidc]\nissuer = 'https://id'\naudience = 'a'\nrole_claim = '/realm_access/roles'\nrights_claim = 'https://a/rights'";
    let oidc = auth(text).oidc.unwrap();
    let claims = json!({ "realm_access": { "roles": ["auditor"] }, "https://a/rights": "read identifiers" });
    assert_eq!(oidc.role(&claims), Some(Role::Auditor));
    assert!(oidc.rights(&claims).identifiers);
    assert!(!oidc.rights(&json!({})).identifiers);
}

#[test]
fn tokens_of_one_name_replace_one_another() {
    let token = |rest: &str| format!("{{ name = 'dpo', role = 'compliance', {rest} }}");
    let old =
        token("token = 'the-old-token-of-dpo', not_after = 2026-11-30T00:00:00Z, rights = ['identifiers']");
    let new = token("token = 'the-new-token-of-dpo', rights = ['identifiers']");
    let read = auth(&format!("auth.tokens = [{old}, {new}]"));
    assert_eq!(read.tokens.len(), 2);
    assert!(read.tokens.iter().all(|token| token.rights.identifiers));
    let end = read.tokens[0].not_after.unwrap();
    assert!(read.tokens[0].has_expired(end) && !read.tokens[1].has_expired(end));
}

#[test]
fn a_reload_names_what_it_takes_over_and_what_it_cannot() {
    let token = |name: &str, rest: &str| {
        format!("{{ name = '{name}', role = 'auditor', token = 'a-long-token-of-{name}' {rest} }}")
    };
    let read = |tokens: &[String], more: &str| {
        config(&format!("auth.tokens = [{}]\n{more}", tokens.join(","))).unwrap()
    };
    let old = read(&[token("a", ""), token("b", "")], "");
    let new = read(
        &[token("b", ", tenant = 'acme'"), token("c", "")],
        "auth.session = { idle = '5m' }\nregion = 'eu'\n[vault]\nepoch = '1d'",
    );
    let change = AuthChange::between(old.auth.as_ref().unwrap(), new.auth.as_ref().unwrap());
    let expected = AuthChange {
        added: vec!["c".into()],
        removed: vec!["a".into()],
        changed: vec!["b".into()],
        oidc: false,
        session: true,
    };
    assert_eq!(change, expected);
    assert_eq!(old.needing_restart(&new), ["region", "vault"]);
    assert_eq!(old.needing_restart(&old), [""; 0]);
    assert_eq!(old.needing_restart(&Config::default()), ["auth"]);
}
