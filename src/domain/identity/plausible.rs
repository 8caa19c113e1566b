//! Values that stand for nobody. A placeholder that many rows share would join strangers: whoever holds rows under `nan` or
//! under a zeroed advertising id would erase all of those people for one of them.
//!
//! Of a type whose values can be anything only whole values are refused, never a part of one.

mod words;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Identity, email, normal,
    text::{digit, is_invisible, narrow, shows_nothing, trimmed},
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
    /// It is a number as spreadsheets and programs round it.
    #[error("expected an identifier; it is a number that a spreadsheet has rounded, such as 1.23457E+15")]
    Rounded,
    /// It is what a cell of a spreadsheet is reckoned by.
    #[error("expected an identifier; it is a formula of a spreadsheet, which begins with =")]
    Formula,
    /// It has a control character, such as a line break.
    #[error("expected an identifier without control characters")]
    Control,
    /// It is no e-mail address.
    #[error("expected an e-mail address, with one @ and without blanks")]
    Email,
    /// It is an e-mail address in something else.
    #[error("expected the e-mail address alone, without mailto:, a name, angle brackets or commas around it")]
    Wrapped,
    /// It is no phone number.
    #[error("expected a phone number; it has fewer than three digits")]
    Phone,
}

/// The fewest digits of a phone number: those of an extension within a house.
const PHONE_DIGITS: usize = 3;

/// Refuses what stands for nobody.
pub fn check(kind: &IdentityType, value: &str) -> Result<(), Implausible> {
    let shown = trimmed(value);
    if shown.chars().all(shows_nothing) {
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
        if words::is_nothing(&folded) {
            return Err(Implausible::Nothing);
        }
        if is_zeroed(&folded) {
            return Err(Implausible::Zeroed);
        }
        if is_rounded(&folded) {
            return Err(Implausible::Rounded);
        }
        // A mailbox may be called so.
        if folded.starts_with('=') && !folded.contains('@') {
            return Err(Implausible::Formula);
        }
    }
    match kind.as_str() {
        "email" => email_fault(shown).map_or(Ok(()), Err),
        "phone" if shown.chars().filter(|c| digit(*c).is_some()).count() < PHONE_DIGITS => {
            Err(Implausible::Phone)
        }
        _ => Ok(()),
    }
}

/// Nothing but zeros, with whatever between them: what nobody has been given, the nil UUID, and the advertising id of
/// everybody who has switched tracking off. The UUID of nothing but `f` is the other one that is nobody's.
fn is_zeroed(folded: &str) -> bool {
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
    count('0') > 0 || matches!(count('f'), 12 | 32)
}

/// A number with an exponent. A fraction or a plus tells it from an identifier of digits and letters; without either,
/// only what is too short to be a key of anything is taken for one, because keys in hexadecimal look like it.
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
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !are_digits(whole) || !fraction.is_none_or(are_digits) || !are_digits(power) || power.len() > 3 {
        return false;
    }
    match exponent.as_bytes().first() {
        _ if fraction.is_some() => true,
        Some(b'+') => true,
        // With more digits it may be two numbers with a letter between them.
        Some(b'-') => whole.len() == 1 && power.len() >= 2,
        _ => !whole.starts_with('0') && whole.len() <= 2 && power.len() <= 2,
    }
}

/// One sign with something on both sides, no blank, and nothing around it. A name in quotes may have all of that.
fn email_fault(shown: &str) -> Option<Implausible> {
    const SCHEME: &str = "mailto:";
    let is_link = shown
        .get(..SCHEME.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(SCHEME));
    if is_link {
        return Some(Implausible::Wrapped);
    }
    let Some((name, domain)) = email::halves(shown) else {
        return Some(Implausible::Email);
    };
    let is_quoted = name.len() > 2 && name.starts_with('"') && name.ends_with('"');
    let bare = [domain, if is_quoted { "" } else { name }];
    if bare.iter().any(|part| part.contains(['<', '>', ',', ';'])) {
        return Some(Implausible::Wrapped);
    }
    let is_plain = |part: &&str| !part.contains(|c: char| c.is_whitespace() || email::is_sign(c));
    let is_email = !name.is_empty() && !domain.is_empty() && bare.iter().all(is_plain);
    (!is_email).then_some(Implausible::Email)
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
mod tests;
