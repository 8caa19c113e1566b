//! How databases, spreadsheets, programs and people write that there is nothing.

use crate::domain::identity::text::{is_punctuation, shows_nothing};

/// Words for nothing, in lower case. Signs around and between their parts do not count: `n a` is `N/A`, `n.a.` and `#N/A`.
pub(super) const NOTHING: [&str; 31] = [
    "null",
    "nil",
    "none",
    "nan",
    "nat",
    "na",
    "n a",
    "inf",
    "infinity",
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
    "k a",
    "n v",
    "inconnu",
    "getting data",
    "1 qnan",
    "1 ind",
];

/// A word of fewer letters is not looked for twice in one piece: `nana` is a name.
const LONG: usize = 4;

/// A word for nothing with any signs around it, once or repeated; an error of a spreadsheet; or nothing but signs.
pub(super) fn is_nothing(folded: &str) -> bool {
    let parts: Vec<&str> = folded
        .split(|c: char| c.is_whitespace() || is_punctuation(c) || shows_nothing(c) || c == '\u{fffd}')
        .filter(|part| !part.is_empty())
        .collect();
    parts.is_empty()
        || is_repeated(&parts)
        || parts.iter().all(|part| is_word(part) || is_doubled(part))
        || is_error(folded)
}

fn is_word(text: &str) -> bool {
    NOTHING.contains(&text)
}

/// One of the words, once or several times in a row.
fn is_repeated(parts: &[&str]) -> bool {
    // None of them has more than two parts.
    (1..=2)
        .filter(|length| parts.len().is_multiple_of(*length))
        .any(|length| {
            let (first, rest) = parts.split_at(length);
            rest.chunks(length).all(|chunk| chunk == first) && is_word(&first.join(" "))
        })
}

/// A long word that stands twice or more in one piece, such as `nullnull`.
fn is_doubled(part: &str) -> bool {
    let mut long = NOTHING.iter().filter(|word| word.len() >= LONG);
    long.any(|word| part.len() > word.len() && part.replace(word, "").is_empty())
}

/// What a spreadsheet shows in place of a value, such as `#REF!`, `#NAME?` or `Err:502`; and the `\N` of a database.
fn is_error(folded: &str) -> bool {
    let is_code =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'/');
    let named = folded
        .strip_prefix('#')
        .and_then(|rest| rest.strip_suffix(['!', '?']));
    let numbered = folded.strip_prefix("err:");
    folded == "\\n"
        || named.is_some_and(is_code)
        || numbered.is_some_and(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()))
}
