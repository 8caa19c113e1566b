//! What signs for us as a processor of OpenDSR.

use std::sync::Arc;

use super::{AppError, senders};
use crate::{
    clock::Clock,
    config::Config,
    domain::registry::HttpOptions,
    transport::{
        http_client::{Guard, HttpClient},
        local::Reader,
        opendsr::Signer,
    },
};

/// What calls controllers back: with nothing of any processor's.
pub(super) fn client(config: &Config) -> Result<HttpClient, AppError> {
    client_within(config, senders::guard(config))
}

/// The same, for addresses that are judged otherwise.
pub(super) fn client_within(config: &Config, guard: Guard) -> Result<HttpClient, AppError> {
    let mut reader = Reader::new(&senders::registry_folder(config));
    Ok(HttpClient::new(&HttpOptions::default(), guard, &mut reader)?)
}

/// Reads the certificate and the key that `[opendsr]` names; `None`: there is no such section.
pub fn signer(config: &Config, clock: &Clock) -> Result<Option<Arc<Signer>>, AppError> {
    let Some(opendsr) = &config.opendsr else {
        return Ok(None);
    };
    let signer = Signer::load(&opendsr.domain, &opendsr.certificate, &opendsr.key)?;
    if let Some(fault) = signer.fault(clock.now()) {
        // Whether to trust it is for controllers to say: theirs may know another authority.
        tracing::warn!(domain = signer.domain(), %fault, "controllers may not believe what is signed for [opendsr]");
    }
    let url = config.http.url("");
    if url_host(&url).is_some_and(|host| !host.eq_ignore_ascii_case(signer.domain())) {
        tracing::warn!(
            domain = signer.domain(),
            "opendsr.domain is not the host of http.public_url, where controllers look for the certificate"
        );
    }
    Ok(Some(Arc::new(signer)))
}

fn url_host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}
