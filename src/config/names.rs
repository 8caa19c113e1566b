//! Keys as messages show them, and the one that somebody meant.

use std::collections::BTreeSet;

use crate::domain::similar_names::distance;

/// A key as messages show it: quoted where TOML would have to quote it.
pub(super) fn shown(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.to_owned() } else { format!("{key:?}") }
}

/// What to say of a key that is none of the known ones.
pub(super) fn unknown_key(key: &str, known: &BTreeSet<&'static str>) -> String {
    // A key this long is no slip of the pen, and comparing it would take its time.
    let near = known.iter().filter(|_| key.len() <= 64).filter_map(|name| {
        let wrong = distance(key, name);
        // About a third of the letters may be wrong; beyond that it is another word, unless one begins the other.
        let misspelt = wrong <= ((name.len() + 1) / 3).max(1);
        let shortened = key.len() > 2 && (name.starts_with(key) || key.starts_with(name));
        (misspelt || shortened).then_some((wrong, *name))
    });
    match near.min() {
        Some((_, name)) => format!("unknown key; did you mean {name:?}?"),
        None => {
            let known: Vec<&str> = known.iter().copied().collect();
            format!("unknown key; known here: {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("group_id", "groupid", 1),
            ("kitten", "sitting", 3),
            ("topics", "topcis", 2),
            ("é", "e", 1),
        ];
        for (left, right, expected) in cases {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }
}
