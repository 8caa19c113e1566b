//! The calls that a connector would make, without making any: neither a secret nor an identifier is in them.

use crate::{
    connector::{Connector, Does, Kept, Rendered, Target, Values, request::Filling, template::Unwritable},
    domain::{
        identity::SubjectData,
        registry::{SettingValue, Vendor},
    },
};

/// What stands for a secret.
const SECRET: &str = "REDACTED";
/// The date of a call that is not made.
const SOME_DAY: &str = "2026-01-31";

/// A call that would be made.
#[derive(Debug, Clone)]
pub struct Rehearsed {
    /// The step.
    pub step: String,
    /// What it is for.
    pub does: Does,
    /// Whether its answer settles the task.
    pub last: bool,
    /// How many people it would be made for together.
    pub together: u32,
    /// The call.
    pub call: Rendered,
}

/// The calls of a connector, in their order: each step once for every type of identifier that it takes.
pub fn rehearse(connector: &Connector, vendor: &Vendor) -> Result<Vec<Rehearsed>, Unwritable> {
    let mut values = Values::default();
    for (name, value) in &vendor.settings {
        match value {
            SettingValue::Plain(text) => values.set(name, text),
            SettingValue::Secret(_) => values.set(name, SECRET),
        }
    }
    let mut kept = Kept::default();
    for (step, name) in connector
        .steps
        .iter()
        .flat_map(|step| step.keep.keys().map(move |name| (step, name)))
    {
        kept.add(name, vec![name.to_uppercase()], step.does == Does::Submit);
    }
    let mut calls = Vec::new();
    for step in &connector.steps {
        let targets: Vec<Target> = if step.takes.is_empty() {
            vec![target("", "")]
        } else {
            step.takes.iter().map(|name| made_up(connector, name)).collect()
        };
        for target in targets {
            let id = target.value.expose();
            let filling = Filling {
                values: &values,
                kind: &target.kind,
                ids: &[id],
                kept: &kept,
                today: SOME_DAY,
                key: "KEY",
            };
            let mut call = step.render(connector, filling)?;
            if let Some(url) = &vendor.url {
                call.base.clone_from(url);
            }
            calls.push(Rehearsed {
                step: step.id.clone(),
                does: step.does,
                last: step.last,
                together: step.batch.map_or(1, |batch| batch.count),
                call,
            });
        }
    }
    Ok(calls)
}

/// Nobody's identifier: the name of its type in capitals.
fn made_up(connector: &Connector, name: &str) -> Target {
    let takes = connector
        .identities
        .iter()
        .find(|(kind, _)| kind.as_str() == name)
        .map(|(_, takes)| takes.word.as_str());
    target(takes.unwrap_or(name), &name.to_uppercase())
}

fn target(kind: &str, value: &str) -> Target {
    Target {
        kind: kind.to_owned(),
        value: SubjectData::new(value),
    }
}
