//! What rows are found by, and whose they are.

use super::{
    catalogue::{Column, Kind},
    database::Row,
    walk::{Broken, Mode, Scope, Walk},
    writer::{Writer, usable},
};
use crate::{
    agent::task::Task,
    config::{SqlAction, SqlDialect},
};

impl<'a> Walk<'a> {
    /// The next rows: their keys, their owners, and what their children refer to. `None`: nothing can be theirs.
    pub(super) async fn select(
        &mut self,
        n: usize,
        scope: &Scope,
        after: Option<&[String]>,
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
        for child in &planned.children {
            if let Some((_, parent)) = &self.planned(*child).through {
                writer.push(", ").as_text(parent);
            }
        }
        writer.push(" from ").table(&planned.table).push(" where (");
        if !self.condition(n, scope, &mut writer) {
            return Ok(None);
        }
        writer.push(")");
        if let Some(after) = after {
            writer.push(" and ").key_after(&planned.key, after);
        }
        let is_ordered = self.mode != Mode::Work || planned.action != SqlAction::Delete || after.is_some();
        if is_ordered && is_keyed {
            writer.push(" order by ");
            for (place, column) in planned.key.iter().enumerate() {
                writer.push(if place > 0 { ", " } else { "" }).name(&column.name);
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
    pub(super) fn condition(&self, n: usize, scope: &Scope, writer: &mut Writer) -> bool {
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
                    let mut values: Vec<String> = values.keys().cloned().collect();
                    values.sort_unstable();
                    writer.exactly_one_of(column, &values, false);
                    parts += 1;
                }
            }
        }
        writer.push(")");
        if let (Some(column), Some(task)) = (&planned.collected_at, self.tasks.first()) {
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
                    let folds = kind.as_str() == "email" || column.is_lax || column.kind == Kind::Uuid;
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

fn time_of(dialect: SqlDialect, task: &Task) -> String {
    let text = task.data_before.to_string();
    match dialect {
        // It knows no `T` and no `Z`, and its times are UTC as its owners keep them.
        SqlDialect::MySql => text.trim_end_matches('Z').replace('T', " "),
        SqlDialect::Postgres | SqlDialect::Sqlite => text,
    }
}
