//! People, as their names tell them apart.

/// Whether two names are one person's. Names are compared as people read them: whoever writes their own in capitals, or
/// with a space at its end, is no second person.
///
/// It only ever forbids. What a name *allows*, such as seeing one's own requests, asks for exactly that name.
pub fn is_same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::is_same_person;

    #[test]
    fn capitals_and_spaces_make_no_second_person() {
        assert!(is_same_person("anna", " ANNA "));
        assert!(is_same_person("Örs", "örs"));
        assert!(!is_same_person("anna", "hanna"));
    }
}
