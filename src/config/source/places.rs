//! Whether what a source reads of its events is there, and can be believed.

use super::{
    super::reader::Section,
    inlet::{Inlet, Scheme},
};
use crate::domain::source::{Condition, Mapping, Place, Tombstones};

/// Reports every place that this source must not look at.
pub(super) fn check(
    section: &Section<'_>,
    inlet: &Inlet,
    tombstones: Tombstones,
    when: &[Condition],
    map: &[Mapping],
) {
    if tombstones == Tombstones::Only && matches!(inlet, Inlet::Http(_)) {
        section.problem(
            "tombstones",
            "a call has no key, so that it is never a tombstone: leave it out",
        );
    }
    let conditions = when.iter().map(|condition| ("when", &condition.place));
    let fields = map.iter().map(|mapping| ("map", &mapping.place));
    for (key, place) in conditions.chain(fields) {
        let fault = match (inlet, place) {
            (Inlet::Http(http), Place::Header(name)) if !http.signature.scheme.covers(name) => {
                Some(unsigned(place, http.signature.scheme))
            }
            (Inlet::Http(_), Place::Key(_)) => Some(format!(
                "{place}: a call has no key: only records of a topic have one"
            )),
            (_, Place::Pointer(_)) if tombstones == Tombstones::Only => Some(format!(
                "{place}: a tombstone has no value to look into: expected key:, key:/… or header:…"
            )),
            _ => None,
        };
        if let Some(fault) = fault {
            section.problem(key, &fault);
        }
    }
}

/// Whoever has seen one call of an upstream could send its body again with another header.
fn unsigned(place: &Place, scheme: Scheme) -> String {
    let signed = match scheme {
        Scheme::StandardWebhooks => "only webhook-id, webhook-timestamp and the body",
        _ => "only the body",
    };
    format!(
        "{place}: the signature ({}) covers {signed}, so whoever has seen one call could send it again with another header; \
         decide by what the body says, such as {{ \"/field\" = {{ present = true }} }}, and give each kind of event a path",
        scheme.as_str()
    )
}
