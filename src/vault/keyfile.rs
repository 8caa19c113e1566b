//! The keyring's file on disk: who may read it, and how a new one appears there whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::keyring_error::KeyringError;

/// Only its owner reads or writes a file that holds keys.
const OWNER_ONLY: u32 = 0o600;

/// Ten thousand epochs and more; whatever is larger is some other file, and is not read into memory.
const MAX_BYTES: u64 = 4 << 20;

/// Reads the file, after making sure that nobody but its owner can.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let mut file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeyringError::Missing { path: path.into() },
        _ => failed("open", path, source),
    })?;
    // Asked of the open file, so that it cannot be exchanged between the check and the reading.
    let metadata = file
        .metadata()
        .map_err(|source| failed("examine", path, source))?;
    if !metadata.is_file() {
        return Err(KeyringError::NotAFile { path: path.into() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::ReadableByOthers {
            path: path.into(),
            mode,
        });
    }
    if metadata.len() > MAX_BYTES {
        return Err(KeyringError::Corrupt {
            path: path.into(),
            why: "it is too large to be a keyring".into(),
        });
    }
    // Room for the whole file at once, because a buffer that grows leaves copies of the keys behind.
    let size = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = Zeroizing::new(vec![0; size]);
    file.read_exact(&mut bytes)
        .map_err(|source| failed("read", path, source))?;
    Ok(bytes)
}

/// Writes a file that must not exist yet. It appears complete and durable under its name, or not at all.
///
/// A lock file beside it lets one process at a time write: two that find no keyring must not end up with two,
/// one of which the other has already sealed with. It stays behind, empty, because removing it would let two
/// processes lock two files.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), KeyringError> {
    let lock = sibling(path, ".lock");
    let lock_file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(OWNER_ONLY)
        .open(&lock)
        .map_err(|source| failed("create", &lock, source))?;
    lock_file.lock().map_err(|source| failed("lock", &lock, source))?;
    // `symlink_metadata` also sees a link that leads nowhere, which the rename would replace.
    match fs::symlink_metadata(path) {
        Ok(_) => return Err(KeyringError::Exists { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed("examine", path, source)),
    }
    write_whole(path, bytes)
}

/// Temporary file, fsync, rename, fsync of the directory. The caller holds the lock, so a temporary file that
/// is there already was left by a process that died, and goes.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), KeyringError> {
    let temporary = sibling(path, ".tmp");
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed("remove", &temporary, source)),
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(OWNER_ONLY)
        .open(&temporary)
        .map_err(|source| failed("create", &temporary, source))?;
    file.write_all(bytes)
        .map_err(|source| failed("write", &temporary, source))?;
    file.sync_all()
        .map_err(|source| failed("sync", &temporary, source))?;
    fs::rename(&temporary, path).map_err(|source| failed("rename", &temporary, source))?;
    let directory = directory_of(path);
    File::open(&directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|source| failed("sync", &directory, source))
}

/// `lacuna.keys` → `.lacuna.keys.tmp`: in the same directory, since a rename is atomic only within one file
/// system.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => PathBuf::from("."),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> KeyringError {
    KeyringError::Io {
        action,
        path: path.into(),
        source,
    }
}
