//! `[opendsr]`: as whom Lacuna signs where it is a processor of OpenDSR.

use std::path::PathBuf;

use super::reader::{Entry, Section};

/// The domain that answers and callbacks are signed for, and the files that sign. They exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDsr {
    /// The domain, which the certificate has to name.
    pub domain: String,
    /// The certificate and its chain, in PEM: they are published.
    pub certificate: PathBuf,
    /// Its private key, of RSA, in PEM.
    pub key: PathBuf,
}

pub(super) fn read(section: &Section<'_>) -> Option<OpenDsr> {
    let file = |key| {
        let entry = section.need(key)?;
        let path = entry.path()?;
        if path.is_file() {
            return Some(path);
        }
        entry.refused(&format!("there is no file {}", path.display()))
    };
    let domain = section.need("domain").and_then(|e| domain(&e));
    let (certificate, key) = (file("certificate"), file("key"));
    Some(OpenDsr {
        domain: domain?,
        certificate: certificate?,
        key: key?,
    })
}

/// A domain as certificates have it.
pub(super) fn domain(entry: &Entry<'_>) -> Option<String> {
    let text = entry.line_of_text()?;
    let is_label = |label: &str| {
        let allowed = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !label.is_empty() && label.len() <= 63 && allowed && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(is_label) {
        return entry.refused("expected a domain, such as opendsr.example.org, without a scheme or a path");
    }
    Some(text.to_ascii_lowercase())
}
