//! Why the application does not run.

use std::net::SocketAddr;

use crate::{
    config::Problems,
    engine::EngineError,
    http::tls::TlsError,
    kafka::KafkaError,
    store::StoreError,
    transport::{local::Unusable, opendsr::SignerError},
    vault::KeyringError,
};

/// Why the application does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration or the registry.
    #[error("{0}")]
    Config(Problems),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The keyring is not the store's.
    #[error(
        "keyring {0}: not the one that this store is sealed under: with it no identifier could be opened, nobody found, and \
         every valid ack would be taken for a forged one; put the store's own keyring there, from your backup or from another \
         worker"
    )]
    OtherKeyring(std::path::PathBuf),
    /// The keyring is gone, and something needs it.
    #[error(
        "there is no keyring at {0}, and this store is in use: restore it from its backup, or copy it from another worker; \
         with a new one no identifier could be opened and nobody found"
    )]
    LostKeyring(std::path::PathBuf),
    /// A use case.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The listener's certificate or its key.
    #[error("http.tls: {0}")]
    Tls(#[from] TlsError),
    /// What signs for us as a processor of OpenDSR.
    #[error("opendsr: {0}")]
    OpenDsr(#[from] SignerError),
    /// What calls over HTTP need.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The listener.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// SIGHUP cannot be waited for.
    #[error("SIGHUP cannot be waited for")]
    Signal(#[source] std::io::Error),
    /// The metrics.
    #[error("metrics")]
    Metrics(#[from] prometheus::Error),
    /// Traces cannot be told.
    #[error("telemetry.otlp")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// A long-lived task ended although nobody asked it to.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

impl AppError {
    /// Whether a dependency could not be reached, rather than a mistake having been made.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_unreachable(),
            Self::Store(error) => error.is_unreachable(),
            Self::Engine(error) => error.is_unreachable(),
            _ => false,
        }
    }
}
