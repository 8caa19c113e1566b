//! The transport `webhook`.

use std::time::Duration;

use super::http_options::{http_options, is_confidential, secret, url};
use crate::{
    config::{
        reader::{Entry, Section},
        signing_key::SigningKey,
        values::Zero,
    },
    domain::{
        ids::ProcessorId,
        registry::{HttpOptions, SecretRef, Webhook},
    },
};

/// What Standard Webhooks recommends: 15 to 30 s.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A call that takes longer is no call any more: answer 202 and send the ack later.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// While one secret replaces another there are two; every one of them costs a signature for each task.
const MOST_SECRETS: usize = 5;

/// Reads it; `None`: it has no URL or no secret, which is reported.
pub(super) fn webhook(section: &Section<'_>) -> Option<Webhook> {
    let url = section.need("url").and_then(|e| url(&e));
    let secrets = section.need("secret").and_then(|e| secrets(&e));
    let timeout = section.duration_or("timeout", Zero::Refused, TIMEOUT);
    if timeout > LONGEST_TIMEOUT {
        section.problem(
            "timeout",
            "expected at most 10m: answer 202 and send the ack later",
        );
    }
    let http = http_options(section);
    Some(Webhook {
        url: url?,
        secrets: secrets?,
        timeout,
        http,
    })
}

/// One secret, or several of which the first one's signature comes first.
fn secrets(entry: &Entry<'_>) -> Option<Vec<SecretRef>> {
    if entry.is_text() {
        return signing(entry).map(|secret| vec![secret]);
    }
    let count = entry.list_or("text or a list")?.len();
    if count > MOST_SECRETS {
        return entry.refused(&format!("expected at most {MOST_SECRETS}"));
    }
    entry.some_set(signing)
}

fn signing(entry: &Entry<'_>) -> Option<SecretRef> {
    let secret = secret(entry)?;
    if secret.is_plain()
        && let Err(bad) = SigningKey::parse(&secret.0)
    {
        return entry.refused(&bad.to_string());
    }
    Some(secret)
}

/// What is allowed and probably not meant.
pub(super) fn warnings(id: &ProcessorId, webhook: &Webhook) -> Vec<String> {
    let mut warnings = Vec::new();
    if webhook.secrets.iter().any(SecretRef::is_plain) {
        warnings.push(stored_as_it_is(id, "secret"));
    }
    warnings.extend(warnings_of_http(id, &webhook.url, &webhook.http));
    warnings
}

/// The same of what every transport over HTTP takes.
pub(super) fn warnings_of_http(id: &ProcessorId, url: &str, http: &HttpOptions) -> Vec<String> {
    let confidential = http
        .headers
        .iter()
        .filter(|(name, value)| is_confidential(name) && value.is_plain());
    let mut warnings: Vec<String> = confidential
        .map(|(name, _)| stored_as_it_is(id, &format!("headers.{name}")))
        .collect();
    if url.starts_with("http://") && !is_of_this_machine(url) {
        warnings.push(format!(
            "{id}: transport.url is http://: tasks have personal data, and everyone on the way can read them"
        ));
    }
    warnings
}

fn stored_as_it_is(id: &ProcessorId, key: &str) -> String {
    format!(
        "{id}: transport.{key} is a secret that stands in the registry, which is stored as it is written: name it with env: or \
         file:"
    )
}

fn is_of_this_machine(url: &str) -> bool {
    let host = url
        .trim_start_matches("http://")
        .split(['/', '?'])
        .next()
        .unwrap_or_default();
    ["localhost", "127.", "[::1]"]
        .iter()
        .any(|start| host.starts_with(start))
}
