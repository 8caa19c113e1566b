//! Many rows at once: into a table, and out of it by their keys.
//!
//! PostgreSQL gets one statement whose rows come as arrays, a column each. SQLite gets values in chunks, and keys as one
//! JSON text. Rows are given in order of their keys, so that two transactions wait for each other and never in a circle.

use std::fmt::Write as _;

use super::{
    table::{Named, Table},
    value::{Column, Value},
};

/// Rows a statement of SQLite. Full chunks share one prepared statement; beyond this size the crossing between threads
/// is noise.
pub(in crate::store) const CHUNK: usize = 128;

/// Many rows into a table.
#[derive(Debug)]
pub struct Insert<'q> {
    table: &'static str,
    rows: Named<'q>,
    conflict: &'static str,
}

impl<'q> Insert<'q> {
    /// These rows into this table, which may have an alias for [`Self::on_conflict`].
    pub fn into<T>(table: &'static str, rows: Table<'q, T>) -> Self {
        Self {
            table,
            rows: rows.columns,
            conflict: "",
        }
    }

    /// What is done about a row whose key is there already.
    pub const fn on_conflict(mut self, action: &'static str) -> Self {
        self.conflict = action;
        self
    }

    fn conflict(&self) -> String {
        match self.conflict {
            "" => String::new(),
            action => format!(" on conflict {action}"),
        }
    }

    pub(super) fn postgres(&self) -> (String, &[Column<'q>]) {
        let text = format!(
            "insert into {} ({}) select * from {}{}",
            self.table,
            self.rows.names.join(", "),
            unnest(&self.rows.columns),
            self.conflict()
        );
        (text, &self.rows.columns)
    }

    /// Each chunk of rows with its text, and whether it is a full one.
    pub(super) fn sqlite(&self) -> impl Iterator<Item = (String, bool, Vec<Value<'_>>)> {
        let row = format!("({})", vec!["?"; self.rows.columns.len()].join(", "));
        let rows = self.rows.columns.first().map_or(0, Column::rows);
        (0..rows).step_by(CHUNK).map(move |start| {
            let of_chunk = start..rows.min(start + CHUNK);
            let text = format!(
                "insert into {} ({}) values {}{}",
                self.table,
                self.rows.names.join(", "),
                vec![row.as_str(); of_chunk.len()].join(", "),
                self.conflict()
            );
            let is_full = of_chunk.len() == CHUNK;
            let values = of_chunk
                .flat_map(|n| self.rows.columns.iter().map(move |column| column.row(n)))
                .collect();
            (text, is_full, values)
        })
    }
}

/// Many rows out of a table, by their keys.
#[derive(Debug)]
pub struct Delete<'q> {
    table: &'static str,
    keys: Named<'q>,
}

impl<'q> Delete<'q> {
    /// The rows of this table that have one of these keys.
    pub fn from<T>(table: &'static str, keys: Table<'q, T>) -> Self {
        Self {
            table,
            keys: keys.columns,
        }
    }

    pub(super) fn postgres(&self) -> (String, &[Column<'q>]) {
        let equal: Vec<String> = self
            .keys
            .names
            .iter()
            .map(|name| format!("t.{name} = v.{name}"))
            .collect();
        let text = format!(
            "delete from {} t using {} as v({}) where {}",
            self.table,
            unnest(&self.keys.columns),
            self.keys.names.join(", "),
            equal.join(" and ")
        );
        (text, &self.keys.columns)
    }

    pub(super) fn sqlite(&self) -> (String, Value<'_>) {
        let path = |n: usize| match self.keys.columns.len() {
            1 => "value".to_owned(),
            _ => format!("value ->> {n}"),
        };
        let values: Vec<String> = (0..)
            .zip(&self.keys.columns)
            .map(|(n, column)| match column.is_hex() {
                true => format!("unhex({})", path(n)),
                false => path(n),
            })
            .collect();
        let text = format!(
            "delete from {} where ({}) in (select {} from json_each($1))",
            self.table,
            self.keys.names.join(", "),
            values.join(", ")
        );
        (text, Value::List(self.keys.columns.clone()))
    }
}

fn unnest(columns: &[Column<'_>]) -> String {
    let mut text = String::from("unnest(");
    for (n, column) in (1..).zip(columns) {
        let comma = if n == 1 { "" } else { ", " };
        // Writing to a `String` cannot fail.
        write!(text, "{comma}${n}::{}", column.array_type()).unwrap_or_default();
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn rows_are_arrays_to_one_and_values_to_the_other() {
        let rows = vec![(5, "a"); CHUNK + 1];
        let rows = Table::of(&rows)
            .bigint("at", |row| row.0)
            .text("name", |row| row.1);
        let insert = Insert::into("line as l", rows).on_conflict("do nothing");
        assert_eq!(
            insert.postgres().0,
            "insert into line as l (at, name) select * from unnest($1::int8[], $2::text[]) on conflict do nothing"
        );
        let chunks: Vec<_> = insert.sqlite().collect();
        assert_eq!(
            chunks[1].0,
            "insert into line as l (at, name) values (?, ?) on conflict do nothing"
        );
        let sizes: Vec<_> = chunks
            .iter()
            .map(|(_, full, values)| (*full, values.len()))
            .collect();
        assert_eq!(sizes, [(true, 2 * CHUNK), (false, 2)]);
    }

    #[test]
    fn keys_are_arrays_to_one_and_json_to_the_other() {
        let keys = [(Uuid::nil(), 5)];
        let delete = Delete::from(
            "line",
            Table::of(&keys).uuid("id", |key| key.0).bigint("at", |key| key.1),
        );
        assert_eq!(
            delete.postgres().0,
            "delete from line t using unnest($1::uuid[], $2::int8[]) as v(id, at) where t.id = v.id and t.at = v.at"
        );
        assert_eq!(
            delete.sqlite().0,
            "delete from line where (id, at) in (select unhex(value ->> 0), value ->> 1 from json_each($1))"
        );
        let delete = Delete::from("line", Table::of(&keys).bigint("at", |key| key.1));
        assert_eq!(
            delete.sqlite().0,
            "delete from line where (at) in (select value from json_each($1))"
        );
    }
}
