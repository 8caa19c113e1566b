//! Tasks on their way through the tables of a database: what is theirs is deleted, anonymized, or only counted.
//!
//! Each transaction changes so many rows at the most. What belongs to a row goes before the row: whatever breaks off in between is
//! found again by the next attempt.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    pin::Pin,
};

use super::{
    Database,
    catalogue::Shape,
    database::{Row, SqlError, Statement},
    plan::Planned,
};
use crate::{
    agent::{
        task::Task,
        turn::{Ended, Turn},
    },
    config::{SqlAction, SqlDialect},
    domain::ids::IdentityType,
};

/// What is done to what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// What the configuration says.
    Work,
    /// Nothing: whether there is something.
    Look,
    /// Nothing: how much there is.
    Count,
}

/// What was found of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The rows that were changed, by table; where nothing is changed: those that would be.
    pub(super) changed: BTreeMap<usize, u64>,
    /// Whether a row was found, by table.
    pub(super) found: BTreeSet<usize>,
}

/// Why a walk ends before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    Sql(SqlError),
    Ended(Ended),
    /// What was found cannot be done as it is to be done.
    NotSo(String),
}

impl From<SqlError> for Broken {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// A walk of tasks that concern the same tables.
pub(super) struct Walk<'a> {
    pub(super) on: &'a Database,
    pub(super) tasks: &'a [&'a Task],
    pub(super) turn: &'a Turn,
    pub(super) mode: Mode,
    pub(super) counts: Vec<Counts>,
    pub(super) statements: BTreeSet<String>,
    /// Whose identifiers they are, in lower case.
    pub(super) people: HashMap<String, Vec<(usize, &'a IdentityType, &'a str)>>,
}

/// By what rows are found.
pub(super) enum Scope {
    /// By the identifiers of the tasks.
    People,
    /// By the rows of the parent, each of which belongs to tasks.
    Through(HashMap<String, Vec<usize>>),
}

type Walking<'a> = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send + 'a>>;

impl<'a> Walk<'a> {
    pub(super) fn new(on: &'a Database, tasks: &'a [&'a Task], turn: &'a Turn, mode: Mode) -> Self {
        let mut people: HashMap<String, Vec<(usize, &IdentityType, &str)>> = HashMap::new();
        for (n, task) in tasks.iter().enumerate() {
            for identity in &task.identities {
                let value = identity.value.expose();
                let known = people.entry(value.to_lowercase()).or_default();
                known.push((n, &identity.kind, value));
            }
        }
        Self {
            on,
            tasks,
            turn,
            mode,
            counts: vec![Counts::default(); tasks.len()],
            statements: BTreeSet::new(),
            people,
        }
    }

    pub(super) async fn all(&mut self) -> Result<(), Broken> {
        for root in self.on.plan.roots.clone() {
            self.table(root, &Scope::People).await?;
        }
        Ok(())
    }

    pub(super) fn planned(&self, n: usize) -> &'a Planned {
        &self.on.plan.tables[n]
    }

    /// The tasks of a walk concern the same categories.
    fn concerns(&self, planned: &Planned) -> bool {
        self.tasks
            .first()
            .is_some_and(|task| task.concerns(planned.category.as_ref()))
    }

    fn concerns_below(&self, n: usize) -> bool {
        let planned = self.planned(n);
        self.concerns(planned) || planned.children.iter().any(|child| self.concerns_below(*child))
    }

    fn table<'s>(&'s mut self, n: usize, scope: &'s Scope) -> Walking<'s> {
        Box::pin(async move {
            if !self.concerns_below(n) {
                return Ok(());
            }
            let planned = self.planned(n);
            let is_deleted = self.mode == Mode::Work && planned.action == SqlAction::Delete;
            if is_deleted && self.concerns(planned) {
                if planned.children.is_empty() {
                    self.delete_leaves(n, scope).await
                } else {
                    self.delete_families(n, scope).await
                }
            } else {
                self.scan(n, scope).await
            }
        })
    }

    /// Rows that nothing else is found through.
    async fn delete_leaves(&mut self, n: usize, scope: &Scope) -> Result<(), Broken> {
        let planned = self.planned(n);
        loop {
            self.check_turn()?;
            let mut writer = self.on.writer();
            let rows = if self.on.dialect == SqlDialect::MySql || planned.table.shape != Shape::Table {
                writer
                    .push("select ")
                    .texts(&planned.key)
                    .push(", ")
                    .texts(self.owner_columns(n, scope));
                writer.push(" from ").table(&planned.table).push(" where ");
                if !self.condition(n, scope, &mut writer) {
                    return Ok(());
                }
                writer.push(&format!(" limit {} for update", self.on.chunk));
                self.delete_by_key(n, writer.done()).await?
            } else {
                let place = if self.on.dialect == SqlDialect::Postgres {
                    "ctid"
                } else {
                    "rowid"
                };
                writer.push("delete from ").table(&planned.table);
                writer.push(if place == "ctid" {
                    " where ctid = any(array(select ctid from "
                } else {
                    " where rowid in (select rowid from "
                });
                writer.table(&planned.table).push(" where ");
                if !self.condition(n, scope, &mut writer) {
                    return Ok(());
                }
                writer.push(&format!(" limit {}", self.on.chunk));
                writer.push(if place == "ctid" {
                    ")) returning "
                } else {
                    ") returning "
                });
                writer.texts(self.owner_columns(n, scope));
                let statement = self.note(writer.done());
                let mut tx = self.on.pool.begin().await?;
                let rows = tx.read(&planned.name, statement).await?;
                tx.commit(&planned.name).await?;
                rows
            };
            for row in &rows {
                self.count(n, scope, row, true);
            }
            if rows.len() < self.on.chunk {
                return Ok(());
            }
            self.rest().await;
        }
    }

    /// Deletes by key what a statement selects; gives the owners of the rows.
    async fn delete_by_key(&mut self, n: usize, select: Statement) -> Result<Vec<Row>, Broken> {
        let planned = self.planned(n);
        let mut tx = self.on.pool.begin().await?;
        let mut rows = tx.read(&planned.name, select).await?;
        let keys = keys_of(planned, &mut rows);
        if !keys.is_empty() {
            let mut writer = self.on.writer();
            writer
                .push("delete from ")
                .table(&planned.table)
                .push(" where ")
                .key_in(&planned.key, &keys);
            let statement = self.note(writer.done());
            tx.change(&planned.name, statement).await?;
        }
        tx.commit(&planned.name).await?;
        Ok(rows)
    }

    /// Rows that others are found through: the others go first.
    async fn delete_families(&mut self, n: usize, scope: &Scope) -> Result<(), Broken> {
        let planned = self.planned(n);
        loop {
            self.check_turn()?;
            let Some(mut rows) = self.select(n, scope, None).await? else {
                return Ok(());
            };
            let count = rows.len();
            let keys = keys_of(planned, &mut rows);
            if keys.is_empty() {
                return Ok(());
            }
            self.children(n, scope, &rows).await?;
            let mut writer = self.on.writer();
            writer
                .push("delete from ")
                .table(&planned.table)
                .push(" where ")
                .key_in(&planned.key, &keys)
                .push(" and (");
            self.condition(n, scope, &mut writer);
            writer.push(")");
            let statement = self.note(writer.done());
            let mut tx = self.on.pool.begin().await?;
            let deleted = tx.change(&planned.name, statement).await?;
            tx.commit(&planned.name).await?;
            for row in &rows {
                self.count(n, scope, row, true);
            }
            if deleted == 0 {
                return Err(Broken::NotSo(format!(
                    "rows of {} are found and not deleted",
                    planned.name
                )));
            }
            if count < self.on.chunk {
                return Ok(());
            }
            self.rest().await;
        }
    }

    /// Rows that stay, or stay in another form: each is seen once, in the order of their keys.
    async fn scan(&mut self, n: usize, scope: &Scope) -> Result<(), Broken> {
        let planned = self.planned(n);
        let concerns = self.concerns(planned);
        let mut after: Option<Vec<String>> = None;
        loop {
            self.check_turn()?;
            let Some(mut rows) = self.select(n, scope, after.as_deref()).await? else {
                return Ok(());
            };
            let count = rows.len();
            let keys = keys_of(planned, &mut rows);
            self.children(n, scope, &rows).await?;
            if concerns {
                match &planned.action {
                    SqlAction::Delete => {
                        for row in &rows {
                            self.count(n, scope, row, true);
                        }
                    }
                    SqlAction::Anonymize { .. } if keys.is_empty() => {}
                    SqlAction::Anonymize { .. } => {
                        let changes = self.anonymize(n, &keys).await?;
                        for (row, key) in rows.iter().zip(&keys) {
                            self.count(n, scope, row, changes.contains(key));
                        }
                    }
                }
            }
            let is_enough = self.mode == Mode::Look
                && self
                    .counts
                    .iter()
                    .all(|counts| counts.changed.values().any(|rows| *rows > 0));
            if count < self.on.chunk || is_enough || planned.key.is_empty() {
                return Ok(());
            }
            after = keys.last().cloned();
            self.rest().await;
        }
    }

    async fn children(&mut self, n: usize, scope: &Scope, rows: &[Row]) -> Result<(), Broken> {
        let planned = self.planned(n);
        let owners = self.owner_columns(n, scope).len();
        for (place, child) in planned.children.iter().enumerate() {
            let mut values: HashMap<String, Vec<usize>> = HashMap::new();
            for row in rows {
                if let Some(value) = row.get(owners + place).cloned().flatten() {
                    let tasks = self.owners(n, scope, row);
                    let known = values.entry(value).or_default();
                    known.extend(tasks);
                    known.sort_unstable();
                    known.dedup();
                }
            }
            if !values.is_empty() {
                self.table(*child, &Scope::Through(values)).await?;
            }
        }
        Ok(())
    }

    fn count(&mut self, n: usize, scope: &Scope, row: &Row, is_changed: bool) {
        for owner in self.owners(n, scope, row) {
            let counts = &mut self.counts[owner];
            counts.found.insert(n);
            if is_changed {
                *counts.changed.entry(n).or_default() += 1;
            }
        }
    }

    pub(super) fn note(&mut self, statement: Statement) -> Statement {
        if !self.statements.contains(&statement.text) {
            self.statements.insert(statement.text.clone());
        }
        statement
    }

    fn check_turn(&self) -> Result<(), Broken> {
        self.turn
            .ended()
            .map_or(Ok(()), |ended| Err(Broken::Ended(ended)))
    }

    async fn rest(&self) {
        if !self.on.pause.is_zero() && self.mode == Mode::Work {
            tokio::time::sleep(self.on.pause).await;
        }
    }
}

/// Takes the keys off the rows.
fn keys_of(planned: &Planned, rows: &mut [Row]) -> Vec<Vec<String>> {
    let width = planned.key.len();
    if width == 0 {
        return Vec::new();
    }
    rows.iter_mut()
        .map(|row| {
            row.drain(..width.min(row.len()))
                .map(Option::unwrap_or_default)
                .collect()
        })
        .collect()
}
