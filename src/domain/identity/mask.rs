//! Free text that others have written, without the identifiers that stand in it.
//!
//! A processor's message and an operator's reason are free text, and somebody always writes an address into one. Where the
//! identifiers of the subject can be read, each of their spellings is masked and nothing else; where they cannot, whatever looks
//! like an e-mail address or a phone number is. In doubt more is masked than has to be: the text is for people, and proves nothing.

mod address;
mod number;
#[cfg(test)]
mod tests;

use std::ops::Range;

use self::{
    address::addresses,
    number::{Number, numbers},
};
use super::{Identity, email};

/// What stands in place of what looks like an address, or like a number.
const EMAIL: &str = "email";
const PHONE: &str = "phone";

/// From so many characters on, an identifier is found within a word too; a shorter one would take other words apart.
const LONG: usize = 6;

/// What is masked.
#[derive(Debug)]
pub struct Mask(Kind);

#[derive(Debug)]
enum Kind {
    /// The spellings of these.
    Known(Vec<Known>),
    /// Whatever looks like one.
    Alike,
}

/// An identifier that is looked for.
struct Known {
    label: String,
    value: String,
    email: Option<(String, String)>,
    phone: Option<Number>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Mask {
    /// Masks these identifiers.
    pub fn of(identities: &[Identity]) -> Self {
        Self(Kind::Known(identities.iter().map(Known::of).collect()))
    }

    /// Masks what looks like an identifier, because nobody can say any more which ones they were.
    pub const fn of_forgotten() -> Self {
        Self(Kind::Alike)
    }

    /// The text without them.
    pub fn text(&self, text: &str) -> String {
        let mut spans: Vec<(Range<usize>, &str)> = Vec::new();
        match &self.0 {
            Kind::Known(known) => {
                for one in known {
                    let found = one.in_text(text);
                    spans.extend(found.into_iter().map(|span| (span, one.label.as_str())));
                }
            }
            Kind::Alike => {
                spans.extend(alike(text, |span| !is_in_uuid(text, span)));
            }
        }
        replaced(text, spans)
    }

    /// The name that somebody gave a piece of work, such as `job-202611300042`, without them. It is a proof, and digits are what such
    /// names are made of: where nobody knows any more what to look for, only a number with a plus before it is taken for a phone number.
    pub fn reference(&self, text: &str) -> String {
        match self.0 {
            Kind::Known(_) => self.text(text),
            Kind::Alike => {
                let has_plus = |span: &Range<usize>| text[span.clone()].starts_with(['+', '\u{ff0b}']);
                replaced(text, alike(text, has_plus))
            }
        }
    }
}

/// Where something looks like an address, or like a number that is meant.
fn alike(text: &str, is_meant: impl Fn(&Range<usize>) -> bool) -> Vec<(Range<usize>, &'static str)> {
    let addresses = addresses(text).map(|address| (address.whole(), EMAIL));
    let runs = numbers(text).into_iter();
    let numbers = runs.filter_map(|run| run.alike()).filter(is_meant);
    addresses.chain(numbers.map(|span| (span, PHONE))).collect()
}

/// Whether digits are a part of a UUID, which is nobody's phone number.
fn is_in_uuid(text: &str, span: &Range<usize>) -> bool {
    const LENGTH: usize = 36;
    let first = span.end.saturating_sub(LENGTH);
    (first..=span.start).any(|start| {
        let there = text.get(start..start + LENGTH);
        there.is_some_and(|there| uuid::Uuid::try_parse(there).is_ok())
    })
}

/// The text with these spans masked; of two that overlap, the earlier one says what it was.
fn replaced(text: &str, mut spans: Vec<(Range<usize>, &str)>) -> String {
    spans.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for (span, label) in spans {
        if span.start >= at {
            shown.push_str(&text[at..span.start]);
            shown.push('[');
            shown.push_str(label);
            shown.push(']');
        }
        at = at.max(span.end);
    }
    shown.push_str(&text[at..]);
    shown
}

impl Known {
    fn of(identity: &Identity) -> Self {
        let value = identity.value.expose().trim();
        let normal = identity.normalised();
        let kind = identity.kind.as_str();
        // Whatever its type is called, an address is written as addresses are.
        let email = match kind {
            EMAIL => {
                email::halves(normal.expose()).map(|(name, domain)| (name.to_owned(), domain.to_owned()))
            }
            _ => {
                email::halves(&email::form(value)).map(|(name, domain)| (name.to_owned(), domain.to_owned()))
            }
        };
        let phone = (kind == PHONE).then(|| Number::of(normal.expose()));
        Self {
            label: kind.to_owned(),
            value: value.to_owned(),
            email,
            phone,
        }
    }

    fn in_text(&self, text: &str) -> Vec<Range<usize>> {
        // Another person's address may end as this one does.
        let has_edges = self.email.is_some() || self.phone.is_some();
        let mut found = occurrences(text, &self.value, has_edges);
        if let Some((name, domain)) = &self.email {
            found.extend(addresses(text).filter_map(|address| address.spelling_of(name, domain)));
        }
        if let Some(number) = &self.phone {
            found.extend(numbers(text).into_iter().flat_map(|run| run.spellings_of(number)));
        }
        found
    }
}

/// Where a value stands as it is, in upper or lower case: a short one, and one that has edges, only as a word.
fn occurrences(text: &str, value: &str, has_edges: bool) -> Vec<Range<usize>> {
    let is_long = !has_edges && value.chars().count() >= LONG;
    let fold = |text: &str| -> Vec<(usize, char)> {
        let lower = |(at, c): (usize, char)| c.to_lowercase().map(move |c| (at, c));
        text.char_indices().flat_map(lower).collect()
    };
    let (text_folded, wanted) = (fold(text), fold(value));
    if wanted.is_empty() {
        return Vec::new();
    }
    let is_word = |c: Option<&(usize, char)>| c.is_some_and(|(_, c)| c.is_alphanumeric());
    let mut found = Vec::new();
    for start in 0..text_folded.len() {
        let Some(there) = text_folded.get(start..start + wanted.len()) else {
            break;
        };
        if !there.iter().map(|(_, c)| c).eq(wanted.iter().map(|(_, c)| c)) {
            continue;
        }
        let before = start.checked_sub(1).and_then(|n| text_folded.get(n));
        let after = text_folded.get(start + wanted.len());
        if is_long || !is_word(before) && !is_word(after) {
            found.push(there[0].0..after.map_or(text.len(), |(at, _)| *at));
        }
    }
    found
}
