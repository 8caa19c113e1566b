//! A statement: its text in both dialects, and its values. It is data, so that it is written once and run by either adapter.

mod insert;
mod rows;
mod table;
mod text;
mod value;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr, postgres::PgArguments, sqlite::SqliteArguments};

pub use self::rows::Rows;
pub(super) use self::{
    insert::{CHUNK, Delete, Insert},
    table::Table,
    text::{Text, sql},
    value::{Column, Value},
};
use super::error::StoreError;

/// A statement, to be run by either database.
#[derive(Debug)]
pub struct Statement<'q>(Kind<'q>);

#[derive(Debug)]
enum Kind<'q> {
    /// One text, with its values.
    Plain(Text, Vec<Value<'q>>),
    /// Many rows into a table.
    Insert(Insert<'q>),
    /// Many rows out of a table.
    Delete(Delete<'q>),
    /// How the database would go about a text.
    Explained(Text, Vec<Value<'q>>),
}

/// A statement as SQLite runs it.
pub(in crate::store) struct SqliteStatement {
    pub text: SqlStr,
    pub arguments: SqliteArguments,
    /// Whether it is worth being remembered.
    pub is_lasting: bool,
}

impl<'q> Statement<'q> {
    /// A statement without values yet.
    pub(in crate::store) const fn new(text: Text) -> Self {
        Self(Kind::Plain(text, Vec::new()))
    }

    /// With one more value.
    #[must_use]
    pub(in crate::store) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        if let Kind::Plain(_, values) = &mut self.0 {
            values.push(value.into());
        }
        self
    }

    /// How the database would go about it, in place of what it finds.
    #[must_use]
    pub(in crate::store) fn explained(self) -> Self {
        match self.0 {
            Kind::Plain(text, values) => Self(Kind::Explained(text, values)),
            other => Self(other),
        }
    }

    /// As PostgreSQL runs it.
    pub(in crate::store) fn postgres(&self) -> Result<(SqlStr, PgArguments), StoreError> {
        let mut arguments = PgArguments::default();
        let (text, columns) = match &self.0 {
            Kind::Plain(text, values) => {
                for value in values {
                    value.add_to_postgres(&mut arguments)?;
                }
                return Ok((text.postgres.into_sql_str(), arguments));
            }
            Kind::Explained(text, values) => {
                for value in values {
                    value.add_to_postgres(&mut arguments)?;
                }
                let text = format!("explain {}", text.postgres);
                return Ok((AssertSqlSafe(text).into_sql_str(), arguments));
            }
            Kind::Insert(insert) => insert.postgres(),
            Kind::Delete(delete) => delete.postgres(),
        };
        for column in columns {
            column.add_to_postgres(&mut arguments)?;
        }
        // Made of the names of tables and columns, which are constants.
        Ok((AssertSqlSafe(text).into_sql_str(), arguments))
    }

    /// As SQLite runs it: several statements where there are many rows.
    pub(in crate::store) fn sqlite(&self) -> Result<Vec<SqliteStatement>, StoreError> {
        let statement = |text: SqlStr, is_lasting, values: &[Value<'_>]| {
            let mut arguments = SqliteArguments::default();
            for value in values {
                value.add_to_sqlite(&mut arguments)?;
            }
            Ok(SqliteStatement {
                text,
                arguments,
                is_lasting,
            })
        };
        let made = |text: String| AssertSqlSafe(text).into_sql_str();
        match &self.0 {
            Kind::Plain(text, values) => Ok(vec![statement(text.sqlite.into_sql_str(), true, values)?]),
            Kind::Explained(text, values) => {
                let text = format!("explain query plan {}", text.sqlite);
                Ok(vec![statement(made(text), false, values)?])
            }
            Kind::Insert(insert) => insert
                .sqlite()
                .map(|(text, is_full, values)| statement(made(text), is_full, &values))
                .collect(),
            Kind::Delete(delete) => {
                let (text, keys) = delete.sqlite();
                Ok(vec![statement(made(text), true, &[keys])?])
            }
        }
    }
}

impl<'q> From<Insert<'q>> for Statement<'q> {
    fn from(insert: Insert<'q>) -> Self {
        Self(Kind::Insert(insert))
    }
}

impl<'q> From<Delete<'q>> for Statement<'q> {
    fn from(delete: Delete<'q>) -> Self {
        Self(Kind::Delete(delete))
    }
}
