//! OpenDSR: the transport, what it refuses in which words, and the section that signs.

use super::{
    bad_registry::{GOOD, read},
    config, lines,
};
use crate::{
    config::registry_file,
    domain::{
        ids::IdentityType,
        registry::{HttpAuth, IdentityFormat, OpenDsr, OpenDsrDialect, SecretRef, Transport},
    },
};

fn with(keys: &str) -> String {
    GOOD.replace("{ type = 'kafka' }", &format!("{{ type = 'opendsr', {keys} }}"))
}

fn opendsr(keys: &str) -> OpenDsr {
    let registry = registry_file::read_text("processors.toml", &with(keys)).unwrap();
    match &registry.processors[0].transport {
        Transport::OpenDsr(opendsr) => opendsr.clone(),
        other => panic!("{other:?}"),
    }
}

fn secret(text: &str) -> SecretRef {
    SecretRef(text.to_owned())
}

#[test]
fn an_opendsr_vendor_is_read_with_its_defaults() {
    let read = opendsr("url = 'https://dsr.vendor.example/v2'");
    assert_eq!((read.dialect, &read.auth), (OpenDsrDialect::V2, &HttpAuth::None));
    assert_eq!((read.poll.as_secs(), read.timeout.as_secs()), (3600, 30));
    assert_eq!(
        (read.processor_domain, read.formats, read.settings),
        (None, Vec::new(), Vec::new())
    );
}

#[test]
fn every_key_of_an_opendsr_vendor_arrives() {
    let read = opendsr(
        "url = 'https://a/v2', version = '1.0', auth = { type = 'basic', username = 'u', password = 'env:P' }, \
         processor_domain = 'OpenDSR.Vendor.example', ca = 'ca.pem', poll = '15m', timeout = '5s', formats = { email = 'sha256' }, \
         headers = { X-Team = 'privacy' }",
    );
    assert_eq!(read.dialect, OpenDsrDialect::V1);
    let auth = HttpAuth::Basic {
        username: "u".to_owned(),
        password: secret("env:P"),
    };
    assert_eq!(read.auth, auth);
    assert_eq!(read.processor_domain.as_deref(), Some("opendsr.vendor.example"));
    assert_eq!(read.http.ca.as_deref(), Some("ca.pem"));
    assert_eq!((read.poll.as_secs(), read.timeout.as_secs()), (900, 5));
    assert_eq!(
        read.formats,
        [(IdentityType::new("email").unwrap(), IdentityFormat::Sha256)]
    );
    let bearer = opendsr("url = 'https://a', auth = { type = 'bearer', token = 'env:T' }").auth;
    assert_eq!(
        bearer,
        HttpAuth::Bearer {
            token: secret("env:T")
        }
    );
    let header =
        opendsr("url = 'https://a', auth = { type = 'header', name = 'X-Key', value = 'file:key' }").auth;
    assert_eq!(
        header,
        HttpAuth::Header {
            name: "X-Key".to_owned(),
            value: secret("file:key")
        }
    );
    assert_eq!(
        opendsr("url = 'https://a', auth = { type = 'none' }").auth,
        HttpAuth::None
    );
    // The registry's own processor takes e-mail addresses, which AppsFlyer does not: another one stands in its place.
    let text = with("url = 'https://a', dialect = 'appsflyer', property_id = 'id1', platform = 'ios'")
        .replace("['email']", "['customer_id']");
    let registry = registry_file::read_text("processors.toml", &text).unwrap();
    let Transport::OpenDsr(read) = &registry.processors[0].transport else {
        panic!("{registry:?}")
    };
    assert_eq!(read.setting("property_id"), Some("id1"));
    assert_eq!(read.setting("platform"), Some("ios"));
}

#[test]
fn what_an_opendsr_vendor_cannot_be_is_named() {
    let no_domain = "expected a domain, such as opendsr.example.org, without a scheme or a path";
    let cases = [
        ("", "transport.url: missing".to_owned()),
        ("url = 'ftp://a'", "transport.url: expected http:// or https:// with a host, and without a password".into()),
        ("url = 'https://a', version = '3.0'", "transport.version: expected one of: 2.0, 1.0".into()),
        (
            "url = 'https://a', dialect = 'braze'",
            "transport.dialect: expected one of: mparticle, appsflyer, singular, branch".into(),
        ),
        (
            "url = 'https://a', version = '2.0', dialect = 'mparticle'",
            "transport.version: expected none beside dialect, which has a version of its own".into(),
        ),
        ("url = 'https://a', processor_domain = 'https://a'", format!("transport.processor_domain: {no_domain}")),
        (
            "url = 'https://a', auth = { type = 'basic', token = 't' }",
            "transport.auth.password: missing\ntransport.auth.token: unknown key; known here: password, type, username\ntransport.auth.username: missing".into(),
        ),
        (
            "url = 'https://a', auth = { type = 'kerberos', realm = 'r' }",
            "transport.auth.type: expected one of: none, basic, bearer, header".into(),
        ),
        (
            "url = 'https://a', auth = { type = 'header', name = 'a b', value = 'x' }",
            "transport.auth.name: expected the name of a header: letters, digits and dashes".into(),
        ),
        ("url = 'https://a', formats = { email = 'rot13' }", "transport.formats.email: expected one of: raw, sha1, md5, sha256".into()),
        ("url = 'https://a', property_id = 'x'", "transport.property_id: unknown key; known here: auth, ca, client_cert, client_key, dialect, formats, headers, poll, processor_domain, proxy, timeout, type, url, version".into()),
        ("url = 'https://a', dialect = 'mparticle', formats = { email = 'sha256' }", "transport.formats.email: expected one of: raw".into()),
    ];
    for (keys, expected) in cases {
        let found = read(&with(keys));
        let found: Vec<&str> = found
            .lines()
            .map(|line| {
                line.split_once("processor \"crm\": ")
                    .map_or(line, |(_, said)| said)
            })
            .collect();
        assert_eq!(found.join("\n"), expected, "{keys}");
    }
}

#[test]
fn identities_that_a_dialect_has_no_word_for_are_refused() {
    let found = read(&with(
        "url = 'https://a', dialect = 'appsflyer', property_id = 'id1'",
    ));
    assert!(
        found.contains("identities: \"email\" cannot be said in AppsFlyer, which knows: appsflyer_id"),
        "{found}"
    );
    let found = read(&with("url = 'https://a'").replace("['email']", "['phone']"));
    assert!(
        found.contains("\"phone\" cannot be said in OpenDSR 2.0"),
        "{found}"
    );
    let found = read(
        &with("url = 'https://a', dialect = 'branch', app_id = '7'").replace("['email']", "['user_id']"),
    );
    assert!(
        found.contains("Branch cannot be asked how a request stands: expected completes_by"),
        "{found}"
    );
}

#[test]
fn what_opendsr_has_no_word_for_is_refused() {
    let retention = "\n[[processor.retention]]\ncategories = ['invoices']\nbasis = 'tax_law'\nkeep = '5y'\n";
    for (added, expected) in [
        (
            "verify = { after = '7d' }\n",
            "verify: OpenDSR has no question whether data is gone: expected none",
        ),
        (retention, "retention: OpenDSR has no word for a part of the data"),
    ] {
        let found = read(&format!("{}{added}", with("url = 'https://a'")));
        assert!(found.contains(expected), "{found}");
    }
    let found = read(&with("url = 'https://a'").replace("['erase']", "['erase', 'anonymize']"));
    assert!(
        found.contains("actions: OpenDSR has no word for an anonymization"),
        "{found}"
    );
}

#[test]
fn a_secret_that_stands_in_the_registry_is_warned_of() {
    let text = with("url = 'http://vendor.example', auth = { type = 'bearer', token = 'hunter2' }");
    let registry = registry_file::read_text("processors.toml", &text).unwrap();
    let warnings = registry_file::warnings(&registry).join("\n");
    assert!(
        warnings.contains("crm: transport.auth.token is a secret that stands in the registry"),
        "{warnings}"
    );
    assert!(warnings.contains("crm: transport.url is http://"), "{warnings}");
    assert!(!warnings.contains("hunter2"), "{warnings}");
}

#[test]
fn the_section_that_signs_needs_both_files() {
    assert_eq!(config("").unwrap().opendsr, None);
    let found = lines(config(
        "[opendsr]\ndomain = 'a/b'\ncertificate = 'no-such-file.crt'",
    ));
    let expected = [
        "lacuna.toml:1: opendsr.key: missing",
        "lacuna.toml:2: opendsr.domain: expected a domain, such as opendsr.example.org, without a scheme or a path",
        "lacuna.toml:3: opendsr.certificate: there is no file no-such-file.crt",
    ];
    assert_eq!(found, expected);
}
