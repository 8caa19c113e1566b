//! What can be seen on this machine alone: configuration, certificates.

use std::{path::Path, time::Duration};

use super::finding::Findings;
use crate::{
    app,
    clock::Clock,
    config::{Config, registry_file},
    domain::{registry::Registry, time::At},
    http::tls,
    telemetry::logs::chain,
};

/// Certificates are renewed before this.
const RENEW_WITHIN: Duration = Duration::from_secs(14 * 24 * 3600);

pub(super) fn look(config: &Config, registry: &Registry, findings: &mut Findings) {
    findings.fine("configuration", "no mistakes");
    let warnings = registry_file::warnings(registry).into_iter();
    for warning in warnings.chain(config.warnings_of_bearers(registry)) {
        findings.warn("configuration", warning, "correct it in the file that it names");
    }
    if config.auth.is_none() {
        findings.warn(
            "configuration",
            "there is no [auth]: everybody on this machine may do everything",
            "add [auth] before anybody else can log in here",
        );
    }
    if let Err(error) = app::client_settings(config).check(&config.kafka.group_id, config.dispatch.lease) {
        findings.wrong("kafka", chain(&error), "correct [kafka] properties");
    }
    let now = Clock::System.now();
    if let Some(files) = &config.http.tls {
        match tls::check(files, now) {
            Ok(()) => expiry("the listener", &files.cert, now, findings),
            Err(error) => findings.wrong(
                "certificate",
                chain(&error),
                "renew it, and start the workers again",
            ),
        }
    }
    if let Some(own) = &config.opendsr {
        match app::opendsr::signer(config, &Clock::System) {
            Ok(_) => expiry("OpenDSR", &own.certificate, now, findings),
            Err(error) => findings.wrong("certificate", chain(&error), "see docs/guide/opendsr.md"),
        }
    }
    if let Err(error) = app::senders::check(config, registry, now) {
        findings.wrong("processors", chain(&error), "correct it in the registry");
    }
}

fn expiry(of: &str, certificate: &Path, now: At, findings: &mut Findings) {
    let Some(until) = tls::expires(certificate) else {
        return;
    };
    if until < now {
        findings.wrong(
            "certificate",
            format!("the certificate of {of} has expired at {until}"),
            "renew it, and start the workers again",
        );
    } else if until < now.plus(RENEW_WITHIN) {
        findings.warn(
            "certificate",
            format!("the certificate of {of} expires at {until}"),
            "renew it, and start the workers again",
        );
    } else {
        findings.fine("certificate", format!("{of}: valid until {until}"));
    }
}
