//! CSV as RFC 4180 has it, and nothing looser: a reader that forgives a quote which is never closed takes the people after
//! it for a part of the one before.
//!
//! What it says of a fault must never hold anything of the file.

use std::io::{self, BufRead};

use super::format::FilePosition;

/// The most bytes of one row: far more than identifiers take, and little enough to be held.
const MAX_ROW: usize = 1 << 20;

/// The rows of a file.
#[derive(Debug)]
pub(super) struct Rows<R> {
    from: R,
    place: FilePosition,
    row: Row,
}

/// One row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The line that it begins on, counted from 1.
    pub(super) line: u64,
    /// Where the next one begins.
    pub(super) end: FilePosition,
    /// What is wrong with it, where the next row can still be told.
    pub(super) wrong: Option<&'static str>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Row {
    /// The values.
    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let start = |n: usize| n.checked_sub(1).map_or(0, |before| self.ends[before]);
        (0..self.ends.len()).map(move |n| &self.bytes[start(n)..self.ends[n]])
    }

    /// How many lines of the file it takes.
    pub(super) const fn lines(&self) -> u64 {
        self.end.line + 1 - self.line
    }
}

/// The file is no CSV from some line on: nobody can say where the next row begins.
#[derive(Debug)]
pub(super) enum Broken {
    /// It cannot be read.
    Io(io::Error),
    /// On this line.
    At(u64, &'static str),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What stands after a value.
enum After {
    Comma,
    Line,
    End,
}

impl<R: BufRead> Rows<R> {
    /// Begins at a place. At the start a byte order mark is passed over.
    pub(super) fn from_place(mut from: R, place: FilePosition) -> io::Result<Self> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let mut rows_at = place;
        if place.offset == 0 && from.fill_buf()?.starts_with(MARK) {
            from.consume(MARK.len());
            rows_at.offset = MARK.len() as u64;
        }
        Ok(Self {
            from,
            place: rows_at,
            row: Row::default(),
        })
    }

    /// The next row that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<&Row>, Broken> {
        loop {
            match self.peek()? {
                None => return Ok(None),
                Some(b'\n') => self.take(),
                Some(b'\r') => {
                    self.take();
                    if self.peek()? != Some(b'\n') {
                        return Err(Broken::At(self.place.line + 1, LONE));
                    }
                }
                Some(_) => break,
            }
        }
        self.row.line = self.place.line + 1;
        self.row.wrong = None;
        self.row.bytes.clear();
        self.row.ends.clear();
        loop {
            let after = match self.peek()? {
                Some(b'"') => self.quoted()?,
                _ => self.plain()?,
            };
            self.row.ends.push(self.row.bytes.len());
            if !matches!(after, After::Comma) {
                break;
            }
        }
        self.row.end = self.place;
        // A last line without its end is a line all the same.
        Ok(Some(&self.row))
    }

    /// A value that is not in quotes.
    fn plain(&mut self) -> Result<After, Broken> {
        loop {
            match self.peek()? {
                None => return Ok(After::End),
                Some(b'"') => {
                    self.row.wrong = Some("a quote in a value that does not begin with one");
                    self.keep(b'"')?;
                }
                Some(b',' | b'\n' | b'\r') => return self.after(),
                Some(byte) => self.keep(byte)?,
            }
        }
    }

    /// A value in quotes.
    fn quoted(&mut self) -> Result<After, Broken> {
        let opened = self.place.line + 1;
        self.take();
        loop {
            match self.peek()? {
                None => return Err(Broken::At(opened, "a quote is opened here and never closed")),
                Some(b'"') => {
                    self.take();
                    if self.peek()? != Some(b'"') {
                        break;
                    }
                    self.keep(b'"')?;
                }
                Some(byte) => self.keep(byte)?,
            }
        }
        if matches!(self.peek()?, None | Some(b',' | b'\n' | b'\r')) {
            return self.after();
        }
        // On one line it is that line which is wrong. Over several nobody knows which quote is one too many.
        if self.place.line + 1 > opened {
            return Err(Broken::At(
                opened,
                "a quote is opened here and closed in the middle of a value on a later line",
            ));
        }
        let after = self.plain()?;
        self.row.wrong = Some("text after a closing quote");
        Ok(after)
    }

    /// What ends a value.
    fn after(&mut self) -> Result<After, Broken> {
        match self.peek()? {
            None => Ok(After::End),
            Some(b',') => {
                self.take();
                Ok(After::Comma)
            }
            Some(b'\r') => {
                self.take();
                if self.peek()? != Some(b'\n') {
                    return Err(Broken::At(self.place.line + 1, LONE));
                }
                self.take();
                Ok(After::Line)
            }
            Some(_) => {
                self.take();
                Ok(After::Line)
            }
        }
    }

    fn keep(&mut self, byte: u8) -> Result<(), Broken> {
        self.take();
        if self.row.bytes.len() == MAX_ROW {
            return Err(Broken::At(
                self.row.line,
                "a row of more than 1 MiB: is a quote not closed?",
            ));
        }
        self.row.bytes.push(byte);
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.from.fill_buf()?.first().copied())
    }

    /// Takes the byte that was seen.
    fn take(&mut self) {
        if let Ok([b'\n', ..]) = self.from.fill_buf() {
            self.place.line += 1;
        }
        self.from.consume(1);
        self.place.offset += 1;
    }
}

const LONE: &str =
    "a carriage return without a line feed: save the file with the line ends of Windows or Unix";

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(u64, u64, Vec<String>, bool)>;

    fn read(text: &str) -> Result<Found, (u64, &'static str)> {
        let mut rows = Rows::from_place(text.as_bytes(), FilePosition::default()).unwrap();
        let mut found = Vec::new();
        loop {
            match rows.next() {
                Ok(None) => return Ok(found),
                Ok(Some(row)) => {
                    let fields = row
                        .fields()
                        .map(|field| String::from_utf8_lossy(field).into_owned());
                    found.push((row.line, row.end.offset, fields.collect(), row.wrong.is_some()));
                }
                Err(Broken::At(line, what)) => return Err((line, what)),
                Err(Broken::Io(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn rows_are_read_as_rfc_4180_has_them() {
        let row = |line, end, fields: &[&str], wrong| {
            (
                line,
                end,
                fields.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>(),
                wrong,
            )
        };
        assert_eq!(
            read("\u{feff}a,b\r\n\n\"1,2\",\"say \"\"x\"\"\"\n,\n\"x\ny\",z").unwrap(),
            [
                row(1, 8, &["a", "b"], false),
                row(3, 27, &["1,2", "say \"x\""], false),
                row(4, 29, &["", ""], false),
                row(5, 36, &["x\ny", "z"], false),
            ]
        );
        // The line is wrong, and the next one is read.
        assert_eq!(
            read("a\"b,c\n\"d\"e,f\ng,h\n").unwrap(),
            [
                row(1, 6, &["a\"b", "c"], true),
                row(2, 13, &["de", "f"], true),
                row(3, 17, &["g", "h"], false),
            ]
        );
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn unclosed_quote_ends_reading_and_names_its_line() {
        for (text, line) in [
            ("id,mail\n1,\"a@b.c\n2,d@e.f\n3,g@h.i\n", 2),
            ("id,mail\n1,\"a@b.c\n2,\"d@e.f\"\n3,g@h.i\n", 2),
            ("a\n\"", 2),
            ("a\rb\rc", 1),
            ("a\n\rb", 2),
        ] {
            let (at, _) = read(text).expect_err(text);
            assert_eq!(at, line, "{text:?}");
        }
        let long = format!("a\n\"{}", "x\n".repeat(MAX_ROW));
        assert_eq!(read(&long).unwrap_err().0, 2);
    }
}
