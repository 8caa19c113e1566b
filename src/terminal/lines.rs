//! Reading a file line by line in little memory, whatever is in it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use super::Failure;
use crate::wire::validate::MAX_BYTES;

/// Large enough that a file of millions of short lines costs few system calls.
const BUFFER: usize = 1 << 16;

/// A file or stdin, and how long it is where that is known.
pub fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(BufReader::with_capacity(BUFFER, io::stdin())), None));
    }
    let file = File::open(path).map_err(unreadable(path))?;
    let length = file.metadata().ok().map(|metadata| metadata.len());
    Ok((Box::new(BufReader::with_capacity(BUFFER, file)), length))
}

/// Names the file that cannot be read.
pub fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File {
        action: "read",
        path,
        source,
    }
}

/// The lines of an input. No more than one message's worth of a line is kept.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    number: u64,
    offset: u64,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// What it says.
    Text(&'a [u8]),
    /// It is longer than any message may be.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// Begins at a place: this many lines and bytes lie before it.
    pub fn from_place(from: R, number: u64, offset: u64) -> Self {
        Self {
            from,
            buffer: Vec::new(),
            number,
            offset,
        }
    }

    /// Begins at the start.
    pub fn new(from: R) -> Self {
        Self::from_place(from, 0, 0)
    }

    /// The number of the last line that was read, counted from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes lie before the next line.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line that is not blank.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.buffer.clear();
            let most = MAX_BYTES as u64 + 2;
            let read = (&mut self.from).take(most).read_until(b'\n', &mut self.buffer)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.offset += read as u64;
            if read as u64 == most && self.buffer.last() != Some(&b'\n') {
                self.offset += self.from.skip_until(b'\n')? as u64;
                return Ok(Some(Line::TooLong));
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        // Only the first line of a file can begin with a byte order mark.
        let text = self.buffer.as_slice();
        let text = text
            .strip_prefix(b"\xef\xbb\xbf")
            .filter(|_| self.number == 1)
            .unwrap_or(text);
        Ok(Some(Line::Text(text.trim_ascii())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<(u64, u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        loop {
            let text = match lines.next_line().unwrap() {
                None => return found,
                Some(Line::Text(text)) => Some(text.to_vec()),
                Some(Line::TooLong) => None,
            };
            found.push((lines.number(), lines.offset(), text));
        }
    }

    #[test]
    fn lines_are_numbered_and_blank_ones_passed_over() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(
            read(b"\xef\xbb\xbfa\r\n\n  \nb c\n d"),
            [(1, 6, text("a")), (4, 14, text("b c")), (5, 16, text("d"))]
        );
        assert_eq!(read(b""), []);
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_not_kept() {
        let long = vec![b'x'; 3 * MAX_BYTES];
        let input = [b"a\n".as_slice(), &long, b"\nb\n"].concat();
        let found = read(&input);
        assert_eq!(found.len(), 3);
        assert_eq!((found[1].0, &found[1].2), (2, &None));
        assert_eq!(found[2], (3, input.len() as u64, Some(b"b".to_vec())));
        let mut lines = Lines::new(input.as_slice());
        while lines.next_line().unwrap().is_some() {}
        assert!(lines.buffer.capacity() < 3 * MAX_BYTES);
    }
}
