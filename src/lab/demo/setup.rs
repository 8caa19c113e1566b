//! What a demonstration is set up with: a folder, a configuration, a registry.

use std::{fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::Rng as _;

use super::DemoError;
use crate::{config::Config, lab::sim::Character, terminal::folder::Folder};

/// How a simulated processor is asked, and how it behaves.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    /// Through its topic.
    OnKafka(Character),
    /// By a webhook, which it answers at once.
    ByWebhook,
}

/// A simulated processor of the demonstration.
pub(super) struct Processor {
    /// Its id in the registry.
    pub id: &'static str,
    name: &'static str,
    kind: &'static str,
    identities: &'static str,
    /// What people read about it.
    pub manner: &'static str,
    /// How it is asked, and behaves.
    pub asked: Asked,
}

impl Processor {
    /// The word of its transport.
    pub(super) const fn transport(&self) -> &'static str {
        match self.asked {
            Asked::OnKafka(_) => "kafka",
            Asked::ByWebhook => "webhook",
        }
    }
}

/// The cast.
pub(super) const PROCESSORS: [Processor; 6] = [
    Processor {
        id: "crm",
        name: "CRM vendor",
        kind: "crm",
        identities: r#""email", "customer_id""#,
        manner: "fast",
        asked: Asked::ByWebhook,
    },
    Processor {
        id: "analytics",
        name: "Analytics",
        kind: "analytics",
        identities: r#""customer_id""#,
        manner: "takes its time",
        asked: Asked::OnKafka(Character::Slow {
            after: Duration::from_millis(900),
        }),
    },
    Processor {
        id: "advertising",
        name: "Advertising partner",
        kind: "advertising",
        identities: r#""email""#,
        manner: "never heard of them",
        asked: Asked::OnKafka(Character::NotFound),
    },
    Processor {
        id: "payments",
        name: "Payment provider",
        kind: "payments",
        identities: r#""customer_id""#,
        manner: "fails now and then",
        asked: Asked::OnKafka(Character::Flaky { share: 0.2 }),
    },
    Processor {
        id: "telecom",
        name: "Text messages",
        kind: "telecom",
        identities: r#""customer_id""#,
        manner: "fails once, then works",
        asked: Asked::OnKafka(Character::FailsOnce),
    },
    Processor {
        id: "support",
        name: "Support desk",
        kind: "support",
        identities: r#""email", "customer_id""#,
        manner: "promises, then delivers",
        asked: Asked::OnKafka(Character::AcceptedFirst {
            after: Duration::from_millis(1_500),
        }),
    },
];

/// Writes the registry of the main scenario and reads the configuration. `url`: where a processor listens for webhooks.
pub(super) fn prepare(folder: &Folder, url: &dyn Fn(&str) -> String) -> Result<Config, DemoError> {
    // Nobody else ever sees it: it goes with the folder.
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    let secret = format!("whsec_{}", STANDARD.encode(key));
    fs::write(folder.path().join(SECRET), secret)?;
    prepare_with(folder, &registry(url))
}

/// The file with what webhooks are signed with.
const SECRET: &str = "webhooks.secret";

/// Writes a registry and reads the configuration.
pub(super) fn prepare_with(folder: &Folder, registry: &str) -> Result<Config, DemoError> {
    fs::write(folder.path().join("processors.toml"), registry)?;
    // Port 0: any free one.
    let text = "[kafka]\nbootstrap_servers = \"embedded\"\n[store]\nurl = \"sqlite:lacuna.db\"\n\
                [http]\nlisten = \"127.0.0.1:0\"\n";
    Config::read_text("the demonstration's configuration", folder.path(), text, &|_| {
        None
    })
    .map_err(DemoError::Config)
}

/// The shortest delays that there are: in life a processor that fails gets longer to recover, here somebody is watching.
fn registry(url: &dyn Fn(&str) -> String) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for Processor {
        id,
        name,
        kind,
        identities,
        asked,
        ..
    } in &PROCESSORS
    {
        let transport = match asked {
            Asked::OnKafka(_) => "type = \"kafka\"".to_owned(),
            Asked::ByWebhook => format!(
                "type = \"webhook\", url = \"{}\", secret = \"file:{SECRET}\"",
                url(id)
            ),
        };
        write!(
            text,
            "[[processor]]\nid = \"{id}\"\nname = \"{name}\"\nkind = \"{kind}\"\ntransport = {{ {transport} }}\n\
             actions = [\"erase\"]\nidentities = [{identities}]\nack_timeout = \"30s\"\n\
             retry = {{ initial = \"1s\", multiplier = 1.0, max = \"1s\", jitter = 0.1, attempts = 12 }}\n\n"
        )
        .unwrap_or_default(); // Writing to a `String` cannot fail.
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::registry_file;

    #[test]
    fn the_registry_is_a_valid_one() {
        let registry =
            registry_file::read_text("demo", &registry(&|id| format!("http://127.0.0.1:9/{id}"))).unwrap();
        let ids: Vec<&str> = registry
            .processors
            .iter()
            .map(|processor| processor.id.as_str())
            .collect();
        assert_eq!(
            ids,
            PROCESSORS
                .iter()
                .map(|processor| processor.id)
                .collect::<Vec<_>>()
        );
    }
}
