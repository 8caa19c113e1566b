//! Rows, taken apart into columns.

use std::borrow::Cow;

use uuid::Uuid;

use super::value::{Column, Value};

/// Columns with their names.
#[derive(Debug)]
pub struct Named<'q> {
    pub(super) names: Vec<&'static str>,
    pub(super) columns: Vec<Column<'q>>,
}

/// Rows of which each column is named once, with what it takes of a row.
#[derive(Debug)]
pub struct Table<'q, T> {
    rows: &'q [T],
    pub(super) columns: Named<'q>,
}

impl<'q, T> Table<'q, T> {
    /// These rows, without a column yet.
    pub fn of(rows: &'q [T]) -> Self {
        Self {
            rows,
            columns: Named {
                names: Vec::new(),
                columns: Vec::new(),
            },
        }
    }

    fn with(mut self, name: &'static str, column: Column<'q>) -> Self {
        self.columns.names.push(name);
        self.columns.columns.push(column);
        self
    }

    /// A truth.
    pub fn bool(self, name: &'static str, of: impl Fn(&'q T) -> bool) -> Self {
        let column = Column::Bool(self.rows.iter().map(of).collect());
        self.with(name, column)
    }

    /// Two bytes.
    pub fn smallint(self, name: &'static str, of: impl Fn(&'q T) -> i16) -> Self {
        let column = Column::Smallint(self.rows.iter().map(of).collect());
        self.with(name, column)
    }

    /// Four bytes.
    pub fn integer(self, name: &'static str, of: impl Fn(&'q T) -> i32) -> Self {
        let column = Column::Integer(self.rows.iter().map(of).collect());
        self.with(name, column)
    }

    /// Eight bytes.
    pub fn bigint(self, name: &'static str, of: impl Fn(&'q T) -> i64) -> Self {
        self.maybe_bigint(name, |row| Some(of(row)))
    }

    /// Eight bytes, or none.
    pub fn maybe_bigint(self, name: &'static str, of: impl Fn(&'q T) -> Option<i64>) -> Self {
        let column = Column::Bigint(self.rows.iter().map(of).collect());
        self.with(name, column)
    }

    /// A text.
    pub fn text<C: Into<Cow<'q, str>>>(self, name: &'static str, of: impl Fn(&'q T) -> C) -> Self {
        self.maybe_text(name, |row| Some(of(row)))
    }

    /// A text, or none.
    pub fn maybe_text<C: Into<Cow<'q, str>>>(
        self,
        name: &'static str,
        of: impl Fn(&'q T) -> Option<C>,
    ) -> Self {
        let column = Column::Text(self.rows.iter().map(|row| of(row).map(Into::into)).collect());
        self.with(name, column)
    }

    /// Bytes.
    pub fn bytes<C: Into<Cow<'q, [u8]>>>(self, name: &'static str, of: impl Fn(&'q T) -> C) -> Self {
        self.maybe_bytes(name, |row| Some(of(row)))
    }

    /// Bytes, or none.
    pub fn maybe_bytes<C: Into<Cow<'q, [u8]>>>(
        self,
        name: &'static str,
        of: impl Fn(&'q T) -> Option<C>,
    ) -> Self {
        let column = Column::Bytes(self.rows.iter().map(|row| of(row).map(Into::into)).collect());
        self.with(name, column)
    }

    /// An id.
    pub fn uuid(self, name: &'static str, of: impl Fn(&'q T) -> Uuid) -> Self {
        let column = Column::Uuid(self.rows.iter().map(of).collect());
        self.with(name, column)
    }
}

impl<'q, T> From<Table<'q, T>> for Value<'q> {
    fn from(table: Table<'q, T>) -> Self {
        Self::List(table.columns.columns)
    }
}
