//! What a task would do, without doing it.

use std::fmt::Write as _;

use super::{
    Database,
    database::Value,
    walk::{Age, Broken, Mode, Scope, Walk},
};
use crate::{
    agent::{task::Task, turn::Turn},
    config::SqlAction,
};

impl Database {
    /// What a task would do: the statements, and how many rows of each table are concerned. No identifier is in it.
    pub async fn rehearse(&self, task: &Task) -> Result<String, String> {
        let tasks = [task];
        let turn = Turn::default();
        let mut walk = Walk::new(self, &tasks, &turn, Mode::Count);
        walk.all().await.map_err(|broken| match broken {
            Broken::Sql(error) => error.to_string(),
            Broken::NotSo(why) => why,
            Broken::Ended(ended) => ended.says().to_owned(),
        })?;
        let mut text = String::new();
        let mut total = 0;
        for (n, planned) in self.plan.tables.iter().enumerate() {
            if !task.concerns(planned.category.as_ref()) {
                let _ = writeln!(text, "-- {}: its category is not asked for", planned.name);
                continue;
            }
            let rows = walk.counts[0].changed.get(&n).copied().unwrap_or(0);
            total += rows;
            let verb = match &planned.action {
                SqlAction::Delete => "deleted",
                SqlAction::Anonymize { .. } => "anonymized",
            };
            let _ = writeln!(text, "-- {}: {rows} rows would be {verb}", planned.name);
            let _ = writeln!(text, "{};", self.statement_of(&walk, n));
        }
        let _ = writeln!(text, "-- {total} rows in all; nothing was changed");
        Ok(text)
    }

    /// The statement for a table, as people read it: with places for what is bound.
    fn statement_of(&self, walk: &Walk<'_>, n: usize) -> String {
        let planned = &self.plan.tables[n];
        let mut writer = self.writer();
        match &planned.action {
            SqlAction::Delete => {
                writer.push("delete from ").table(&planned.table);
            }
            SqlAction::Anonymize { columns, .. } => {
                writer.push("update ").table(&planned.table).push(" set ");
                for (place, name) in columns.keys().enumerate() {
                    writer
                        .push(if place > 0 { ", " } else { "" })
                        .name(name)
                        .push(" = ");
                    writer.bind(Value::Text(String::new()));
                }
            }
        }
        writer.push(" where ");
        if let Some((column, parent)) = &planned.through {
            writer.name(&column.name).push(" in (select ").name(&parent.name);
            writer.push(" from the rows above)");
            return writer.done().text;
        }
        if !walk.condition(n, &Scope::People, Age::Old, &mut writer) {
            return format!(
                "-- nothing of {} can belong to the task's identifiers",
                planned.name
            );
        }
        writer.push(&format!(" limit {}", self.chunk));
        writer.done().text
    }
}
