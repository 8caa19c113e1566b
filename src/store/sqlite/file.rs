//! The files of a SQLite store: nobody else's to read, and one `serve` at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::store::error::StoreError;

/// Held by the one `serve` that works on a file; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock beside a database, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        // The file stays when the lock is let go: deleting it would let two processes lock two files of one name.
        let file = open_private(&path).map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Address(format!(
                "another `lacuna serve` is working on {}: SQLite has room for one",
                database.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }
}

/// Creates the database's file for its owner only. SQLite gives the same mode to the files that it puts beside it.
pub(super) fn create_private(database: &Path) -> Result<(), StoreError> {
    match open_private(database) {
        Ok(_) => Ok(()),
        Err(error) => Err(unusable(database, &error)),
    }
}

/// The size of the database with its write-ahead log.
pub(super) fn bytes(database: &Path) -> Result<u64, StoreError> {
    let size = |path: &Path| match path.metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(unusable(path, &error)),
    };
    Ok(size(database)? + size(&beside(database, "-wal"))?)
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Address(format!("{} cannot be used: {error}", path.display()))
}
