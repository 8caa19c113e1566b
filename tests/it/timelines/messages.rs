//! The messages of a timeline's events.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    script::{Attributes, names},
    stage::Stage,
};
use crate::schedules::world::{answer, id};

impl Stage<'_> {
    pub(super) fn opening(&self, action: &str, n: u128, rules: &Attributes) -> Value {
        let mut command = json!({
            "command_id": Uuid::from_u128(n), "type": action, "tenant": tenant(rules), "reason": "account_closed",
            "regime": rules.get("regime").map_or("gdpr", String::as_str),
        });
        let of = rules.get("of").cloned().unwrap_or_else(|| n.to_string());
        let kinds = rules.get("ids").map_or("email,customer_id", String::as_str);
        command["subject"] = subject(&of, &names(kinds));
        for (field, key) in [("requested_at", "requested"), ("not_before", "not_before")] {
            if let Some(at) = rules.get(key) {
                command[field] = json!(self.timeline.time(at));
            }
        }
        if let Some(anchor) = rules.get("anchor") {
            let (name, at) = anchor.split_once('=').unwrap();
            command["anchors"] = json!({ name: self.timeline.time(at) });
        }
        if let Some(left_out) = rules.get("exclude") {
            let exclude = names(left_out)
                .into_iter()
                .map(|id| json!({ "processor": id, "basis": "independent_authorization" }));
            command["exclude"] = exclude.collect();
        }
        if let Some(categories) = rules.get("scope") {
            command["scope"] = json!({ "categories": names(categories) });
        }
        command
    }

    /// A person's decision about a request.
    pub(super) fn decision(&self, kind: &str, n: &str, fields: &Value) -> Value {
        let mut command = json!({
            "command_id": self.event_id(), "type": kind, "actor": "clerk",
            "request_id": Uuid::from_u128(n.parse().unwrap()),
        });
        for (field, value) in fields.as_object().unwrap() {
            command[field] = value.clone();
        }
        command
    }

    pub(super) fn hold(&self, kind: &str, name: &str, rules: &Attributes) -> Value {
        let mut command = json!({
            "command_id": self.event_id(), "type": kind, "tenant": tenant(rules), "actor": "legal",
            "hold_id": Uuid::from_u128(0x401d_0000 + u128::from(name.bytes().last().unwrap())),
        });
        if kind == "hold" {
            command["basis"] = json!("legal_claims");
        }
        if let Some(of) = rules.get("subject") {
            command["subject"] = subject(of, &["email"]);
        }
        if let Some(n) = rules.get("request") {
            command["request_id"] = json!(Uuid::from_u128(n.parse().unwrap()));
        }
        if let Some(processor) = rules.get("processor") {
            command["processor"] = json!(processor);
        }
        if let Some(categories) = rules.get("categories") {
            command["categories"] = json!(names(categories));
        }
        command
    }

    /// `crm`, `2/crm`, `billing[invoices]`, `crm#2` (a generation), `crm#2.1` (an attempt of it): the last one sent.
    pub(super) fn ack(&self, which: &str, outcome: &str, rules: &Attributes) -> Value {
        let (which, version) = which.split_once('#').unwrap_or((which, ""));
        let (generation, attempt) = version.split_once('.').unwrap_or((version, ""));
        let (n, which) = which.split_once('/').unwrap_or(("1", which));
        let (processor, category) = which.split_once('[').unwrap_or((which, ""));
        let category = category.trim_end_matches(']');
        let request = id(n.parse().unwrap()).to_string();
        let is_it = |task: &&Value| {
            let number =
                |field: &str, wanted: &str| wanted.is_empty() || task[field].as_u64() == wanted.parse().ok();
            let mut listed = task["scope"]["categories"].as_array().unwrap().iter();
            task["request_id"].as_str() == Some(request.as_str())
                && task["processor"] == processor
                && number("generation", generation)
                && number("attempt", attempt)
                && (category.is_empty() || listed.any(|one| one == category))
        };
        let task = self.tasks.iter().rev().find(is_it);
        let task = task.unwrap_or_else(|| panic!("{which} was never sent: {:#?}", self.tasks));
        let mut ack = answer(task, outcome);
        if let Some(method) = rules.get("method") {
            ack["evidence"] = json!({ "method": method });
        }
        if let Some(at) = rules.get("by") {
            ack["expected_by"] = json!(self.timeline.time(at));
        }
        if outcome == "retained" {
            let until = rules.get("until").map(|at| self.timeline.time(at));
            ack["retained"] = json!({ "basis": "tax_law", "until": until });
        }
        ack
    }

    pub(super) fn backup(&self, kind: &str, set: &str, at: &str, rules: &Attributes) -> Value {
        let event_id = rules
            .get("id")
            .map_or_else(|| self.event_id(), |id| Uuid::from_u128(id.parse().unwrap()));
        let at = self.timeline.time(at);
        let mut event = json!({
            "event_id": event_id, "type": format!("backup.{kind}"), "processor": set,
            "set": rules.get("set").map_or(set, String::as_str),
        });
        let field = if kind == "rotated" {
            "oldest_retained_at"
        } else {
            "taken_at"
        };
        event[field] = json!(at);
        if let Some(lock) = rules.get("lock") {
            event["lock_until"] = json!(self.timeline.time(lock));
        }
        if let Some(into) = rules.get("into") {
            event["restored_into"] = json!(names(into));
        }
        event
    }
}

pub fn tenant(rules: &Attributes) -> &str {
    rules.get("tenant").map_or("acme", String::as_str)
}

fn subject(of: &str, kinds: &[&str]) -> Value {
    let identities = kinds.iter().map(|kind| match *kind {
        "email" => json!({ "type": "email", "value": format!("person-{of}@example.org") }),
        kind => json!({ "type": kind, "value": format!("person-{of}") }),
    });
    json!({ "identities": identities.collect::<Vec<_>>() })
}
