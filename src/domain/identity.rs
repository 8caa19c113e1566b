//! A data subject's identifiers. The one type that holds them never shows them.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::ids::IdentityType;

/// A keyed digest of one identifier, under which its subject is found again.
pub type SubjectDigest = [u8; 16];

/// A keyed digest of one identifier under its tenant's suppression key, which others can compute as well.
pub type SuppressionDigest = [u8; 32];

/// Subject data: it can be read on purpose, and neither printed nor logged by accident.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Its type, such as `email`.
    #[serde(rename = "type")]
    pub kind: IdentityType,
    /// Its value.
    pub value: SubjectData,
}

impl Identity {
    /// The value as look-ups compare it: e-mail without surrounding space and case, phones in E.164, others byte for byte.
    ///
    /// A phone number without a country prefix cannot be normalised without guessing, so it keeps its digits only.
    pub fn normalised(&self) -> SubjectData {
        match self.kind.as_str() {
            "email" => SubjectData::new(self.value.expose().trim().to_lowercase()),
            "phone" => SubjectData::new(normalised_phone(self.value.expose())),
            _ => self.value.clone(),
        }
    }
}

fn normalised_phone(raw: &str) -> String {
    let raw = raw.trim();
    let international = raw
        .strip_prefix("00")
        .map_or_else(|| raw.to_owned(), |rest| format!("+{rest}"));
    match phonenumber::parse(None, &international) {
        Ok(number) => number.format().mode(phonenumber::Mode::E164).to_string(),
        Err(_) => raw.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect(),
    }
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
    fn look_ups_see_one_value_for_one_person() {
        assert_eq!(
            identity("email", " Ann@Example.ORG ").normalised().expose(),
            "ann@example.org"
        );
        assert_eq!(
            identity("phone", "+49 30 901820").normalised().expose(),
            "+4930901820"
        );
        assert_eq!(
            identity("phone", "0049 (30) 901-820").normalised().expose(),
            "+4930901820"
        );
        assert_eq!(identity("customer_id", " A ").normalised().expose(), " A ");
    }

    #[test]
    fn debug_never_shows_the_value() {
        assert!(!format!("{:?}", identity("email", "ann@example.org")).contains("ann"));
    }
}
