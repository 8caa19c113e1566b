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
        self.walk(start, prefix, &mut found)
            .map_err(|error| ObjectError(format!("the folder cannot be read: {}", error.kind())))?;
        found.sort();
        Ok(found)
    }

    fn walk(&self, below: &str, prefix: &str, found: &mut Vec<Version>) -> io::Result<()> {
        let entries = match fs::read_dir(self.0.join(below)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let key = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            if entry.file_type()?.is_dir() {
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
