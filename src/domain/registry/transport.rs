//! How processors are asked: the transports, and what each of them needs to know.
//!
//! The registry is stored and shared by all workers, so a secret stands here as its configuration names it: resolved on
//! the machine that uses it, and never shown.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::dialect::IdentityFormat;
use crate::domain::ids::IdentityType;

/// How a processor is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Transport {
    /// Through a topic of its own.
    Kafka {
        /// The topic; `tasks_prefix` + id where it is absent.
        topic: Option<String>,
    },
    /// By a signed call for each task (Standard Webhooks).
    Webhook(Webhook),
    /// As a processor of OpenDSR.
    #[serde(rename = "opendsr")]
    OpenDsr(OpenDsr),
    /// By calls that a connector describes.
    Vendor(Vendor),
    /// By a person.
    Manual(Manual),
    /// By an agent that its owners run beside a store: it asks for its tasks over HTTP.
    Agent,
}

/// An endpoint that takes tasks as signed webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where it listens.
    pub url: String,
    /// What its calls are signed with, the first one first: `whsec_…` (symmetric) or `whsk_…` (Ed25519). Several while one
    /// replaces another.
    pub secrets: Vec<SecretRef>,
    /// How long a call may take in all.
    pub timeout: Duration,
    /// What every call over HTTP has.
    #[serde(default)]
    pub http: HttpOptions,
}

/// A processor that speaks OpenDSR, or a dialect of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDsr {
    /// Where its `/requests` and `/discovery` are.
    pub url: String,
    /// What it makes of the standard.
    #[serde(default)]
    pub dialect: OpenDsrDialect,
    /// How calls are authorised.
    #[serde(default)]
    pub auth: HttpAuth,
    /// The domain that signs its answers; `None`: signatures are not expected, and polls alone decide.
    pub processor_domain: Option<String>,
    /// How often its status is asked for.
    pub poll: Duration,
    /// The formats in which identifiers are sent that are not sent as they are, by our type.
    #[serde(default)]
    pub formats: Vec<(IdentityType, IdentityFormat)>,
    /// What its calls carry besides, such as `property_id`.
    #[serde(default)]
    pub settings: Vec<(String, String)>,
    /// How long a call may take in all.
    pub timeout: Duration,
    /// What every call over HTTP has.
    #[serde(default)]
    pub http: HttpOptions,
}

/// What implementers have made of OpenDSR.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenDsrDialect {
    /// Version 2.0.
    #[default]
    #[serde(rename = "2.0")]
    V2,
    /// Version 1, under its old names.
    #[serde(rename = "1.0")]
    V1,
    /// mParticle, version 3.
    Mparticle,
    /// AppsFlyer.
    Appsflyer,
    /// Singular.
    Singular,
    /// Branch.
    Branch,
}

/// A vendor that is called as a connector says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vendor {
    /// The connector.
    pub connector: String,
    /// What it has to know of the account there, by name.
    #[serde(default)]
    pub settings: Vec<(String, SettingValue)>,
    /// Where all of its calls go instead of to the vendor: a proxy of one's own, an imitation.
    #[serde(default)]
    pub url: Option<String>,
    /// How often it is asked how a job stands; `None`: never.
    #[serde(default)]
    pub poll: Option<Duration>,
    /// How long all calls for a task may take together.
    pub timeout: Duration,
    /// What every call over HTTP has.
    #[serde(default)]
    pub http: HttpOptions,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingValue {
    /// It may be shown.
    Plain(String),
    /// It is never shown.
    Secret(SecretRef),
}

/// Work that a person does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// Who does it: a person or a team.
    pub assignee: String,
    /// What has to be done, for whoever does it.
    pub instructions: Option<String>,
    /// How long it may take; `ack_timeout` where it is absent.
    pub due: Option<Duration>,
    /// Whether a second person has to confirm it too.
    #[serde(default)]
    pub confirm_by_two: bool,
}

/// What every call over HTTP has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpOptions {
    /// Headers of one's own.
    #[serde(default)]
    pub headers: Vec<(String, SecretRef)>,
    /// A file of certificates that are trusted instead of the system's.
    #[serde(default)]
    pub ca: Option<String>,
    /// A file with the client's certificate.
    #[serde(default)]
    pub client_cert: Option<String>,
    /// A file with its key.
    #[serde(default)]
    pub client_key: Option<String>,
    /// The proxy that calls go through.
    #[serde(default)]
    pub proxy: Option<String>,
}

/// How calls over HTTP are authorised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HttpAuth {
    /// Not at all.
    #[default]
    None,
    /// With a name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: SecretRef,
    },
    /// With a token.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// With a header of its own.
    Header {
        /// The header.
        name: String,
        /// Its value.
        value: SecretRef,
    },
}

/// A secret as configuration names it: `env:NAME`, `file:PATH`, or the secret itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(pub String);

impl SecretRef {
    /// As it may be shown: where it comes from, and never the secret itself.
    pub fn shown(&self) -> &str {
        if self.is_plain() { "(set)" } else { &self.0 }
    }

    /// Whether it is the secret itself.
    pub fn is_plain(&self) -> bool {
        !(self.0.starts_with("env:") || self.0.starts_with("file:"))
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl OpenDsr {
    /// The format in which an identifier of this type is sent.
    pub fn format_of(&self, kind: &IdentityType) -> Option<IdentityFormat> {
        let set = self.formats.iter().find(|(of, _)| of == kind);
        set.map(|(_, format)| *format)
    }

    /// What the registry says of a setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        let set = self.settings.iter().find(|(name, _)| name == key);
        set.map(|(_, value)| value.as_str())
    }
}

impl Transport {
    /// Where it is called, where it is called at all.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Kafka { .. } | Self::Manual(_) | Self::Agent => None,
            Self::Webhook(webhook) => Some(&webhook.url),
            Self::OpenDsr(opendsr) => Some(&opendsr.url),
            // Where it lies is the connector's to say, unless the registry sends it elsewhere.
            Self::Vendor(vendor) => vendor.url.as_deref(),
        }
    }

    /// How long a call may take in all; nothing where it is not called.
    pub const fn call_timeout(&self) -> Duration {
        match self {
            Self::Webhook(Webhook { timeout, .. })
            | Self::OpenDsr(OpenDsr { timeout, .. })
            | Self::Vendor(Vendor { timeout, .. }) => *timeout,
            Self::Kafka { .. } | Self::Manual(_) | Self::Agent => Duration::ZERO,
        }
    }

    /// The word of its type.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Kafka { .. } => "kafka",
            Self::Webhook(_) => "webhook",
            Self::OpenDsr(_) => "opendsr",
            Self::Vendor(_) => "vendor",
            Self::Manual(_) => "manual",
            Self::Agent => "agent",
        }
    }
}
