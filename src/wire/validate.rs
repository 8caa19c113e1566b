//! The checks of raw bytes before anything is built from them: size, UTF-8, JSON, depth, and what the contract
//! calls `schema` at the level of bytes (a byte order mark, a key twice, an escaped NUL).
//!
//! One pass without recursion. It must never stop at the first thing it dislikes: a message that is both too
//! deep and cut off is `not_json`, because the contract looks at the syntax first.

use std::borrow::Cow;

use super::{
    rejection::Rejection,
    scanner::{Cursor, Malformed, Quoted},
};
use crate::domain::words::DeadLetterReason;

/// The largest message that is read, as the contract says.
pub const MAX_BYTES: usize = 1 << 20;

/// The deepest nesting that is read, as the contract says; the outermost object is level 1.
pub const MAX_DEPTH: usize = 32;

/// Up to so many keys of an object are compared in pairs, which is faster than sorting them; beyond it a
/// hostile object would make pairs quadratic.
const PAIRWISE_KEYS: usize = 24;

/// Text that passed every check here: a JSON document that is safe to walk recursively.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a>(&'a str);

impl<'a> Checked<'a> {
    /// The document.
    pub fn text(self) -> &'a str {
        self.0
    }
}

/// Checks the bytes of a message, or of a part of one.
pub fn check(bytes: &[u8]) -> Result<Checked<'_>, Rejection> {
    if bytes.len() > MAX_BYTES {
        return Err(Rejection::new(
            DeadLetterReason::TooLarge,
            "expected at most 1048576 bytes",
        ));
    }
    if bytes.is_empty() {
        return Err(Rejection::schema(
            "expected a message, found an empty value or a tombstone",
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Rejection::new(DeadLetterReason::NotUtf8, "expected UTF-8"))?;
    let unmarked = text.strip_prefix('\u{feff}');
    let mut scan = Scan::new(unmarked.unwrap_or(text));
    scan.document()
        .map_err(|Malformed| Rejection::new(DeadLetterReason::NotJson, "expected JSON"))?;
    if scan.deepest > MAX_DEPTH {
        return Err(Rejection::new(
            DeadLetterReason::TooLarge,
            "expected at most 32 levels of nesting",
        ));
    }
    match scan.finding {
        _ if unmarked.is_some() => Err(Rejection::schema("expected no byte order mark")),
        Some(finding) => Err(Rejection::schema(finding)),
        None => Ok(Checked(text)),
    }
}

/// The value of a string. An escape is resolved by serde_json, so that there is one reading of it everywhere.
pub(super) fn value_of(quoted: Quoted<'_>) -> Cow<'_, str> {
    if quoted.escaped
        && let Ok(value) = serde_json::from_str::<String>(quoted.text)
    {
        return Cow::Owned(value);
    }
    // Without an escape, the text between the quotes is the value.
    Cow::Borrowed(quoted.text.get(1..quoted.text.len() - 1).unwrap_or_default())
}

/// Which containers are open: one bit each (set: an object), sixty-four at hand and older ones spilled.
#[derive(Debug, Default)]
struct Nesting {
    bits: u64,
    depth: usize,
    spilled: Vec<u64>,
}

impl Nesting {
    fn open(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.spilled.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.bits = if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.spilled.pop().unwrap_or_default()
        } else {
            self.bits >> 1
        };
    }

    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

/// The walk over a document.
struct Scan<'a> {
    cursor: Cursor<'a>,
    nesting: Nesting,
    deepest: usize,
    /// The keys of all open objects, outer ones first.
    keys: Vec<Quoted<'a>>,
    /// Where the keys of each level begin. Levels that are too deep keep none.
    starts: [usize; MAX_DEPTH],
    /// The first thing that is JSON but not ours.
    finding: Option<&'static str>,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            cursor: Cursor::new(text),
            nesting: Nesting::default(),
            deepest: 0,
            keys: Vec::with_capacity(32),
            starts: [0; MAX_DEPTH],
            finding: None,
        }
    }

    fn document(&mut self) -> Result<(), Malformed> {
        loop {
            // A value is next. One that opens a container goes on with the first value inside it.
            match self.cursor.peek_token().ok_or(Malformed)? {
                b'{' => {
                    self.open(true);
                    if self.cursor.peek_token() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.open(false);
                    if self.cursor.peek_token() != Some(b']') {
                        continue;
                    }
                }
                b'"' => {
                    let quoted = self.cursor.string()?;
                    self.look_for_nul(quoted);
                }
                first => {
                    self.cursor.scalar(first)?;
                }
            }
            if self.after_value()? {
                return Ok(());
            }
        }
    }

    /// Closes what ends here; true: the document is over, false: another value is next.
    fn after_value(&mut self) -> Result<bool, Malformed> {
        loop {
            let next = self.cursor.peek_token();
            if self.nesting.depth == 0 {
                return if next.is_none() { Ok(true) } else { Err(Malformed) };
            }
            match (next.ok_or(Malformed)?, self.nesting.in_object()) {
                (b',', true) => {
                    self.cursor.advance();
                    self.key()?;
                    return Ok(false);
                }
                (b',', false) => {
                    self.cursor.advance();
                    return Ok(false);
                }
                (b'}', true) => {
                    self.look_for_duplicates();
                    self.cursor.advance();
                    self.nesting.close();
                }
                (b']', false) => {
                    self.cursor.advance();
                    self.nesting.close();
                }
                _ => return Err(Malformed),
            }
        }
    }

    fn open(&mut self, object: bool) {
        self.cursor.advance();
        if let Some(start) = self.starts.get_mut(self.nesting.depth) {
            *start = self.keys.len();
        }
        self.nesting.open(object);
        self.deepest = self.deepest.max(self.nesting.depth);
    }

    fn key(&mut self) -> Result<(), Malformed> {
        if self.cursor.peek_token() != Some(b'"') {
            return Err(Malformed);
        }
        let key = self.cursor.string()?;
        self.look_for_nul(key);
        if self.nesting.depth <= MAX_DEPTH {
            self.keys.push(key);
        }
        self.cursor.expect(b':')
    }

    fn look_for_nul(&mut self, quoted: Quoted<'_>) {
        if quoted.nul {
            self.finding.get_or_insert("expected no escaped NUL in a string");
        }
    }

    /// Compares the keys of the object that ends here.
    fn look_for_duplicates(&mut self) {
        let Some(start) = self.starts.get(self.nesting.depth - 1).copied() else {
            return;
        };
        let keys = self.keys.get_mut(start..).unwrap_or_default();
        if has_duplicates(keys) {
            self.finding.get_or_insert("expected each key of an object once");
        }
        self.keys.truncate(start);
    }
}

fn has_duplicates(keys: &mut [Quoted<'_>]) -> bool {
    if keys.iter().any(|key| key.escaped) {
        // The same key can be spelled with and without an escape.
        let mut values: Vec<_> = keys.iter().map(|key| value_of(*key)).collect();
        values.sort_unstable();
        values.windows(2).any(|pair| pair[0] == pair[1])
    } else if keys.len() <= PAIRWISE_KEYS {
        keys.iter()
            .enumerate()
            .any(|(n, key)| keys[..n].iter().any(|earlier| earlier.text == key.text))
    } else {
        keys.sort_unstable_by_key(|key| key.text);
        keys.windows(2).any(|pair| pair[0].text == pair[1].text)
    }
}
