//! `asyncapi.yaml`: the topics as machines read them. Names are those of the default configuration, shapes those of the JSON
//! Schemas beside it.

use serde_json::{Map, Value, json};

use super::{super::Failure, yaml};
use crate::{
    config::{Config, Topics},
    wire::{ack, command, envelope, status, suppression, task},
};

/// The type of the event that carries a backup event.
const BACKUP: &str = "dev.lacuna.backup.v1";

/// The version of the bindings that the document speaks.
const BINDINGS: &str = "0.5.0";

/// A topic.
struct Channel {
    /// Its name in the document, and that of its message.
    name: &'static str,
    topic: String,
    text: &'static str,
    /// What the record's key says; `None`: it has none.
    key: Option<&'static str>,
    /// The type of the event; `None`: it is none.
    event: Option<&'static str>,
    /// Whether Lacuna reads it.
    is_read: bool,
    is_compacted: bool,
    /// The file of the schema; `None`: sealed bytes.
    schema: Option<&'static str>,
    example: Option<&'static str>,
}

/// The text of the file.
pub fn text() -> Result<String, Failure> {
    let config = Config::read_text(
        "the default configuration",
        std::path::Path::new(""),
        Config::print_default(),
        &|_| None,
    )?;
    let channels = channels(&config.kafka.topics);
    let servers = json!({ "kafka": { "host": "localhost:9092", "protocol": "kafka",
        "description": "The brokers that kafka.bootstrap_servers names." } });
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lacuna",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The topics of Lacuna: commands come in, tasks go to processors, acks come back, and the status of each \
                            request is told. Names are those of the default configuration. CloudEvents in binary mode are written; \
                            binary, structured and bare JSON are read.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": servers,
        "channels": members(&channels, |channel| (channel.name.to_owned(), channel.described())),
        "operations": members(&channels, |channel| channel.operation(&config.kafka.group_id)),
        "components": {
            "messages": members(&channels, |channel| (channel.name.to_owned(), channel.message())),
        },
    });
    Ok(format!(
        "# Made by a test from the types that read and write the messages. Do not edit it.\n{}",
        yaml::text(&document)
    ))
}

fn members(channels: &[Channel], member: impl Fn(&Channel) -> (String, Value)) -> Map<String, Value> {
    channels.iter().map(member).collect()
}

fn channels(topics: &Topics) -> Vec<Channel> {
    let read = |name, topic: &str, text, key, event, schema, example| Channel {
        name,
        topic: topic.to_owned(),
        text,
        key: Some(key),
        event: Some(event),
        is_read: true,
        is_compacted: false,
        schema: Some(schema),
        example: Some(example),
    };
    let mut channels = vec![
        read(
            "command",
            &topics.commands,
            "Erasures, anonymizations, withdrawals, and people who are back.",
            "The request's id, or a key of the subject.",
            command::EVENT_TYPE,
            "command.json",
            include_str!("../../../schemas/examples/command.erase.json"),
        ),
        read(
            "control",
            &topics.control,
            "All other commands, for the few who may write here. `actor` is required.",
            "The request's or the hold's id.",
            command::EVENT_TYPE,
            "command.json",
            include_str!("../../../schemas/examples/command.hold.json"),
        ),
        read(
            "ack",
            &topics.acks,
            "What processors answer to tasks.",
            "The request's id.",
            ack::EVENT_TYPE,
            "ack.json",
            include_str!("../../../schemas/examples/ack.erased.json"),
        ),
        read(
            "backup",
            &topics.backups,
            "What happens to backups.",
            "The backup processor's id.",
            BACKUP,
            "backup.json",
            include_str!("../../../schemas/examples/backup.taken.json"),
        ),
    ];
    channels.extend(written(topics));
    channels
}

fn written(topics: &Topics) -> Vec<Channel> {
    let suppression = topics.suppression.as_deref().unwrap_or("lacuna.suppression");
    let write = |name, topic: String, text, key, event, schema, example| Channel {
        name,
        topic,
        text,
        key,
        event,
        is_read: false,
        is_compacted: false,
        schema,
        example,
    };
    vec![
        write(
            "task",
            format!("{}{{processor}}", topics.tasks_prefix),
            "What a processor is asked to do, a topic a processor. The same task may come twice: (task_id, generation) is its \
             idempotency key. It is the one message that carries identifiers outwards.",
            Some("The request's id."),
            Some(task::EVENT_TYPE),
            Some("task.json"),
            Some(include_str!("../../../schemas/examples/task.erase.json")),
        ),
        Channel {
            is_compacted: true,
            ..write(
                "status",
                topics.status.clone(),
                "Where each request stands, on every change. The record of the highest revision is the current one; a tombstone says \
                 that the request is to be forgotten.",
                Some("The request's id."),
                Some(status::EVENT_TYPE),
                Some("status.json"),
                Some(include_str!("../../../schemas/examples/status.in_progress.json")),
            )
        },
        Channel {
            is_compacted: true,
            ..write(
                "suppression",
                suppression.to_owned(),
                "Who must not be brought back by an import. Written where kafka.topics.suppression names it.",
                Some("A keyed digest of the identity: see the schema."),
                Some(suppression::EVENT_TYPE),
                Some("suppression.json"),
                Some(include_str!("../../../schemas/examples/suppression.email.json")),
            )
        },
        write(
            "dead_letter",
            topics.dead_letters.clone(),
            "Messages that could not be taken in: the original bytes, sealed under the vault's current key. The headers say why.",
            None,
            None,
            None,
            None,
        ),
    ]
}

impl Channel {
    fn described(&self) -> Value {
        let mut kafka = json!({ "topic": self.topic, "bindingVersion": BINDINGS });
        if self.is_compacted {
            kafka["topicConfiguration"] = json!({ "cleanup.policy": ["compact"] });
        }
        let mut described = json!({
            "address": self.topic,
            "description": self.text,
            "messages": { self.name: { "$ref": format!("#/components/messages/{}", self.name) } },
            "bindings": { "kafka": kafka },
        });
        if self.topic.contains('{') {
            described["parameters"] =
                json!({ "processor": { "description": "The processor's id in the registry." } });
        }
        described
    }

    /// What Lacuna does with it.
    fn operation(&self, group: &str) -> (String, Value) {
        let (action, verb) = if self.is_read {
            ("receive", "read")
        } else {
            ("send", "write")
        };
        let channel = format!("#/channels/{}", self.name);
        let mut operation = json!({
            "action": action,
            "channel": { "$ref": channel },
            "messages": [{ "$ref": format!("{channel}/messages/{}", self.name) }],
        });
        if self.is_read {
            let group = match self.name {
                "ack" => format!("{group}.acks"),
                "backup" => format!("{group}.backups"),
                _ => group.to_owned(),
            };
            operation["bindings"] = json!({ "kafka": {
                "groupId": { "type": "string", "enum": [group] }, "bindingVersion": BINDINGS } });
        }
        (format!("{verb}_{}", self.name), operation)
    }

    fn message(&self) -> Value {
        let mut kafka = json!({ "bindingVersion": BINDINGS });
        if let Some(key) = self.key {
            kafka["key"] = json!({ "type": "string", "description": key });
        }
        let mut message = json!({
            "name": self.name,
            "summary": self.text,
            "headers": self.headers(),
            "bindings": { "kafka": kafka },
        });
        match self.schema {
            Some(file) => message["payload"] = json!({ "$ref": format!("./{file}") }),
            None => {
                message["contentType"] = json!("application/octet-stream");
                message["payload"] = json!({ "type": "string", "format": "binary" });
            }
        }
        if let Some(example) = self.example {
            // They are files of this repository, and tests read each.
            let payload: Value = serde_json::from_str(example).unwrap_or_default();
            message["examples"] = json!([{ "name": self.name, "payload": payload }]);
        }
        message
    }

    fn headers(&self) -> Value {
        let Some(event) = self.event else {
            return json!({ "$ref": "./dead_letter.json" });
        };
        let texts = envelope::ce_headers("", "", event).map(|(name, value)| {
            let schema = match name {
                "ce_id" | "ce_source" => json!({ "type": "string" }),
                _ => json!({ "type": "string", "const": value }),
            };
            (name.to_owned(), schema)
        });
        let mut properties: Map<String, Value> = texts.into_iter().collect();
        properties.insert(
            "traceparent".to_owned(),
            json!({ "type": "string", "description": "W3C Trace Context." }),
        );
        json!({
            "type": "object",
            "description": "The attributes of CloudEvents, in binary mode.",
            "properties": properties,
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_topics_file_is_what_is_generated() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/asyncapi.yaml");
        let text = super::text().unwrap();
        if std::env::var_os("LACUNA_BLESS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let on_disk = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            on_disk == text,
            "schemas/asyncapi.yaml has drifted: LACUNA_BLESS=1 cargo test --lib topics_file writes it"
        );
    }
}
