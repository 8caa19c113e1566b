//! What differs between a configuration that runs and one that was read since then.

use super::{Auth, Config};

impl Config {
    /// The keys that differ and that a running worker cannot take over. `[auth]` and `[policy]` are no part of them.
    pub fn needing_restart(&self, new: &Self) -> Vec<&'static str> {
        let (kafka, http, vault) = (
            (&self.kafka, &new.kafka),
            (&self.http, &new.http),
            (&self.vault, &new.vault),
        );
        let differing = [
            ("tenant_default", self.tenant_default != new.tenant_default),
            ("tenants", self.tenants != new.tenants),
            ("region", self.region != new.region),
            ("shutdown_timeout", self.shutdown_timeout != new.shutdown_timeout),
            (
                "kafka.bootstrap_servers",
                kafka.0.bootstrap_servers != kafka.1.bootstrap_servers,
            ),
            ("kafka.group_id", kafka.0.group_id != kafka.1.group_id),
            ("kafka.properties", kafka.0.properties != kafka.1.properties),
            ("kafka.topics", kafka.0.topics != kafka.1.topics),
            ("store.url", self.store.url != new.store.url),
            ("http.listen", http.0.listen != http.1.listen),
            ("http.tls", http.0.tls != http.1.tls),
            ("http.public_url", http.0.public_url != http.1.public_url),
            ("auth", self.auth.is_some() != new.auth.is_some()),
            ("vault", vault.0 != vault.1),
            ("dispatch", self.dispatch != new.dispatch),
            ("webhook", self.webhook != new.webhook),
            ("opendsr", self.opendsr != new.opendsr),
            ("registry", self.registry != new.registry),
            ("source", self.sources != new.sources),
            ("telemetry", self.telemetry != new.telemetry),
        ];
        // Whatever is added to the configuration is in this list, or in none: then the whole says that something differs.
        let found: Vec<&'static str> = differing
            .into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(key, _)| key)
            .collect();
        let taken_over = Self {
            auth: self.auth.clone(),
            policy: self.policy.clone(),
            file: self.file.clone(),
            ..new.clone()
        };
        if found.is_empty() && taken_over != *self {
            return vec!["another key"];
        }
        found
    }
}

/// What differs in `[auth]`, by the names of bearers; never a token.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AuthChange {
    /// Names of tokens that are new, each as often as there are.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those whose role, tenant, rights or end differ.
    pub changed: Vec<String>,
    /// Whether the identity provider's part differs.
    pub oidc: bool,
    /// Whether the times of sessions differ.
    pub session: bool,
}

impl AuthChange {
    /// From one to the other.
    pub fn between(old: &Auth, new: &Auth) -> Self {
        let names = |of: &Auth, unlike: &Auth| {
            let gone = of
                .tokens
                .iter()
                .filter(|token| unlike.tokens.iter().all(|other| other.digest != token.digest));
            gone.map(|token| token.name.clone()).collect()
        };
        let changed = new.tokens.iter().filter(|token| {
            let before = old.tokens.iter().find(|other| other.digest == token.digest);
            before.is_some_and(|before| before != *token)
        });
        Self {
            added: names(new, old),
            removed: names(old, new),
            changed: changed.map(|token| token.name.clone()).collect(),
            oidc: old.oidc != new.oidc,
            session: old.session != new.session,
        }
    }

    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
