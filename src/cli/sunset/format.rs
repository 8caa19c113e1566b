//! How the file with the subjects is written, and places in it.

use std::io::Read;

use serde::{Deserialize, Serialize};

use super::input::Input;
use crate::cli::{Failure, file_kind};

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
            .take(file_kind::LOOKED_AT as u64)
            .read_to_end(&mut start)
            .map_err(input.failed())?;
        let no_text = |what: &str| Failure::Usage(format!("{}: {what}", input.name()));
        if let Some(what) = file_kind::kind_of(&start) {
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
pub(super) struct FilePosition {
    /// How many bytes lie before it.
    pub(super) offset: u64,
    /// How many lines lie before it.
    pub(super) line: u64,
}
