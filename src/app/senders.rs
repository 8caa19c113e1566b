//! How tasks of queued lanes leave: a sender for each kind of transport.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    clock::Clock,
    config::Config,
    transport::{
        http_client::Guard,
        sender::Senders,
        webhook::{AnswerTo, WebhookSender},
    },
};

/// The senders of a worker.
pub fn senders(config: &Config, clock: &Clock) -> Senders {
    let webhook = WebhookSender::new(
        &registry_folder(config),
        guard(config),
        answer_to(config),
        clock.clone(),
    );
    Senders::default().with("webhook", Arc::new(webhook))
}

/// What calls over HTTP may connect to.
pub const fn guard(config: &Config) -> Guard {
    Guard {
        allow_private: config.webhook.allow_private,
    }
}

/// Where processors are told to send an ack that is no answer to a call.
pub fn answer_to(config: &Config) -> AnswerTo {
    AnswerTo {
        topic: Arc::from(config.kafka.topics.acks.as_str()),
        url: Some(config.http.url("/v1/acks")),
    }
}

/// What relative paths of the registry are resolved against, on this machine.
pub fn registry_folder(config: &Config) -> PathBuf {
    config.registry.path.parent().unwrap_or(Path::new("")).to_owned()
}
