//! Reading the subjects one after the other, from CSV or JSON lines, in little memory.

use std::io::BufReader;

use super::{
    format::{FilePosition, Format},
    identity_types::{Types, Wrong, identity},
    input::{Again, Input},
    rows::{Broken, Row, Rows},
};
use crate::{
    cli::{
        Failure,
        lines::{Line, Lines},
    },
    domain::{
        identity::{Identity, Placeholders},
        ids::IdentityType,
    },
};

/// How much is read at a time.
const BUFFER: usize = 1 << 16;

/// A line of the file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its number, counted from 1.
    pub(super) line: u64,
    /// Where the next one begins.
    pub(super) end: FilePosition,
    /// Whom it names, or what is wrong with it.
    pub(super) identities: Result<Vec<Identity>, Wrong>,
}

/// The subjects of a file.
pub(super) struct Subjects<'a> {
    input: &'a Input,
    types: &'a Types,
    placeholders: &'a Placeholders,
    source: Source<'a>,
}

enum Source<'a> {
    Csv {
        rows: Rows<BufReader<Again<'a>>>,
        columns: Vec<IdentityType>,
    },
    Json(Lines<BufReader<Again<'a>>>),
}

impl<'a> Subjects<'a> {
    /// Begins at a place; the default one is the start.
    pub(super) fn open(
        input: &'a Input,
        format: Format,
        types: &'a Types,
        placeholders: &'a Placeholders,
        from: FilePosition,
    ) -> Result<Self, Failure> {
        let at = |offset| BufReader::with_capacity(BUFFER, input.again(offset));
        let source = match format {
            Format::JsonLines => Source::Json(Lines::from_place(at(from.offset), from.line, from.offset)),
            Format::Csv => {
                let from_place =
                    |place: FilePosition| Rows::from_place(at(place.offset), place).map_err(input.failed());
                let mut rows = from_place(FilePosition::default())?;
                let columns = match rows.next().map_err(|fault| broken(input, fault))? {
                    Some(header) => columns(input, header, types)?,
                    None => {
                        return Err(Failure::Usage(format!(
                            "{}: expected subjects; there is nothing",
                            input.name()
                        )));
                    }
                };
                if from.offset > 0 {
                    rows = from_place(from)?;
                }
                Source::Csv { rows, columns }
            }
        };
        Ok(Self {
            input,
            types,
            placeholders,
            source,
        })
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Failure> {
        let input = self.input;
        let entry = match &mut self.source {
            Source::Json(lines) => {
                let identities = match lines.next_line().map_err(input.failed())? {
                    None => return Ok(None),
                    Some(Line::TooLong) => Err("expected a line of at most 1 MiB".to_owned()),
                    Some(Line::Text(text)) => self.types.read_json(text),
                };
                Entry {
                    line: lines.number(),
                    end: FilePosition {
                        offset: lines.offset(),
                        line: lines.number(),
                    },
                    identities,
                }
            }
            Source::Csv { rows, columns } => {
                let Some(row) = rows.next().map_err(|fault| broken(input, fault))? else {
                    return Ok(None);
                };
                Entry {
                    line: row.line,
                    end: row.end,
                    identities: subject_of(columns, row),
                }
            }
        };
        Ok(Some(Entry {
            identities: entry.identities.and_then(|found| self.checked(found)),
            ..entry
        }))
    }

    /// Refuses what the configuration calls nobody's.
    fn checked(&self, identities: Vec<Identity>) -> Result<Vec<Identity>, Wrong> {
        match self.placeholders.first_of(&identities) {
            None => Ok(identities),
            Some((place, fault)) => {
                let kind = identities
                    .get(place)
                    .map_or("", |identity| identity.kind.as_str());
                Err(format!("{kind}: {fault}"))
            }
        }
    }
}

/// The identity types of the header. What is no type that somebody takes is not repeated: where the header is
/// missing, it is the first subject.
fn columns(input: &Input, header: &Row, types: &Types) -> Result<Vec<IdentityType>, Failure> {
    let name = input.name();
    let mut columns = Vec::with_capacity(header.fields().len());
    for (n, field) in (1..).zip(header.fields()) {
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

fn subject_of(columns: &[IdentityType], row: &Row) -> Result<Vec<Identity>, Wrong> {
    if let Some(wrong) = row.wrong {
        return Err(wrong.to_owned());
    }
    // No identifier has a line break in it, and this may be several people.
    if row.lines() > 1 {
        let last = row.end.line;
        return Err(format!(
            "a value in quotes goes over lines {} to {last}: is a quote not closed?",
            row.line
        ));
    }
    if row.fields().len() != columns.len() {
        return Err(format!(
            "expected {} values, found {}",
            columns.len(),
            row.fields().len()
        ));
    }
    let mut identities = Vec::with_capacity(columns.len());
    for (kind, field) in columns.iter().zip(row.fields()) {
        let text = std::str::from_utf8(field).map_err(|_| format!("{kind}: expected UTF-8"))?;
        identities.extend(identity(kind, text.to_owned())?);
    }
    Ok(identities)
}

fn broken(input: &Input, fault: Broken) -> Failure {
    match fault {
        Broken::Io(source) => input.failed()(source),
        Broken::At(line, what) => Failure::Usage(format!(
            "{}:{line}: {what}: the lines after it cannot be told, so nothing is prepared until it is mended",
            input.name()
        )),
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
    type Read = Vec<(u64, FilePosition, Result<Vec<String>, Wrong>)>;

    fn input(content: &[u8]) -> (tempfile::TempDir, Input) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subjects");
        std::fs::write(&path, content).unwrap();
        let input = Input::open(&path).unwrap();
        (folder, input)
    }

    fn read(input: &Input, from: FilePosition) -> Result<Read, Failure> {
        let (types, none) = (types(), Placeholders::default());
        let mut subjects = Subjects::open(input, Format::of(input)?, &types, &none, from)?;
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
    fn csv_and_json_lines_give_same_subjects_from_any_position() {
        let csv = b"\xef\xbb\xbfcustomer_id, email\r\n1,a@b.c\n\n\"2\",\"d@e.f\"\n3,\n,\n4\n5,\xff\n6,NULL\n7,z@z.z";
        let json = b"\n{\"customer_id\":1,\"email\":\"a@b.c\"}\n\n{\"customer_id\":\"2\",\"email\":\"d@e.f\"}\n\
            {\"customer_id\":3}\n{}\n4\n{\"email\":\"\xff\"}\n{\"customer_id\":\"NULL\"}\n{\"customer_id\":7,\"email\":\"z@z.z\"}";
        for content in [csv.as_slice(), json.as_slice()] {
            let (_folder, input) = input(content);
            let all = read(&input, FilePosition::default()).unwrap();
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
                Some(vec!["2", "d@e.f"]),
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
        let lines: Vec<u64> = read(&input, FilePosition::default())
            .unwrap()
            .iter()
            .map(|read| read.0)
            .collect();
        assert_eq!(lines, [2, 3, 6]);
    }

    #[test]
    fn an_opening_quote_without_its_closing_one_swallows_nobody() {
        for text in [
            "customer_id,email\n1001,\"ann@example.org\n1002,bob@example.org\n1003,carol@example.org\n",
            "customer_id,email\n1001,\"ann@example.org\n1002,\"bob@example.org\"\n1003,carol@example.org\n",
        ] {
            let (_folder, input) = input(text.as_bytes());
            let said = read(&input, FilePosition::default()).unwrap_err().to_string();
            assert!(said.contains(":2: a quote is opened here"), "{said}");
            assert!(!said.contains("example.org"), "{said}");
        }
        // Three people in one row that is well formed: it is said, and nobody is taken for another.
        let (_folder, input) = input(b"customer_id,email\n1,\"a@b.c\n2,d@e.f\n3,g\"\n4,z@z.z\n");
        let found = read(&input, FilePosition::default()).unwrap();
        assert_eq!(found.len(), 2);
        assert!(
            found[0]
                .2
                .as_ref()
                .is_err_and(|wrong| wrong.contains("lines 2 to 4")),
            "{found:?}"
        );
    }

    #[test]
    fn a_file_that_is_no_text_is_named_for_what_it_is() {
        let utf_16: Vec<u8> = "email\na@b.c\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for (content, named) in [
            (&b"\x1f\x8b\x08\0canary"[..], "gzip"),
            (b"PK\x03\x04canary", "xlsx"),
            (&utf_16, "UTF-16"),
            (b"[{\"email\":\"canary@example.org\"}]", "JSON array"),
        ] {
            let (_folder, input) = input(content);
            let said = read(&input, FilePosition::default()).unwrap_err().to_string();
            assert!(said.contains(named) && !said.contains("canary"), "{said}");
        }
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
            let failure = read(&input, FilePosition::default()).unwrap_err();
            assert!(!failure.to_string().contains("canary"), "{failure}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_the_reading() {
        let content = [b"email\n\"".as_slice(), &b"a@b.c\n".repeat(2_000_000)].concat();
        let (_folder, input) = input(&content);
        let failure = read(&input, FilePosition::default()).unwrap_err();
        let said = failure.to_string();
        assert!(said.contains(":2: ") && said.contains("quote"), "{said}");
    }
}
