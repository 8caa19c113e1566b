//! Certificates of OpenDSR: who may sign for a domain, and whether they did.
//!
//! The order is the specification's: the certificate is judged first (its time, its chain, its name), then the signature
//! over the raw bytes, and only then does anybody read them. Certificates may sign themselves for nobody.

use std::sync::{Arc, OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime, pem::PemObject as _,
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::domain::time::At;

/// RSA with SHA-256, as the specification has it. Keys under 2048 bits are refused.
static ALGORITHM: &dyn SignatureVerificationAlgorithm = webpki::ring::RSA_PKCS1_2048_8192_SHA256;

/// Why nobody has to believe a certificate, or what it is said to have signed. No text of it is of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It is no certificate.
    #[error("expected a certificate in PEM or DER")]
    NoCertificate,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    Early,
    /// It vouches for itself.
    #[error("the certificate is self-signed, which the specification forbids")]
    SelfSigned,
    /// Nobody whom we trust vouches for it.
    #[error("the certificate was not issued by an authority that is trusted here")]
    UnknownIssuer,
    /// It is somebody else's.
    #[error("the certificate does not name the domain {0}")]
    OtherName(String),
    /// It cannot be used for another reason.
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
    /// The signature is no base64, or not that of these bytes.
    #[error("the signature is not the domain's over these bytes")]
    Signature,
}

/// Who is trusted to issue certificates.
#[derive(Debug, Clone)]
pub struct Authorities(Arc<Vec<TrustAnchor<'static>>>);

impl Authorities {
    /// Those that the system trusts, read once.
    pub fn of_system() -> Self {
        static SYSTEM: OnceLock<Authorities> = OnceLock::new();
        let read = || {
            let found = rustls_native_certs::load_native_certs().certs;
            // Systems carry certificates that no library takes any more: nobody needs them.
            let anchors = found
                .iter()
                .filter_map(|cert| anchor_from_trusted_cert(cert).ok());
            Self(Arc::new(anchors.map(|anchor| anchor.to_owned()).collect()))
        };
        SYSTEM.get_or_init(read).clone()
    }

    /// Those of a file in PEM.
    pub fn of_pem(pem: &[u8]) -> Result<Self, Untrusted> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| Untrusted::NoCertificate)?;
        if certificates.is_empty() {
            return Err(Untrusted::NoCertificate);
        }
        let anchors: Result<Vec<_>, _> = certificates
            .iter()
            .map(|certificate| anchor_from_trusted_cert(certificate).map(|anchor| anchor.to_owned()))
            .collect();
        let unusable = |error: webpki::Error| Untrusted::Unusable(error.to_string());
        Ok(Self(Arc::new(anchors.map_err(unusable)?)))
    }
}

/// A certificate with what came with it to lead to an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
}

impl Certificate {
    /// Reads what a processor publishes: PEM, with intermediate certificates or without, or DER.
    pub fn read(bytes: &[u8]) -> Result<Self, Untrusted> {
        let pem: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        let chain = match pem {
            Ok(chain) if !chain.is_empty() => chain,
            Ok(_) => vec![CertificateDer::from(bytes.to_vec())],
            Err(_) => return Err(Untrusted::NoCertificate),
        };
        let certificate = Self { chain };
        certificate.end_entity()?;
        Ok(certificate)
    }

    fn leaf(&self) -> Result<&CertificateDer<'static>, Untrusted> {
        self.chain.first().ok_or(Untrusted::NoCertificate)
    }

    fn end_entity(&self) -> Result<EndEntityCert<'_>, Untrusted> {
        EndEntityCert::try_from(self.leaf()?).map_err(|error| match error {
            // Its own authority, as the simplest tools make it.
            webpki::Error::CaUsedAsEndEntity => Untrusted::SelfSigned,
            _ => Untrusted::NoCertificate,
        })
    }

    /// Whether it is to be believed for this domain now.
    pub fn check(&self, domain: &str, trusted: &Authorities, now: At) -> Result<(), Untrusted> {
        let leaf = self.end_entity()?;
        if leaf.issuer() == leaf.subject() {
            return Err(Untrusted::SelfSigned);
        }
        let seconds = u64::try_from(now.millis() / 1000).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let intermediates = self.chain.get(1..).unwrap_or_default();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &trusted.0,
            intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(|error| untrusted(&error))?;
        let other = || Untrusted::OtherName(domain.to_owned());
        let name = ServerName::try_from(domain).map_err(|_| other())?;
        leaf.verify_is_valid_for_subject_name(&name).map_err(|_| other())
    }

    /// Whether its key has signed these bytes. `signature`: in base64, as a header has it.
    pub fn has_signed(&self, bytes: &[u8], signature: &str) -> Result<(), Untrusted> {
        // The specification's own examples break it into lines.
        let packed: String = signature.split_ascii_whitespace().collect();
        let signature = STANDARD.decode(packed).map_err(|_| Untrusted::Signature)?;
        self.end_entity()?
            .verify_signature(ALGORITHM, bytes, &signature)
            .map_err(|_| Untrusted::Signature)
    }
}

fn untrusted(error: &webpki::Error) -> Untrusted {
    match error {
        webpki::Error::CertExpired { .. } => Untrusted::Expired,
        webpki::Error::CertNotValidYet { .. } => Untrusted::Early,
        // The second one: an authority of the same name, with another key.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            Untrusted::UnknownIssuer
        }
        webpki::Error::CaUsedAsEndEntity => Untrusted::SelfSigned,
        other => Untrusted::Unusable(other.to_string()),
    }
}
