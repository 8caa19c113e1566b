//! What is wrong with a connector that can be read: each mistake with its place, before anything is ever called.

mod placeholders;
mod rules;
mod steps;

use self::placeholders::Allowed;
use super::{
    language::{Auth, Connector},
    rules::Means,
    template::Template,
};
use crate::domain::words::ProcessorKind;

/// A mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The step, by its place.
    pub step: Option<usize>,
    /// Its rule, by its place.
    pub rule: Option<usize>,
    /// The key.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

/// Finds every mistake.
pub fn check(connector: &Connector) -> Vec<Flaw> {
    let mut checking = Checking {
        connector,
        flaws: Vec::new(),
        step: None,
        rule: None,
    };
    checking.head();
    checking.auth();
    for (place, step) in connector.steps.iter().enumerate() {
        checking.step = Some(place);
        checking.step(place, step);
    }
    checking.flaws
}

struct Checking<'a> {
    connector: &'a Connector,
    flaws: Vec<Flaw>,
    step: Option<usize>,
    rule: Option<usize>,
}

impl<'a> Checking<'a> {
    fn flaw(&mut self, key: &str, why: impl Into<String>) {
        self.flaws.push(Flaw {
            step: self.step,
            rule: self.rule,
            key: key.to_owned(),
            why: why.into(),
        });
    }

    fn head(&mut self) {
        let connector = self.connector;
        let is_id = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if connector.id.is_empty() || !connector.id.bytes().all(is_id) {
            self.flaw("id", "expected small letters, digits and -");
        }
        if ProcessorKind::parse(&connector.kind).is_none() {
            let words: Vec<&str> = ProcessorKind::ALL.iter().map(|kind| kind.as_str()).collect();
            self.flaw("kind", format!("expected one of: {}", words.join(", ")));
        }
        if connector.shape.is_empty() || !connector.shape.chars().all(|c| ('A'..='H').contains(&c)) {
            self.flaw("shape", "expected letters from A to H");
        }
        if connector.documentation.is_empty() {
            self.flaw(
                "documentation",
                "expected the address of what it was written from",
            );
        }
        if connector.identities.is_empty() {
            self.flaw("identities", "expected at least one");
        }
        let no_step = Allowed {
            step: None,
            secrets: true,
        };
        self.template(
            "base",
            &connector.base,
            Allowed {
                secrets: false,
                ..no_step
            },
        );
        self.headers(&connector.headers, no_step);
        for (name, setting) in &connector.settings {
            let is_one = |value: &String| setting.one_of.is_empty() || setting.one_of.contains(value);
            if !setting.default.as_ref().is_none_or(is_one) {
                self.flaw("settings", format!("{name}: the default is none of one_of"));
            }
            if RESERVED.contains(&name.as_str()) {
                self.flaw("settings", format!("{name}: a transport has a key of this name"));
            }
        }
        for (kind, takes) in &connector.identities {
            if let Some(salt) = &takes.salt
                && !connector.settings.contains_key(salt)
            {
                self.flaw(
                    "identities",
                    format!("{}: there is no setting {salt:?}", kind.as_str()),
                );
            }
        }
        self.ends();
    }

    /// Whether every way ends in something that can be believed.
    fn ends(&mut self) {
        let connector = self.connector;
        let lasts = connector.steps.iter().filter(|step| step.last);
        if lasts.clone().count() == 0 {
            self.flaw("step", "no step is last, so that nothing could ever be settled");
        }
        let accepts = lasts
            .flat_map(|step| &step.rules)
            .any(|rule| rule.means == Means::Accepted);
        if accepts && !connector.can_poll() && connector.completes_by.is_none() {
            self.flaw(
                "completes_by",
                "a last step is only accepted, no step polls, and no term is given: nothing would ever be done",
            );
        }
        if connector.can_poll() && connector.poll.is_none() {
            self.flaw("poll", "missing: a step polls, and nothing says how often");
        }
        if connector.completes_by.as_ref().is_some_and(|term| term.probe) && !connector.can_probe() {
            self.flaw("completes_by", "probe: no step probes");
        }
    }

    fn auth(&mut self) {
        let templates: Vec<&Template> = match &self.connector.auth {
            Auth::None => Vec::new(),
            Auth::Basic { username, password } => vec![username, password],
            Auth::Bearer { token } => vec![token],
            Auth::Header { headers } => headers.values().collect(),
            Auth::ClientCredentials {
                token_url,
                client_id,
                client_secret,
                scope,
            } => [
                Some(token_url),
                Some(client_id),
                Some(client_secret),
                scope.as_ref(),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Auth::RefreshToken {
                token_url,
                client_id,
                client_secret,
                refresh_token,
            } => vec![token_url, client_id, client_secret, refresh_token],
        };
        for template in templates {
            let allowed = Allowed {
                step: None,
                secrets: true,
            };
            self.template("auth", template, allowed);
        }
        if let Auth::Header { headers } = &self.connector.auth {
            self.header_names("auth", headers.keys());
        }
    }
}

/// The keys that every transport `vendor` has.
pub const RESERVED: &[&str] = &[
    "type",
    "connector",
    "url",
    "timeout",
    "poll",
    "headers",
    "ca",
    "client_cert",
    "client_key",
    "proxy",
];
