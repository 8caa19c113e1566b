//! Characters: which of them are no part of what somebody has written, and digits of every script.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup},
};

/// Without white space and invisible characters at the edges: a byte order mark or a zero-width space there comes from a
/// file or a web page, and is no part of an identifier.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Whether a character shows nothing, such as a zero-width space, a soft hyphen, a mark of direction or of byte order.
pub(super) fn is_invisible(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a character shows nothing of its own: a blank, what is invisible, the empty pattern of Braille.
pub(super) fn shows_nothing(c: char) -> bool {
    c.is_whitespace() || is_invisible(c) || c == '\u{2800}'
}

/// Whether a character is a sign that no word is made of: the punctuation of every script, and all of ASCII's signs.
pub(super) fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    GeneralCategoryGroup::Punctuation.contains(category)
}

/// The ASCII digit that a decimal digit of any script stands for.
pub(super) fn digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |c: u32| categories.get32(c) == GeneralCategory::DecimalNumber;
    if !is_digit(c.into()) {
        return None;
    }
    // Unicode promises that the decimal digits of a script stand in a row, from zero to nine; rows may follow each other.
    let before = (0..u32::from(c)).rev().take_while(|c| is_digit(*c)).count();
    u32::try_from(before % 10)
        .ok()
        .and_then(|n| char::from_digit(n, 10))
}

/// The ASCII character that a full-width one stands for, and the blank that an ideographic one does.
pub(super) fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    }
}

/// In lower case and composed: canonically equal texts are one text.
pub(super) fn lower_composed(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let composer = const { ComposingNormalizerBorrowed::new_nfc() };
    // Lower case can take a composed letter apart.
    composer
        .normalize(&composer.normalize(text).to_lowercase())
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_are_digits() {
        let scripts = [
            "0123456789",
            "٠١٢٣٤٥٦٧٨٩",
            "۰۱۲۳۴۵۶۷۸۹",
            "०१२३४५६७८९",
            "০১২৩৪৫৬৭৮৯",
            "๐๑๒๓๔๕๖๗๘๙",
            "０１２３４５６７８９",
            "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
            "𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿",
            "᪐᪑᪒᪓᪔᪕᪖᪗᪘᪙",
        ];
        for script in scripts {
            let folded: Option<String> = script.chars().map(digit).collect();
            assert_eq!(folded.as_deref(), Some("0123456789"), "{script}");
        }
        for none in ['a', '²', '①', '一', 'Ⅷ', '½', ' '] {
            assert_eq!(digit(none), None, "{none}");
        }
    }

    #[test]
    fn what_shows_nothing_is_no_part_of_a_text_at_its_edges() {
        assert_eq!(trimmed("\u{feff}\u{200b} \u{a0}a\u{200b}b\u{ad}\t"), "a\u{200b}b");
        assert_eq!(trimmed("\u{200e}\u{2060}"), "");
    }
}
