//! A processor that speaks OpenDSR, or a dialect of it.

use std::time::Duration;

use super::{
    http_options::{http_options, secret, url},
    webhook::warnings_of_http,
};
use crate::{
    config::{
        opendsr::domain,
        reader::{Entry, Section},
        values::Zero,
    },
    domain::{
        ids::{IdentityType, ProcessorId},
        registry::{HttpAuth, IdentityFormat, OpenDsr, OpenDsrDialect, SecretRef, StatusCall},
    },
};

/// The specification's own examples take weeks; once an hour is soon enough, and asks little of anybody.
const POLL: Duration = Duration::from_secs(3600);
/// As for webhooks.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads it; `processor`: the whole of it, for what its identities have to be.
pub(super) fn read(section: &Section<'_>, processor: &Section<'_>) -> Option<OpenDsr> {
    let url = section.need("url").and_then(|e| url(&e));
    let dialect = dialect(section);
    let found = OpenDsr {
        url: String::new(),
        dialect,
        auth: section
            .get("auth")
            .and_then(|e| e.table(auth))
            .unwrap_or_default(),
        processor_domain: section.get("processor_domain").and_then(|e| domain(&e)),
        poll: section.duration_or("poll", Zero::Refused, POLL),
        formats: section
            .get("formats")
            .and_then(|e| formats(&e, dialect))
            .unwrap_or_default(),
        settings: settings(section, dialect),
        timeout: section.duration_or("timeout", Zero::Refused, TIMEOUT),
        http: http_options(section),
    };
    check_identities(processor, &found);
    check_words(processor);
    Some(OpenDsr { url: url?, ..found })
}

fn dialect(section: &Section<'_>) -> OpenDsrDialect {
    let of_key = |key: &'static str| {
        let words: Vec<(&str, OpenDsrDialect)> = OpenDsrDialect::ALL
            .iter()
            .filter(|(_, of, _)| *of == key)
            .map(|(dialect, _, word)| (*word, *dialect))
            .collect();
        section.get(key).and_then(|e| e.word(&words))
    };
    let (version, dialect) = (of_key("version"), of_key("dialect"));
    if section.get("version").is_some() && section.get("dialect").is_some() {
        section.problem(
            "version",
            "expected none beside dialect, which has a version of its own",
        );
    }
    dialect.or(version).unwrap_or_default()
}

/// `{ email = "sha256" }`
fn formats(entry: &Entry<'_>, dialect: OpenDsrDialect) -> Option<Vec<(IdentityType, IdentityFormat)>> {
    let allowed: Vec<(&str, IdentityFormat)> = dialect
        .data()
        .formats
        .iter()
        .map(|format| (format.as_str(), *format))
        .collect();
    entry.table(|section| {
        section.take_any();
        let read = section.entries().into_iter().filter_map(|(key, entry)| {
            let kind = IdentityType::new(key)
                .map_err(|error| entry.problem(&error.to_string()))
                .ok();
            let format = entry.word(&allowed);
            Some((kind?, format?))
        });
        read.collect()
    })
}

/// What the dialect's calls carry besides.
fn settings(section: &Section<'_>, dialect: OpenDsrDialect) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for setting in dialect.data().settings {
        let entry = if setting.needed {
            section.need(setting.key)
        } else {
            section.get(setting.key)
        };
        if let Some(text) = entry.and_then(|e| e.line_of_text()) {
            settings.push((setting.key.to_owned(), text.to_owned()));
        }
    }
    settings
}

/// The fields of each kind of authentication.
pub(super) fn auth(section: &Section<'_>) -> HttpAuth {
    #[derive(Clone, Copy)]
    enum Kind {
        None,
        Basic,
        Bearer,
        Header,
    }
    const KINDS: &[(&str, Kind)] = &[
        ("none", Kind::None),
        ("basic", Kind::Basic),
        ("bearer", Kind::Bearer),
        ("header", Kind::Header),
    ];
    let Some(kind) = section.need("type").and_then(|e| e.word(KINDS)) else {
        // Without a type, nobody knows which keys belong here.
        section.take_any();
        return HttpAuth::None;
    };
    let text = |key| {
        section
            .need(key)
            .and_then(|e| e.line_of_text())
            .map(str::to_owned)
    };
    let secret = |key| section.need(key).and_then(|e| secret(&e));
    let read = match kind {
        Kind::None => Some(HttpAuth::None),
        Kind::Basic => {
            let (username, password) = (text("username"), secret("password"));
            username
                .zip(password)
                .map(|(username, password)| HttpAuth::Basic { username, password })
        }
        Kind::Bearer => secret("token").map(|token| HttpAuth::Bearer { token }),
        Kind::Header => {
            let name = section.need("name").and_then(|e| header_name(&e));
            let value = secret("value");
            name.zip(value)
                .map(|(name, value)| HttpAuth::Header { name, value })
        }
    };
    read.unwrap_or_default()
}

fn header_name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.line_of_text()?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.bytes().all(is_token) {
        Some(text.to_owned())
    } else {
        entry.refused("expected the name of a header: letters, digits and dashes")
    }
}

/// What cannot be said to a processor would never reach it, however often it is asked.
fn check_identities(processor: &Section<'_>, opendsr: &OpenDsr) {
    let data = opendsr.dialect.data();
    let listed = processor
        .get("identities")
        .filter(|e| !e.is_text())
        .and_then(|e| e.list());
    // What is no type is reported where identities are read.
    let listed = listed
        .iter()
        .flatten()
        .filter(|e| e.is_text())
        .filter_map(|e| e.text());
    for kind in listed.filter_map(|kind| IdentityType::new(kind).ok()) {
        if data.said(kind.as_str()).is_none() {
            let known: Vec<&str> = data.identities.iter().map(|(ours, _)| *ours).collect();
            let message = format!(
                "{:?} cannot be said in {}, which knows: {}",
                kind.as_str(),
                data.name,
                known.join(", ")
            );
            processor.problem("identities", &message);
        }
    }
    if data.status == StatusCall::None && processor.get("completes_by").is_none() {
        let message = format!(
            "{} cannot be asked how a request stands: expected completes_by, with the term that it has published",
            data.name
        );
        processor.problem("transport", &message);
    }
}

/// What OpenDSR has no words for would be abandoned each time.
fn check_words(processor: &Section<'_>) {
    let actions = processor
        .get("actions")
        .filter(|e| !e.is_text())
        .and_then(|e| e.list());
    if actions
        .iter()
        .flatten()
        .any(|e| e.is_text() && e.text() == Some("anonymize"))
    {
        processor.problem(
            "actions",
            "OpenDSR has no word for an anonymization: expected [\"erase\"]",
        );
    }
    for (key, why) in [
        (
            "verify",
            "OpenDSR has no question whether data is gone: expected none",
        ),
        (
            "retention",
            "OpenDSR has no word for a part of the data, so that what has to be kept would go too: expected none",
        ),
    ] {
        if processor.get(key).is_some() {
            processor.problem(key, why);
        }
    }
}

/// What is allowed and probably not meant.
pub(super) fn warnings(id: &ProcessorId, opendsr: &OpenDsr) -> Vec<String> {
    let secret: Option<(&str, &SecretRef)> = match &opendsr.auth {
        HttpAuth::None => None,
        HttpAuth::Basic { password, .. } => Some(("password", password)),
        HttpAuth::Bearer { token } => Some(("token", token)),
        HttpAuth::Header { value, .. } => Some(("value", value)),
    };
    let mut warnings = warnings_of_http(id, &opendsr.url, &opendsr.http);
    warnings.extend(secret.filter(|(_, secret)| secret.is_plain()).map(|(key, _)| {
        format!(
            "{id}: transport.auth.{key} is a secret that stands in the registry, which is stored as it is written: name it with \
             env: or file:"
        )
    }));
    warnings
}
