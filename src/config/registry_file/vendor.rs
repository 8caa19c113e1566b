//! The transport `vendor`: a connector, and what it has to know of the account there.

use std::{path::Path, time::Duration};

use super::{
    http_options::{http_options, secret, url},
    webhook::warnings_of_http,
};
use crate::{
    config::{
        connectors,
        reader::{Entry, Section},
        values::Zero,
    },
    connector::{Connector, check::RESERVED, language::Setting},
    domain::{
        calendar::Period,
        ids::ProcessorId,
        registry::{CompletesBy, Processor, SettingValue, Transport, Vendor},
        similar_names::similar as near,
        words::Action,
    },
};

/// A look-up, a deletion and a second one, each within the 15 s that vendors recommend, and a wait for a batch to fill.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A call that takes longer is no call any more.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// So many batches are under way at a time, unless the registry says how many sends are.
const BATCHES: u32 = 8;
/// More than this many tasks are not held in memory for one vendor.
const MOST_SENDS: u32 = 4_000;

/// Reads it; `None`: there is no such connector, which is reported.
pub(super) fn read(section: &Section<'_>, folder: Option<&Path>) -> Option<Vendor> {
    section.take_any();
    let entry = section.need("connector")?;
    let connector = connector(&entry, folder)?;
    let timeout = section.duration_or("timeout", Zero::Refused, TIMEOUT);
    if timeout > LONGEST_TIMEOUT {
        section.problem("timeout", "expected at most 10m");
    }
    let poll = section.get("poll").and_then(|e| e.duration(Zero::Refused));
    if section.get("poll").is_some() && !connector.can_poll() {
        section.problem("poll", "this connector asks for no status");
    }
    let by_default = connector.poll.map(|length| length.0);
    Some(Vendor {
        settings: settings(section, &connector),
        url: section.get("url").and_then(|e| url(&e)),
        poll: poll.or(by_default).filter(|_| connector.can_poll()),
        timeout,
        http: http_options(section),
        connector: connector.id,
    })
}

fn connector(entry: &Entry<'_>, folder: Option<&Path>) -> Option<Connector> {
    let name = entry.line_of_text()?;
    match connectors::find(folder, name) {
        Ok(Some((connector, _))) => Some(connector),
        Ok(None) => {
            let near = near(name, connectors::shipped());
            let meant = if near.is_empty() {
                "`lacuna connectors list` lists those that there are".to_owned()
            } else {
                format!("did you mean {}?", near.join(" or "))
            };
            entry.refused(&format!("there is no connector {name:?}; {meant}"))
        }
        Err(problems) => {
            entry.source.adopt(problems);
            None
        }
    }
}

/// What the connector declares, and nothing else.
fn settings(section: &Section<'_>, connector: &Connector) -> Vec<(String, SettingValue)> {
    let entries = section.entries();
    for (name, entry) in &entries {
        if !RESERVED.contains(name) && !connector.settings.contains_key(*name) {
            let near = near(name, connector.settings.keys().map(String::as_str));
            let known: Vec<&str> = connector.settings.keys().map(String::as_str).collect();
            entry.problem(&if near.is_empty() {
                format!("the connector has no such setting; it has: {}", known.join(", "))
            } else {
                format!(
                    "the connector has no such setting; did you mean {}?",
                    near.join(" or ")
                )
            });
        }
    }
    let mut found = Vec::new();
    for (name, setting) in &connector.settings {
        match entries.iter().find(|(key, _)| key == name) {
            Some((_, entry)) => {
                found.extend(value(entry, setting).map(|value| (name.clone(), value)));
            }
            None => match &setting.default {
                Some(default) => found.push((name.clone(), SettingValue::Plain(default.clone()))),
                None => section.problem("connector", &format!("missing setting {name}: {}", setting.about)),
            },
        }
    }
    found
}

fn value(entry: &Entry<'_>, setting: &Setting) -> Option<SettingValue> {
    if setting.secret {
        return secret(entry).map(SettingValue::Secret);
    }
    if setting.integer && !entry.is_text() {
        return entry
            .integer(0..=u32::MAX)
            .map(|number| SettingValue::Plain(number.to_string()));
    }
    let text = entry.line_of_text()?;
    if setting.integer && !text.bytes().all(|b| b.is_ascii_digit()) {
        return entry.refused("expected a whole number");
    }
    if !setting.one_of.is_empty() && !setting.one_of.iter().any(|one| one == text) {
        return entry.refused(&format!("expected one of: {}", setting.one_of.join(", ")));
    }
    Some(SettingValue::Plain(text.to_owned()))
}

/// What follows from the connector for the processor as a whole.
pub(super) fn complete(section: &Section<'_>, processor: &mut Processor, folder: Option<&Path>) {
    let Transport::Vendor(vendor) = &processor.transport else {
        return;
    };
    // What is wrong with it was reported where the transport was read.
    let Ok(Some((connector, _))) = connectors::find(folder, &vendor.connector) else {
        return;
    };
    for kind in &processor.identities {
        if !connector.identities.contains_key(kind) {
            let known: Vec<&str> = connector.identities.keys().map(|kind| kind.as_str()).collect();
            section.problem(
                "identities",
                &format!(
                    "{:?} is not taken by {}, which takes: {}",
                    kind.as_str(),
                    connector.name,
                    known.join(", ")
                ),
            );
        }
    }
    if processor.actions.contains(&Action::Anonymize) {
        section.problem("actions", "a connector erases: expected [\"erase\"]");
    }
    if !processor.retention.is_empty() {
        section.problem(
            "retention",
            "a connector erases all of a person, so that what has to be kept would go too: expected none",
        );
    }
    if processor.verify_after.is_some() && !connector.can_probe() {
        section.problem(
            "verify",
            "this connector cannot ask whether a person is still there: expected none",
        );
    }
    if processor.completes_by.is_some_and(|term| term.probe) && !connector.can_probe() {
        section.problem(
            "completes_by",
            "probe: this connector cannot ask whether a person is still there",
        );
    }
    if processor.completes_by.is_none()
        && let Some(term) = &connector.completes_by
    {
        // A period of whole seconds stays what it is.
        let after = Period::parse(&format!("{}s", term.after.0.as_secs()));
        processor.completes_by = after.ok().map(|after| CompletesBy {
            after,
            probe: term.probe,
        });
    }
    if section.get("concurrency").is_none()
        && let Some(batch) = connector.batch()
    {
        processor.concurrency = batch.count.saturating_mul(BATCHES).clamp(8, MOST_SENDS);
    }
}

/// What is allowed and probably not meant.
pub(super) fn warnings(id: &ProcessorId, vendor: &Vendor) -> Vec<String> {
    let url = vendor.url.as_deref().unwrap_or("https://");
    let mut warnings = warnings_of_http(id, url, &vendor.http);
    for (name, value) in &vendor.settings {
        if matches!(value, SettingValue::Secret(secret) if secret.is_plain()) {
            warnings.push(format!(
                "{id}: transport.{name} is a secret that stands in the registry, which is stored as it is written: name it \
                 with env: or file:"
            ));
        }
    }
    warnings
}
