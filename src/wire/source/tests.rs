//! Events as the documentation of each format shows them, and what becomes of them.

mod formats;
mod keys;
mod refusals;
mod schemas;

use serde_json::Value;

use super::*;
use crate::domain::{
    command::Scope,
    ids::{AnchorName, IdentityType, Tenant},
    source::{Condition, Format, Mapping, Place, Target, Template, Tombstones, Wanted},
    words::CommandKind,
};

/// A source of a format; `when` and `map` as in the configuration.
fn source(format: Format, when: &[(&str, &str)], map: &[(&str, &str)]) -> Source {
    Source {
        name: "accounts".to_owned(),
        format,
        tombstones: Tombstones::Skipped,
        when: when
            .iter()
            .map(|(place, wanted)| Condition {
                place: Place::parse(place).unwrap(),
                wanted: match *wanted {
                    "(anything)" => Wanted::Present(true),
                    "(nothing)" => Wanted::Present(false),
                    wanted => Wanted::AnyOf(wanted.split('|').map(str::to_owned).collect()),
                },
            })
            .collect(),
        template: Template {
            kind: CommandKind::Erase,
            tenant: Some(Tenant::new("acme").unwrap()),
            reason: None,
            region: None,
            regime: None,
            identity_verified: None,
            scope: Scope::default(),
        },
        map: map
            .iter()
            .map(|(target, place)| Mapping {
                target: target_of(target),
                place: Place::parse(place).unwrap(),
            })
            .collect(),
    }
}

fn target_of(text: &str) -> Target {
    match text.split_once('.') {
        Some(("identity", kind)) => Target::Identity(IdentityType::new(kind).unwrap()),
        Some(("anchor", name)) => Target::Anchor(AnchorName::new(name).unwrap()),
        Some(("metadata", name)) => Target::Metadata(name.to_owned()),
        Some(("scope", list)) => Target::Scope(
            crate::domain::source::ScopeList::ALL
                .iter()
                .find(|(name, _)| *name == list)
                .unwrap()
                .1,
        ),
        _ => match text {
            "command_id" => Target::CommandId,
            "tenant" => Target::Tenant,
            "requested_at" => Target::RequestedAt,
            other => panic!("{other}"),
        },
    }
}

fn record<'a>(headers: &[(&'a str, &'a str)], body: Option<&'a [u8]>) -> Event<'a> {
    let carrier = Carrier::Record {
        topic: "shop.accounts",
        partition: 2,
        offset: 7,
        incarnation: 0,
    };
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, Some(value.as_bytes())));
    Event::new(headers, body, carrier)
}

/// The command that a text becomes.
fn command_of(source: &Source, text: &str) -> Value {
    command(&read(source, &record(&[], Some(text.as_bytes())), None))
}

fn command(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Command(json) => serde_json::from_slice(json).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn outcome(source: &Source, text: &str) -> Outcome {
    read(source, &record(&[], Some(text.as_bytes())), None)
}

fn skip(source: &Source, text: &str) -> Option<Skip> {
    match outcome(source, text) {
        Outcome::Skipped(skip) => Some(skip),
        _ => None,
    }
}

fn detail(source: &Source, text: &str) -> String {
    match outcome(source, text) {
        Outcome::Refused(rejection) => format!("{}: {}", rejection.reason, rejection.detail),
        other => panic!("{other:?}"),
    }
}

/// The identities of a command, as `type=value`.
fn identities(command: &Value) -> Vec<String> {
    let list = command["subject"]["identities"].as_array().unwrap();
    list.iter()
        .map(|one| {
            format!(
                "{}={}",
                one["type"].as_str().unwrap(),
                one["value"].as_str().unwrap()
            )
        })
        .collect()
}
