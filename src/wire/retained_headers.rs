//! The headers that say what a message is, and its key, as they are kept with one that was refused: sent again without them, a
//! command that has its id there would be another command, or none.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

/// How much is kept of a message that was refused. The topic of dead letters takes it, sealed; what is larger is not kept,
/// because a few KB on the wire can be unpacked to any size. It lies where it came from as long as that topic keeps it.
pub const MAX_KEPT: usize = 4 << 20;

/// What is kept of a message's bytes until it is known whether it is refused: of one that is larger, enough to see what it
/// asks for, and that it is larger.
pub fn kept(payload: &[u8]) -> &[u8] {
    payload.get(..=MAX_KEPT).unwrap_or(payload)
}

/// The headers that are read, see [`super::envelope::open`].
const NAMES: [&str; 6] = [
    "ce_id",
    "ce_source",
    "ce_specversion",
    "ce_type",
    "content-type",
    "traceparent",
];

/// Stand among the headers, and cannot be the name of one that is read: the key of the record, as text or else in base64, and
/// that it had no value.
const KEY: &str = ":key";
const BINARY_KEY: &str = ":key-base64";
const NO_VALUE: &str = ":tombstone";

/// Some headers of a message, as bytes that can be sealed. Whoever sent it may have written anything into them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeptHeaders {
    bytes: Zeroizing<Vec<u8>>,
    too_large: bool,
}

/// Without what they say.
impl fmt::Debug for KeptHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptHeaders").finish_non_exhaustive()
    }
}

impl KeptHeaders {
    /// Keeps of a message's headers those that say what it is, all of them or none: half of them could make another command
    /// of it.
    pub fn of<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        Self::of_record(headers, None)
    }

    /// The same of a record, with its key.
    pub fn of_record<'a>(
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        key: Option<&'a [u8]>,
    ) -> Self {
        let is_read = |name: &str| NAMES.iter().any(|known| known.eq_ignore_ascii_case(name));
        Self::choose(headers, is_read, key.map(key_pair))
    }

    /// The same of an event of a source: its attributes, what its source reads of its headers, its key, and whether it has a
    /// value.
    pub fn of_event<'a>(
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        source_reads: impl Fn(&str) -> bool,
        key: Option<&'a [u8]>,
        has_value: bool,
    ) -> Self {
        let is_read = |name: &str| {
            NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
                || name
                    .get(..3)
                    .is_some_and(|start| start.eq_ignore_ascii_case("ce_"))
                || source_reads(name)
        };
        let no_value = (!has_value).then_some((NO_VALUE, Cow::Borrowed("")));
        Self::choose(headers, is_read, key.map(key_pair).into_iter().chain(no_value))
    }

    fn choose<'a>(
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        is_read: impl Fn(&str) -> bool,
        besides: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>,
    ) -> Self {
        let read: Vec<(&str, Cow<'_, str>)> = headers
            .into_iter()
            .filter(|(name, _)| is_read(name))
            .filter_map(|(name, value)| Some((name, Cow::Borrowed(std::str::from_utf8(value?).ok()?))))
            .chain(besides)
            .collect();
        if read.is_empty() {
            return Self::default();
        }
        let length: usize = read.iter().map(|(name, value)| name.len() + value.len()).sum();
        if length > MAX_KEPT {
            return Self {
                too_large: true,
                ..Self::default()
            };
        }
        // Pairs of texts can be written. Every message goes through here, nearly all of them for nothing: it has to be fast.
        Self {
            bytes: Zeroizing::new(postcard::to_allocvec(&read).unwrap_or_default()),
            too_large: false,
        }
    }

    /// The bytes that are sealed; `None`: there is nothing to keep.
    pub fn bytes(&self) -> Option<&[u8]> {
        (!self.is_empty()).then_some(self.bytes.as_slice())
    }

    /// How many bytes they take.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The `traceparent` among them.
    pub fn traceparent(&self) -> Option<String> {
        let read = Self::read(self.bytes()?).ok()?;
        let found = read
            .headers
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        found.map(|(_, value)| value)
    }

    /// Whether they were too large to be kept: then nothing of the message is, because without them it is another one.
    pub fn are_too_large(&self) -> bool {
        self.too_large
    }

    /// Reads what was opened.
    pub fn read(bytes: &[u8]) -> Result<ReadHeaders, Unreadable> {
        let pairs: Vec<(String, String)> = postcard::from_bytes(bytes).map_err(|_| Unreadable)?;
        let mut read = ReadHeaders::default();
        for (name, value) in pairs {
            match name.as_str() {
                KEY => read.key = Some(value.into_bytes()),
                BINARY_KEY => read.key = Some(BASE64_STANDARD.decode(value).map_err(|_| Unreadable)?),
                NO_VALUE => read.has_no_value = true,
                _ => read.headers.push((name, value)),
            }
        }
        Ok(read)
    }
}

fn key_pair(key: &[u8]) -> (&str, Cow<'_, str>) {
    match std::str::from_utf8(key) {
        Ok(text) => (KEY, Cow::Borrowed(text)),
        Err(_) => (BINARY_KEY, Cow::Owned(BASE64_STANDARD.encode(key))),
    }
}

/// What was kept of a message besides its bytes.
#[derive(Default, PartialEq, Eq)]
pub struct ReadHeaders {
    /// Names and values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The key of its record; `None` also where an earlier version has kept it.
    pub key: Option<Vec<u8>>,
    /// Whether it was a tombstone.
    pub has_no_value: bool,
}

/// Without what they say.
impl fmt::Debug for ReadHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHeaders")
            .field("has_no_value", &self.has_no_value)
            .finish_non_exhaustive()
    }
}

/// What was kept cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was kept of the headers cannot be read")]
pub struct Unreadable;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_what_a_message_is_is_kept_in_its_order() {
        let headers = [
            ("ce_id", Some(&b"7"[..])),
            ("x-secret", Some(b"no")),
            ("Content-Type", Some(b"application/json")),
            ("ce_source", Some(b"\xff")),
            ("traceparent", None),
        ];
        let kept = KeptHeaders::of(headers);
        let expected = [("ce_id", "7"), ("Content-Type", "application/json")];
        assert_eq!(
            KeptHeaders::read(kept.bytes().unwrap()).unwrap().headers,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(!format!("{kept:?}").contains("json"));
    }

    #[test]
    fn key_and_missing_value_are_kept_beside_headers() {
        for key in [&b"42"[..], b"\x00\x01\xff", b""] {
            let kept =
                KeptHeaders::of_event([("id", Some(&b"7"[..]))], |name| name == "id", Some(key), false);
            let read = KeptHeaders::read(kept.bytes().unwrap()).unwrap();
            assert_eq!((read.key.as_deref(), read.has_no_value), (Some(key), true));
            assert_eq!(read.headers, [("id".to_owned(), "7".to_owned())]);
        }
        let plain = KeptHeaders::of_record([("ce_id", Some(&b"7"[..]))], Some(b"k"));
        let read = KeptHeaders::read(plain.bytes().unwrap()).unwrap();
        assert_eq!((read.key.as_deref(), read.has_no_value), (Some(&b"k"[..]), false));
        assert_eq!(KeptHeaders::of_event([], |_| true, None, true).bytes(), None);
    }

    #[test]
    fn nothing_is_nothing_and_much_is_kept_whole() {
        assert_eq!(KeptHeaders::of([("x", Some(&b"y"[..]))]).bytes(), None);
        let long = vec![b'a'; 100_000];
        let kept = KeptHeaders::of([("ce_id", Some(&b"7"[..])), ("ce_source", Some(long.as_slice()))]);
        assert_eq!(
            KeptHeaders::read(kept.bytes().unwrap()).unwrap().headers[1]
                .1
                .len(),
            long.len()
        );
        assert!(!kept.are_too_large());
        let longer = vec![b'a'; MAX_KEPT];
        let kept = KeptHeaders::of([("ce_id", Some(&b"7"[..])), ("ce_source", Some(longer.as_slice()))]);
        assert!(kept.is_empty() && kept.are_too_large());
    }
}
