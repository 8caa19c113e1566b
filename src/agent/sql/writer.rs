//! Texts of statements. Names come from the catalogue and are quoted; values are bound.

use super::{
    catalogue::{Column, Kind, Table},
    database::{Statement, Value},
};
use crate::config::SqlDialect;

/// A statement in the making.
#[derive(Clone)]
pub(super) struct Writer {
    dialect: SqlDialect,
    text: String,
    values: Vec<Value>,
}

impl Writer {
    pub(super) const fn new(dialect: SqlDialect) -> Self {
        Self {
            dialect,
            text: String::new(),
            values: Vec::new(),
        }
    }

    pub(super) fn done(self) -> Statement {
        Statement {
            text: self.text,
            values: self.values,
        }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A name, quoted.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        let quote = if self.dialect == SqlDialect::MySql {
            '`'
        } else {
            '"'
        };
        self.text.push(quote);
        for letter in name.chars() {
            self.text.push(letter);
            if letter == quote {
                self.text.push(quote);
            }
        }
        self.text.push(quote);
        self
    }

    /// A table, without those that inherit from it.
    pub(super) fn table(&mut self, table: &Table) -> &mut Self {
        if table.has_heirs {
            self.push("only ");
        }
        if !table.schema.is_empty() {
            self.name(&table.schema).push(".");
        }
        self.name(&table.name)
    }

    /// A column's value as text.
    pub(super) fn as_text(&mut self, column: &Column) -> &mut Self {
        match self.dialect {
            SqlDialect::Postgres => self.name(&column.name).push("::text"),
            SqlDialect::MySql => self.push("cast(").name(&column.name).push(" as char)"),
            SqlDialect::Sqlite => self.push("cast(").name(&column.name).push(" as text)"),
        }
    }

    /// The values of several columns as text.
    pub(super) fn texts<'a>(&mut self, columns: impl IntoIterator<Item = &'a Column>) -> &mut Self {
        for (n, column) in columns.into_iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.as_text(column);
        }
        self
    }

    pub(super) fn bind(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        if self.dialect == SqlDialect::Postgres {
            let place = format!("${}", self.values.len());
            self.push(&place)
        } else {
            self.push("?")
        }
    }

    /// A value of a column.
    pub(super) fn bind_as(&mut self, column: &Column, value: Option<&str>) -> &mut Self {
        let Some(text) = value else {
            return self.push("null");
        };
        if self.dialect == SqlDialect::Postgres {
            return self
                .bind(Value::Text(text.to_owned()))
                .push("::text::")
                .push(&column.type_name);
        }
        match (column.kind, text.parse()) {
            (Kind::Int(..), Ok(number)) => self.bind(Value::Int(number)),
            _ => self.bind(Value::Text(text.to_owned())),
        }
    }

    /// Whether a column has a value, as it compares them: `1` or `0`.
    pub(super) fn is_same(&mut self, column: &Column, value: &str) -> &mut Self {
        self.push("case when ").name(&column.name).push(" = ");
        self.bind_as(column, Some(value)).push(" then '1' else '0' end")
    }

    /// That a column has one of these values, as it compares them.
    pub(super) fn one_of(&mut self, column: &Column, values: &[String]) -> &mut Self {
        if self.dialect == SqlDialect::Postgres {
            return self
                .name(&column.name)
                .push(" = any(")
                .bind(Value::Texts(values.to_vec()))
                .push("::text[]::")
                .push(&column.type_name)
                .push("[])");
        }
        self.name(&column.name).push(" in (");
        for (n, value) in padded(values).enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.bind_as(column, Some(value));
        }
        self.push(")")
    }

    /// That a column has one of these values, and no other that it takes for the same: `José` is not `Jose`.
    pub(super) fn exactly_one_of(&mut self, column: &Column, values: &[String], folds: bool) -> &mut Self {
        self.one_of(column, values);
        if column.kind != Kind::Text || !column.is_lax {
            return self;
        }
        if !folds {
            return self.push(" and ").same_bytes(column, values, ("", ""));
        }
        // Databases differ in what they take for the lower case of a letter: what is the same as it stands is the same in any case.
        let folded: Vec<String> = match self.dialect {
            SqlDialect::Sqlite => values.iter().map(|value| value.to_ascii_lowercase()).collect(),
            SqlDialect::Postgres | SqlDialect::MySql => {
                values.iter().map(|value| value.to_lowercase()).collect()
            }
        };
        self.push(" and (").same_bytes(column, values, ("", ""));
        self.push(" or ").same_bytes(column, &folded, ("lower(", ")"));
        self.push(")")
    }

    /// That a column, or what is made of it, has one of these values, byte for byte.
    fn same_bytes(&mut self, column: &Column, values: &[String], (before, after): (&str, &str)) -> &mut Self {
        match self.dialect {
            SqlDialect::Postgres => {
                self.push(before).name(&column.name).push("::text");
                self.push(after).push(" collate \"C\" = any(");
                return self.bind(Value::Texts(values.to_vec())).push("::text[])");
            }
            SqlDialect::MySql => {
                self.push("cast(")
                    .push(before)
                    .push("convert(")
                    .name(&column.name);
                self.push(" using utf8mb4)").push(after).push(" as binary) in (");
            }
            SqlDialect::Sqlite => {
                self.push(before)
                    .name(&column.name)
                    .push(after)
                    .push(" collate binary in (");
            }
        }
        for (n, value) in padded(values).enumerate() {
            if n > 0 {
                self.push(", ");
            }
            if self.dialect == SqlDialect::MySql {
                self.push("cast(")
                    .bind(Value::Text(value.clone()))
                    .push(" as binary)");
            } else {
                self.bind(Value::Text(value.clone()));
            }
        }
        self.push(")")
    }

    /// That the key is one of these.
    pub(super) fn key_in(&mut self, key: &[Column], rows: &[Vec<String>]) -> &mut Self {
        if let [column] = key {
            let values: Vec<String> = rows.iter().filter_map(|row| row.first().cloned()).collect();
            return self.one_of(column, &values);
        }
        self.key_names(key).push(" in (");
        if self.dialect == SqlDialect::Sqlite {
            self.push("values ");
        }
        for (n, row) in rows.iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.key_values(key, row);
        }
        self.push(")")
    }

    /// That the key comes after this one.
    pub(super) fn key_after(&mut self, key: &[Column], row: &[String]) -> &mut Self {
        self.key_names(key).push(" > ").key_values(key, row)
    }

    pub(super) fn key_names(&mut self, key: &[Column]) -> &mut Self {
        self.push("(");
        for (n, column) in key.iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.name(&column.name);
        }
        self.push(")")
    }

    fn key_values(&mut self, key: &[Column], row: &[String]) -> &mut Self {
        self.push("(");
        for (n, (column, value)) in key.iter().zip(row).enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.bind_as(column, Some(value));
        }
        self.push(")")
    }

    /// That rows were collected before a time, or nobody knows when.
    pub(super) fn collected_before(&mut self, column: &Column, time: &str) -> &mut Self {
        self.push(" and (").name(&column.name).push(" is null or ");
        let value = Value::Text(time.to_owned());
        match self.dialect {
            SqlDialect::Postgres => self
                .name(&column.name)
                .push(" < ")
                .bind(value)
                .push("::text::timestamptz"),
            SqlDialect::MySql => self
                .name(&column.name)
                .push(" < cast(")
                .bind(value)
                .push(" as datetime(6))"),
            SqlDialect::Sqlite => self
                .push("julianday(")
                .name(&column.name)
                .push(") < julianday(")
                .bind(value)
                .push(")"),
        }
        .push(")")
    }
}

/// Few lengths make few statements, which databases remember.
fn padded(values: &[String]) -> impl Iterator<Item = &String> {
    let length = values.len().next_power_of_two();
    values
        .iter()
        .chain(std::iter::repeat_n(values.last(), length - values.len()).flatten())
}

/// Those of these values that a column can have, as it writes them. What is no number is in no column of numbers, and neither is 007.
pub(super) fn usable(column: &Column, dialect: SqlDialect, values: &[&str]) -> Vec<String> {
    let mut usable: Vec<String> = values
        .iter()
        .filter_map(|value| match column.kind {
            Kind::Int(least, most) => {
                let number: i128 = value.parse().ok()?;
                ((least..=most).contains(&number) && number.to_string() == **value)
                    .then(|| (*value).to_owned())
            }
            Kind::Uuid => uuid::Uuid::parse_str(value).ok().map(|id| id.to_string()),
            // PostgreSQL has no text with a zero byte in it.
            _ if dialect == SqlDialect::Postgres && value.contains('\0') => None,
            _ => Some((*value).to_owned()),
        })
        .collect();
    usable.sort_unstable();
    usable.dedup();
    usable
}
