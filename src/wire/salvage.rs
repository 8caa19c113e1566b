//! What can still be learned of a message that is not to be carried out: which command it is and which ids it has, as far as its bytes
//! can be read.
//!
//! It is for messages that were refused, so it takes what no parser takes: text that breaks off, that is too deep or
//! that has keys twice. It must never give back anything but ids and words of our own vocabulary.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use uuid::Uuid;

use super::{envelope::event_id, fields::uuid};
use crate::domain::words::CommandKind;

/// A command lies in an event, and an event in a list at the most.
const MAX_DEPTH: u8 = 3;

/// What can still be read of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Which command it is. Of several, one that opens a request: nobody may overlook it.
    pub kind: Option<CommandKind>,
    /// The idempotency key.
    pub command_id: Option<Uuid>,
    /// The request that it names.
    pub request_id: Option<Uuid>,
}

/// Reads what can be read of the bytes of a message.
pub fn salvage(bytes: &[u8]) -> Salvaged {
    let mut salvaged = Salvaged::default();
    salvaged.look(bytes, 0);
    salvaged
}

impl Salvaged {
    fn look(&mut self, bytes: &[u8], depth: u8) {
        // An editor's byte order mark says nothing.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let look = Look {
            salvaged: self,
            depth,
        };
        // Where the text ends that can be read, what was seen so far counts.
        look.deserialize(&mut serde_json::Deserializer::from_slice(bytes))
            .unwrap_or_default();
    }

    fn take_kind(&mut self, text: &str) {
        // A misspelt one is refused, and asks for the same.
        let found = CommandKind::parse(&text.trim().to_ascii_lowercase());
        if found.is_some() && !self.kind.is_some_and(CommandKind::opens) {
            self.kind = found;
        }
    }
}

/// Looks at one value.
struct Look<'s> {
    salvaged: &'s mut Salvaged,
    depth: u8,
}

/// A text, or something that is none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Other(IgnoredAny),
}

impl Scalar {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(IgnoredAny) => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { salvaged, depth } = self;
        let (mut event, mut source, mut is_event) = (None, None, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "data" if depth < MAX_DEPTH => {
                    let depth = depth + 1;
                    map.next_value_seed(Look { salvaged, depth })?;
                }
                "type" | "command_id" | "request_id" | "id" | "source" | "data_base64" => {
                    let Some(text) = map.next_value::<Scalar>()?.text() else {
                        continue;
                    };
                    match key.as_str() {
                        "type" => salvaged.take_kind(&text),
                        "command_id" => salvaged.command_id = salvaged.command_id.or(uuid(&text)),
                        "request_id" => salvaged.request_id = salvaged.request_id.or(uuid(&text)),
                        "id" => event = Some(text),
                        "source" => source = Some(text),
                        _ if depth < MAX_DEPTH => {
                            let data = BASE64_STANDARD.decode(text).unwrap_or_default();
                            salvaged.look(&data, depth + 1);
                        }
                        _ => {}
                    }
                }
                other => {
                    is_event |= other == "specversion";
                    let IgnoredAny = map.next_value()?;
                }
            }
        }
        // The id of an event serves where its command has none.
        if is_event && salvaged.command_id.is_none() {
            salvaged.command_id = event.and_then(|id| event_id(&id, source.as_deref()));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { salvaged, depth } = self;
        if depth < MAX_DEPTH {
            let depth = depth + 1;
            while seq.next_element_seed(Look { salvaged, depth })?.is_some() {}
        } else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::words::CommandKind::{Cancel, Erase};

    const ID: &str = "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d";

    fn kind(text: &str) -> Option<CommandKind> {
        salvage(text.as_bytes()).kind
    }

    #[test]
    fn a_refused_erasure_is_seen_for_what_it_is() {
        let cases = [
            (r#"{"type":"erase"}"#, Some(Erase)),
            (r#"{"tenant":"a b","type":" Erase ","x":"#, Some(Erase)),
            ("\u{feff}{\"type\":\"erase\"}", Some(Erase)),
            (r#"{"type":"cancel","type":"erase"}"#, Some(Erase)),
            (r#"{"type":"erase","type":"cancel"}"#, Some(Erase)),
            (r#"{"type":"cancel"}"#, Some(Cancel)),
            (r#"[{"type":"cancel"},{"type":"erase"}"#, Some(Erase)),
            (
                r#"{"type":"dev.lacuna.command.v1","data":{"type":"erase"}}"#,
                Some(Erase),
            ),
            (r#"{"data_base64":"eyJ0eXBlIjoiZXJhc2UifQ=="}"#, Some(Erase)),
            (r#"{"subject":{"identities":[{"type":"erase"}]}}"#, None),
            (r#"{"type":{"type":"erase"}}"#, None),
            (r#"{"type":"ann@example.org"}"#, None),
            (r#"{"type":7}"#, None),
            ("erase", None),
            ("\"erase\"", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(kind(text), expected, "{text}");
        }
        let deep = format!(
            r#"{{"type":"erase","x":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(kind(&deep), Some(Erase));
        assert_eq!(kind(&"[".repeat(100_000)), None);
        let not_utf8 = [br#"{"type":"erase","x":""#.as_slice(), b"\xff\"}"].concat();
        assert_eq!(salvage(&not_utf8).kind, Some(Erase));
    }

    #[test]
    fn its_ids_are_found() {
        let id = Uuid::try_parse(ID).ok();
        let upper = ID.to_uppercase();
        for text in [
            format!(r#"{{"command_id":"{ID}","request_id":7,"subject":"#),
            format!(r#"{{"specversion":"1.0","id":"{upper}","data":{{}}}}"#),
            format!(r#"{{"id":"x","source":"y","data":{{"command_id":"{ID}"}}}}"#),
        ] {
            let found = salvage(text.as_bytes());
            assert_eq!((found.command_id, found.request_id), (id, None), "{text}");
        }
        assert_eq!(
            salvage(format!(r#"{{"request_id":"{ID}"}}"#).as_bytes()).request_id,
            id
        );
    }
}
