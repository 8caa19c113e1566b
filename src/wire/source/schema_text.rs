//! A schema as a registry has it, before anybody has read it.

/// A schema that a registry has, with those that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// Its text.
    pub text: String,
    /// The texts that it refers to, each by the name under which it does; those that others need come before them.
    pub references: Vec<(String, String)>,
}

/// Why a schema cannot be used. The words are those of the library that has read it: of the schema, never of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchema(pub String);
