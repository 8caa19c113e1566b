//! The headers that say what a message is, as they are kept with one that was refused: sent again without them, a command
//! that has its id there would be another command, or none.

use std::fmt;

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
        Self::choose(headers, |name| {
            NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// The same of an event of a source: its attributes, and what its source reads of its headers.
    pub fn of_event<'a>(
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        source_reads: impl Fn(&str) -> bool,
    ) -> Self {
        Self::choose(headers, |name| {
            NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
                || name
                    .get(..3)
                    .is_some_and(|start| start.eq_ignore_ascii_case("ce_"))
                || source_reads(name)
        })
    }

    fn choose<'a>(
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        is_read: impl Fn(&str) -> bool,
    ) -> Self {
        let read: Vec<(&str, &str)> = headers
            .into_iter()
            .filter(|(name, _)| is_read(name))
            .filter_map(|(name, value)| Some((name, std::str::from_utf8(value?).ok()?)))
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
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        found.map(|(_, value)| value)
    }

    /// Whether they were too large to be kept: then nothing of the message is, because without them it is another one.
    pub fn are_too_large(&self) -> bool {
        self.too_large
    }

    /// Reads what was opened: names and values, in the order in which they came.
    pub fn read(bytes: &[u8]) -> Result<Vec<(String, String)>, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

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
            KeptHeaders::read(kept.bytes().unwrap()).unwrap(),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(!format!("{kept:?}").contains("json"));
    }

    #[test]
    fn nothing_is_nothing_and_much_is_kept_whole() {
        assert_eq!(KeptHeaders::of([("x", Some(&b"y"[..]))]).bytes(), None);
        let long = vec![b'a'; 100_000];
        let kept = KeptHeaders::of([("ce_id", Some(&b"7"[..])), ("ce_source", Some(long.as_slice()))]);
        assert_eq!(
            KeptHeaders::read(kept.bytes().unwrap()).unwrap()[1].1.len(),
            long.len()
        );
        assert!(!kept.are_too_large());
        let longer = vec![b'a'; MAX_KEPT];
        let kept = KeptHeaders::of([("ce_id", Some(&b"7"[..])), ("ce_source", Some(longer.as_slice()))]);
        assert!(kept.is_empty() && kept.are_too_large());
    }
}
