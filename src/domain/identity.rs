//! A data subject's identifiers. The one type that holds them never shows them.

mod email;
mod former;
mod mask;
mod normal;
mod phone;
pub mod plausible;
mod text;

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use mask::Mask;
pub use plausible::{Implausible, Placeholders};

use super::ids::IdentityType;

/// A keyed digest of one identifier, under which its subject is found again.
pub type SubjectDigest = [u8; 16];

/// A keyed digest of one identifier under its tenant's suppression key, which others can compute as well.
pub type SuppressionDigest = [u8; 32];

/// Subject data: it can be read on purpose, and neither printed nor logged by accident.
#[derive(
    Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Zeroize, ZeroizeOnDrop, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct SubjectData(String);

impl SubjectData {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the vault and for messages to processors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SubjectData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One identifier of a subject, as the command gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ShownIdentity")]
pub struct Identity {
    /// Its type, such as `email`.
    #[serde(rename = "type")]
    pub kind: IdentityType,
    /// Its value.
    pub value: SubjectData,
}

impl Identity {
    /// Takes an identifier that somebody sends, unless it stands for nobody: see [`plausible`]. Whatever comes in is made
    /// here; what is stored was taken once and is read as it is.
    pub fn taken(kind: IdentityType, value: impl Into<String>) -> Result<Self, Implausible> {
        let value = SubjectData::new(value);
        plausible::check(&kind, value.expose())?;
        Ok(Self { kind, value })
    }

    /// Whether it could be somebody's: what is only looked for need not be.
    pub fn check(&self) -> Result<(), Implausible> {
        plausible::check(&self.kind, self.value.expose())
    }

    /// The value as look-ups compare it, by the rules of the module `normal`. What is sent to processors stays as it was given.
    pub fn normalised(&self) -> SubjectData {
        SubjectData::new(normal::form(self.kind.as_str(), self.value.expose()))
    }

    /// The forms under which earlier versions have written it, where they differ from the one of today.
    pub fn former(&self, normalised: &SubjectData) -> Vec<FormerForm> {
        former::forms(self.kind.as_str(), self.value.expose(), normalised.expose())
    }
}

/// How identifiers are compared, by number. Others compute the digests of the suppression topic as well, so that a change
/// of the rules is another recipe.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// E-mail trimmed and in lower case, phone in E.164 without its extension, anything else byte for byte.
    V1,
    /// The rules of docs/guide/identifiers.md.
    V2,
}

impl Recipe {
    /// What is written today.
    pub const CURRENT: Self = Self::V2;

    /// Its number, as rows have it.
    pub const fn number(self) -> i16 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The recipe of this number.
    pub const fn numbered(number: i16) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }
}

/// How earlier versions compared an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerForm {
    /// The text that was compared.
    pub text: SubjectData,
    /// Whether it is one more spelling of the same identifier. Where it is not, strangers may have been written under it
    /// too: it says that somebody may be meant, which is enough for a hold and for nothing else.
    pub is_spelling: bool,
}

/// A digest that an earlier version would have written for an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormerDigest {
    /// The digest of today.
    pub of: SubjectDigest,
    /// The earlier one.
    pub digest: SubjectDigest,
    /// See [`FormerForm::is_spelling`].
    pub is_spelling: bool,
}

/// What surely was of these identifiers, whenever it was written: today's digests and those of other spellings.
pub fn sure_digests(digests: &[SubjectDigest], former: &[FormerDigest]) -> Vec<SubjectDigest> {
    let spellings = former.iter().filter(|one| one.is_spelling);
    digests
        .iter()
        .copied()
        .chain(spellings.map(|one| one.digest))
        .collect()
}

/// What may have been of these identifiers. Only what keeps data may go by it.
pub fn possible_digests(digests: &[SubjectDigest], former: &[FormerDigest]) -> Vec<SubjectDigest> {
    digests
        .iter()
        .copied()
        .chain(former.iter().map(|one| one.digest))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(kind: &str, value: &str) -> Identity {
        Identity {
            kind: IdentityType::new(kind).unwrap(),
            value: SubjectData::new(value),
        }
    }

    #[test]
    fn debug_never_shows_the_value() {
        assert!(!format!("{:?}", identity("email", "ann@example.org")).contains("ann"));
    }
}
