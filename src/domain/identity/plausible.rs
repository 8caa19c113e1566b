//! Values that stand for nobody. A placeholder that many rows share would join strangers: whoever holds rows under `nan` or
//! under a zeroed advertising id would erase all of those people for one of them.
//!
//! Of a type whose values can be anything only whole values are refused, never a part of one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Identity, email, normal,
    text::{digit, is_invisible, narrow, trimmed},
};
use crate::domain::ids::IdentityType;

/// Why a value is no identifier. Without the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Implausible {
    /// It shows nothing.
    #[error("expected an identifier; it is blank")]
    Blank,
    /// It is a word for nothing, as databases, spreadsheets and programs write an empty cell.
    #[error("expected an identifier; it is a word for nothing, such as NULL")]
    Nothing,
    /// It is what everybody has who has none, such as the nil UUID.
    #[error("expected an identifier; it is a nil or zeroed one, which many share")]
    Zeroed,
    /// It is one of those that the configuration names.
    #[error("expected an identifier; it is a placeholder of policy.placeholder_identities")]
    Placeholder,
    /// It is a long number as spreadsheets round it.
    #[error("expected an identifier; it is a number that a spreadsheet has rounded, such as 1.23457E+15")]
    Rounded,
    /// It has a control character, such as a line break.
    #[error("expected an identifier without control characters")]
    Control,
    /// It is no e-mail address.
    #[error("expected an e-mail address, with one @ and without blanks")]
    Email,
    /// It is no phone number.
    #[error("expected a phone number; it has no digit")]
    Phone,
}

/// How databases, spreadsheets, programs and people write that there is nothing, without brackets and quotes around it.
const NOTHING: [&str; 45] = [
    "null",
    "nil",
    "none",
    "nan",
    "-nan",
    "+nan",
    "nat",
    "na",
    "n/a",
    "n.a.",
    "n.a",
    "n\\a",
    "#na",
    "#n/a",
    "#n/a n/a",
    "#null!",
    "#value!",
    "#ref!",
    "#name?",
    "#num!",
    "#div/0!",
    "\\n",
    "1.#ind",
    "-1.#ind",
    "1.#qnan",
    "-1.#qnan",
    "undefined",
    "unknown",
    "not given",
    "not available",
    "not applicable",
    "not provided",
    "not specified",
    "not set",
    "no value",
    "no data",
    "missing",
    "empty",
    "blank",
    "void",
    "object object",
    "unbekannt",
    "k.a.",
    "n.v.",
    "inconnu",
];

/// From so many zeros on a value is no number of somebody, but a hardware address, a serial number or an advertising id
/// without one.
const ZEROS: usize = 12;

/// Refuses what stands for nobody.
pub fn check(kind: &IdentityType, value: &str) -> Result<(), Implausible> {
    let shown = trimmed(value);
    if shown.is_empty() {
        return Err(Implausible::Blank);
    }
    if value.contains(char::is_control) {
        return Err(Implausible::Control);
    }
    // Longer than any of them, and nearly always nothing to compare.
    if shown.len() <= 256 {
        let folded: String = shown
            .chars()
            .filter(|c| !is_invisible(*c))
            .flat_map(|c| digit(c).unwrap_or_else(|| narrow(c)).to_lowercase())
            .collect();
        if is_nothing(&folded) {
            return Err(Implausible::Nothing);
        }
        if is_zeroed(&folded, kind.as_str() == "phone") {
            return Err(Implausible::Zeroed);
        }
        if is_rounded(&folded) {
            return Err(Implausible::Rounded);
        }
    }
    match kind.as_str() {
        "email" if !is_email(shown) => Err(Implausible::Email),
        "phone" if !shown.chars().any(|c| digit(c).is_some()) => Err(Implausible::Phone),
        _ => Ok(()),
    }
}

/// A word for nothing, in any brackets or quotes; or nothing but signs.
fn is_nothing(folded: &str) -> bool {
    let bare = folded.trim_matches(|c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '(' | ')' | '[' | ']' | '<' | '>' | '{' | '}' | '"' | '\'' | '`'
            )
    });
    bare.is_empty()
        || NOTHING.contains(&bare)
        || bare
            .chars()
            .all(|c| matches!(c, '-' | '–' | '—' | '_' | '.' | '?' | '/' | '*'))
}

/// Nothing but zeros, with whatever between them: the nil UUID, and the advertising id of everybody who has switched
/// tracking off. The UUID of nothing but `f` is the other one that is nobody's.
fn is_zeroed(folded: &str, is_phone: bool) -> bool {
    let bare = folded.strip_prefix("urn:uuid:").unwrap_or(folded);
    let bare = bare.strip_prefix("0x").unwrap_or(bare);
    let is_between =
        |c: char| c.is_whitespace() || matches!(c, '-' | ':' | '.' | '_' | '/' | '{' | '}' | '(' | ')' | '+');
    let count = |of: char| {
        let mut count = 0;
        for c in bare.chars().filter(|c| !is_between(*c)) {
            if c != of {
                return 0;
            }
            count += 1;
        }
        count
    };
    let zeros = count('0');
    zeros >= ZEROS || (is_phone && zeros > 0) || matches!(count('f'), 12 | 32)
}

/// One digit, a fraction and an exponent with its sign: identifiers of letters and digits have no sign in them.
fn is_rounded(folded: &str) -> bool {
    let number = folded.strip_prefix(['-', '+']).unwrap_or(folded);
    let Some((mantissa, exponent)) = number.split_once('e') else {
        return false;
    };
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    whole.len() == 1
        && are_digits(whole)
        && fraction.is_none_or(are_digits)
        && exponent
            .strip_prefix(['+', '-'])
            .is_some_and(|power| power.len() >= 2 && are_digits(power))
}

/// One sign with something on both sides, and no blank. A name in quotes may have both.
fn is_email(shown: &str) -> bool {
    let Some((name, domain)) = email::halves(shown) else {
        return false;
    };
    let is_quoted = name.len() > 2 && name.starts_with('"') && name.ends_with('"');
    let is_plain = |part: &str| !part.contains(|c: char| c.is_whitespace() || email::is_sign(c));
    !name.is_empty() && !domain.is_empty() && is_plain(domain) && (is_quoted || is_plain(name))
}

/// As look-ups compare it, without regard to case.
fn loose_form(kind: &str, value: &str) -> String {
    normal::form(kind, trimmed(value)).to_lowercase()
}

/// Values that are nobody's in this house, whatever their type: those of test accounts and of forms that have to be filled
/// in. Each is known by the forms that it has as an e-mail address, as a phone number and as anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placeholders {
    emails: BTreeSet<String>,
    phones: BTreeSet<String>,
    others: BTreeSet<String>,
}

impl Placeholders {
    /// Takes those of the configuration.
    pub fn new(values: &[String]) -> Self {
        let forms = |kind: &str| values.iter().map(|value| loose_form(kind, value)).collect();
        Self {
            emails: forms("email"),
            phones: forms("phone"),
            others: forms(""),
        }
    }

    /// Refuses an identifier that is one of them in any spelling of its type, whatever its case.
    pub fn check(&self, identity: &Identity) -> Result<(), Implausible> {
        if self.others.is_empty() {
            return Ok(());
        }
        let kind = identity.kind.as_str();
        let known = match kind {
            "email" => &self.emails,
            "phone" => &self.phones,
            _ => &self.others,
        };
        if known.contains(&loose_form(kind, identity.value.expose())) {
            return Err(Implausible::Placeholder);
        }
        Ok(())
    }

    /// The first of these identifiers that is one of them, by its place.
    pub fn first_of(&self, identities: &[Identity]) -> Option<(usize, Implausible)> {
        let fault = |(place, identity)| Some((place, self.check(identity).err()?));
        identities.iter().enumerate().find_map(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: &str, value: &str) -> Option<Implausible> {
        Identity::taken(IdentityType::new(kind).unwrap(), value).err()
    }

    #[test]
    fn words_for_nothing_are_no_identifiers_of_any_type() {
        let words = [
            "NaN",
            "nan",
            "#N/A",
            "<NA>",
            "(null)",
            "[NULL]",
            "NA",
            "-",
            "unknown",
            "null",
            "NULL",
            "none",
            "None",
            "n/a",
            "N/A",
            "undefined",
            "\\N",
            "Not Given",
            "[object Object]",
            "ＮＵＬＬ",
            "\u{feff}null",
            " null ",
            "''",
            "--",
            "...",
        ];
        for word in words {
            for kind in ["customer_id", "email", "phone", "device_id"] {
                assert_eq!(fault(kind, word), Some(Implausible::Nothing), "{kind} {word}");
            }
        }
        for blank in ["", " ", "\u{200b}", "\u{feff}", "\u{a0}\u{ad}"] {
            assert_eq!(fault("customer_id", blank), Some(Implausible::Blank), "{blank:?}");
        }
    }

    #[test]
    fn what_everybody_has_is_nobodys() {
        for value in [
            "00000000-0000-0000-0000-000000000000",
            "00000000000000000000000000000000",
            "{00000000-0000-0000-0000-000000000000}",
            "urn:uuid:00000000-0000-0000-0000-000000000000",
            "0000:0000_0000.0000 0000/0000 0000 0000",
            "00:00:00:00:00:00",
            "000000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        ] {
            assert_eq!(fault("device_id", value), Some(Implausible::Zeroed), "{value}");
        }
        assert_eq!(fault("phone", "000-000 0000"), Some(Implausible::Zeroed));
        for value in ["1.23457E+15", "1,23457e+15", "1E+15", "-1.5e-07", "９.１E+20"] {
            assert_eq!(fault("customer_id", value), Some(Implausible::Rounded), "{value}");
        }
    }

    #[test]
    fn an_address_has_one_at_and_no_blank() {
        for value in [
            "ann",
            "@example.org",
            "ann@",
            "ann@bob@example.org",
            "ann @example.org",
            "ann@exam\u{a0}ple.org",
            "ann＠bob@example.org",
            "\"ann@example.org",
        ] {
            let expected = (value != "\"ann@example.org").then_some(Implausible::Email);
            assert_eq!(fault("email", value), expected, "{value}");
        }
        for value in [
            "ann@example.org\n1002,bob@example.org",
            "ann@example.org\r",
            "a\0",
        ] {
            assert_eq!(fault("email", value), Some(Implausible::Control), "{value:?}");
        }
        for value in [
            " ann@example.org ",
            "\"a b@c\"@example.org",
            "jörg@bücher.example",
            "ann＠example.org",
        ] {
            assert_eq!(fault("email", value), None, "{value}");
        }
        assert_eq!(fault("phone", "call me"), Some(Implausible::Phone));
        assert_eq!(fault("phone", "٠٥٠١٢٣٤٥٦٧"), None);
    }

    #[test]
    fn what_only_holds_such_a_word_is_somebodys() {
        for value in [
            "nancy",
            "null-1",
            "unknown7",
            "0",
            "0000",
            "00000001",
            "1E10",
            "5e3",
            "12e+15",
            "a",
            "na1",
            "none@example.org",
            "F",
            "ffffffff",
            "10000000-0000-0000-0000-000000000000",
            "Nullmeier",
        ] {
            assert_eq!(fault("customer_id", value), None, "{value}");
        }
    }

    #[test]
    fn the_configuration_names_more_of_them() {
        let placeholders = Placeholders::new(&[
            "test@example.org".to_owned(),
            "0".to_owned(),
            "+49 30 0000001".to_owned(),
        ]);
        let check = |kind: &str, value: &str| {
            let identity = Identity::taken(IdentityType::new(kind).unwrap(), value).unwrap();
            placeholders.check(&identity).is_err()
        };
        assert!(
            check("email", " Test@Example.org.")
                && check("customer_id", "0")
                && check("phone", "0049300000001")
        );
        assert!(!check("email", "test1@example.org") && !check("customer_id", "00"));
    }
}
