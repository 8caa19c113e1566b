//! How events come in: from a topic, or in calls over HTTP that are signed; and who has the schemas that they name.

use super::super::{
    kafka,
    reader::{Entry, Section},
    registry_file,
    secret::Secret,
    values::Zero,
    verifying_key::VerifyingKey,
};
use crate::domain::{registry::HttpOptions, source::Format};
use std::time::Duration;

/// How events come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inlet {
    /// From a topic.
    Topic(String),
    /// In calls over HTTP.
    Http(HttpInlet),
}

/// Where a source is called, and how its calls are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpInlet {
    /// The path.
    pub path: String,
    /// The signature.
    pub signature: Signature,
}

/// How calls are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What is in the header.
    pub scheme: Scheme,
    /// The header, in lower case. Standard Webhooks has three of its own.
    pub header: String,
    /// What stands before the signature in it, such as `sha256=`.
    pub prefix: String,
    /// Any of them may have signed: while one is replaced there are two.
    pub secrets: Vec<Secret>,
    /// How old a signed time may be.
    pub tolerance: Duration,
}

/// What a call shows that it is genuine by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks, with a secret or a public key.
    StandardWebhooks,
    /// HMAC-SHA256 of the body, in hexadecimal.
    HmacSha256Hex,
    /// HMAC-SHA256 of the body, in base64.
    HmacSha256Base64,
    /// HMAC-SHA1 of the body, in hexadecimal: for senders that know nothing newer.
    HmacSha1Hex,
    /// The secret itself: for senders that sign nothing.
    Token,
}

/// The headers that a signature of Standard Webhooks covers.
const SIGNED: [&str; 2] = ["webhook-id", "webhook-timestamp"];

impl Scheme {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        let found = SCHEMES.iter().find(|(_, scheme)| *scheme == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether the headers of a call are as certain as its body: a token says of both who has sent them, and nothing of what.
    pub const fn covers_headers(self) -> bool {
        matches!(self, Self::Token)
    }

    /// Whether this header is as certain as the body; its name is in lower case.
    pub fn covers(self, header: &str) -> bool {
        self.covers_headers() || self == Self::StandardWebhooks && SIGNED.contains(&header)
    }
}

const SCHEMES: [(&str, Scheme); 5] = [
    ("standard-webhooks", Scheme::StandardWebhooks),
    ("hmac-sha256-hex", Scheme::HmacSha256Hex),
    ("hmac-sha256-base64", Scheme::HmacSha256Base64),
    ("hmac-sha1-hex", Scheme::HmacSha1Hex),
    ("token", Scheme::Token),
];

/// Who has schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRegistry {
    /// Where its interface begins, without a slash at its end.
    pub url: String,
    /// How it is called.
    pub http: HttpOptions,
}

/// What the paths of sources begin with: nothing of Lacuna's own lies there.
const PATHS: [&str; 4] = ["/v1/sources/", "/sources/", "/webhooks/", "/hooks/"];

/// The shortest secret of an HMAC: whoever can guess it orders erasures.
const SHORTEST_SECRET: usize = 8;

pub(super) fn read(section: &Section<'_>) -> Option<Inlet> {
    match (section.get("topic"), section.get("http")) {
        (Some(topic), None) => kafka::topic(&topic).map(Inlet::Topic),
        (None, Some(http)) => http.table(self::http).flatten().map(Inlet::Http),
        (Some(_), Some(http)) => http.refused("a source has either topic or http"),
        (None, None) => {
            section.problem(
                "topic",
                "missing: where its events come from, a topic or http = { path, signature }",
            );
            None
        }
    }
}

fn http(section: &Section<'_>) -> Option<HttpInlet> {
    let path = section.need("path").and_then(|e| path(&e));
    let signature = section.get("signature");
    if signature.is_none() {
        section.problem(
            "signature",
            "missing: without one, whoever reaches the listener could order erasures",
        );
    }
    let signature = signature.and_then(|e| e.table(self::signature)).flatten();
    Some(HttpInlet {
        path: path?,
        signature: signature?,
    })
}

fn path(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let begins = PATHS
        .iter()
        .any(|start| text.len() > start.len() && text.starts_with(start));
    let steps = text.split('/').skip(1);
    let whole = steps.into_iter().all(|step| !matches!(step, "" | "." | ".."));
    if begins && whole && text.len() <= 200 && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    entry.refused(
        "expected a path such as /v1/sources/accounts: below /v1/sources/, /sources/, /webhooks/ or /hooks/, of letters, \
         digits and - . _ ~",
    )
}

fn signature(section: &Section<'_>) -> Option<Signature> {
    let scheme = section.need("scheme").and_then(|e| e.word(&SCHEMES));
    let is_standard = scheme == Some(Scheme::StandardWebhooks);
    let header = section.get("header");
    let prefix = section.get("prefix");
    if is_standard {
        for entry in header.iter().chain(&prefix) {
            entry.problem("Standard Webhooks has headers of its own: leave it out");
        }
    } else if header.is_none() {
        section.problem("header", "missing: the header that the signature is in");
    }
    let tolerance = section.duration_or("tolerance", Zero::Refused, Duration::from_secs(5 * 60));
    let secrets = section.need("secret").and_then(|e| secrets(&e, scheme?));
    Some(Signature {
        scheme: scheme?,
        header: header.and_then(|e| header_name(&e)).unwrap_or_default(),
        prefix: prefix.and_then(|e| e.text()).unwrap_or_default().to_owned(),
        secrets: secrets?,
        tolerance,
    })
}

fn header_name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !text.is_empty() && text.bytes().all(plain) {
        return Some(text.to_ascii_lowercase());
    }
    entry.refused("expected the name of a header, such as X-Shopify-Hmac-Sha256")
}

/// One secret, or a list of them.
fn secrets(entry: &Entry<'_>, scheme: Scheme) -> Option<Vec<Secret>> {
    let one = |entry: &Entry<'_>| {
        let secret = entry.resolved(&entry.secret_source()?)?;
        let right = match scheme {
            Scheme::StandardWebhooks => match VerifyingKey::parse(secret.expose()) {
                Ok(_) => Ok(()),
                Err(bad) => Err(bad.to_string()),
            },
            _ if secret.expose().len() < SHORTEST_SECRET => Err(format!(
                "expected at least {SHORTEST_SECRET} characters: a shorter secret is guessed"
            )),
            _ => Ok(()),
        };
        match right {
            Ok(()) => Some(secret),
            Err(why) => entry.refused(&why),
        }
    };
    if entry.is_text() {
        return one(entry).map(|secret| vec![secret]);
    }
    let entries = entry.list_or("a secret, or a list of them")?;
    if entries.is_empty() {
        return entry.refused("expected at least one secret");
    }
    entries.iter().map(one).collect()
}

/// Who has the schemas, for formats that name them.
pub(super) fn schema_registry(section: &Section<'_>, format: Option<Format>) -> Option<SchemaRegistry> {
    let entry = section.get("schema_registry");
    let format = format?;
    match entry {
        None if format.names_schemas() => {
            section.problem(
                "schema_registry",
                "missing: the address of the registry that has the schemas, such as \"http://localhost:8081\"",
            );
            None
        }
        None => None,
        Some(entry) if !format.names_schemas() => entry.refused(&format!(
            "events of format {:?} name no schemas: leave it out",
            format.as_str()
        )),
        Some(entry) if entry.is_text() => Some(SchemaRegistry {
            url: registry_url(&entry)?,
            http: HttpOptions::default(),
        }),
        Some(entry) => entry
            .table(|section| {
                let http = registry_file::http_options(section);
                let url = section.need("url").and_then(|e| registry_url(&e))?;
                Some(SchemaRegistry { url, http })
            })
            .flatten(),
    }
}

fn registry_url(entry: &Entry<'_>) -> Option<String> {
    registry_file::url(entry).map(|url| url.trim_end_matches('/').to_owned())
}
