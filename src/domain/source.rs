//! A source: an upstream whose events become commands, and how. Events stay as their upstream writes them; where the fields of
//! a command lie in them is said by pointers (RFC 6901).
//!
//! Only what it is stands here. Events are read in `wire::source`.

use std::fmt;

use super::{
    calendar::Regime,
    command::Scope,
    ids::{AnchorName, IdentityType, Label, Tenant},
    words::{CommandKind, Reason},
};

/// How the events of a source are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// CloudEvents 1.0, in binary or in structured mode.
    CloudEvents,
    /// Change events of Debezium, with or without their schema.
    Debezium,
    /// JSON of Kafka Connect: `schema` and `payload`.
    ConnectJson,
    /// JSON behind the id of a schema.
    RegistryJson,
    /// Avro behind the id of a schema.
    RegistryAvro,
    /// Protocol Buffers behind the id of a schema.
    RegistryProtobuf,
}

impl Format {
    /// Every format, by its name in the configuration.
    pub const ALL: [(&'static str, Self); 7] = [
        ("json", Self::Json),
        ("cloudevents", Self::CloudEvents),
        ("debezium", Self::Debezium),
        ("connect-json", Self::ConnectJson),
        ("registry-json", Self::RegistryJson),
        ("registry-avro", Self::RegistryAvro),
        ("registry-protobuf", Self::RegistryProtobuf),
    ];

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, format)| *format == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether its events name schemas, which a registry has.
    pub const fn names_schemas(self) -> bool {
        matches!(
            self,
            Self::RegistryJson | Self::RegistryAvro | Self::RegistryProtobuf
        )
    }
}

/// Why a text is no place in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// It begins with something else.
    #[error(
        "expected a JSON pointer, which begins with /, such as /data/customerId, or header: and a header's name"
    )]
    Start,
    /// A `~` that escapes nothing.
    #[error("expected a JSON pointer, in which ~ is written ~0 and / is written ~1")]
    Escape,
    /// What follows `header:` is no name of a header.
    #[error("expected the name of a header after header:")]
    Header,
}

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        let steps = text.strip_prefix('/').ok_or(BadPlace::Start)?;
        let steps: Result<Vec<String>, BadPlace> = steps.split('/').map(unescaped).collect();
        Ok(Self {
            text: text.to_owned(),
            steps: steps?,
        })
    }

    /// The keys and indexes on the way, from the outermost.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }
}

fn unescaped(step: &str) -> Result<String, BadPlace> {
    let mut parts = step.split('~');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_at_checked(1) {
            Some(("0", rest)) => whole.extend(["~", rest]),
            Some(("1", rest)) => whole.extend(["/", rest]),
            _ => return Err(BadPlace::Escape),
        }
    }
    Ok(whole)
}

/// Where something lies in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In its document.
    Pointer(Pointer),
    /// In a header of its record or of its call; in lower case.
    Header(String),
}

impl Place {
    /// Reads it: a pointer, or `header:` and a name.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        let Some(name) = text.strip_prefix("header:") else {
            return Pointer::parse(text).map(Self::Pointer);
        };
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(BadPlace::Header);
        }
        Ok(Self::Header(name.to_ascii_lowercase()))
    }

    /// Whether it is this place of the document.
    pub fn is_pointer(&self, text: &str) -> bool {
        matches!(self, Self::Pointer(pointer) if pointer.text == text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => f.write_str(&pointer.text),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

/// What has to stand at a place for an event to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Where.
    pub place: Place,
    /// One of these; numbers and booleans by their text.
    pub any_of: Vec<String>,
}

/// A field of the command that is read from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The idempotency key.
    CommandId,
    /// The request that it names.
    RequestId,
    /// The tenant.
    Tenant,
    /// Why.
    Reason,
    /// The region of the subject.
    Region,
    /// The regime that gives the deadline.
    Regime,
    /// When the subject asked.
    RequestedAt,
    /// Nothing is dispatched before it.
    NotBefore,
    /// When somebody came back.
    At,
    /// An identifier of the subject.
    Identity(IdentityType),
    /// A time that retention rules count from.
    Anchor(AnchorName),
    /// A list of what the request is limited to.
    Scope(ScopeList),
    /// A note of the controller's own.
    Metadata(String),
}

/// Which list of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeList {
    /// Purposes of processing.
    Purposes,
    /// Categories of data.
    Categories,
    /// Processors.
    Processors,
}

impl ScopeList {
    /// Every list, by its name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("purposes", Self::Purposes),
        ("categories", Self::Categories),
        ("processors", Self::Processors),
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purposes => "purposes",
            Self::Categories => "categories",
            Self::Processors => "processors",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandId => f.write_str("command_id"),
            Self::RequestId => f.write_str("request_id"),
            Self::Tenant => f.write_str("tenant"),
            Self::Reason => f.write_str("reason"),
            Self::Region => f.write_str("region"),
            Self::Regime => f.write_str("regime"),
            Self::RequestedAt => f.write_str("requested_at"),
            Self::NotBefore => f.write_str("not_before"),
            Self::At => f.write_str("at"),
            Self::Identity(kind) => write!(f, "identity.{kind}"),
            Self::Anchor(name) => write!(f, "anchor.{name}"),
            Self::Scope(list) => write!(f, "scope.{}", list.as_str()),
            Self::Metadata(name) => write!(f, "metadata.{name}"),
        }
    }
}

/// A field and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The field of the command.
    pub target: Target,
    /// Where it lies in an event.
    pub place: Place,
}

/// What every command of a source has, where its event says nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// What is asked: one of those that upstream services may ask.
    pub kind: CommandKind,
    /// The tenant; the configured default where it is absent.
    pub tenant: Option<Tenant>,
    /// Why.
    pub reason: Option<Reason>,
    /// The region.
    pub region: Option<Label>,
    /// The regime.
    pub regime: Option<Regime>,
    /// Whether upstream has verified who the subject is.
    pub identity_verified: Option<bool>,
    /// What the request is limited to.
    pub scope: Scope,
}

/// An upstream whose events become commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How its events are written.
    pub format: Format,
    /// All of these have to hold for an event to be taken.
    pub when: Vec<Condition>,
    /// What its commands have in common.
    pub template: Template,
    /// What is read from each event.
    pub map: Vec<Mapping>,
}

impl Source {
    /// Where a field lies, if it is read from events.
    pub fn place_of(&self, target: &Target) -> Option<&Place> {
        let mapping = self.map.iter().find(|mapping| mapping.target == *target);
        mapping.map(|mapping| &mapping.place)
    }

    /// The headers that are read of its events; a message that is kept without them would be another one.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        let conditions = self.when.iter().map(|condition| &condition.place);
        let places = conditions.chain(self.map.iter().map(|mapping| &mapping.place));
        places.filter_map(|place| match place {
            Place::Header(name) => Some(name.as_str()),
            Place::Pointer(_) => None,
        })
    }

    /// Whether records that a snapshot found are taken: only where a condition on `/op` says so. A snapshot reads whole tables,
    /// and none of their rows was deleted.
    pub fn takes_snapshots(&self) -> bool {
        let on_op = self
            .when
            .iter()
            .find(|condition| condition.place.is_pointer("/op"));
        on_op.is_some_and(|condition| condition.any_of.iter().any(|op| op == "r"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_is_read_as_rfc_6901_says() {
        let cases: [(&str, &[&str]); 5] = [
            ("/type", &["type"]),
            ("/data/customerId", &["data", "customerId"]),
            ("/a~1b/m~0n", &["a/b", "m~n"]),
            ("/", &[""]),
            ("/list/0", &["list", "0"]),
        ];
        for (text, steps) in cases {
            assert_eq!(Pointer::parse(text).unwrap().steps(), steps, "{text}");
        }
    }

    #[test]
    fn wrong_place_is_refused_with_what_was_expected() {
        let cases = [
            ("", BadPlace::Start),
            ("type", BadPlace::Start),
            ("$.type", BadPlace::Start),
            ("/a~", BadPlace::Escape),
            ("/a~2", BadPlace::Escape),
            ("header:", BadPlace::Header),
            ("header:a b", BadPlace::Header),
        ];
        for (text, expected) in cases {
            assert_eq!(Place::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn header_is_found_in_either_case() {
        assert_eq!(
            Place::parse("header:X-Shopify-Topic"),
            Ok(Place::Header("x-shopify-topic".to_owned()))
        );
    }
}
