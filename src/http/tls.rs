//! The certificate of the listener and its key: whether they are what they should be, and belong together.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use crate::{config::Tls, domain::time::At};

/// What is wrong with the certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file holds no such thing.
    #[error("{path}: {what}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// They are no pair.
    #[error("the key in {} is not that of the certificate in {}", .key.display(), .cert.display())]
    Mismatched {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Clients refuse it.
    #[error("the certificate in {} has expired at {at}: clients refuse it", .cert.display())]
    Expired {
        /// The certificate.
        cert: PathBuf,
        /// When.
        at: At,
    },
    /// Clients refuse it still.
    #[error("the certificate in {} is not valid before {at}: clients refuse it", .cert.display())]
    Early {
        /// The certificate.
        cert: PathBuf,
        /// When it will be.
        at: At,
    },
    /// The library refuses it.
    #[error("the certificate in {} cannot be used: {source}", .cert.display())]
    Unusable {
        /// The certificate.
        cert: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

impl TlsError {
    /// Whether it can be served with all the same: whether to trust it is for clients to say.
    pub const fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::Early { .. })
    }
}

/// Finds what is wrong.
pub fn check(files: &Tls, now: At) -> Result<(), TlsError> {
    let pair = Pair::read(files)?;
    pair.certified(files)?;
    pair.check_time(files, now)
}

/// Until when the first certificate of a file is valid; `None`: it holds none.
pub fn expires(path: &Path) -> Option<At> {
    let pem = fs::read(path).ok()?;
    let first = CertificateDer::pem_slice_iter(&pem).next()?.ok()?;
    validity(&first).map(|(_, until)| until)
}

/// What a listener needs. A certificate that is out of its time serves, loudly.
pub(super) fn server_config(files: &Tls, now: At) -> Result<ServerConfig, TlsError> {
    let pair = Pair::read(files)?;
    pair.certified(files)?;
    if let Err(error) = pair.check_time(files, now) {
        tracing::error!("http.tls: {error}");
    }
    let unusable = |source| TlsError::Unusable {
        cert: files.cert.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(pair.chain, pair.key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pair {
    fn read(files: &Tls) -> Result<Self, TlsError> {
        let wrong = |path: &Path, what| TlsError::Unreadable {
            path: path.to_owned(),
            what,
        };
        let cert = fs::read(&files.cert).map_err(|_| wrong(&files.cert, "cannot be read"))?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong(&files.cert, "expected certificates in PEM"))?;
        if chain.is_empty() {
            return Err(wrong(&files.cert, "expected a certificate in PEM, found none"));
        }
        let key = fs::read(&files.key).map_err(|_| wrong(&files.key, "cannot be read"))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| wrong(&files.key, "expected a private key in PEM, without a passphrase"))?;
        Ok(Self { chain, key })
    }

    /// Whether the key can be used, and is the certificate's.
    fn certified(&self, files: &Tls) -> Result<(), TlsError> {
        if self.chain.iter().any(|cert| is_before_version_3(cert)) {
            return Err(TlsError::Unreadable {
                path: files.cert.clone(),
                what: "it is a certificate of X.509 version 1, which names no host and which clients refuse: have one of version 3 \
                       issued, with a subjectAltName",
            });
        }
        let key = ring::sign::any_supported_type(&self.key).map_err(|_| TlsError::Unreadable {
            path: files.key.clone(),
            what: "expected a key of RSA, ECDSA (P-256, P-384) or Ed25519",
        })?;
        match CertifiedKey::new(self.chain.clone(), key).keys_match() {
            // What cannot be compared shows when it is used.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatched {
                cert: files.cert.clone(),
                key: files.key.clone(),
            }),
            Err(source) => Err(TlsError::Unusable {
                cert: files.cert.clone(),
                source,
            }),
        }
    }

    fn check_time(&self, files: &Tls, now: At) -> Result<(), TlsError> {
        let Some((from, until)) = self.chain.first().and_then(|cert| validity(cert)) else {
            return Err(TlsError::Unreadable {
                path: files.cert.clone(),
                what: "expected a certificate of X.509 with a time of validity",
            });
        };
        let cert = files.cert.clone();
        if until < now {
            Err(TlsError::Expired { cert, at: until })
        } else if now < from {
            Err(TlsError::Early { cert, at: from })
        } else {
            Ok(())
        }
    }
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`: the version, where it is said.
const VERSION: u8 = 0xa0;

/// Whether a certificate is older than version 3 (RFC 5280, 4.1.2.1); what is none is found elsewhere.
fn is_before_version_3(certificate: &[u8]) -> bool {
    const VERSION_3: &[u8] = &[2];
    let version = || {
        let (_, certificate, _) = element(certificate)?;
        let (_, body, _) = element(certificate)?;
        Some(match element(body)? {
            (VERSION, version, _) => element(version)?.1 != VERSION_3,
            _ => true,
        })
    };
    version().unwrap_or(false)
}

/// From when until when a certificate is valid (RFC 5280, 4.1.2.5); `None`: it is none.
fn validity(certificate: &[u8]) -> Option<(At, At)> {
    let (tag, certificate, _) = element(certificate)?;
    let (inner, body, _) = element(certificate)?;
    if tag != SEQUENCE || inner != SEQUENCE {
        return None;
    }
    let (first, _, after_first) = element(body)?;
    let mut rest = if first == VERSION { after_first } else { body };
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        (_, _, rest) = element(rest)?;
    }
    let (_, times, _) = element(rest)?;
    let (from_tag, from, rest) = element(times)?;
    let (until_tag, until, _) = element(rest)?;
    Some((time(from_tag, from)?, time(until_tag, until)?))
}

/// The first element of DER: its tag, what is in it, and what comes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        let length = digits
            .iter()
            .fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(tag: u8, text: &[u8]) -> Option<At> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let full = match tag {
        // Two digits of a year are of 1950 to 2049.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%S", full).ok()?;
    let at: Timestamp = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(At::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_x509() {
        let at = |text: &str| At::parse(text).ok();
        assert_eq!(time(UTC_TIME, b"261121120000Z"), at("2026-11-21T12:00:00Z"));
        assert_eq!(time(UTC_TIME, b"991231235959Z"), at("1999-12-31T23:59:59Z"));
        assert_eq!(
            time(GENERALIZED_TIME, b"20510101000000Z"),
            at("2051-01-01T00:00:00Z")
        );
        assert_eq!(time(UTC_TIME, b"261121120000"), None);
        assert_eq!(time(0x04, b"261121120000Z"), None);
    }

    #[test]
    fn the_version_of_a_certificate_is_that_which_it_says() {
        // Only the beginning of one: its version, and its serial number.
        assert!(!is_before_version_3(
            b"\x30\x0a\x30\x08\xa0\x03\x02\x01\x02\x02\x01\x01"
        ));
        assert!(is_before_version_3(
            b"\x30\x0a\x30\x08\xa0\x03\x02\x01\x01\x02\x01\x01"
        ));
        assert!(is_before_version_3(b"\x30\x05\x30\x03\x02\x01\x01"));
        assert!(!is_before_version_3(b"\x30"));
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x03ab",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x02\x30\x00",
        ] {
            assert_eq!(validity(bytes), None, "{bytes:?}");
        }
    }
}
