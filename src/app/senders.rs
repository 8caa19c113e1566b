//! How tasks of queued lanes leave: a sender for each kind of transport.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    clock::Clock,
    config::{Config, Problem, Problems, Tls},
    domain::{
        registry::{HttpOptions, Processor, Registry, Transport},
        time::At,
    },
    http::tls,
    transport::{
        http_client::Guard,
        local::{Reader, Unusable},
        opendsr::{self, controller::Controller},
        sender::Senders,
        vendor::{self, VendorSender, notes::Notes},
        webhook::{AnswerTo, Endpoint, WebhookSender},
    },
};

/// What speaks to processors of OpenDSR: it sends to them, asks them, and believes what they have signed.
pub fn controller(config: &Config, clock: &Clock) -> Arc<Controller> {
    Arc::new(Controller::new(
        &registry_folder(config),
        guard(config),
        config.http.url(""),
        clock.clone(),
    ))
}

/// What calls vendors as their connectors say; `notes`: where it remembers their ids and jobs.
pub fn vendors(config: &Config, clock: &Clock, notes: Arc<dyn Notes>) -> Arc<VendorSender> {
    Arc::new(VendorSender::new(
        &registry_folder(config),
        config.registry.connectors.clone(),
        guard(config),
        notes,
        clock.clone(),
    ))
}

/// The senders of a worker.
pub fn senders(
    config: &Config,
    clock: &Clock,
    controller: &Arc<Controller>,
    vendors: &Arc<VendorSender>,
) -> Senders {
    let webhook = WebhookSender::new(
        &registry_folder(config),
        guard(config),
        answer_to(config),
        clock.clone(),
    );
    Senders::default()
        .with("webhook", Arc::new(webhook))
        .with("opendsr", Arc::clone(controller) as _)
        .with("vendor", Arc::clone(vendors) as _)
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

/// Finds what the registry names and this machine does not have: secrets, certificates, keys.
pub fn check(config: &Config, registry: &Registry, now: At) -> Result<(), Problems> {
    let unusable = registry.processors.iter().filter_map(|processor| {
        let unusable = check_processor(config, processor, now).err()?;
        Some(problem_of(config, processor, &unusable))
    });
    Problems::new(unusable.collect()).map_or(Ok(()), Err)
}

/// What is wrong with a registration, as mistakes in the registry's file are said.
pub fn problem_of(config: &Config, processor: &Processor, unusable: &Unusable) -> Problem {
    Problem {
        file: config.registry.path.display().to_string(),
        line: None,
        key: format!(
            "processor {:?}: transport.{}",
            processor.id.as_str(),
            unusable.key
        ),
        message: unusable.why.clone(),
    }
}

fn check_processor(config: &Config, processor: &Processor, now: At) -> Result<(), Unusable> {
    let folder = registry_folder(config);
    let mut reader = Reader::new(&folder);
    let http = match &processor.transport {
        Transport::Webhook(webhook) => {
            Endpoint::open(webhook, guard(config), &mut reader)?;
            &webhook.http
        }
        Transport::OpenDsr(opendsr) => {
            opendsr::check(opendsr, guard(config), &mut reader)?;
            &opendsr.http
        }
        Transport::Vendor(vendor) => {
            vendor::check(
                vendor,
                config.registry.connectors.as_deref(),
                guard(config),
                &mut reader,
            )?;
            &vendor.http
        }
        Transport::Kafka { .. } | Transport::Manual(_) | Transport::Agent => return Ok(()),
    };
    check_client_certificate(&folder, http, now)
}

/// Servers refuse what has expired, and say little about it.
fn check_client_certificate(folder: &Path, options: &HttpOptions, now: At) -> Result<(), Unusable> {
    let (Some(cert), Some(key)) = (&options.client_cert, &options.client_key) else {
        return Ok(());
    };
    let files = Tls {
        cert: folder.join(cert),
        key: folder.join(key),
    };
    tls::check(&files, now).map_err(|error| Unusable::new("client_cert", error.to_string()))
}
