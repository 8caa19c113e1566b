//! The certificates that processors sign with, read from their discovery and kept for a while.
//!
//! Anybody may send a callback, so what can be decided without a call is decided first, and a certificate is read anew
//! at most once a minute, whatever comes in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{HeaderMap, StatusCode};

use super::{
    certificate::{Certificate, Untrusted},
    endpoint::Endpoint,
};
use crate::{
    clock::Stopwatch,
    domain::{ids::ProcessorId, registry::OpenDsr, time::At},
    transport::http_client::CallError,
    wire::opendsr::{
        DOMAIN_HEADER, DOMAIN_HEADER_V1, SIGNATURE_HEADER, SIGNATURE_HEADER_V1, certificate_url,
        discovery_url,
    },
};

/// How long a certificate counts as current: its own end, its name and its issuer are looked at each time all the same.
const CURRENT: Duration = Duration::from_secs(24 * 3600);

/// How often one is read again because something does not fit: a processor may have renewed it.
const AGAIN: Duration = Duration::from_secs(60);

/// How long reading it may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Why nobody believes what was said. No text of it is of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBelieved {
    /// Nobody is registered to sign.
    #[error(
        "the processor is registered without a processor_domain, so that nothing it signs is believed: it is asked instead"
    )]
    NoDomain,
    /// It is not signed.
    #[error("it is not signed: expected X-OpenDSR-Processor-Domain and X-OpenDSR-Signature, once each")]
    Unsigned,
    /// Another domain says that it has signed it.
    #[error("X-OpenDSR-Processor-Domain is not the processor_domain that the processor is registered with")]
    OtherDomain,
    /// The certificate could not be read.
    #[error("the certificate could not be read from discovery: {0}")]
    NoCertificate(String),
    /// Certificate or signature do not pass.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

/// What came with its signature.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    domain: &'a str,
    signature: &'a str,
    bytes: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes the two headers, under their names of today or of version 1.
    pub fn of(headers: &'a HeaderMap, bytes: &'a [u8]) -> Result<Self, NotBelieved> {
        Ok(Self {
            domain: once(headers, [DOMAIN_HEADER, DOMAIN_HEADER_V1])?,
            signature: once(headers, [SIGNATURE_HEADER, SIGNATURE_HEADER_V1])?,
            bytes,
        })
    }
}

fn once<'a>(headers: &'a HeaderMap, names: [&str; 2]) -> Result<&'a str, NotBelieved> {
    for name in names {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => return value.to_str().map_err(|_| NotBelieved::Unsigned),
            (None, _) => {}
            (Some(_), Some(_)) => return Err(NotBelieved::Unsigned),
        }
    }
    Err(NotBelieved::Unsigned)
}

/// The certificates that are known.
#[derive(Debug, Default)]
pub(super) struct Certificates(Mutex<HashMap<ProcessorId, Slot>>);

/// A lock for each processor: none waits for another's network.
type Slot = Arc<tokio::sync::Mutex<Option<Known>>>;

#[derive(Debug)]
struct Known {
    /// What it was read for.
    from: OpenDsr,
    found: Result<Certificate, String>,
    read: Stopwatch,
}

impl Certificates {
    /// Verifies in the order of the specification: the domain; the certificate; the signature over the raw bytes.
    pub(super) async fn verify(
        &self,
        id: &ProcessorId,
        (opendsr, endpoint): (&OpenDsr, &Endpoint),
        signed: Signed<'_>,
        now: At,
    ) -> Result<(), NotBelieved> {
        let domain = opendsr.processor_domain.as_deref().ok_or(NotBelieved::NoDomain)?;
        if !signed.domain.trim().eq_ignore_ascii_case(domain) {
            return Err(NotBelieved::OtherDomain);
        }
        let slot = self.slot(id);
        let mut slot = slot.lock().await;
        let usable = slot
            .as_ref()
            .is_some_and(|known| known.from == *opendsr && known.read.elapsed() < CURRENT);
        if !usable {
            *slot = None;
        }
        if slot.is_none() {
            *slot = Some(Known::read(opendsr, endpoint).await);
        }
        let judge = |known: &Known| -> Result<(), NotBelieved> {
            let certificate = known
                .found
                .as_ref()
                .map_err(|why| NotBelieved::NoCertificate(why.clone()))?;
            certificate.check(domain, &endpoint.authorities, now)?;
            Ok(certificate.has_signed(signed.bytes, signed.signature)?)
        };
        let Some(known) = slot.as_mut() else {
            return Err(NotBelieved::NoCertificate("it was not read".to_owned()));
        };
        let judged = judge(known);
        if judged.is_ok() || known.read.elapsed() < AGAIN {
            return judged;
        }
        // It may have been renewed or replaced since.
        *known = Known::read(opendsr, endpoint).await;
        judge(known)
    }

    fn slot(&self, id: &ProcessorId) -> Slot {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = all.get(id) {
            return Arc::clone(slot);
        }
        Arc::clone(all.entry(id.clone()).or_default())
    }
}

impl Known {
    async fn read(opendsr: &OpenDsr, endpoint: &Endpoint) -> Self {
        let found = fetch(opendsr, endpoint).await;
        if let Err(why) = &found {
            tracing::warn!(why, "the certificate of a processor of OpenDSR could not be read");
        }
        Self {
            from: opendsr.clone(),
            found,
            read: Stopwatch::start(),
        }
    }
}

/// Reads the certificate that discovery names.
async fn fetch(opendsr: &OpenDsr, endpoint: &Endpoint) -> Result<Certificate, String> {
    let discovery = discovery_url(opendsr).ok_or("the dialect has no discovery")?;
    let said = body(endpoint.read(&discovery, WITHIN).await)?;
    let url = certificate_url(&said).map_err(|error| error.to_string())?;
    if !is_allowed(opendsr, &discovery, &url) {
        return Err("processor_certificate lies on another host than discovery".to_owned());
    }
    let pem = body(endpoint.read(&url, WITHIN).await)?;
    Certificate::read(&pem).map_err(|error| error.to_string())
}

fn body(
    answer: Result<crate::transport::http_client::HttpAnswer, CallError>,
) -> Result<bytes::Bytes, String> {
    let answer = answer.map_err(|error| error.to_string())?;
    match answer.status {
        StatusCode::OK => Ok(answer.body),
        other => Err(format!("answered {}", other.as_u16())),
    }
}

/// The specification has it on the host of discovery; some vendors publish it elsewhere, and who may sign is decided by
/// the name in the certificate.
fn is_allowed(opendsr: &OpenDsr, discovery: &str, url: &str) -> bool {
    let (Some((scheme, host)), Some((their_scheme, their_host))) = (origin(discovery), origin(url)) else {
        return false;
    };
    let named = opendsr.processor_domain.as_deref();
    let others = opendsr.dialect.data().certificate_hosts;
    let same_scheme = their_scheme == "https" || their_scheme == scheme;
    same_scheme
        && (their_host == host
            || named.is_some_and(|domain| their_host.eq_ignore_ascii_case(domain))
            || others.iter().any(|other| their_host.eq_ignore_ascii_case(other)))
}

fn origin(url: &str) -> Option<(String, String)> {
    let uri: hyper::Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.host()?.to_ascii_lowercase()))
}
