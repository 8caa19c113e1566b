//! How far a run has come: a small file that is written anew after every batch that Kafka has confirmed.
//!
//! It never runs ahead of Kafka. After a crash it may be behind: what is published again then is a duplicate to intake,
//! and changes nothing.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{format::FilePosition, people::Person};
use crate::{cli::Failure, domain::time::At};

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) run_id: Uuid,
    pub(super) approved_by: Person,
    pub(super) started_at: At,
    pub(super) updated_at: At,
    /// Before it, Kafka has confirmed everything.
    pub(super) place: FilePosition,
    /// How many commands that is.
    pub(super) confirmed: u64,
    pub(super) complete: bool,
}

impl Progress {
    /// Reads that of a run; `None`: it has not begun.
    pub(super) fn read(path: &Path, run: Uuid) -> Result<Option<Self>, Failure> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(crate::cli::lines::unreadable(path))?,
        };
        let name = path.display();
        let progress: Self = serde_json::from_slice(&bytes).map_err(|_| {
            Failure::Usage(format!(
                "{name}: expected the progress of a run; it can be removed: what was published already is published \
                 again then, which changes nothing"
            ))
        })?;
        if progress.run_id != run {
            return Err(Failure::Usage(format!(
                "{name} is the progress of run {}, and this is run {run}: name another file with --state",
                progress.run_id
            )));
        }
        Ok(Some(progress))
    }

    /// Writes it in one step: whoever reads finds the old one or the new one, also after a power cut.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |source| Failure::File {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let text = serde_json::to_vec_pretty(self)?;
        let aside = aside(path);
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&aside, path).map_err(failed)
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_kept_and_belongs_to_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.csv.sunset");
        let run = Uuid::from_u128(1);
        assert_eq!(Progress::read(&path, run).unwrap(), None);
        let mut progress = Progress {
            run_id: run,
            approved_by: Person {
                name: "bob".into(),
                proved: false,
            },
            started_at: At::from_millis(1),
            updated_at: At::from_millis(2),
            place: FilePosition { offset: 10, line: 2 },
            confirmed: 1,
            complete: false,
        };
        for confirmed in 1..4 {
            progress.confirmed = confirmed;
            progress.write(&path).unwrap();
            assert_eq!(Progress::read(&path, run).unwrap().as_ref(), Some(&progress));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Progress::read(&path, Uuid::from_u128(2)).is_err());
        fs::write(&path, "x").unwrap();
        assert!(Progress::read(&path, run).is_err());
    }
}
