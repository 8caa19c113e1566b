//! What rows are found by, and whose they are.

use super::{
    catalogue::{Column, Kind},
    database::Row,
    walk::{Age, Broken, Mode, Part, Scope, Walk},
    writer::{Writer, usable},
};
use crate::{agent::task::Task, config::SqlDialect};

impl<'a> Walk<'a> {
    /// Some rows: their keys, their owners, and what others refer to them by. `None`: nothing can be theirs.
    pub(super) async fn select(
        &mut self,
        n: usize,
        scope: &Scope,
        age: Age,
        part: Part<'_>,
    ) -> Result<Option<Vec<Row>>, Broken> {
        let planned = self.planned(n);
        let mut writer = self.on.writer();
        let is_keyed = !planned.key.is_empty();
        // Without a key there is no next part, so all of it comes at once: of what is only looked for, each owner once.
        writer.push(if is_keyed || self.mode == Mode::Count {
            "select "
        } else {
            "select distinct "
        });
        if is_keyed {
            writer.texts(&planned.key).push(", ");
        }
        writer.texts(self.owner_columns(n, scope));
        for link in &planned.links {
            writer.push(", ").as_text(&link.parent);
        }
        writer.push(" from ").table(&planned.table).push(" where ");
        if !self.condition(n, scope, age, &mut writer) {
            return Ok(None);
        }
        if let (Part::After(after), true) = (part, is_keyed) {
            if let Some(after) = after {
                writer.push(" and ").key_after(&planned.key, after);
            }
            writer.push(" order by ");
            for (place, column) in planned.key.iter().enumerate() {
                // Without the table it would be the text that is selected, by which 10 comes before 9.
                writer
                    .push(if place > 0 { ", " } else { "" })
                    .name(&planned.table.name)
                    .push(".")
                    .name(&column.name);
            }
        }
        if is_keyed {
            writer.push(&format!(" limit {}", self.on.chunk));
        }
        let statement = self.note(writer.done());
        Ok(Some(self.on.pool.read(&planned.name, statement).await?))
    }

    pub(super) fn owner_columns(&self, n: usize, scope: &Scope) -> Vec<&'a Column> {
        let planned = self.planned(n);
        match scope {
            Scope::People => planned.columns.iter().map(|(column, _)| column).collect(),
            Scope::Through(_) => planned.through.iter().map(|(column, _)| column).collect(),
        }
    }

    /// What finds the rows. `false`: there can be none.
    pub(super) fn condition(&self, n: usize, scope: &Scope, age: Age, writer: &mut Writer) -> bool {
        let planned = self.planned(n);
        let mut parts = 0;
        writer.push("(");
        match scope {
            Scope::People => {
                for (column, kind) in &planned.columns {
                    let folds = kind.as_str() == "email";
                    let mut values: Vec<String> = Vec::new();
                    for value in self.tasks.iter().flat_map(|task| task.values(kind)) {
                        if folds {
                            values.push(value.to_lowercase());
                        }
                        values.push(value.to_owned());
                    }
                    let values: Vec<&str> = values.iter().map(String::as_str).collect();
                    let values = usable(column, self.on.dialect, &values);
                    if values.is_empty() {
                        continue;
                    }
                    writer.push(if parts > 0 { " or (" } else { "(" });
                    writer.exactly_one_of(column, &values, folds).push(")");
                    parts += 1;
                }
            }
            Scope::Through(values) => {
                if let Some((column, _)) = &planned.through {
                    let values: Vec<&str> = values.keys().map(String::as_str).collect();
                    let values = usable(column, self.on.dialect, &values);
                    if !values.is_empty() {
                        writer.exactly_one_of(column, &values, false);
                        parts += 1;
                    }
                }
            }
        }
        writer.push(")");
        if let (Age::Old, Some(column), Some(task)) = (age, &planned.collected_at, self.tasks.first()) {
            writer.collected_before(column, &time_of(self.on.dialect, task));
        }
        parts > 0
    }

    /// The tasks that a row belongs to.
    pub(super) fn owners(&self, n: usize, scope: &Scope, row: &Row) -> Vec<usize> {
        let planned = self.planned(n);
        match scope {
            Scope::Through(values) => {
                let value = row.first().and_then(Option::as_deref);
                value
                    .and_then(|value| values.get(value))
                    .cloned()
                    .unwrap_or_default()
            }
            Scope::People => {
                let mut owners: Vec<usize> = Vec::new();
                for ((column, kind), value) in planned.columns.iter().zip(row) {
                    let Some(value) = value else { continue };
                    let folds = kind.as_str() == "email" || column.kind == Kind::Uuid;
                    let theirs = self.people.get(&value.to_lowercase());
                    for (task, of_kind, exact) in theirs.into_iter().flatten() {
                        if *of_kind == kind && (folds || exact == value) && !owners.contains(task) {
                            owners.push(*task);
                        }
                    }
                }
                owners
            }
        }
    }
}

impl Walk<'_> {
    /// Whether there is still something.
    pub(super) async fn is_left(&mut self, n: usize, scope: &Scope) -> Result<bool, Broken> {
        let planned = self.planned(n);
        let mut writer = self.on.writer();
        writer
            .push("select '1' from ")
            .table(&planned.table)
            .push(" where ");
        if !self.condition(n, scope, Age::Old, &mut writer) {
            return Ok(false);
        }
        writer.push(" limit 1");
        let rows = self.on.pool.read(&planned.name, writer.done()).await?;
        Ok(!rows.is_empty())
    }

    /// SQLite has anything in any column. What is no time as it reads times would be older than nothing, and stay for ever.
    pub(super) async fn check_times(&mut self, n: usize, scope: &Scope) -> Result<(), Broken> {
        let planned = self.planned(n);
        let (SqlDialect::Sqlite, Some(time)) = (self.on.dialect, &planned.collected_at) else {
            return Ok(());
        };
        let mut writer = self.on.writer();
        writer
            .push("select '1' from ")
            .table(&planned.table)
            .push(" where ");
        if !self.condition(n, scope, Age::Any, &mut writer) {
            return Ok(());
        }
        writer
            .push(" and ")
            .name(&time.name)
            .push(" is not null and (typeof(");
        writer.name(&time.name).push(") <> 'text' or julianday(");
        writer.name(&time.name).push(") is null) limit 1");
        let rows = self.on.pool.read(&planned.name, writer.done()).await?;
        if rows.is_empty() {
            return Ok(());
        }
        Err(Broken::NotSo(format!(
            "{}.{} has something that is no time as SQLite reads it, such as 2026-11-21T10:00:00Z: nobody knows whether the row may stay",
            planned.name, time.name
        )))
    }

    /// A row that nobody of those who are asked for owns must not go.
    pub(super) fn check_owners(&self, n: usize, scope: &Scope, rows: &[Row]) -> Result<(), Broken> {
        if rows.iter().any(|row| self.owners(n, scope, row).is_empty()) {
            return Err(Broken::NotSo(format!(
                "a row of {} is found by a value that is not the same as the one that was asked for",
                self.planned(n).name
            )));
        }
        Ok(())
    }
}

fn time_of(dialect: SqlDialect, task: &Task) -> String {
    let text = task.data_before.to_string();
    match dialect {
        // It knows no `T` and no `Z`, and its times are UTC as its owners keep them.
        SqlDialect::MySql => text.trim_end_matches('Z').replace('T', " "),
        SqlDialect::Postgres | SqlDialect::Sqlite => text,
    }
}
