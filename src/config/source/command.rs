//! `command`: what all commands of a source have in common.

use super::super::reader::Section;
use crate::domain::{
    calendar::Regime,
    command::Scope,
    ids::{Label, ProcessorId, Tenant},
    source::Template,
    words::{CommandKind, Reason},
};

/// What upstream services may ask: the others belong on the control topic, which few write.
const KINDS: [(&str, CommandKind); 4] = [
    ("erase", CommandKind::Erase),
    ("anonymize", CommandKind::Anonymize),
    ("cancel", CommandKind::Cancel),
    ("reactivated", CommandKind::Reactivated),
];

const NO_REGIME: &str = "expected a regime that the policy knows, such as gdpr";

pub(super) fn read(section: &Section<'_>) -> Option<Template> {
    let reasons: Vec<(&str, Reason)> = Reason::ALL.iter().map(|word| (word.as_str(), *word)).collect();
    let template = Template {
        kind: section
            .need("type")
            .and_then(|e| e.word(&KINDS))
            .unwrap_or(CommandKind::Erase),
        tenant: section.get("tenant").and_then(|e| e.checked(Tenant::new)),
        reason: section.get("reason").and_then(|e| e.word(&reasons)),
        region: section.get("region").and_then(|e| e.checked(Label::new)),
        regime: section
            .get("regime")
            .and_then(|e| e.checked(|text| Regime::parse(text).ok_or(NO_REGIME))),
        identity_verified: section.get("identity_verified").and_then(|e| e.boolean()),
        scope: section.section_if("scope", scope).unwrap_or_default(),
    };
    Some(template)
}

fn scope(section: &Section<'_>) -> Scope {
    let labels = |key| {
        let entry = section.get(key)?;
        entry.some_set(|e| e.checked(Label::new))
    };
    Scope {
        purposes: labels("purposes").unwrap_or_default(),
        categories: labels("categories").unwrap_or_default(),
        processors: section
            .get("processors")
            .and_then(|e| e.some_set(|e| e.checked(ProcessorId::new)))
            .unwrap_or_default(),
    }
}
