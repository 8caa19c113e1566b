//! The configuration: `lacuna.toml` and the registry of processors.
//!
//! Both files are read completely before anything is said, so that every mistake is found at once, each with its
//! line. Secrets are fetched here and never shown. Nothing here starts anything or talks to anyone.

mod agent;
mod auth;
pub mod connectors;
mod environment;
mod holidays;
mod http;
mod kafka;
mod kafka_properties;
mod names;
mod oidc;
mod opendsr;
mod policy;
mod problems;
mod reader;
mod regimes;
pub mod registry_file;
mod reloaded;
mod role;
mod secret;
mod sections;
mod signing_key;
mod source;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
mod values;
mod verifying_key;
mod windows;

use std::{
    ffi::OsString,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

pub use agent::{
    Action as SqlAction, Agent, AgentCommand, AgentPlace, AgentSource, Anonymized, Bucket, CompactedTopic,
    Dialect as SqlDialect, Generalized, HttpSource, KAnonymity, KafkaSource, KafkaTopics, Objects, ObjectsAt,
    Sql, SqlTable, Through,
};
pub use auth::{Auth, SessionTimes, Token};
pub use http::{Http, Tls};
pub use kafka::{Brokers, Kafka, Partitions, Topics};
pub use oidc::{Claim, Oidc, OidcClient, SigningAlgorithm};
pub use opendsr::OpenDsr;
pub use policy::{Approval, ComplaintBodies, Duplicates, OverLimit, Policy, RepeatLimit, TenantPolicy};
pub use problems::{Problem, Problems};
pub use reloaded::AuthChange;
pub use role::{Rights, Role};
pub use secret::{BadSecret, Secret, SecretSource, TokenDigest};
pub use sections::{Dispatch, Keyring, RegistryFile, Vault, Webhook};
pub use signing_key::{BadSigningKey, SigningKey};
pub use source::{HttpInlet, Inlet, SchemaRegistry, Scheme, Signature, Source as UpstreamSource};
pub use store::{Store, StoreUrl};
pub use telemetry::{Otlp, Telemetry};
pub use verifying_key::{BadVerifyingKey, VerifyingKey};

use crate::domain::{
    ids::{Label, Tenant},
    registry::Registry,
};
use environment::Settings;
use reader::{Environment, Section, Source};
use values::Zero;

/// The whole of `lacuna.toml`. Its checks have passed, its secrets are fetched, its paths are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The tenant of a command that names none.
    pub tenant_default: Tenant,
    /// The tenants that are served; empty: every one.
    pub tenants: Vec<Tenant>,
    /// The region whose commands are taken; every one where it is absent.
    pub region: Option<Label>,
    /// How long work may go on after SIGTERM.
    pub shutdown_timeout: Duration,
    /// `[kafka]`
    pub kafka: Kafka,
    /// `[store]`
    pub store: Store,
    /// `[http]`
    pub http: Http,
    /// `[auth]`; where it is absent, the listener is on loopback and everyone on it has every role.
    pub auth: Option<Auth>,
    /// `[vault]`
    pub vault: Vault,
    /// `[dispatch]`
    pub dispatch: Dispatch,
    /// `[policy]`
    pub policy: Policy,
    /// `[webhook]`
    pub webhook: Webhook,
    /// `[opendsr]`; where it is absent, answers are not signed, and no controller is called back.
    pub opendsr: Option<OpenDsr>,
    /// `[registry]`
    pub registry: RegistryFile,
    /// `[[source]]`
    pub sources: Vec<UpstreamSource>,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// The file that it was read from, to be read again on SIGHUP.
    pub file: Option<PathBuf>,
}

impl Default for Config {
    /// What an empty file means, in the current folder.
    fn default() -> Self {
        let source = Source::new("", Path::new(""), "", &|_| None);
        read(&Section::absent(&source))
    }
}

impl Config {
    /// Whether commands for this tenant are taken.
    pub fn serves(&self, tenant: &Tenant) -> bool {
        self.tenants.is_empty() || self.tenants.contains(tenant)
    }

    /// Reads a file, and finds every mistake in it.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let text = read_file(path, &name)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let environment = |name: &str| std::env::var_os(name);
        let config = Source::new(&name, folder, &text, &environment)
            .with(Settings::of(std::env::vars_os()))
            .read(read)?;
        Ok(Self {
            file: Some(path.to_owned()),
            ..config
        })
    }

    /// The keys that the environment sets for this process, each with its variable. They win over the file.
    pub fn set_by_environment() -> Vec<(String, String)> {
        Settings::of(std::env::vars_os()).list()
    }

    /// Reads a file and the registry that it names, and finds every mistake in both.
    pub fn load_with_registry(path: &Path) -> Result<(Self, Registry), Problems> {
        let name = path.display().to_string();
        let text = read_file(path, &name)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let environment = |name: &str| std::env::var_os(name);
        // Also a configuration with mistakes says where the registry is.
        let mut registry_path = None;
        let config = Source::new(&name, folder, &text, &environment)
            .with(Settings::of(std::env::vars_os()))
            .read(|root| {
                let config = read(root);
                registry_path = Some(config.registry.clone());
                config
            });
        if text.parse::<toml_edit::DocumentMut>().is_err() {
            // Without its syntax nobody knows where the registry is: a default path would be a guess.
            return config.map(|config| {
                (
                    config,
                    Registry {
                        processors: Vec::new(),
                    },
                )
            });
        }
        let registry = registry_file::read(&registry_path.unwrap_or_default());
        match (config, registry) {
            (Ok(mut config), Ok(registry)) => {
                config.file = Some(path.to_owned());
                config.check_registry(&registry).map(|()| (config, registry))
            }
            (Err(problems), Err(others)) => Err(problems.and(others)),
            (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => Err(problems),
        }
    }

    /// Reads a text. Relative paths are resolved against `folder`.
    pub fn read_text(
        name: &str,
        folder: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Problems> {
        Source::new(name, folder, text, environment as Environment<'_>).read(read)
    }

    /// A file with every key, its default and a comment.
    pub const fn print_default() -> &'static str {
        include_str!("default.toml")
    }

    /// Finds what is wrong with a registry under this configuration: topics that are meant for something else.
    pub fn check_registry(&self, registry: &Registry) -> Result<(), Problems> {
        registry_file::check_topics(
            registry,
            &self.kafka.topics,
            &self.registry.path.display().to_string(),
        )
    }

    /// What to look at again about bearers of processors that are not registered. A worker runs with them, because a
    /// processor may leave the registry before its token goes.
    pub fn warnings_of_bearers(&self, registry: &Registry) -> Vec<String> {
        let tokens = self.auth.iter().flat_map(|auth| auth.unregistered(registry));
        tokens
            .map(|(n, _, id)| {
                format!(
                    "auth.tokens[{n}].processor: no processor {:?} is registered, so its bearer can answer nothing: \
                     correct it, or remove the token",
                    id.as_str()
                )
            })
            .collect()
    }
}

/// Reads a file of UTF-8; `name` is what problems call it.
fn read_file(path: &Path, name: &str) -> Result<String, Problems> {
    let bytes = fs::read(path)
        .map_err(|error| Problems::of_file(name, None, format!("cannot be read: {}", why(error.kind()))))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = valid.filter(|b| **b == b'\n').count() + 1;
        Problems::of_file(name, Some(line), "expected UTF-8, found other bytes".to_owned())
    })
}

/// Why a file cannot be read, for people. The library's own words say "entity not found".
fn why(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        other => other.to_string(),
    }
}

fn read(root: &Section<'_>) -> Config {
    let tenant = root.get("tenant_default").and_then(|e| e.checked(Tenant::new));
    let tenants = root.get("tenants").and_then(|e| e.list()).unwrap_or_default();
    let tenants: Vec<Tenant> = tenants.iter().filter_map(|e| e.checked(Tenant::new)).collect();
    let tenant_default = tenant.unwrap_or_else(|| Tenant::new("default").expect("a valid name"));
    if !tenants.is_empty() && !tenants.contains(&tenant_default) {
        root.problem(
            "tenant_default",
            "expected one of tenants: a command that names no tenant would be refused",
        );
    }
    let auth = root.get("auth");
    let served = tenants.clone();
    let http = root.section("http", |section| http::read(section, auth.is_some()));
    let on_loopback = http.is_loopback();
    let kafka = root.section("kafka", kafka::read);
    let sources = source::read(root, &kafka.topics);
    let policy = root.section("policy", |section| policy::read(section, &served));
    for source in &sources {
        source.check_regime(root, &policy);
    }
    Config {
        tenant_default,
        region: root.get("region").and_then(|e| e.checked(Label::new)),
        shutdown_timeout: root.duration_or("shutdown_timeout", Zero::Refused, Duration::from_secs(30)),
        kafka,
        sources,
        store: root.section("store", store::read),
        auth: auth.and_then(|e| e.table(|section| auth::read(section, &tenants))),
        tenants,
        vault: root.section("vault", sections::vault),
        dispatch: root.section("dispatch", sections::dispatch),
        policy,
        webhook: root.section("webhook", |section| sections::webhook(section, on_loopback)),
        opendsr: root.get("opendsr").and_then(|e| e.table(opendsr::read)).flatten(),
        registry: RegistryFile {
            connectors: root.section("connectors", sections::connectors),
            ..root.section("registry", sections::registry)
        },
        telemetry: root.section("telemetry", telemetry::read),
        file: None,
        http,
    }
}
