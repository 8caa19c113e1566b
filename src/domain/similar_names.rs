//! The name that somebody meant.

/// The names that are near one that nobody knows, the nearest first. A third of its letters may be wrong; or one holds the
/// other.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // A name this long is no slip of the pen, and comparing it would take its time.
    if name.len() > 64 {
        return Vec::new();
    }
    let bare = |text: &str| text.replace(['_', '-'], "");
    let meant = bare(name);
    let mut similar: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|known| {
            let other = bare(known);
            let wrong = distance(&meant, &other);
            let misspelt = wrong <= ((other.len() + 1) / 3).max(1);
            let holds =
                meant.len().min(other.len()) > 2 && (other.contains(&meant) || meant.contains(&other));
            (misspelt || holds).then_some((wrong, known))
        })
        .collect();
    similar.sort_unstable();
    similar.dedup();
    similar.truncate(3);
    similar.into_iter().map(|(_, name)| name).collect()
}

/// How many letters have to be added, left out or changed to make one word of the other (Levenshtein).
pub fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (r, cell) in right.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(l != *r);
            diagonal = *cell;
            before = changed.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_comes_first() {
        let known = ["customer_id", "email", "phone", "user_id"];
        assert_eq!(similar("mail", known), ["email"]);
        assert_eq!(similar("e_mail", known), ["email"]);
        assert_eq!(similar("phone_number", known), ["phone"]);
        assert_eq!(similar("customerid", known), ["customer_id"]);
        assert!(similar("passport", known).is_empty());
    }
}
