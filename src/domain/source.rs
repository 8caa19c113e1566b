//! A source: an upstream whose events become commands, and how. Events stay as their upstream writes them; where the fields of
//! a command lie in them is said by pointers (RFC 6901).
//!
//! Only what it is stands here. Events are read in `wire::source`.

mod place;

use std::fmt;

pub use self::place::{BadPlace, Place, Pointer};

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

/// What has to stand at a place for an event to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Where.
    pub place: Place,
    /// What.
    pub wanted: Wanted,
}

/// What a condition asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One of these; numbers and booleans by their text.
    AnyOf(Vec<String>),
    /// Anything but null, or nothing at all.
    Present(bool),
}

impl Wanted {
    /// Whether this text is asked for by name.
    pub fn names(&self, text: &str) -> bool {
        matches!(self, Self::AnyOf(any_of) if any_of.iter().any(|wanted| wanted == text))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyOf(any_of) => f.write_str(&any_of.join(" or ")),
            Self::Present(true) => f.write_str("anything"),
            Self::Present(false) => f.write_str("nothing"),
        }
    }
}

/// What a source makes of records without a value, by which an upstream says that a key is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tombstones {
    /// They say nothing that concerns anybody here.
    #[default]
    Skipped,
    /// They are the events, and all other records are left out.
    Only,
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
    /// What it makes of tombstones.
    pub tombstones: Tombstones,
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

    /// Every place that is looked at.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        let conditions = self.when.iter().map(|condition| &condition.place);
        conditions.chain(self.map.iter().map(|mapping| &mapping.place))
    }

    /// The headers that are read of its events; a message that is kept without them would be another one.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.places().filter_map(|place| match place {
            Place::Header(name) => Some(name.as_str()),
            Place::Pointer(_) | Place::Key(_) => None,
        })
    }

    /// Whether records that a snapshot found are taken: only where a condition on `/op` says so. A snapshot reads whole tables,
    /// and none of their rows was deleted.
    pub fn takes_snapshots(&self) -> bool {
        let on_op = self
            .when
            .iter()
            .find(|condition| condition.place.is_pointer("/op"));
        on_op.is_some_and(|condition| condition.wanted.names("r"))
    }
}
