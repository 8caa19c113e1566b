//! `map`: which field of a command lies where in an event.

use super::{
    super::reader::{Entry, Section},
    place,
};
use crate::domain::{
    ids::{AnchorName, IdentityType},
    source::{Mapping, ScopeList, Target},
};

/// The fields that have one name.
const PLAIN: [(&str, Target); 9] = [
    ("command_id", Target::CommandId),
    ("request_id", Target::RequestId),
    ("tenant", Target::Tenant),
    ("reason", Target::Reason),
    ("region", Target::Region),
    ("regime", Target::Regime),
    ("requested_at", Target::RequestedAt),
    ("not_before", Target::NotBefore),
    ("at", Target::At),
];

const EXPECTED: &str = "unknown field of a command; expected command_id, request_id, tenant, reason, region, regime, \
                        requested_at, not_before, at, identity.TYPE, anchor.NAME, scope.purposes, scope.categories, \
                        scope.processors or metadata.NAME";

/// What was read of it.
#[derive(Default)]
pub(super) struct Map {
    pub(super) fields: Vec<Mapping>,
    /// Whether something is wrong with a field, so that it is not among them.
    pub(super) is_broken: bool,
}

/// Reads it. `"identity.email" = …` and `identity = { email = … }` say the same.
pub(super) fn read(section: &Section<'_>) -> Map {
    section.take_any();
    let mut map = Map::default();
    for (key, entry) in section.entries() {
        if entry.is_table() {
            entry.table(|inner| {
                inner.take_any();
                for (name, entry) in inner.entries() {
                    add(&mut map, &format!("{key}.{name}"), &entry);
                }
            });
        } else {
            add(&mut map, key, &entry);
        }
    }
    map
}

fn add(map: &mut Map, key: &str, entry: &Entry<'_>) {
    let read = target(key, entry).and_then(|target| {
        let place = place(entry, entry.text()?)?;
        if map.fields.iter().any(|mapping| mapping.target == target) {
            return entry.refused("given more than once");
        }
        Some(Mapping { target, place })
    });
    match read {
        Some(mapping) => map.fields.push(mapping),
        None => map.is_broken = true,
    }
}

fn target(key: &str, entry: &Entry<'_>) -> Option<Target> {
    if let Some((_, target)) = PLAIN.iter().find(|(name, _)| *name == key) {
        return Some(target.clone());
    }
    let named = |problem: String| entry.refused(&problem);
    match key.split_once('.') {
        Some(("identity", kind)) => match IdentityType::new(kind) {
            Ok(kind) => Some(Target::Identity(kind)),
            Err(error) => named(error.to_string()),
        },
        Some(("anchor", name)) => match AnchorName::new(name) {
            Ok(name) => Some(Target::Anchor(name)),
            Err(error) => named(error.to_string()),
        },
        Some(("scope", list)) => match ScopeList::ALL.iter().find(|(name, _)| *name == list) {
            Some((_, list)) => Some(Target::Scope(*list)),
            None => named(EXPECTED.to_owned()),
        },
        Some(("metadata", name)) if !name.is_empty() => Some(Target::Metadata(name.to_owned())),
        _ => named(EXPECTED.to_owned()),
    }
}
