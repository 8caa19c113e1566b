//! The values of a statement, as both databases take them.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use sqlx::{Arguments as _, postgres::PgArguments, sqlite::SqliteArguments};
use uuid::Uuid;

use crate::{domain::ids::RequestId, store::error::StoreError};

/// A value.
#[derive(Debug, Clone)]
pub enum Value<'q> {
    /// A truth.
    Bool(bool),
    /// Two bytes.
    Smallint(Option<i16>),
    /// Four bytes.
    Integer(Option<i32>),
    /// Eight bytes.
    Bigint(Option<i64>),
    /// A text.
    Text(Option<Cow<'q, str>>),
    /// Bytes.
    Bytes(Option<Cow<'q, [u8]>>),
    /// An id.
    Uuid(Option<Uuid>),
    /// Columns of equal length: to PostgreSQL an array each; to SQLite one JSON text, an array of values where there is one
    /// column, and an array of arrays where there are more. Ids and bytes are written in hexadecimal digits there, because
    /// JSON has no bytes.
    List(Vec<Column<'q>>),
}

/// One column of many rows.
#[derive(Debug, Clone)]
pub enum Column<'q> {
    /// Truths.
    Bool(Vec<bool>),
    /// Two bytes each.
    Smallint(Vec<i16>),
    /// Four bytes each.
    Integer(Vec<i32>),
    /// Eight bytes each, or none.
    Bigint(Vec<Option<i64>>),
    /// Texts.
    Text(Vec<Option<Cow<'q, str>>>),
    /// Bytes.
    Bytes(Vec<Option<Cow<'q, [u8]>>>),
    /// Ids.
    Uuid(Vec<Uuid>),
}

impl<'q> Column<'q> {
    /// Texts.
    pub fn texts(texts: impl IntoIterator<Item = &'q str>) -> Self {
        Self::Text(texts.into_iter().map(|text| Some(text.into())).collect())
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Self::Bool(rows) => rows.len(),
            Self::Smallint(rows) => rows.len(),
            Self::Integer(rows) => rows.len(),
            Self::Bigint(rows) => rows.len(),
            Self::Text(rows) => rows.len(),
            Self::Bytes(rows) => rows.len(),
            Self::Uuid(rows) => rows.len(),
        }
    }

    /// The type of its array in PostgreSQL.
    pub(super) const fn array_type(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool[]",
            Self::Smallint(_) => "int2[]",
            Self::Integer(_) => "int4[]",
            Self::Bigint(_) => "int8[]",
            Self::Text(_) => "text[]",
            Self::Bytes(_) => "bytea[]",
            Self::Uuid(_) => "uuid[]",
        }
    }

    /// Whether its values are written in hexadecimal digits where they go as JSON.
    pub(super) const fn is_hex(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Uuid(_))
    }

    pub(super) fn add_to_postgres(&self, arguments: &mut PgArguments) -> Result<(), StoreError> {
        let added = match self {
            Self::Bool(rows) => arguments.add(rows),
            Self::Smallint(rows) => arguments.add(rows),
            Self::Integer(rows) => arguments.add(rows),
            Self::Bigint(rows) => arguments.add(rows),
            Self::Text(rows) => arguments.add(rows.iter().map(Option::as_deref).collect::<Vec<_>>()),
            Self::Bytes(rows) => arguments.add(rows.iter().map(Option::as_deref).collect::<Vec<_>>()),
            Self::Uuid(rows) => arguments.add(rows),
        };
        added.map_err(encoding)
    }

    /// The value of a row.
    pub(super) fn row(&self, n: usize) -> Value<'_> {
        match self {
            Self::Bool(rows) => Value::Bool(rows[n]),
            Self::Smallint(rows) => Value::Smallint(Some(rows[n])),
            Self::Integer(rows) => Value::Integer(Some(rows[n])),
            Self::Bigint(rows) => Value::Bigint(rows[n]),
            Self::Text(rows) => Value::Text(rows[n].as_deref().map(Cow::from)),
            Self::Bytes(rows) => Value::Bytes(rows[n].as_deref().map(Cow::from)),
            Self::Uuid(rows) => Value::Uuid(Some(rows[n])),
        }
    }

    fn json(&self, n: usize) -> Json {
        match self {
            Self::Bool(rows) => json!(rows[n]),
            Self::Smallint(rows) => json!(rows[n]),
            Self::Integer(rows) => json!(rows[n]),
            Self::Bigint(rows) => json!(rows[n]),
            Self::Text(rows) => json!(rows[n]),
            Self::Bytes(rows) => json!(rows[n].as_deref().map(hex::encode)),
            Self::Uuid(rows) => json!(rows[n].simple().to_string()),
        }
    }
}

fn json_of(columns: &[Column<'_>]) -> String {
    let rows = columns.first().map_or(0, Column::rows);
    let of_row = |n: usize| match columns {
        [column] => column.json(n),
        columns => columns.iter().map(|column| column.json(n)).collect(),
    };
    (0..rows).map(of_row).collect::<Json>().to_string()
}

impl Value<'_> {
    pub(super) fn add_to_postgres(&self, arguments: &mut PgArguments) -> Result<(), StoreError> {
        let added = match self {
            Self::Bool(value) => arguments.add(value),
            Self::Smallint(value) => arguments.add(value),
            Self::Integer(value) => arguments.add(value),
            Self::Bigint(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value.as_deref()),
            Self::Bytes(value) => arguments.add(value.as_deref()),
            Self::Uuid(value) => arguments.add(value),
            Self::List(columns) => {
                return columns
                    .iter()
                    .try_for_each(|column| column.add_to_postgres(arguments));
            }
        };
        added.map_err(encoding)
    }

    pub(super) fn add_to_sqlite(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
        let added = match self {
            Self::Bool(value) => arguments.add(value),
            Self::Smallint(value) => arguments.add(value),
            Self::Integer(value) => arguments.add(value),
            Self::Bigint(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value.as_deref()),
            Self::Bytes(value) => arguments.add(value.as_deref()),
            Self::Uuid(value) => arguments.add(value),
            Self::List(columns) => arguments.add(json_of(columns)),
        };
        added.map_err(encoding)
    }
}

fn encoding(error: sqlx::error::BoxDynError) -> StoreError {
    sqlx::Error::Encode(error).into()
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i16> for Value<'_> {
    fn from(value: i16) -> Self {
        Self::Smallint(Some(value))
    }
}

impl From<Option<i16>> for Value<'_> {
    fn from(value: Option<i16>) -> Self {
        Self::Smallint(value)
    }
}

impl From<i32> for Value<'_> {
    fn from(value: i32) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Bigint(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Bigint(value)
    }
}

impl<'q> From<&'q str> for Value<'q> {
    fn from(value: &'q str) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl<'q> From<Option<&'q str>> for Value<'q> {
    fn from(value: Option<&'q str>) -> Self {
        Self::Text(value.map(Cow::from))
    }
}

impl<'q> From<&'q [u8]> for Value<'q> {
    fn from(value: &'q [u8]) -> Self {
        Self::Bytes(Some(value.into()))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value.into()))
    }
}

impl<'q> From<Option<&'q [u8]>> for Value<'q> {
    fn from(value: Option<&'q [u8]>) -> Self {
        Self::Bytes(value.map(Cow::from))
    }
}

impl From<Uuid> for Value<'_> {
    fn from(value: Uuid) -> Self {
        Self::Uuid(Some(value))
    }
}

impl From<Option<Uuid>> for Value<'_> {
    fn from(value: Option<Uuid>) -> Self {
        Self::Uuid(value)
    }
}

impl From<&[RequestId]> for Value<'_> {
    fn from(ids: &[RequestId]) -> Self {
        Column::Uuid(ids.iter().map(|id| id.0).collect()).into()
    }
}

/// Digests of equal length.
impl<'q, const N: usize> From<&'q [[u8; N]]> for Value<'q> {
    fn from(digests: &'q [[u8; N]]) -> Self {
        let digests = digests.iter().map(|digest| Some(digest.as_slice().into()));
        Column::Bytes(digests.collect()).into()
    }
}

impl<'q> From<Column<'q>> for Value<'q> {
    fn from(column: Column<'q>) -> Self {
        Self::List(vec![column])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_gets_columns_as_rows() {
        let ids = || Column::Uuid(vec![Uuid::from_u128(1), Uuid::from_u128(2)]);
        assert_eq!(
            json_of(&[ids()]),
            r#"["00000000000000000000000000000001","00000000000000000000000000000002"]"#
        );
        let bytes = Column::Bytes(vec![Some(Cow::from(vec![255_u8])), None]);
        assert_eq!(
            json_of(&[ids(), Column::Integer(vec![7, 8]), bytes]),
            r#"[["00000000000000000000000000000001",7,"ff"],["00000000000000000000000000000002",8,null]]"#
        );
        assert_eq!(json_of(&[Column::texts([])]), "[]");
    }
}
