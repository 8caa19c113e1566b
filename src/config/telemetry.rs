//! `[telemetry]`: where traces are told.

use std::collections::BTreeMap;

use super::{
    reader::{Entry, Section},
    secret::Secret,
};

/// What is told of the worker's own work, beside metrics and logs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Telemetry {
    /// The collector of traces; `None`: there are no traces.
    pub otlp: Option<Otlp>,
}

/// A collector of OpenTelemetry.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// Where spans are posted to.
    pub endpoint: String,
    /// The share of messages without a trace of their own that begin one.
    pub sample: f64,
    /// Headers that it wants to see. Any of them may be a password, so none is shown.
    pub headers: BTreeMap<String, Secret>,
}

/// One message of a hundred shows how long things take, and costs next to nothing.
const SAMPLE: f64 = 0.01;

pub(super) fn read(section: &Section<'_>) -> Telemetry {
    Telemetry {
        otlp: section.get("otlp").and_then(|entry| entry.table(otlp)).flatten(),
    }
}

fn otlp(section: &Section<'_>) -> Option<Otlp> {
    let endpoint = section.need("endpoint").and_then(|entry| endpoint(&entry));
    let sample = section.number_or("sample", 0.0..=1.0, SAMPLE);
    let headers = section.get("headers").and_then(|entry| entry.table(headers));
    Some(Otlp {
        endpoint: endpoint?,
        sample,
        headers: headers.unwrap_or_default(),
    })
}

fn endpoint(entry: &Entry<'_>) -> Option<String> {
    let text = entry.line_of_text()?;
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['?', '#', ' ', '@']) => Some(text.to_owned()),
        _ => entry.refused(
            "expected the address that spans are posted to, such as http://localhost:4318/v1/traces",
        ),
    }
}

fn headers(section: &Section<'_>) -> BTreeMap<String, Secret> {
    section.take_any();
    let entries = section.entries().into_iter();
    let one = |(name, entry): (&str, Entry<'_>)| {
        let source = entry.secret_source()?;
        Some((name.to_owned(), entry.resolved(&source)?))
    };
    entries.filter_map(one).collect()
}
