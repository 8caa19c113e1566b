//! How a processor says that it erased or anonymized: the method that its evidence names.
//!
//! WP216 (table 6): hashing, tokenisation, masking and encryption leave a person linkable. They are pseudonymisation,
//! whatever they are called, and never pass for an anonymization by themselves.

/// How the names of methods begin that only replace an identifier by another one.
const PSEUDONYMS: &[&str] = &[
    "pseudonym",
    "hash",
    "hmac",
    "md5",
    "sha1",
    "sha2",
    "sha3",
    "sha512",
    "bcrypt",
    "scrypt",
    "argon",
    "token",
    "mask",
    "encrypt",
    "encipher",
];

/// Whether a method is pseudonymisation by another name. Upper and lower case, spaces, `-` and `_` make no difference,
/// and one such word among several is enough: `AES-encrypt`, `salted hash`, `pseudo-nymised`.
pub fn is_pseudonymisation(method: &str) -> bool {
    let begins = |word: &str| PSEUDONYMS.iter().any(|pseudonym| word.starts_with(pseudonym));
    begins(&normalised(method)) || words(method).any(|word| begins(&word))
}

/// Whether two names of methods are the same but for case, spaces, `-` and `_`.
pub fn is_same(a: &str, b: &str) -> bool {
    normalised(a) == normalised(b)
}

fn normalised(method: &str) -> String {
    words(method).collect()
}

fn words(method: &str) -> impl Iterator<Item = String> {
    method
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonymisation_is_known_under_its_other_names() {
        for method in [
            "hash",
            "HASH",
            "hashed",
            "salted_hash",
            "hmac",
            "hmac-sha256",
            "SHA-256",
            "md5",
            "token",
            "Tokenize",
            "tokenise",
            "tokenization",
            "tokenisation",
            "mask",
            "masking",
            "masked",
            "pseudonymise",
            "pseudonymize",
            "pseudonymised",
            "Pseudo-Nymised",
            "pseudonymization",
            "pseudo nymisation",
            "encrypt",
            "aes_encrypt",
            "encryption",
            "hash+delete",
        ] {
            assert!(is_pseudonymisation(method), "{method}");
        }
        for method in [
            "",
            "delete",
            "purge",
            "crypto_erase",
            "crypto-shredding",
            "generalize",
            "aggregate",
            "k-anonymity",
            "null_rewrite",
            "redact",
            "random_string_rewrite",
            "anonymize",
            "overwrite",
            "shadow",
            "noise",
            "unmask",
        ] {
            assert!(!is_pseudonymisation(method), "{method}");
        }
    }

    #[test]
    fn spelling_makes_no_other_method() {
        assert!(is_same("Crypto-Erase", "crypto_erase"));
        assert!(!is_same("erase", "crypto_erase"));
    }
}
