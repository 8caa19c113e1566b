//! Reading the subjects one after the other, from CSV or JSON lines, in little memory.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use csv::ByteRecord;
use serde::{Deserialize, Serialize};

use super::{
    input::{Again, Input},
    subject::{Types, Wrong, identity},
};
use crate::{
    cli::{
        Failure,
        lines::{Line, Lines},
    },
    domain::{identity::Identity, ids::IdentityType},
};

/// The most bytes of one record: what follows a quote that is never closed would otherwise all be one.
const MAX_RECORD: u64 = 4 << 20;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// A header line of identity types, then a subject a line.
    Csv,
    /// An object a line.
    JsonLines,
}

impl Format {
    /// JSON lines begin with an object; no identity type begins so.
    pub(super) fn of(input: &Input) -> Result<Self, Failure> {
        let mut start = Vec::new();
        input
            .again(0)
            .take(4096)
            .read_to_end(&mut start)
            .map_err(input.failed())?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
        Ok(if start.trim_ascii_start().first() == Some(&b'{') {
            Self::JsonLines
        } else {
            Self::Csv
        })
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::JsonLines => "JSON lines",
        }
    }
}

/// A place between two subjects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// How many bytes lie before it.
    pub(super) offset: u64,
    /// How many lines lie before it.
    pub(super) line: u64,
}

/// A line of the file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its number, counted from 1.
    pub(super) line: u64,
    /// Where the next one begins.
    pub(super) end: Place,
    /// Whom it names, or what is wrong with it.
    pub(super) identities: Result<Vec<Identity>, Wrong>,
}

/// The subjects of a file.
pub(super) struct Subjects<'a> {
    input: &'a Input,
    types: &'a Types,
    source: Source<'a>,
}

enum Source<'a> {
    Csv {
        reader: Box<csv::Reader<Bounded<Again<'a>>>>,
        columns: Vec<IdentityType>,
        record: ByteRecord,
    },
    Json(Lines<BufReader<Again<'a>>>),
}

impl<'a> Subjects<'a> {
    /// Begins at a place; the default one is the start.
    pub(super) fn open(
        input: &'a Input,
        format: Format,
        types: &'a Types,
        from: Place,
    ) -> Result<Self, Failure> {
        let source = match format {
            Format::JsonLines => {
                let file = BufReader::with_capacity(1 << 16, input.again(from.offset));
                Source::Json(Lines::from_place(file, from.line, from.offset))
            }
            Format::Csv => {
                let mut reader = Box::new(
                    csv::ReaderBuilder::new()
                        .flexible(true)
                        .buffer_capacity(1 << 16)
                        .from_reader(Bounded::new(input.again(0))),
                );
                let header = reader.byte_headers().map_err(|error| broken(input, error))?;
                let columns = columns(input, header, types)?;
                if from.offset > 0 {
                    let mut position = csv::Position::new();
                    position
                        .set_byte(from.offset)
                        .set_line(from.line + 1)
                        .set_record(1);
                    reader.seek(position).map_err(|error| broken(input, error))?;
                }
                Source::Csv {
                    reader,
                    columns,
                    record: ByteRecord::new(),
                }
            }
        };
        Ok(Self { input, types, source })
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Failure> {
        let input = self.input;
        match &mut self.source {
            Source::Json(lines) => {
                let identities = match lines.next().map_err(input.failed())? {
                    None => return Ok(None),
                    Some(Line::TooLong) => Err("expected a line of at most 1 MiB".to_owned()),
                    Some(Line::Text(text)) => self.types.read_json(text),
                };
                Ok(Some(Entry {
                    line: lines.number(),
                    end: Place {
                        offset: lines.offset(),
                        line: lines.number(),
                    },
                    identities,
                }))
            }
            Source::Csv {
                reader,
                columns,
                record,
            } => {
                let read = reader
                    .read_byte_record(record)
                    .map_err(|error| broken(input, error))?;
                reader.get_ref().begin_record();
                if !read {
                    return Ok(None);
                }
                let end = reader.position();
                Ok(Some(Entry {
                    line: first_line(record, end.line()),
                    end: Place {
                        offset: end.byte(),
                        line: end.line().saturating_sub(1),
                    },
                    identities: row(columns, record),
                }))
            }
        }
    }
}

/// The identity types of the header. What is no type that somebody takes is not repeated: where the header is
/// missing, it is the first subject.
fn columns(input: &Input, header: &ByteRecord, types: &Types) -> Result<Vec<IdentityType>, Failure> {
    let name = input.name();
    if header.is_empty() {
        return Err(Failure::Usage(format!(
            "{name}: expected subjects; there is nothing"
        )));
    }
    let mut columns = Vec::with_capacity(header.len());
    for (n, field) in (1..).zip(header) {
        let known = std::str::from_utf8(field)
            .ok()
            .and_then(|field| types.get(field.trim()));
        let Some(kind) = known else {
            return Err(Failure::Usage(format!(
                "{name}:1: column {n} of the header: expected an identity type that a processor takes ({}); is the \
                 header line missing, or are the columns not separated by commas?",
                types.list()
            )));
        };
        if columns.contains(kind) {
            return Err(Failure::Usage(format!("{name}:1: two columns are called {kind}")));
        }
        columns.push(kind.clone());
    }
    Ok(columns)
}

/// The line that a record begins on. The reader counts blank lines before it as a part of it.
fn first_line(record: &ByteRecord, end: u64) -> u64 {
    let begun = record.position().map_or(0, csv::Position::line);
    let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
    begun + end.saturating_sub(begun + inside + 1)
}

fn row(columns: &[IdentityType], record: &ByteRecord) -> Result<Vec<Identity>, Wrong> {
    if record.len() != columns.len() {
        return Err(format!(
            "expected {} values, found {}",
            columns.len(),
            record.len()
        ));
    }
    let mut identities = Vec::with_capacity(columns.len());
    for (kind, field) in columns.iter().zip(record) {
        let text = std::str::from_utf8(field).map_err(|_| format!("{kind}: expected UTF-8"))?;
        identities.extend(identity(kind, text.to_owned())?);
    }
    Ok(identities)
}

fn broken(input: &Input, error: csv::Error) -> Failure {
    // Without values: a record is shown by its position only.
    match error.into_kind() {
        csv::ErrorKind::Io(source) => input.failed()(source),
        _ => Failure::Usage(format!("{}: expected CSV", input.name())),
    }
}

/// Ends the reading of a record that has no end.
struct Bounded<R> {
    from: R,
    read: std::cell::Cell<u64>,
}

impl<R> Bounded<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            read: std::cell::Cell::new(0),
        }
    }

    fn begin_record(&self) {
        self.read.set(0);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.get() > MAX_RECORD {
            return Err(io::Error::other(
                "a record is longer than 4 MiB: is a quote not closed?",
            ));
        }
        let read = self.from.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.from.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Types {
        Types(
            ["email", "customer_id"]
                .map(|name| IdentityType::new(name).unwrap())
                .into(),
        )
    }

    /// Line, end and values of each entry.
    type Read = Vec<(u64, Place, Result<Vec<String>, Wrong>)>;

    fn input(content: &[u8]) -> (tempfile::TempDir, Input) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subjects");
        std::fs::write(&path, content).unwrap();
        let input = Input::open(&path).unwrap();
        (folder, input)
    }

    fn read(input: &Input, from: Place) -> Result<Read, Failure> {
        let types = types();
        let mut subjects = Subjects::open(input, Format::of(input)?, &types, from)?;
        let mut found = Vec::new();
        while let Some(Entry {
            line,
            end,
            identities,
        }) = subjects.next()?
        {
            let values =
                identities.map(|list| list.iter().map(|one| one.value.expose().to_owned()).collect());
            found.push((line, end, values));
        }
        Ok(found)
    }

    #[test]
    fn csv_and_json_lines_give_the_same_subjects_and_can_be_taken_up_anywhere() {
        let csv = b"\xef\xbb\xbfcustomer_id, email\r\n1,a@b.c\n\n\"2\n\",\"d@e.f\"\n3,\n,\n4\n5,\xff\n6,NULL\n7,z@z.z";
        let json = b"\n{\"customer_id\":1,\"email\":\"a@b.c\"}\n\n{\"customer_id\":\"2\\n\",\"email\":\"d@e.f\"}\n\
            {\"customer_id\":3}\n{}\n4\n{\"email\":\"\xff\"}\n{\"customer_id\":\"NULL\"}\n{\"customer_id\":7,\"email\":\"z@z.z\"}";
        for content in [csv.as_slice(), json.as_slice()] {
            let (_folder, input) = input(content);
            let all = read(&input, Place::default()).unwrap();
            let values: Vec<Option<Vec<&str>>> = all
                .iter()
                .map(|(_, _, values)| {
                    values
                        .as_ref()
                        .ok()
                        .map(|list| list.iter().map(String::as_str).collect())
                })
                .collect();
            let expected = [
                Some(vec!["1", "a@b.c"]),
                Some(vec!["2\n", "d@e.f"]),
                Some(vec!["3"]),
                Some(vec![]),
                None,
                None,
                None,
                Some(vec!["7", "z@z.z"]),
            ];
            assert_eq!(values, expected);
            assert_eq!(all.last().unwrap().1.offset, content.len() as u64);
            for (n, (_, end, _)) in all.iter().enumerate() {
                assert_eq!(read(&input, *end).unwrap(), all[n + 1..], "from {end:?}");
            }
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let (_folder, input) = input(b"email\na@b.c\n\"x@y\n.z\"\n\nd@e.f\n");
        let lines: Vec<u64> = read(&input, Place::default())
            .unwrap()
            .iter()
            .map(|read| read.0)
            .collect();
        assert_eq!(lines, [2, 3, 6]);
    }

    #[test]
    fn a_header_that_is_none_is_refused_and_not_repeated() {
        for content in [
            "canary@example.org\nx\n",
            "email;canary\n",
            "email,email\n",
            "",
            "\n",
        ] {
            let (_folder, input) = input(content.as_bytes());
            let failure = read(&input, Place::default()).unwrap_err();
            assert!(!failure.to_string().contains("canary"), "{failure}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_the_reading() {
        let content = [b"email\n\"".as_slice(), &b"a@b.c\n".repeat(2_000_000)].concat();
        let (_folder, input) = input(&content);
        let failure = read(&input, Place::default()).unwrap_err();
        let source = std::error::Error::source(&failure).unwrap().to_string();
        assert!(source.contains("quote"), "{source}");
    }
}
