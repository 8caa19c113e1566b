//! Reading the subjects one after the other, from CSV or JSON lines, in little memory.

use std::io::{BufReader, Read};

use serde::{Deserialize, Serialize};

use super::{
    input::{Again, Input},
    rows::{Broken, Row, Rows},
    subject::{Types, Wrong, identity},
};
use crate::{
    cli::{
        Failure, foreign,
        lines::{Line, Lines},
    },
    domain::{
        identity::{Identity, Placeholders},
        ids::IdentityType,
    },
};

/// How much is read at a time.
const BUFFER: usize = 1 << 16;

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
            .take(foreign::LOOKED_AT as u64)
            .read_to_end(&mut start)
            .map_err(input.failed())?;
        let no_text = |what: &str| Failure::Usage(format!("{}: {what}", input.name()));
        if let Some(what) = foreign::kind_of(&start) {
            return Err(no_text(what));
        }
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
        match start.trim_ascii_start().first() {
            Some(b'{') => Ok(Self::JsonLines),
            Some(b'[') => Err(no_text(
                "this is a JSON array: make JSON lines of it, an object a line (jq -c '.[]' FILE)",
            )),
            _ => Ok(Self::Csv),
        }
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
        from: Place,
    ) -> Result<Self, Failure> {
        let at = |offset| BufReader::with_capacity(BUFFER, input.again(offset));
        let source = match format {
            Format::JsonLines => Source::Json(Lines::from_place(at(from.offset), from.line, from.offset)),
            Format::Csv => {
                let from_place =
                    |place: Place| Rows::from_place(at(place.offset), place).map_err(input.failed());
                let mut rows = from_place(Place::default())?;
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
                let identities = match lines.next().map_err(input.failed())? {
                    None => return Ok(None),
                    Some(Line::TooLong) => Err("expected a line of at most 1 MiB".to_owned()),
                    Some(Line::Text(text)) => self.types.read_json(text),
                };
                Entry {
                    line: lines.number(),
                    end: Place {
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
mod tests;
