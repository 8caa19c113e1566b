//! A person as a vendor is told of them: the identifiers that it takes, in its forms and under its words.

use super::{
    forms::{NoSuchForm, in_form},
    kept::Kept,
    language::{Connector, Step},
    request::Values,
    template::Hole,
};
use crate::domain::{
    identity::{Identity, SubjectData},
    ids::IdentityType,
};

/// What a call is made with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The vendor's word for its type, or the name of what was kept.
    pub kind: String,
    /// Its value; empty where the step takes none.
    pub value: SubjectData,
}

/// The identifiers of a person that a vendor takes.
#[derive(Debug, Clone, Default)]
pub struct Person(Vec<(IdentityType, Target)>);

impl Person {
    /// In the forms that the vendor takes; what it does not take is left out.
    pub fn of(connector: &Connector, identities: &[Identity], values: &Values) -> Result<Self, NoSuchForm> {
        let mut found: Vec<(IdentityType, Target)> = Vec::new();
        for identity in identities {
            let Some(takes) = connector.identities.get(&identity.kind) else {
                continue;
            };
            let salt = takes.salt.as_deref().and_then(|name| values.get(name));
            let target = Target {
                kind: takes.word.clone(),
                value: in_form(identity.value.expose(), &takes.form, salt)?,
            };
            if !found.iter().any(|(_, known)| *known == target) {
                found.push((identity.kind.clone(), target));
            }
        }
        Ok(Self(found))
    }

    /// The identifiers of this type.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Target> {
        self.0
            .iter()
            .filter(move |(kind, _)| kind.as_str() == name)
            .map(|(_, target)| target)
    }

    /// The types of its identifiers.
    pub fn kinds(&self) -> impl Iterator<Item = &IdentityType> {
        self.0.iter().map(|(kind, _)| kind)
    }

    /// What a step is called with, each call once: a value that is known under two names is two calls only where the name is
    /// part of the call.
    pub fn targets(&self, connector: &Connector, step: &Step, kept: &Kept) -> Vec<Target> {
        if step.takes.is_empty() {
            return vec![Target {
                kind: String::new(),
                value: SubjectData::new(""),
            }];
        }
        let names_kind = step.uses(&Hole::Kind);
        let mut targets: Vec<Target> = Vec::new();
        for name in &step.takes {
            // An identifier that is kept for whoever asks about its job has the vendor's word all the same.
            let identities = connector.identities.iter();
            let word = identities
                .filter(|(kind, _)| kind.as_str() == name)
                .map(|(_, takes)| &takes.word)
                .next();
            let of_kept = kept.get(name).iter().map(|value| Target {
                kind: word.unwrap_or(name).clone(),
                value: value.clone(),
            });
            for target in self.named(name).cloned().chain(of_kept) {
                let is_same = |known: &Target| {
                    known.value == target.value && (!names_kind || known.kind == target.kind)
                };
                if !targets.iter().any(is_same) {
                    targets.push(target);
                }
            }
        }
        targets
    }
}
