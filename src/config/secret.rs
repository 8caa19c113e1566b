//! Secrets: where they come from, and types that never show them.

use std::{
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{reader::Environment, why};

/// A secret text: it can be read on purpose, and neither printed nor logged by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The SHA-256 of a token: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Its bytes, to be bound to something else: they are never shown.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether a token is the one of this digest, in a time that says nothing about how near it came.
    pub fn matches(&self, token: &str) -> bool {
        self.0.ct_eq(&Self::of(token).0).into()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token that someone thought up can be guessed from its digest.
        f.write_str("[redacted]")
    }
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `file:PATH`: a file, without the line's end.
    File(PathBuf),
    /// `sha256:HEX`: only its digest is known here.
    Digest(TokenDigest),
    /// The secret itself.
    Plain(Secret),
}

/// Why there is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// The text is empty.
    #[error("expected env:NAME, file:PATH, sha256:HEX or the secret itself, found an empty text")]
    Empty,
    /// What follows `env:` is no name.
    #[error("expected the name of an environment variable after env:")]
    Name,
    /// Nothing follows `file:`.
    #[error("expected a path after file:")]
    Path,
    /// What follows `sha256:` is no digest.
    #[error("expected 64 lowercase hexadecimal digits after sha256:")]
    Hex,
    /// It is the digest of nothing.
    #[error("expected the SHA-256 of a token; this one is that of an empty text")]
    OfNothing,
    /// A digest stands where the secret itself is needed.
    #[error("sha256: cannot be used here: the secret itself is needed")]
    OnlyDigest,
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// The variable or the file holds no usable text.
    #[error("{0} is empty, or is no text in UTF-8")]
    Content(String),
    /// The file cannot be read.
    #[error("{path} cannot be read: {}", why(*.kind))]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        kind: ErrorKind,
    },
}

impl SecretSource {
    /// Reads the notation: `env:NAME`, `file:PATH`, `sha256:HEX`, else the secret itself.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        if text.is_empty() {
            return Err(BadSecret::Empty);
        }
        if let Some(name) = text.strip_prefix("env:") {
            let first = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return if first && rest {
                Ok(Self::Env(name.to_owned()))
            } else {
                Err(BadSecret::Name)
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.is_empty() {
                Err(BadSecret::Path)
            } else {
                Ok(Self::File(path.into()))
            };
        }
        if let Some(digits) = text.strip_prefix("sha256:") {
            let mut digest = [0; 32];
            let lowercase = !digits.bytes().any(|b| b.is_ascii_uppercase());
            return match hex::decode_to_slice(digits, &mut digest) {
                // What a script makes of a variable that is not set.
                Ok(()) if lowercase && TokenDigest(digest).matches("") => Err(BadSecret::OfNothing),
                Ok(()) if lowercase => Ok(Self::Digest(TokenDigest(digest))),
                _ => Err(BadSecret::Hex),
            };
        }
        Ok(Self::Plain(Secret::new(text)))
    }

    /// Fetches the secret for a command of this process: from its environment, or from a file.
    pub fn fetch(&self) -> Result<Secret, BadSecret> {
        self.resolve(Path::new(""), &|name| std::env::var_os(name))
    }

    /// Fetches the secret for this process. Relative paths are resolved against `folder`.
    pub fn fetch_in(&self, folder: &Path) -> Result<Secret, BadSecret> {
        self.resolve(folder, &|name| std::env::var_os(name))
    }

    /// Fetches the secret. Relative paths are resolved against `folder`.
    pub(super) fn resolve(&self, folder: &Path, environment: Environment<'_>) -> Result<Secret, BadSecret> {
        match self {
            Self::Env(name) => {
                let value = environment(name).ok_or_else(|| BadSecret::Unset(name.clone()))?;
                usable(value.to_str(), || format!("the environment variable {name}"))
            }
            Self::File(path) => {
                let path = folder.join(path);
                let content = fs::read(&path)
                    .map(Zeroizing::new)
                    .map_err(|error| BadSecret::Unreadable {
                        path: path.display().to_string(),
                        kind: error.kind(),
                    })?;
                let text = std::str::from_utf8(&content).ok();
                // Editors end a file with a line's end, which is no part of the secret.
                let text = text.map(|text| text.strip_suffix('\n').unwrap_or(text));
                let text = text.map(|text| text.strip_suffix('\r').unwrap_or(text));
                usable(text, || path.display().to_string())
            }
            Self::Digest(_) => Err(BadSecret::OnlyDigest),
            Self::Plain(secret) => Ok(secret.clone()),
        }
    }
}

fn usable(text: Option<&str>, place: impl FnOnce() -> String) -> Result<Secret, BadSecret> {
    match text {
        Some(text) if !text.is_empty() && !text.contains('\0') => Ok(Secret::new(text)),
        _ => Err(BadSecret::Content(place())),
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Digest(_) => f.write_str("sha256:[redacted]"),
            Self::Plain(_) => f.write_str("[redacted]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_tells_where_a_secret_comes_from() {
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let test = TokenDigest::of("test");
        assert_eq!(
            SecretSource::parse("env:CRM_TOKEN"),
            Ok(SecretSource::Env("CRM_TOKEN".into()))
        );
        assert_eq!(
            SecretSource::parse("file:a b"),
            Ok(SecretSource::File("a b".into()))
        );
        assert_eq!(
            SecretSource::parse(&format!("sha256:{digest}")),
            Ok(SecretSource::Digest(test))
        );
        assert_eq!(
            SecretSource::parse("plain"),
            Ok(SecretSource::Plain(Secret::new("plain")))
        );
        let cases = [
            ("", BadSecret::Empty),
            ("env:", BadSecret::Name),
            ("env:A=B", BadSecret::Name),
            ("env:1A", BadSecret::Name),
            ("file:", BadSecret::Path),
            ("sha256:", BadSecret::Hex),
            (
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                BadSecret::OfNothing,
            ),
            (
                "sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
                BadSecret::Hex,
            ),
        ];
        for (text, error) in cases {
            assert_eq!(SecretSource::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_file_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let none = |_: &str| None;
        let cases: [(&[u8], Option<&str>); 6] = [
            (b"secret", Some("secret")),
            (b"secret\n", Some("secret")),
            (b"secret\r\n", Some("secret")),
            (b"", None),
            (b"two\nlines\n", Some("two\nlines")),
            (b"\xff", None),
        ];
        for (content, expected) in cases {
            fs::write(folder.path().join("token"), content).unwrap();
            let found = SecretSource::File("token".into()).resolve(folder.path(), &none);
            assert_eq!(found.ok().as_ref().map(Secret::expose), expected, "{content:?}");
        }
    }

    #[test]
    fn only_the_token_itself_matches() {
        assert!(TokenDigest::of("token").matches("token"));
        assert!(!TokenDigest::of("token").matches("Token"));
        assert!(!TokenDigest::of("token").matches(""));
    }

    #[test]
    fn debug_never_shows_a_secret() {
        for text in [
            "hunter2",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ] {
            let shown = format!("{:?}", SecretSource::parse(text).unwrap());
            assert!(!shown.contains("hunter2") && !shown.contains("9f86"), "{shown}");
        }
    }
}
