//! Objects that are files of a folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Kept, ObjectError, Version};
use crate::agent::place::PlaceError;

/// A folder with objects.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, PlaceError> {
        if path.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(PlaceError::Mistaken(format!(
                "objects.url: there is no folder {}",
                path.display()
            )))
        }
    }

    /// The files whose path below the folder begins with a prefix. Links are files, and lead nowhere.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Version>, ObjectError> {
        let mut found = Vec::new();
        let start = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.check_way(start)?;
        self.walk(start, prefix, &mut found)?;
        found.sort();
        Ok(found)
    }

    /// What lies behind a link on the way is somewhere else: whether it is this person's, nobody has said.
    fn check_way(&self, start: &str) -> Result<(), ObjectError> {
        let mut path = self.0.clone();
        for part in start.split('/') {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_symlink() => {
                    return Err(ObjectError::failed(
                        "a folder on the way is a link: what it leads to is neither looked at nor deleted",
                    ));
                }
                Ok(_) => {}
                Err(error) if is_absent(&error) => return Ok(()),
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Ok(())
    }

    fn walk(&self, below: &str, prefix: &str, found: &mut Vec<Version>) -> Result<(), ObjectError> {
        let entries = match fs::read_dir(self.0.join(below)) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(unreadable(&error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&error))?;
            let name = entry.file_name();
            let before = if below.is_empty() {
                String::new()
            } else {
                format!("{below}/")
            };
            let Some(name) = name.to_str() else {
                let path = [before.as_bytes(), name.as_encoded_bytes()].concat();
                if path.starts_with(prefix.as_bytes()) {
                    return Err(ObjectError::failed(
                        "a file has a name that is not UTF-8, and cannot be deleted by it",
                    ));
                }
                continue;
            };
            let key = before + name;
            let kind = entry.file_type().map_err(|error| unreadable(&error))?;
            if kind.is_dir() {
                let inside = format!("{key}/");
                if inside.starts_with(prefix) || prefix.starts_with(&inside) {
                    self.walk(&key, prefix, found)?;
                }
            } else if key.starts_with(prefix) {
                found.push(Version { key, version: None });
            }
        }
        Ok(())
    }

    pub(super) fn delete(&self, versions: &[Version]) -> Vec<(Version, Kept)> {
        let mut kept = Vec::new();
        for version in versions {
            match fs::remove_file(self.0.join(&version.key)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => kept.push((version.clone(), Kept::Refused(error.kind().to_string()))),
            }
        }
        kept
    }
}

/// There is nothing of that name, nor can there be.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(error: &io::Error) -> ObjectError {
    ObjectError::failed(format!("the folder cannot be read: {}", error.kind()))
}
