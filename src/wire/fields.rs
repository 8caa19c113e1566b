//! The kinds of field that messages are made of: each is bounded and checked where it is read, and describes itself
//! for the JSON Schema, so that parser and schema cannot drift apart.
//!
//! What they say of a fault is fixed text. It must never hold `, expected ` inside, nor anything of the message.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use uuid::Uuid;

use crate::domain::{time::At, words::Action};

/// The most identities of one message, as the contract says.
pub const MAX_IDENTITIES: usize = 100;

/// The most entries of any other list: none has a use for more, and each entry costs work at every processor.
pub const MAX_LIST: usize = 100;

/// The longest identity value in bytes. The longest that exist in the wild (advertising ids, tokens) are far below.
pub const MAX_IDENTITY_BYTES: usize = 1024;

/// A field whose schema stands where the field stands.
macro_rules! inline_schema {
    ([$($generics:tt)*] $type:ty, |$generator:ident| $schema:expr) => {
        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// A field that is written as a string of a certain form.
trait Written: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Option<Self>;
}

struct WrittenVisitor<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for WrittenVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::custom(format_args!("expected {}", T::EXPECTED)))
    }
}

macro_rules! written {
    ($type:ty, $expected:literal, |$text:ident| $read:expr) => {
        impl Written for $type {
            const EXPECTED: &'static str = $expected;
            fn from_text($text: &str) -> Option<Self> {
                $read
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(WrittenVisitor(PhantomData))
            }
        }
    };
}

/// A UUID of any version, in its hyphenated form and in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Id(pub Uuid);

written!(Id, "a UUID in its hyphenated form", |text| uuid(text).map(Self));
inline_schema!([] Id, |_generator| json_schema!({ "type": "string", "format": "uuid" }));

/// Reads a UUID in its hyphenated form, which is the only one of 36 characters.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

/// A time from 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Time(pub At);

written!(Time, "a time of RFC 3339 from 1970 to 9999", |text| time(text)
    .map(Self));
inline_schema!([] Time, |_generator| json_schema!({ "type": "string", "format": "date-time" }));

/// Reads RFC 3339 and nothing looser.
pub(super) fn time(text: &str) -> Option<At> {
    if !has_form_of_rfc_3339(text.as_bytes()) {
        return None;
    }
    let Ok(at) = At::parse(text) else {
        return end_of_time(text);
    };
    // A leap second is the last of a day in UTC, so the second after it is a day's first.
    let leap = text.get(17..19) == Some("60");
    let in_range = at.millis() >= 0 && !(leap && at.millis().div_euclid(1000) % 86_400 != 0);
    in_range.then_some(at)
}

/// The last full hour that `jiff` knows, 9999-12-30T22:00:00Z.
const LAST_HOUR: At = At::from_millis(253_402_207_200_000);

/// Many systems write the last second of 9999 for "never", which is some hours after the last time of `jiff`.
fn end_of_time(text: &str) -> Option<At> {
    let civil: jiff::civil::DateTime = text.get(..19)?.parse().ok()?;
    let west = text.as_bytes().get(text.len() - 6) == Some(&b'-');
    let last = (civil.year(), civil.month()) == (9999, 12) && civil.day() >= 30 && !west;
    last.then_some(LAST_HOUR)
}

fn has_form_of_rfc_3339(text: &[u8]) -> bool {
    const FORM: &[u8; 19] = b"0000-00-00T00:00:00";
    let matches = |form: &[u8], part: &[u8]| {
        form.len() == part.len()
            && form.iter().zip(part).all(|(form, byte)| match form {
                b'0' => byte.is_ascii_digit(),
                other => byte.eq_ignore_ascii_case(other),
            })
    };
    let Some((start, rest)) = text.split_at_checked(FORM.len()) else {
        return false;
    };
    let rest = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        _ => rest,
    };
    let zone = match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', offset @ ..] => {
            matches(b"00:00", offset) && offset < b"24".as_slice() && offset[3] < b'6'
        }
        _ => false,
    };
    zone && matches(FORM, start)
}

/// `erase` or `anonymize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningAction(pub Action);

written!(OpeningAction, "one of: erase anonymize", |text| Action::parse(
    text
)
.filter(|action| *action != Action::Verify)
.map(Self));
inline_schema!([] OpeningAction, |_generator| json_schema!({ "type": "string", "enum": ["erase", "anonymize"] }));

/// A text of so many characters, borrowed where it holds no escape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<'a, const MIN: usize, const MAX: usize>(pub Cow<'a, str>);

inline_schema!([const MIN: usize, const MAX: usize] Text<'_, MIN, MAX>, |_generator| json_schema!({
    "type": "string", "minLength": MIN, "maxLength": MAX
}));

impl<'de: 'a, 'a, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<'a, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor::<MIN, MAX>).map(Self)
    }
}

struct TextVisitor<const MIN: usize, const MAX: usize>;

impl<const MIN: usize, const MAX: usize> TextVisitor<MIN, MAX> {
    fn fits<E: Error>(self, text: &str) -> Result<(), E> {
        // Of characters, as in JSON Schema. Nearly every text has few enough bytes.
        let is_long = text.len() > MAX && text.chars().count() > MAX;
        if text.len() >= MIN && !is_long {
            Ok(())
        } else {
            Err(E::invalid_length(text.len(), &self))
        }
    }
}

impl<'de, const MIN: usize, const MAX: usize> Visitor<'de> for TextVisitor<MIN, MAX> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of {MIN} to {MAX} characters")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.fits(text).map(|()| Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.fits(text).map(|()| Cow::Owned(text.to_owned()))
    }
}

/// A list of so many entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MIN: usize, const MAX: usize>(pub Vec<T>);

inline_schema!([T: JsonSchema, const MIN: usize, const MAX: usize] List<T, MIN, MAX>, |generator| json_schema!({
    "type": "array", "items": generator.subschema_for::<T>(), "minItems": MIN, "maxItems": MAX
}));

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de> for List<T, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_seq(ListVisitor::<T, MIN, MAX>(PhantomData))
            .map(Self)
    }
}

struct ListVisitor<T, const MIN: usize, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Visitor<'de> for ListVisitor<T, MIN, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {MIN} to {MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = seq.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(entry);
        }
        if list.len() < MIN {
            Err(A::Error::invalid_length(list.len(), &self))
        } else {
            Ok(list)
        }
    }
}

/// An object whose keys the sender chooses, with so many of them at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent, bound = "K: Ord + Serialize, V: Serialize")]
pub struct Table<K, V, const MAX: usize>(pub BTreeMap<K, V>);

inline_schema!([K: JsonSchema, V: JsonSchema, const MAX: usize] Table<K, V, MAX>, |generator| json_schema!({
    "type": "object", "propertyNames": generator.subschema_for::<K>(),
    "additionalProperties": generator.subschema_for::<V>(), "maxProperties": MAX
}));

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, const MAX: usize> Deserialize<'de>
    for Table<K, V, MAX>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(TableVisitor::<K, V, MAX>(PhantomData))
            .map(Self)
    }
}

struct TableVisitor<K, V, const MAX: usize>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, const MAX: usize> Visitor<'de>
    for TableVisitor<K, V, MAX>
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MAX} entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut table = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            if table.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            table.insert(key, value);
        }
        Ok(table)
    }
}

/// A structure that is written as an object. Derived readers take a list of its fields as well, which no
/// schema allows and which would let a message mean what it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Object<T>(pub T);

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
