//! What becomes of a value that is anonymized.

use ring::hmac;

use super::catalogue::{Column, Kind};
use crate::config::{Anonymized, Generalized};

/// A value that cannot become what it is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotSo(pub(super) &'static str);

/// The hexadecimal digits of a digest that are made of the value. The rest of 64 is made of those, with another key: by it the agent knows
/// that it has made a digest itself. Whoever has no key cannot write a value that looks like one.
const OF_VALUE: usize = 48;
/// The hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// What makes keyed digests.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    key: hmac::Key,
    mark: hmac::Key,
}

impl Digests {
    pub(super) fn new(key: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let mark = hmac::sign(&key, b"lacuna agent: the mark of its digests");
        Self {
            mark: hmac::Key::new(hmac::HMAC_SHA256, mark.as_ref()),
            key,
        }
    }

    fn digest(&self, value: &str) -> String {
        let mut digits = hex::encode(hmac::sign(&self.key, value.as_bytes()));
        digits.truncate(OF_VALUE);
        let mark = self.mark_of(&digits);
        digits + &mark
    }

    fn mark_of(&self, digits: &str) -> String {
        let mut mark = hex::encode(hmac::sign(&self.mark, digits.as_bytes()));
        mark.truncate(DIGITS - OF_VALUE);
        mark
    }

    /// Whether a value is a digest that was made with this key.
    fn made(&self, value: &str) -> bool {
        let parts = value.split_at_checked(OF_VALUE);
        value.len() == DIGITS && parts.is_some_and(|(digits, mark)| mark == self.mark_of(digits))
    }
}

/// What a value becomes; `None`: NULL. What has become so already stays.
pub(super) fn anonymized(
    column: &Column,
    to: &Anonymized,
    value: Option<&str>,
    digests: Option<&Digests>,
) -> Result<Option<String>, NotSo> {
    let value = match to {
        Anonymized::Null => return Ok(None),
        Anonymized::Replace(text) => return Ok(Some(text.clone())),
        Anonymized::Hmac | Anonymized::Generalize(_) => match value {
            Some(value) => value,
            None => return Ok(None),
        },
    };
    match to {
        Anonymized::Hmac => {
            let digests = digests.ok_or(NotSo("cannot be made a digest: there is no key"))?;
            Ok(Some(if digests.made(value) {
                value.to_owned()
            } else {
                digests.digest(value)
            }))
        }
        Anonymized::Generalize(Generalized::Year) => year(value).map(Some),
        Anonymized::Generalize(Generalized::Prefix(letters)) => {
            Ok(Some(value.chars().take(*letters as usize).collect()))
        }
        Anonymized::Generalize(Generalized::Band(size)) if matches!(column.kind, Kind::Int(..)) => {
            let number: i64 = value.parse().map_err(|_| NotSo("is no whole number"))?;
            let size = i64::from(*size);
            Ok(Some((number.div_euclid(size) * size).to_string()))
        }
        _ => Err(NotSo("cannot be made less exact in this way")),
    }
}

/// The first of January of the year, at midnight where there is a time.
fn year(value: &str) -> Result<String, NotSo> {
    const NO_DATE: NotSo = NotSo("is no date");
    let bytes = value.as_bytes();
    let is_digit = |n: usize| bytes.get(n).is_some_and(u8::is_ascii_digit);
    let is_date = bytes.len() >= 10
        && [0, 1, 2, 3, 5, 6, 8, 9].into_iter().all(is_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-';
    if !is_date || value.ends_with("BC") {
        return Err(NO_DATE);
    }
    let year = value.get(..4).ok_or(NO_DATE)?;
    let rest = value.get(10..).ok_or(NO_DATE)?;
    // What follows a date is a time and perhaps a zone: midnight, in the same zone.
    let mut is_zone = false;
    let midnight: String = rest
        .chars()
        .map(|letter| {
            is_zone |= matches!(letter, '+' | '-');
            if letter.is_ascii_digit() && !is_zone {
                '0'
            } else {
                letter
            }
        })
        .collect();
    Ok(format!("{year}-01-01{midnight}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind) -> Column {
        Column {
            name: "c".to_owned(),
            type_name: "text".to_owned(),
            kind,
            nullable: true,
            length: None,
            indexed: false,
            is_lax: false,
        }
    }

    fn become_of(to: &Anonymized, kind: Kind, value: &str) -> Result<Option<String>, NotSo> {
        anonymized(&column(kind), to, Some(value), Some(&Digests::new(&[7; 32])))
    }

    #[test]
    fn values_become_less_exact_and_stay_so() {
        let int = Kind::Int(0, 1000);
        for (to, kind, value, expected) in [
            (Generalized::Year, Kind::Date, "1980-05-17", "1980-01-01"),
            (
                Generalized::Year,
                Kind::Date,
                "1980-05-17 23:59:01.5+02",
                "1980-01-01 00:00:00.0+02",
            ),
            (Generalized::Prefix(3), Kind::Text, "10115", "101"),
            (Generalized::Prefix(2), Kind::Text, "äöü", "äö"),
            (Generalized::Band(10), int, "37", "30"),
        ] {
            let to = Anonymized::Generalize(to);
            assert_eq!(become_of(&to, kind, value), Ok(Some(expected.to_owned())));
            assert_eq!(
                become_of(&to, kind, expected),
                Ok(Some(expected.to_owned())),
                "once more"
            );
        }
    }

    #[test]
    fn digest_needs_the_key_and_is_made_once() {
        let digest = become_of(&Anonymized::Hmac, Kind::Text, "+4930")
            .unwrap()
            .unwrap();
        assert_eq!(digest.len(), 64);
        assert!(!digest.contains("4930"));
        assert_eq!(
            become_of(&Anonymized::Hmac, Kind::Text, &digest),
            Ok(Some(digest))
        );
        let other = Digests::new(&[8; 32]);
        let of_other = anonymized(
            &column(Kind::Text),
            &Anonymized::Hmac,
            Some("+4930"),
            Some(&other),
        );
        assert_ne!(of_other, become_of(&Anonymized::Hmac, Kind::Text, "+4930"));
        assert!(anonymized(&column(Kind::Text), &Anonymized::Hmac, Some("x"), None).is_err());
    }

    #[test]
    fn value_that_looks_like_a_digest_becomes_one() {
        for value in ["ab".repeat(32), "0".repeat(64), "ä".repeat(32)] {
            let digest = become_of(&Anonymized::Hmac, Kind::Text, &value).unwrap().unwrap();
            assert_ne!(digest, value);
            assert_eq!(
                become_of(&Anonymized::Hmac, Kind::Text, &digest),
                Ok(Some(digest))
            );
        }
    }

    #[test]
    fn what_is_no_date_is_not_taken_for_one() {
        let year = Anonymized::Generalize(Generalized::Year);
        for value in ["17.05.1980", "1980", "0044-03-15 BC", "", "äääää-ö-ü"] {
            assert!(become_of(&year, Kind::Text, value).is_err(), "{value}");
        }
    }
}
