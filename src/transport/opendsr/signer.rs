//! What we sign as a processor of OpenDSR: answers and callbacks.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    SignatureScheme,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SigningKey},
};

use super::certificate::{Certificate, Untrusted};
use crate::domain::time::At;

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A file holds no such thing.
    #[error("{path}: {what}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// They are no pair.
    #[error("the key in {} is not that of the certificate in {}", .key.display(), .certificate.display())]
    Mismatched {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

/// Signs for our domain.
pub struct Signer {
    domain: String,
    key: Arc<dyn SigningKey>,
    /// The certificate and its chain in PEM, as they are published.
    pem: Vec<u8>,
    certificate: Certificate,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the certificate, which is published, and the key, which is not.
    pub fn load(domain: &str, certificate: &Path, key: &Path) -> Result<Self, SignerError> {
        let unreadable = |path: &Path, what| SignerError::Unreadable {
            path: path.to_owned(),
            what,
        };
        let pem = fs::read(certificate).map_err(|_| unreadable(certificate, "cannot be read"))?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable(certificate, "expected certificates in PEM"))?;
        if chain.is_empty() {
            return Err(unreadable(
                certificate,
                "expected a certificate in PEM, found none",
            ));
        }
        let secret = fs::read(key).map_err(|_| unreadable(key, "cannot be read"))?;
        let secret = zeroize::Zeroizing::new(secret);
        let secret = PrivateKeyDer::from_pem_slice(&secret)
            .map_err(|_| unreadable(key, "expected a private key in PEM, without a passphrase"))?;
        let rsa = "expected an RSA key of 2048 bits at least: OpenDSR signs with RSA";
        let signing = ring::sign::any_supported_type(&secret).map_err(|_| unreadable(key, rsa))?;
        if signing
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .is_none()
        {
            return Err(unreadable(key, rsa));
        }
        match CertifiedKey::new(chain, Arc::clone(&signing)).keys_match() {
            Ok(()) => {}
            Err(_) => {
                return Err(SignerError::Mismatched {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                });
            }
        }
        let read = Certificate::read(&pem)
            .map_err(|_| unreadable(certificate, "expected a certificate that is no authority itself"))?;
        Ok(Self {
            domain: domain.to_owned(),
            key: signing,
            pem,
            certificate: read,
        })
    }

    /// The domain that it signs for.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The certificate and its chain, in PEM.
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// What controllers may find wrong with the certificate. Whether they do is for them to say, so it is worth a warning.
    pub fn fault(&self, now: At) -> Option<Untrusted> {
        let system = super::certificate::Authorities::of_system();
        self.certificate.check(&self.domain, &system, now).err()
    }

    /// The signature of these bytes, in base64; `None`: the library has failed, and nothing unsigned may pass for signed.
    pub fn sign(&self, bytes: &[u8]) -> Option<String> {
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
        match signer.sign(bytes) {
            Ok(signature) => Some(STANDARD.encode(signature)),
            Err(error) => {
                tracing::error!(%error, "an answer of OpenDSR could not be signed");
                None
            }
        }
    }
}
