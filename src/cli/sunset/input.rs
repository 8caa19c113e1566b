//! The file of subjects: read more than once, so stdin is put aside first.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use crate::cli::{Failure, folder::Folder, lines::unreadable, session::of_system};

/// How much is read at a time.
const BUFFER: usize = 1 << 16;

/// The subjects, as bytes.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    path: PathBuf,
    /// As it was opened: whoever writes into it later is noticed.
    stamp: Stamp,
}

/// What tells that somebody has written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl Input {
    /// Opens the file; `-` is stdin.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = if path.as_os_str() == "-" {
            spool().map_err(of_system("put stdin aside"))?
        } else {
            File::open(path).map_err(unreadable(path))?
        };
        let stamp = Stamp::of(&file).map_err(unreadable(path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            stamp,
        })
    }

    /// What it is called where something is said about it.
    pub(super) fn name(&self) -> String {
        if self.path.as_os_str() == "-" {
            "stdin".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    /// A file beside it: its own path with another ending. Beside stdin is the current folder.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}.{ending}", self.name()))
    }

    /// How many bytes it has.
    pub(super) const fn bytes(&self) -> u64 {
        self.stamp.bytes
    }

    /// Its SHA-256 in hexadecimal digits.
    pub(super) fn sha256(&self) -> Result<String, Failure> {
        let mut file = self.at(0)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read(&mut buffer).map_err(unreadable(&self.path))?;
            if read == 0 {
                return Ok(hex::encode(hash.finalize()));
            }
            hash.update(&buffer[..read]);
        }
    }

    /// The file from this byte on.
    pub(super) fn at(&self, offset: u64) -> Result<&File, Failure> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))
            .map_err(unreadable(&self.path))?;
        Ok(file)
    }

    /// Refuses a file that somebody has written into since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), Failure> {
        let now = Stamp::of(&self.file).map_err(unreadable(&self.path))?;
        if now == self.stamp {
            Ok(())
        } else {
            Err(Failure::NotSo(format!(
                "{} was changed while it was read: stopped; nobody has approved what it holds now",
                self.name()
            )))
        }
    }

    /// What a failure to read it is.
    pub(super) fn failed(&self) -> impl FnOnce(io::Error) -> Failure {
        unreadable(&self.path)
    }
}

/// Puts stdin into a file that has no name: it is gone with this process, however that ends.
fn spool() -> io::Result<File> {
    let folder = Folder::create("sunset")?;
    let path = folder.path().join("stdin");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.flush()?;
    Ok(file)
}
