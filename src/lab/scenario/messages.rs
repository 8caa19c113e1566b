//! What happens in a script, as the contract's messages: what upstream, processors, backup systems and people send.

mod event;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Stuck,
    environment::Topic,
    naming::{find_task, id_of, key_of, latest},
    outgoing::{Call, Outgoing},
    registry::registry,
    script::{Line, Script},
    system_answer::Answers,
    words::{self, Attributes, names},
};
use crate::domain::time::At;

/// Writes the messages of a script.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    script: &'a Script,
    /// The requests that were opened, by name, oldest first.
    opened: Vec<String>,
    /// The answers that were given: task, generation, attempt.
    answered: BTreeSet<(String, u64, u64)>,
    /// The registry, where it has no file.
    processors: Vec<(String, Attributes)>,
    events: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(script: &'a Script) -> Self {
        Self {
            script,
            opened: Vec::new(),
            answered: BTreeSet::new(),
            processors: script.processors.clone(),
            events: 0,
        }
    }

    /// When the script begins.
    pub(super) const fn start(&self) -> At {
        self.script.starts
    }

    /// Whether every message has to be taken in as the script says: where it is about the rules of its own registry.
    pub(super) const fn is_exact(&self) -> bool {
        !self.script.processors.is_empty()
    }

    /// The requests that were opened, by name, oldest first.
    pub(super) fn opened(&self) -> &[String] {
        &self.opened
    }

    /// A task that a system has answered by itself.
    pub(super) fn is_answered(&mut self, task: &Value) {
        self.answered.insert(key_of(task));
    }

    /// What an event sends. `tasks`: everything that Lacuna has sent to processors, oldest first.
    pub(super) fn write(&mut self, line: &Line, tasks: &[Value], now: At) -> Result<Outgoing, Stuck> {
        self.events += 1;
        let words: Vec<&str> = line.text.split_whitespace().collect();
        let wrong = |what: String| line.wrong(what);
        let sent = match words.as_slice() {
            ["erase" | "anonymize", who, rules @ ..] => self.open(words[0], who, words::attributes(rules)),
            ["cancel", request] => self
                .about(words[0], request, Attributes::new())
                .map(on(Topic::Commands)),
            ["reactivated", who, rules @ ..] => self.reactivated(who, words::attributes(rules)),
            [
                "verify_identity" | "approve" | "refuse" | "extend",
                request,
                rules @ ..,
            ] => self
                .about(words[0], request, words::attributes(rules))
                .map(on(Topic::Control)),
            ["supply_identities", request, who, rules @ ..] => {
                self.supply(request, who, words::attributes(rules))
            }
            ["hold" | "release", name, rules @ ..] => self.hold(words[0], name, words::attributes(rules)),
            ["ack", who, outcome, rules @ ..] => self.acks(who, outcome, &words::attributes(rules), tasks),
            [kind, set, rules @ ..] if kind.starts_with("backup.") => {
                self.backup(kind, set, words::attributes(rules))
            }
            ["answers", system, answers @ ..] => {
                Answers::read(answers, self.script.starts).map(|answers| Outgoing::Answer {
                    system: (*system).to_owned(),
                    answers,
                })
            }
            ["event", source, who, ..] => self.event(source, who, &line.text, now),
            ["call", bearer, method, path, ..] => {
                let body = line.text.find(" {").map_or("", |at| line.text[at..].trim());
                Ok(Outgoing::Call(Call {
                    bearer: (*bearer).to_owned(),
                    method: (*method).to_owned(),
                    path: self.path(path, tasks),
                    body: body.to_owned(),
                }))
            }
            ["retry" | "waive", task] => Ok(Outgoing::Decision {
                task: (*task).to_owned(),
                what: words[0].to_owned(),
            }),
            ["claim", task, rules @ ..] => by_person(words[0], task, &json!({}), words::attributes(rules)),
            ["confirm", task, outcome, rules @ ..] => by_person(
                words[0],
                task,
                &json!({ "outcome": outcome }),
                words::attributes(rules),
            ),
            ["register", id, rules @ ..] => Ok(self.register(id, words::attributes(rules))),
            ["unregister", id] => {
                self.processors.retain(|(known, _)| known != id);
                Ok(Outgoing::Registry(registry(&self.processors)))
            }
            _ => Err("no such event".to_owned()),
        };
        sent.map_err(wrong)
    }

    /// Adds a processor, or changes some rules of one.
    fn register(&mut self, id: &str, rules: Attributes) -> Outgoing {
        match self.processors.iter_mut().find(|(known, _)| known == id) {
            Some((_, known)) => known.extend(rules),
            None => self.processors.push((id.to_owned(), rules)),
        }
        Outgoing::Registry(registry(&self.processors))
    }

    fn id(&self) -> Uuid {
        id_of(&format!("event {}", self.events))
    }

    fn time(&self, text: &str) -> Result<At, String> {
        words::time(text, self.script.starts)
    }

    fn open(&mut self, action: &str, who: &str, mut rules: Attributes) -> Result<Outgoing, String> {
        let person = self.script.person(who).ok_or_else(|| format!("who is {who}?"))?;
        let alias = rules.remove("as");
        let via = rules.remove("via");
        let kinds = rules.remove("identities");
        let mut command = self.opening(action, rules)?;
        let mut commands = Vec::new();
        for name in person.names(who) {
            let identities = person.identities_of(&name);
            let named = alias.clone().unwrap_or(name);
            let id = id_of(&named);
            command.insert("command_id".to_owned(), json!(id));
            command.insert("subject".to_owned(), subject(&identities, kinds.as_deref()));
            self.opened.push(named);
            commands.push(Value::Object(command.clone()));
        }
        Ok(match (via, commands.first()) {
            (Some(bearer), Some(command)) => Outgoing::Call(Call {
                bearer,
                method: "POST".to_owned(),
                path: "/v1/requests".to_owned(),
                body: command.to_string(),
            }),
            _ => Outgoing::Topic(Topic::Commands, commands),
        })
    }

    fn opening(&self, action: &str, rules: Attributes) -> Result<Map<String, Value>, String> {
        let mut command = Map::new();
        let (mut scope, mut anchors) = (Map::new(), Map::new());
        command.insert("type".to_owned(), json!(action));
        command.insert("reason".to_owned(), json!("account_closed"));
        for (key, value) in rules {
            let said = match key.as_str() {
                "reason" | "regime" | "region" | "tenant" | "actor" => json!(value),
                "requested_at" | "not_before" => json!(self.time(&value)?),
                "identity_verified" => json!(true),
                "exclude" => pairs(&value)
                    .map(|(processor, basis)| json!({ "processor": processor, "basis": basis }))
                    .collect(),
                "actions_by_processor" => pairs(&value).map(|(a, b)| (a.to_owned(), json!(b))).collect(),
                "purposes" | "categories" | "processors" => {
                    scope.insert(key, json!(names(&value)));
                    continue;
                }
                anchor if anchor.ends_with("_at") => {
                    anchors.insert(key, json!(self.time(&value)?));
                    continue;
                }
                _ => return Err(format!("an opening has no {key}")),
            };
            command.insert(key, said);
        }
        if !scope.is_empty() {
            command.insert("scope".to_owned(), Value::Object(scope));
        }
        if !anchors.is_empty() {
            command.insert("anchors".to_owned(), Value::Object(anchors));
        }
        Ok(command)
    }

    /// A command about a request, with the fields that the script gives it.
    fn about(&self, kind: &str, request: &str, rules: Attributes) -> Result<Value, String> {
        let mut command = json!({ "command_id": self.id(), "type": kind, "request_id": id_of(request) });
        for (key, value) in rules {
            command[key] = json!(value);
        }
        Ok(command)
    }

    fn subject_of(&self, who: &str, kinds: Option<&str>) -> Result<Value, String> {
        let person = self.script.person(who).ok_or_else(|| format!("who is {who}?"))?;
        Ok(subject(&person.identities_of(who), kinds))
    }

    fn reactivated(&self, who: &str, rules: Attributes) -> Result<Outgoing, String> {
        let at = rules.get("at").ok_or("expected at=")?;
        let command = json!({ "command_id": self.id(), "type": "reactivated",
            "subject": self.subject_of(who, None)?, "at": self.time(at)? });
        Ok(Outgoing::Topic(Topic::Commands, vec![command]))
    }

    fn supply(&self, request: &str, who: &str, mut rules: Attributes) -> Result<Outgoing, String> {
        let kinds = rules.remove("identities");
        let mut command = self.about("supply_identities", request, rules)?;
        command["identities"] = self.subject_of(who, kinds.as_deref())?["identities"].take();
        Ok(Outgoing::Topic(Topic::Control, vec![command]))
    }

    fn hold(&self, kind: &str, name: &str, mut rules: Attributes) -> Result<Outgoing, String> {
        let kinds = rules.remove("identities");
        let mut command = json!({
            "command_id": self.id(), "type": kind, "hold_id": id_of(&format!("hold {name}")), "actor": "legal",
        });
        if kind == "hold" {
            command["basis"] = json!("legal_claims");
        }
        for (key, value) in rules {
            match key.as_str() {
                "person" => command["subject"] = self.subject_of(&value, kinds.as_deref())?,
                "request" => command["request_id"] = json!(id_of(&value)),
                "categories" => command[key] = json!(names(&value)),
                _ => command[key] = json!(value),
            }
        }
        Ok(Outgoing::Topic(Topic::Control, vec![command]))
    }

    /// A set is `PROCESSOR/SET`, or the processor alone, where its set has the same name.
    fn backup(&self, kind: &str, set: &str, rules: Attributes) -> Result<Outgoing, String> {
        let (processor, set) = set.split_once('/').unwrap_or((set, set));
        let mut event = json!({ "event_id": self.id(), "type": kind, "processor": processor, "set": set });
        let mut by_operator = false;
        for (key, value) in rules {
            match key.as_str() {
                "restored_into" => event[key] = json!(names(&value)),
                "event_id" => event[key] = json!(id_of(&format!("event named {value}"))),
                "by" => by_operator = value == "operator",
                _ => event[&key] = json!(self.time(&value)?),
            }
        }
        let topic = if by_operator {
            Topic::Operator
        } else {
            Topic::Backups
        };
        Ok(Outgoing::Topic(topic, vec![event]))
    }

    /// `crm`, `ann/crm`, `ann/billing[invoices]`, several of them with commas, or `everybody` who has not answered yet.
    fn acks(
        &mut self,
        who: &str,
        outcome: &str,
        rules: &Attributes,
        tasks: &[Value],
    ) -> Result<Outgoing, String> {
        let asked: Vec<&Value> = if who == "everybody" {
            latest(tasks)
                .into_iter()
                .filter(|task| !self.answered.contains(&key_of(task)))
                .collect()
        } else {
            let find = |which| find_task(tasks, which).ok_or_else(|| format!("{which} was never asked"));
            names(who).into_iter().map(find).collect::<Result<_, _>>()?
        };
        let acks: Vec<Value> = asked
            .iter()
            .map(|task| self.ack(task, outcome, rules))
            .collect::<Result<_, _>>()?;
        self.answered.extend(asked.into_iter().map(key_of));
        Ok(Outgoing::Topic(Topic::Acks, acks))
    }

    fn ack(&self, task: &Value, outcome: &str, rules: &Attributes) -> Result<Value, String> {
        // What the task asks for is what a processor does that does as it is asked.
        let outcome = match (outcome, task["action"].as_str()) {
            ("done", Some("anonymize")) => "anonymized",
            ("done", Some("verify")) => "absent",
            ("done", _) => "erased",
            (other, _) => other,
        };
        let mut ack = json!({
            "request_id": task["request_id"], "task_id": task["task_id"], "generation": task["generation"],
            "attempt": task["attempt"], "processor": task["processor"], "token": task["ack"]["token"],
            "outcome": outcome,
        });
        for (key, value) in rules {
            match key.as_str() {
                "method" | "reference" => ack["evidence"][key] = json!(value),
                "records" => ack["evidence"][key] = json!(number(value)?),
                "retry_after_seconds" => ack[key] = json!(number(value)?),
                "expected_by" => ack[key] = json!(self.time(value)?),
                "basis" => ack["retained"][key] = json!(value),
                "until" => ack["retained"][key] = json!(self.time(value)?),
                _ => return Err(format!("an answer has no {key}")),
            }
        }
        if outcome == "retained" {
            let given = |field: &str, default: Value| {
                Some(ack["retained"][field].clone())
                    .filter(|is| !is.is_null())
                    .unwrap_or(default)
            };
            ack["retained"] =
                json!({ "basis": given("basis", json!("tax_law")), "until": given("until", Value::Null) });
        }
        Ok(ack)
    }

    /// In a path, the names of requests stand for their ids, and `ann.crm` for the id of the task.
    fn path(&self, path: &str, tasks: &[Value]) -> String {
        let segments = path.split('/').map(|segment| {
            let task = || find_task(tasks, &segment.replace('.', "/"))?["task_id"].as_str();
            match segment {
                request if self.opened.iter().any(|name| name == request) => id_of(request).to_string(),
                _ => task()
                    .filter(|_| segment.contains('.'))
                    .unwrap_or(segment)
                    .to_owned(),
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// What a person says; `by`: whose token it is said with.
fn by_person(what: &str, task: &str, body: &Value, rules: Attributes) -> Result<Outgoing, String> {
    let (mut body, mut bearer) = (body.clone(), "-".to_owned());
    for (key, value) in rules {
        match key.as_str() {
            "by" => bearer = value,
            "method" | "reference" => body["evidence"][key] = json!(value),
            "records" => body["evidence"][key] = json!(number(&value)?),
            _ => return Err(format!("nobody says {key} of a task")),
        }
    }
    Ok(Outgoing::Person {
        task: task.to_owned(),
        bearer,
        what: what.to_owned(),
        body: body.to_string(),
    })
}

fn on(topic: Topic) -> impl Fn(Value) -> Outgoing {
    move |command| Outgoing::Topic(topic, vec![command])
}

fn subject(identities: &BTreeMap<String, String>, kinds: Option<&str>) -> Value {
    let named = identities
        .iter()
        .filter(|(kind, _)| kinds.is_none_or(|kinds| names(kinds).contains(&kind.as_str())))
        .map(|(kind, value)| json!({ "type": kind, "value": value }));
    json!({ "identities": named.collect::<Vec<_>>() })
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    names(text)
        .into_iter()
        .map(|pair| pair.split_once(':').unwrap_or((pair, "")))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text}: expected a number"))
}
