//! What a transport needs of this machine: secrets and files that the registry names.
//!
//! The registry is stored and shared by all workers, so what it names is read where it is used. A [`Reader`] remembers what
//! it has read, and can say later whether that is still so: a secret or a certificate that was replaced on disk is taken up
//! without a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    config::{Secret, SecretSource},
    domain::registry::SecretRef,
};

/// More than any certificate chain or bundle of authorities needs.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// What the registry says cannot be used on this machine. It concerns the configuration, never a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transport.{key}: {why}")]
pub struct Unusable {
    /// The key of the transport.
    pub key: String,
    /// What is wrong, and never a secret.
    pub why: String,
}

impl Unusable {
    /// What is wrong with what a key names.
    pub fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            why: why.into(),
        }
    }
}

/// A place on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LocalSource {
    Secret(SecretRef),
    File(PathBuf),
}

/// The digest of what was found there: the thing itself is not kept twice.
type Found = [u8; 32];

/// Reads what the registry names, and remembers what it has read.
#[derive(Debug, Clone)]
pub struct Reader {
    folder: PathBuf,
    read: Vec<(LocalSource, Found)>,
}

impl Reader {
    /// Relative paths are resolved against `folder`: that of the registry's file.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            read: Vec::new(),
        }
    }

    /// The secret that a key names.
    pub fn secret(&mut self, key: &str, secret: &SecretRef) -> Result<Secret, Unusable> {
        let found = self.fetch(secret).map_err(|why| Unusable::new(key, why))?;
        let digest = digest(found.expose().as_bytes());
        self.read.push((LocalSource::Secret(secret.clone()), digest));
        Ok(found)
    }

    /// The content of the file that a key names.
    pub fn file(&mut self, key: &str, path: &str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        let path = self.folder.join(path);
        let content = content_of(&path).map_err(|why| Unusable::new(key, why))?;
        self.read.push((LocalSource::File(path), digest(&content)));
        Ok(content)
    }

    /// Whether all that was read is still there as it was.
    pub fn is_current(&self) -> bool {
        self.read.iter().all(|(place, found)| {
            let now = match place {
                LocalSource::Secret(secret) => self
                    .fetch(secret)
                    .map(|secret| digest(secret.expose().as_bytes())),
                LocalSource::File(path) => content_of(path).map(|content| digest(&content)),
            };
            now.is_ok_and(|now| now == *found)
        })
    }

    fn fetch(&self, secret: &SecretRef) -> Result<Secret, String> {
        SecretSource::parse(&secret.0)
            .and_then(|source| source.fetch_in(&self.folder))
            .map_err(|error| error.to_string())
    }
}

fn digest(bytes: &[u8]) -> Found {
    Sha256::digest(bytes).into()
}

fn content_of(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let read = || {
        if fs::metadata(path)?.len() > MAX_FILE {
            return Err(io::Error::other("it is larger than 4 MiB"));
        }
        fs::read(path).map(Zeroizing::new)
    };
    read().map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
            io::ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
            _ => error.to_string(),
        };
        format!("{}: {why}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_current_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "one\n").unwrap();
        fs::write(folder.path().join("ca.pem"), "ca").unwrap();
        let mut reader = Reader::new(folder.path());
        let secret = reader.secret("secret", &SecretRef("file:secret".into())).unwrap();
        assert_eq!(secret.expose(), "one");
        assert_eq!(reader.file("ca", "ca.pem").unwrap().as_slice(), b"ca");
        assert!(reader.is_current());
        fs::write(folder.path().join("secret"), "two\n").unwrap();
        assert!(!reader.is_current(), "the secret was replaced");
        fs::write(folder.path().join("secret"), "one\n").unwrap();
        assert!(reader.is_current());
        fs::remove_file(folder.path().join("ca.pem")).unwrap();
        assert!(!reader.is_current(), "the certificate is gone");
    }

    #[test]
    fn what_is_missing_is_named_and_no_secret_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = Reader::new(folder.path());
        let unset = reader.secret("secret", &SecretRef("env:LACUNA_NO_SUCH_VARIABLE".into()));
        assert_eq!(
            unset.unwrap_err().to_string(),
            "transport.secret: the environment variable LACUNA_NO_SUCH_VARIABLE is not set"
        );
        let missing = reader.file("ca", "ca.pem").unwrap_err().to_string();
        assert!(
            missing.starts_with("transport.ca: ") && missing.ends_with("ca.pem: there is no such file"),
            "{missing}"
        );
        let folder = reader.file("client_key", ".").unwrap_err().to_string();
        assert!(folder.ends_with("it is a folder, not a file"), "{folder}");
        let digest = reader.secret("secret", &SecretRef(format!("sha256:{}", "0".repeat(64))));
        assert_eq!(
            digest.unwrap_err().to_string(),
            "transport.secret: sha256: cannot be used here: the secret itself is needed"
        );
    }
}
