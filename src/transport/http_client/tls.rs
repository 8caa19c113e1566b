//! What TLS trusts, and what it shows of us.

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::{
    domain::registry::HttpOptions,
    transport::local::{Reader, Unusable},
};

/// The configuration of a client's TLS, read from the files that its options name.
pub(super) fn client_config(options: &HttpOptions, reader: &mut Reader) -> Result<ClientConfig, Unusable> {
    let roots = match &options.ca {
        Some(path) => Arc::new(roots_of("ca", &reader.file("ca", path)?)?),
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Unusable::new("url", format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots);
    match (&options.client_cert, &options.client_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let chain = chain_of("client_cert", &reader.file("client_cert", cert)?)?;
            let key = PrivateKeyDer::from_pem_slice(&reader.file("client_key", key)?).map_err(|_| {
                Unusable::new(
                    "client_key",
                    "expected a private key in PEM, without a passphrase",
                )
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| Unusable::new("client_cert", unusable_pair(&error)))
        }
        (Some(_), None) => Err(Unusable::new(
            "client_key",
            "missing: client_cert has to have its key",
        )),
        (None, Some(_)) => Err(Unusable::new(
            "client_cert",
            "missing: client_key has to have its certificate",
        )),
    }
}

fn unusable_pair(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "the key in client_key is not that of this certificate".to_owned()
        }
        other => format!("it cannot be used with client_key: {other}"),
    }
}

fn chain_of(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(Unusable::new(key, "expected certificates in PEM")),
    }
}

fn roots_of(key: &str, pem: &[u8]) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for certificate in chain_of(key, pem)? {
        roots
            .add(certificate)
            .map_err(|error| Unusable::new(key, format!("a certificate in it cannot be trusted: {error}")))?;
    }
    Ok(roots)
}

/// What the system trusts, read once: it is the same for every client, and there are some hundred and fifty of them.
fn system_roots() -> Result<Arc<RootCertStore>, Unusable> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that no library takes any more; what the others are for needs none of them.
    let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    // A machine without any is found by its first call over TLS, which says so: calls without TLS need none.
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}
