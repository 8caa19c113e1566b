//! `processors.toml`: the registry of processors.

mod http_options;
mod manual;
mod opendsr;
mod rules;
mod transport;
mod vendor;
mod webhook;

use std::{path::Path, time::Duration};

pub(super) use http_options::{http_options, url};

use super::{
    kafka::{Topics, same_topic},
    problems::{Problem, Problems},
    read_file,
    reader::{Entry, Section, Source},
    sections::RegistryFile,
    values::Zero,
};
use crate::domain::{
    ids::{IdentityType, Label, ProcessorId},
    registry::{
        AnonymizeFallback, Breaker, EvidenceField, MissingIdentity, Processor, Registry, Retry, Transport,
        UNNAMED_CATEGORY, cycle_in_after,
    },
    task_ids::MAX_TASKS,
    words::{Action, ProcessorKind},
};

/// Each is a task of every request that concerns it.
const MAX_PROCESSORS: usize = MAX_TASKS as usize;

/// Reads a file, and finds every mistake in it.
pub fn read(file: &RegistryFile) -> Result<Registry, Problems> {
    let name = file.path.display().to_string();
    let text = read_file(&file.path, &name)?;
    read_with(&name, &text, file.connectors.as_deref())
}

/// Reads a text that names no connectors but those that the program brings along; `name` is what problems call it.
pub fn read_text(name: &str, text: &str) -> Result<Registry, Problems> {
    read_with(name, text, None)
}

/// Reads a text; `connectors`: the folder of one's own.
pub fn read_with(name: &str, text: &str, connectors: Option<&Path>) -> Result<Registry, Problems> {
    // The registry is stored and shared by all workers: nothing in it is resolved on the machine that reads it.
    Source::new(name, Path::new(""), text, &|_| None).read(|root| registry(root, connectors))
}

/// What is known of every processor of the file, in its order, before any of them is read: what `after` and `sources`
/// may name.
type Listed = [Peeked];

struct Peeked {
    /// As far as it is one.
    id: Option<ProcessorId>,
    /// Whether it has a `backup` table.
    is_backup_set: bool,
    /// Whom it replaces, as far as that is an id.
    replaces: Option<ProcessorId>,
}

fn registry(root: &Section<'_>, connectors: Option<&Path>) -> Registry {
    let list = root.get("processor");
    let entries = list.as_ref().and_then(Entry::list).unwrap_or_default();
    if entries.is_empty() {
        root.problem("processor", "expected at least one [[processor]]");
    }
    if entries.len() > MAX_PROCESSORS {
        root.problem("processor", &format!("expected at most {MAX_PROCESSORS}"));
        return Registry {
            processors: Vec::new(),
        };
    }
    let peek = |entry: &Entry<'_>| Peeked {
        id: entry.peek("id").and_then(|text| ProcessorId::new(text).ok()),
        is_backup_set: entry.has("backup"),
        replaces: entry
            .peek("replaces")
            .and_then(|text| ProcessorId::new(text).ok()),
    };
    let listed: Vec<Peeked> = entries.iter().map(peek).collect();
    let read = entries.iter().enumerate().filter_map(|(n, entry)| {
        let prefix = match listed.get(n) {
            Some(Peeked { id: Some(id), .. }) => format!("processor {:?}: ", id.as_str()),
            // People count from one.
            _ => format!("processor #{}: ", n + 1),
        };
        entry
            .table_named(&prefix, |section| processor(section, (&listed, connectors), n))
            .flatten()
    });
    let (processors, afters): (Vec<_>, Vec<_>) = read.unzip();
    report_cycles(processors.clone(), &afters);
    Registry { processors }
}

/// Reports every circle of processors that wait for each other.
fn report_cycles(mut processors: Vec<Processor>, afters: &[Option<Entry<'_>>]) {
    while let Some(mut cycle) = cycle_in_after(&processors) {
        let Some(first) = cycle.first().cloned() else {
            return;
        };
        cycle.push(first.clone());
        let names: Vec<&str> = cycle.iter().map(ProcessorId::as_str).collect();
        let message = format!("a circle that never begins: {}", names.join(" waits for "));
        let at = processors.iter().position(|p| p.id == first);
        if let Some(Some(entry)) = at.and_then(|n| afters.get(n)) {
            entry.problem(&message);
        }
        // This circle is opened to find the next.
        for processor in processors.iter_mut().filter(|p| p.id == first) {
            processor.after.clear();
        }
    }
}

/// Reads one processor; it is `None` where it has no id. A broken value stands as its default, since it is reported.
fn processor<'a>(
    section: &Section<'a>,
    (listed, connectors): (&Listed, Option<&Path>),
    n: usize,
) -> Option<(Processor, Option<Entry<'a>>)> {
    let id = id(section, listed, n);
    let name = section
        .get("name")
        .and_then(|e| e.line_of_text())
        .map(str::to_owned);
    let labels = |key| section.get(key).and_then(|e| e.set(label)).unwrap_or_default();
    let after = section.get("after");
    let mut found = Processor {
        name: name.unwrap_or_else(|| id.as_ref().map(ToString::to_string).unwrap_or_default()),
        kind: section
            .need("kind")
            .and_then(|e| e.word(&kinds()))
            .unwrap_or(ProcessorKind::Other),
        transport: transport::read(section, connectors).unwrap_or(Transport::Kafka { topic: None }),
        actions: section
            .need("actions")
            .and_then(|e| e.some_set(|e| e.word(ACTIONS)))
            .unwrap_or_default(),
        identities: section
            .need("identities")
            .and_then(|e| e.some_set(identity))
            .unwrap_or_default(),
        provides: section
            .get("provides")
            .and_then(|e| e.set(identity))
            .unwrap_or_default(),
        missing_identity: section.word_or("missing_identity", MISSING, MissingIdentity::Block),
        honours_cutoff: section.boolean_or("honours_cutoff", false),
        idempotent: section.boolean_or("idempotent", true),
        anonymize_fallback: section.word_or("anonymize_fallback", FALLBACKS, AnonymizeFallback::Refuse),
        accept_anonymized: section.boolean_or("accept_anonymized", false),
        accept_pseudonymised: section.boolean_or("accept_pseudonymised", false),
        require_evidence: section
            .get("require_evidence")
            .and_then(|e| e.set(|e| e.word(&evidence_fields())))
            .unwrap_or_default(),
        require_method: labels("require_method"),
        purposes: labels("purposes"),
        categories: labels("categories"),
        regions: labels("regions"),
        after: after
            .as_ref()
            .and_then(|e| e.set(|e| Some(reference(e, listed)?.0)))
            .unwrap_or_default(),
        ack_timeout: section.duration_or("ack_timeout", Zero::Refused, Duration::from_secs(24 * 3600)),
        retry: section.section("retry", retry),
        concurrency: section.integer_or("concurrency", 1..=100_000, 8),
        retention: Vec::new(),
        backup: None,
        sweep_after: None,
        verify_after: None,
        rate: None,
        breaker: Breaker::default(),
        completes_by: None,
        replaces: None,
        id: id.clone().or_else(|| ProcessorId::new("unnamed").ok())?,
    };
    rules::read(section, &mut found, listed);
    vendor::complete(section, &mut found, connectors);
    id.map(|_| (found, after))
}

fn id(section: &Section<'_>, listed: &Listed, n: usize) -> Option<ProcessorId> {
    let id = section.need("id").and_then(|e| e.checked(ProcessorId::new));
    if id.is_some() && listed.iter().take(n).any(|other| other.id == id) {
        section.problem("id", "another processor has the same id");
    }
    id
}

const ACTIONS: &[(&str, Action)] = &[("erase", Action::Erase), ("anonymize", Action::Anonymize)];
const MISSING: &[(&str, MissingIdentity)] = &[
    ("block", MissingIdentity::Block),
    ("exempt", MissingIdentity::Exempt),
];
const FALLBACKS: &[(&str, AnonymizeFallback)] = &[
    ("refuse", AnonymizeFallback::Refuse),
    ("erase", AnonymizeFallback::Erase),
];

fn kinds() -> Vec<(&'static str, ProcessorKind)> {
    ProcessorKind::ALL
        .iter()
        .map(|kind| (kind.as_str(), *kind))
        .collect()
}

fn evidence_fields() -> [(&'static str, EvidenceField); 4] {
    [
        EvidenceField::Method,
        EvidenceField::Records,
        EvidenceField::Reference,
        EvidenceField::Digest,
    ]
    .map(|field| (field.as_str(), field))
}

fn label(entry: &Entry<'_>) -> Option<Label> {
    entry.checked(Label::new)
}

fn identity(entry: &Entry<'_>) -> Option<IdentityType> {
    entry.checked(IdentityType::new)
}

/// The id of a processor that is in the file, and whether it is a backup set.
fn reference(entry: &Entry<'_>, listed: &Listed) -> Option<(ProcessorId, bool)> {
    let id = entry.checked(ProcessorId::new)?;
    let of_this_id = |known: &&Peeked| known.id.as_ref() == Some(&id);
    match listed.iter().find(of_this_id) {
        Some(known) => {
            let is_backup_set = known.is_backup_set;
            Some((id, is_backup_set))
        }
        None => entry.refused(&format!("there is no processor {:?}", id.as_str())),
    }
}

fn retry(section: &Section<'_>) -> Retry {
    let default = Retry::default();
    let retry = Retry {
        initial: section.duration_or("initial", Zero::Refused, default.initial),
        multiplier: section.number_or("multiplier", 1.0..=100.0, default.multiplier),
        max: section.duration_or("max", Zero::Refused, default.max),
        jitter: section.number_or("jitter", 0.0..=1.0, default.jitter),
        attempts: section.integer_or("attempts", 1..=1000, default.attempts),
    };
    if retry.max < retry.initial {
        section.problem("max", "expected a duration that is not shorter than initial");
    }
    retry
}

/// What is allowed and probably not meant, a line each.
pub fn warnings(registry: &Registry) -> Vec<String> {
    let mut warnings = Vec::new();
    for processor in &registry.processors {
        let id = &processor.id;
        if !processor.retention.is_empty() && processor.categories.is_empty() {
            warnings.push(format!(
                "{id}: retention without categories: the share that no rule keeps is called {UNNAMED_CATEGORY:?} in its \
                 tasks; name its categories"
            ));
        }
        if processor.backup.is_some() && (processor.verify_after.is_some() || processor.sweep_after.is_some())
        {
            warnings.push(format!(
                "{id}: verify and sweep say nothing about copies: a backup set is proved by its rotation, its answer or \
                 its schedule"
            ));
        }
        if processor.kind == ProcessorKind::Backup && processor.backup.is_none() {
            warnings.push(format!(
                "{id}: kind = \"backup\" without a backup table: it is asked at once, and no horizon is waited for"
            ));
        }
        if let Transport::Webhook(transport) = &processor.transport {
            warnings.extend(webhook::warnings(id, transport));
        }
        if let Transport::OpenDsr(transport) = &processor.transport {
            warnings.extend(opendsr::warnings(id, transport));
        }
        if let Transport::Vendor(transport) = &processor.transport {
            warnings.extend(vendor::warnings(id, transport));
        }
        if processor.accept_pseudonymised {
            warnings.push(format!(
                "{id}: accept_pseudonymised: what is hashed, tokenised, masked or encrypted counts as done, and is still \
                 personal data"
            ));
        }
        for kind in processor
            .provides
            .iter()
            .filter(|kind| !is_awaited(registry, processor, kind))
        {
            warnings.push(format!(
                "{id}: provides {:?}, which no processor that comes after it is sent",
                kind.as_str()
            ));
        }
    }
    warnings
}

/// Whether a processor that comes after this one, directly or not, is sent identities of this type.
fn is_awaited(registry: &Registry, provider: &Processor, kind: &IdentityType) -> bool {
    registry
        .processors
        .iter()
        .filter(|later| later.after.contains(&provider.id))
        .any(|later| later.identities.contains(kind) || is_awaited(registry, later, kind))
}

/// Finds processors whose topic is one of Lacuna's own, or another processor's.
pub(super) fn check_topics(registry: &Registry, topics: &Topics, file: &str) -> Result<(), Problems> {
    let mut problems = Vec::new();
    let mut seen: Vec<(String, &ProcessorId)> = Vec::new();
    for processor in &registry.processors {
        let Some(topic) = topics.tasks_of(processor) else {
            continue;
        };
        let mut report = |message: String| {
            let key = format!("processor {:?}: transport.topic", processor.id.as_str());
            problems.push(Problem {
                file: file.to_owned(),
                line: None,
                key,
                message,
            });
        };
        if let Some((key, _)) = topics.own().iter().find(|(_, own)| same_topic(own, &topic)) {
            report(format!("the same topic as kafka.topics.{key}"));
        }
        if let Some((_, other)) = seen.iter().find(|(other, _)| same_topic(other, &topic)) {
            report(format!(
                "the same topic as that of processor {:?}",
                other.as_str()
            ));
        }
        seen.push((topic, &processor.id));
    }
    Problems::new(problems).map_or(Ok(()), Err)
}
