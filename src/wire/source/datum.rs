//! An event's document, whatever it was written in: JSON, Avro and Protocol Buffers all become this.
//!
//! A number is kept by its text, because it may be somebody's id. One that was not kept exactly is marked, so that it is never
//! taken for another person's.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use crate::{
    domain::source::Pointer,
    wire::{Rejection, validate},
};

/// From here on a floating point number is not exact.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// A fraction with more digits than these may have lost some.
const EXACT_DIGITS: usize = 15;

/// A value of an event.
#[derive(Clone, PartialEq)]
pub enum Datum<'a> {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number, by its text.
    Number(Cow<'a, str>),
    /// A number that its format, or its reader, has rounded.
    Rounded,
    /// Text.
    Text(Cow<'a, str>),
    /// Values in their order.
    List(Vec<Datum<'a>>),
    /// Values by their names.
    Object(Vec<(Cow<'a, str>, Datum<'a>)>),
}

/// Without what it holds, which may be personal data.
impl fmt::Debug for Datum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a> Datum<'a> {
    /// A whole number.
    pub fn integer(number: impl Into<i128>) -> Self {
        Self::Number(number.into().to_string().into())
    }

    /// A number with a fraction, where it can be told what was meant.
    pub fn float(number: f64) -> Self {
        if !number.is_finite() || number.abs() >= EXACT_BELOW {
            return Self::Rounded;
        }
        // The shortest text that leads back to it.
        let text = number.to_string();
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if number.fract() != 0.0 && digits > EXACT_DIGITS {
            return Self::Rounded;
        }
        Self::Number(text.into())
    }

    /// What it is, in words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Rounded => "a number that was not kept exactly",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Whether it is nothing.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What has this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// What has this name, taken out of it.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        match self {
            Self::Object(members) => {
                let at = members.iter().position(|(key, _)| key == name)?;
                Some(members.swap_remove(at).1)
            }
            _ => None,
        }
    }

    /// What a pointer leads to.
    pub fn at(&self, pointer: &Pointer) -> Option<&Self> {
        self.along(pointer.steps())
    }

    /// What these steps lead to.
    pub fn along(&self, steps: &[String]) -> Option<&Self> {
        let mut found = self;
        for step in steps {
            found = match found {
                Self::List(items) => items.get(index(step)?)?,
                other => other.get(step)?,
            };
        }
        Some(found)
    }

    /// Its text, if it is a single value.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::Rounded | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The same with text of its own.
    pub fn into_owned(self) -> Datum<'static> {
        match self {
            Self::Null => Datum::Null,
            Self::Bool(value) => Datum::Bool(value),
            Self::Number(text) => Datum::Number(Cow::Owned(text.into_owned())),
            Self::Rounded => Datum::Rounded,
            Self::Text(text) => Datum::Text(Cow::Owned(text.into_owned())),
            Self::List(items) => Datum::List(items.into_iter().map(Datum::into_owned).collect()),
            Self::Object(members) => Datum::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
                    .collect(),
            ),
        }
    }
}

/// An index of RFC 6901: digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let is_plain = step == "0" || !step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| step.parse().ok()).flatten()
}

/// Reads JSON, within the limits that all messages have.
pub(super) fn json(bytes: &[u8]) -> Result<Datum<'_>, Rejection> {
    let checked = validate::check(bytes)?;
    // The text is JSON by now, so only what no reader of JSON takes can be wrong with it: a number beyond any range.
    serde_json::from_str(checked.text()).map_err(|_| Rejection::schema("expected numbers within range"))
}

impl<'de: 'a, 'a> Deserialize<'de> for Datum<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DatumVisitor)
    }
}

struct DatumVisitor;

impl<'de> Visitor<'de> for DatumVisitor {
    type Value = Datum<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Datum::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Datum::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Datum::integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Datum::integer(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Datum::float(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Datum::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Datum::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Self::Value, E> {
        Ok(Datum::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Datum::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        Ok(Datum::Object(members))
    }
}

/// A name that is borrowed where it has no escape in it.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Datum<'_> {
        serde_json::from_str(text).unwrap()
    }

    fn found<'d>(datum: &'d Datum<'_>, pointer: &str) -> Option<&'d str> {
        datum.at(&Pointer::parse(pointer).unwrap())?.text()
    }

    #[test]
    fn pointer_leads_through_objects_and_lists() {
        let datum = read(r#"{"a":{"b/c":[{"d":"x"},7]},"":true,"é":"y","n":null}"#);
        let cases = [
            ("/a/b~1c/0/d", Some("x")),
            ("/a/b~1c/1", Some("7")),
            ("/a/b~1c/01", None),
            ("/a/b~1c/2", None),
            ("/a/b~1c/-", None),
            ("/", Some("true")),
            ("/é", Some("y")),
            ("/n", None),
            ("/a", None),
            ("/a/b", None),
        ];
        for (pointer, expected) in cases {
            assert_eq!(found(&datum, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn number_is_its_decimal_text_or_marked_as_rounded() {
        let cases = [
            ("42", Some("42")),
            ("-7", Some("-7")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("12345678901234567890123", None),
            ("1e3", Some("1000")),
            ("0.5", Some("0.5")),
            ("9007199254740993.0", None),
            ("0.12345678901234567890", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).text(), expected, "{text}");
        }
        assert!(matches!(read("12345678901234567890123"), Datum::Rounded));
    }

    #[test]
    fn debug_shows_nothing_of_an_event() {
        assert!(!format!("{:?}", read(r#"{"email":"ann@example.org"}"#)).contains("ann"));
    }
}
