//! How look-ups compare identifiers. Two values of one type are one identifier only by one of these rules; the page
//! `docs/guide/identifiers.md` has the same table for people.
//!
//! | type | rule | example |
//! |---|---|---|
//! | email | white space and invisible characters at the edges are no part of it | ` a@b.c ` = `a@b.c` |
//! | email | upper and lower case are equal | `A@B.C` = `a@b.c` |
//! | email | canonically equal letters are equal (NFC) | `o` + `̈` = `ö` |
//! | email | a domain is compared in the form of UTS 46: Unicode and punycode, full-width letters | `ü.c` = `xn--tda.c` |
//! | email | one dot at the end of the domain is no part of it | `a@b.c.` = `a@b.c` |
//! | email | a full-width @ is an @, where there is no other | `a＠b.c` = `a@b.c` |
//! | phone | white space and invisible characters are no part of it | ` +49 30 901820` |
//! | phone | decimal digits of every script, and full-width signs, are those of ASCII | `٠` = `0` |
//! | phone | blanks, dashes, dots, slashes and brackets between digits are no part of it | `030/90-18` = `0309018` |
//! | phone | `tel:` before it is no part of it | `tel:+4930901820` |
//! | phone | `00` before a country code is `+` | `0049 30 …` = `+49 30 …` |
//! | phone | an international number is compared in E.164, without a trunk prefix | `+49 (0)30 …` = `+49 30 …` |
//! | phone | all spellings of an extension are one; another extension is another number | `x12` = `ext. 12` |
//!
//! Nothing else is guessed: no plus tags, no dots of a provider, no default country. A number without a country code is
//! never one with it. What is no phone number by this (fewer than 7 or more than 15 digits, other characters) is compared
//! byte for byte, without white space and invisible characters at its edges. Every other type is compared byte for byte.

use super::{email, phone};

/// The form of a value that stands for all its spellings. It is never empty unless the value shows nothing at all.
pub(super) fn form(kind: &str, value: &str) -> String {
    match kind {
        "email" => email::form(value),
        "phone" => phone::form(value),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
