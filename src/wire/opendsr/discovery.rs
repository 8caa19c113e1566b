//! Discovery: what a processor of OpenDSR supports, and where its certificate is.

use serde::{Deserialize, Serialize};

use super::answer::WrongAnswer;

/// What a processor supports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Discovery {
    /// The version that it speaks.
    pub api_version: String,
    /// What it finds people by.
    pub supported_identities: Vec<SupportedIdentity>,
    /// What it can be asked for.
    pub supported_subject_request_types: Vec<String>,
    /// Where the certificate is whose key signs its answers and callbacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor_certificate: Option<String>,
    /// Whether `status_callback_urls` are called: only what is signed may be sent there.
    #[serde(default)]
    pub status_callbacks: bool,
}

/// What a processor finds people by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema, Deserialize)]
pub struct SupportedIdentity {
    /// The type.
    pub identity_type: String,
    /// The format.
    pub identity_format: String,
}

/// Where a processor says that its certificate is. The rest of discovery differs between implementers, and is not read.
pub fn certificate_url(bytes: &[u8]) -> Result<String, WrongAnswer> {
    #[derive(Deserialize)]
    struct Fields {
        processor_certificate: Option<String>,
    }
    let fields: Fields = serde_json::from_slice(bytes).map_err(|_| WrongAnswer::NotJson)?;
    let url = fields.processor_certificate.filter(|url| !url.trim().is_empty());
    url.ok_or(WrongAnswer::Missing("processor_certificate"))
}
