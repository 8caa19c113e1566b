//! The file of subjects. It is read more than once, and every reading gives what the first one has seen: a file that is
//! written into meanwhile ends it, before anything of the new content is used.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::cli::{Failure, folder::Folder, lines::unreadable, session::of_system};

/// How much is compared at a time: small enough to be held, and large enough that the digests of a file are few.
const CHUNK: usize = 1 << 20;

/// The subjects, as bytes.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    path: PathBuf,
    bytes: u64,
    sha256: String,
    /// The digest of each chunk.
    chunks: Vec<[u8; 32]>,
}

impl Input {
    /// Opens the file and reads all of it; `-` is stdin, which is put aside first.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = if path.as_os_str() == "-" {
            spool().map_err(of_system("put stdin aside"))?
        } else {
            File::open(path).map_err(unreadable(path))?
        };
        Self::read(file, path).map_err(unreadable(path))
    }

    fn read(file: File, path: &Path) -> io::Result<Self> {
        (&file).seek(SeekFrom::Start(0))?;
        let (mut whole, mut chunks, mut bytes) = (Sha256::new(), Vec::new(), 0);
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            chunk.clear();
            (&file).take(CHUNK as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            bytes += chunk.len() as u64;
            whole.update(&chunk);
            chunks.push(Sha256::digest(&chunk).into());
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            bytes,
            sha256: hex::encode(whole.finalize()),
            chunks,
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
        let mut path = self.path.as_os_str().to_owned();
        if path == "-" {
            path = "stdin".into();
        }
        path.push(".");
        path.push(ending);
        path.into()
    }

    /// How many bytes it has.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its SHA-256 in hexadecimal digits.
    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The same bytes once more, from this one on.
    pub(super) fn again(&self, at: u64) -> Again<'_> {
        Again {
            input: self,
            chunk: Vec::new(),
            number: None,
            at,
        }
    }

    /// What a failure to read it is.
    pub(super) fn failed(&self) -> impl FnOnce(io::Error) -> Failure {
        unreadable(&self.path)
    }

    /// Fills in a chunk, which has to be the one that was read first.
    fn load(&self, number: usize, chunk: &mut Vec<u8>) -> io::Result<()> {
        chunk.clear();
        (&self.file).seek(SeekFrom::Start(number as u64 * CHUNK as u64))?;
        let left = self.bytes - number as u64 * CHUNK as u64;
        (&self.file).take(left.min(CHUNK as u64)).read_to_end(chunk)?;
        if self.chunks[number] == <[u8; 32]>::from(Sha256::digest(&*chunk)) {
            return Ok(());
        }
        Err(io::Error::other(
            "it was changed while it was read: stopped; nobody has approved what it holds now",
        ))
    }
}

/// Another reading of a file.
#[derive(Debug)]
pub(super) struct Again<'a> {
    input: &'a Input,
    chunk: Vec<u8>,
    /// Which chunk that is.
    number: Option<usize>,
    at: u64,
}

impl Read for Again<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.input.bytes {
            return Ok(0);
        }
        let place = (self.at / CHUNK as u64, self.at % CHUNK as u64);
        let [number, start] = <[u64; 2]>::from(place).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        if self.number != Some(number) {
            self.number = None;
            self.input.load(number, &mut self.chunk)?;
            self.number = Some(number);
        }
        let mut rest = &self.chunk[start..];
        let read = rest.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Again<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.at = at;
        Ok(at)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_gives_the_same_bytes_or_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subjects");
        let content: Vec<u8> = (0..2 * CHUNK + 5).map(|n| (n / 7) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let input = Input::open(&path).unwrap();
        assert_eq!(input.bytes(), content.len() as u64);
        assert_eq!(input.sha256(), hex::encode(Sha256::digest(&content)));
        let read = |from: usize| {
            let mut found = Vec::new();
            input.again(from as u64).read_to_end(&mut found).map(|_| found)
        };
        for from in [
            0,
            1,
            CHUNK - 1,
            CHUNK,
            2 * CHUNK + 4,
            content.len(),
            content.len() + 1,
        ] {
            assert_eq!(
                read(from).unwrap(),
                content[from.min(content.len())..],
                "from {from}"
            );
        }
        // What is added later is no part of it.
        let mut longer = content.clone();
        longer.push(1);
        std::fs::write(&path, &longer).unwrap();
        assert_eq!(read(0).unwrap(), content);
        // What is changed, or cut off, is not read.
        let mut changed = content.clone();
        changed[CHUNK + 3] ^= 1;
        for other in [&changed, &content[..CHUNK + 9]] {
            std::fs::write(&path, other).unwrap();
            let error = read(CHUNK + 9).unwrap_err();
            assert!(error.to_string().contains("was changed"), "{error}");
        }
    }
}
