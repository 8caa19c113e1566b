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
    database::{Row, SqlError, Statement},
    plan::Planned,
};
use crate::{
    agent::{
        task::Task,
        turn::{Ended, Turn},
    },
    config::SqlAction,
    domain::ids::IdentityType,
};

/// Rows are looked for so often until there is nothing more to do for them: each time others have written meanwhile.
pub(super) const PASSES: usize = 8;

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
    /// The tables of rows that stay because rows that stay refer to them.
    pub(super) kept: BTreeSet<usize>,
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
    /// How many rows were changed so far.
    done: u64,
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

/// Which of the rows of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Those that the tasks concern, where the table says when they were collected.
    Old,
    /// All.
    Any,
}

/// Which part of the rows.
pub(super) enum Part<'k> {
    /// Any.
    Some,
    /// In the order of their keys: those that come after this one, or the first.
    After(Option<&'k [String]>),
}

/// What a look at rows is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seeing {
    /// For what is found through them and says itself how old it is.
    Dated,
    /// For what is found through them.
    Others,
    /// For that, and for themselves.
    Both,
}

/// Which of the tables through a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Children {
    /// All.
    All,
    /// Those that say themselves how old their rows are.
    Dated,
    /// Those that do not.
    Undated,
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
            done: 0,
            people,
        }
    }

    /// All tables; once more as long as rows stay that may go now, because what referred to them has gone.
    pub(super) async fn all(&mut self) -> Result<(), Broken> {
        for _ in 0..PASSES {
            let before = self.done;
            for counts in &mut self.counts {
                counts.kept.clear();
            }
            for root in self.on.plan.roots.clone() {
                self.table(root, &Scope::People).await?;
            }
            let is_over = self.counts.iter().all(|counts| counts.kept.is_empty());
            if self.mode != Mode::Work || self.done == before || is_over {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn planned(&self, n: usize) -> &'a Planned {
        &self.on.plan.tables[n]
    }

    /// The tasks of a walk concern the same categories.
    pub(super) fn concerns(&self, planned: &Planned) -> bool {
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
            let is_theirs = self.concerns(planned);
            // What is found through a row may be older than the row, and has to go where the row itself stays.
            if self.has_dated(planned) {
                self.again(n, scope, Seeing::Dated).await?;
            }
            if !is_theirs {
                return self.again(n, scope, Seeing::Others).await;
            }
            self.check_times(n, scope).await?;
            if self.mode == Mode::Work && planned.action == SqlAction::Delete {
                return self.delete(n, scope).await;
            }
            self.again(n, scope, Seeing::Both).await
        })
    }

    /// Whether it says itself how old its rows are, and so does something that is found through them. What does not say it is as old as
    /// what it is found through.
    fn has_dated(&self, planned: &Planned) -> bool {
        let mut children = planned.children.iter();
        planned.collected_at.is_some() && children.any(|child| self.planned(*child).collected_at.is_some())
    }

    /// Goes through rows that stay, or stay in another form, until there is nothing more to do for them.
    async fn again(&mut self, n: usize, scope: &Scope, seeing: Seeing) -> Result<(), Broken> {
        for _ in 0..PASSES {
            let before = self.done;
            self.scan(n, scope, seeing).await?;
            if self.mode != Mode::Work || self.done == before {
                return Ok(());
            }
        }
        Err(Broken::NotSo(format!(
            "rows of {} come anew, or are not changed, however often they are looked for",
            self.planned(n).name
        )))
    }

    /// Sees each row once, in the order of their keys.
    async fn scan(&mut self, n: usize, scope: &Scope, seeing: Seeing) -> Result<(), Broken> {
        let planned = self.planned(n);
        let age = match seeing {
            Seeing::Dated => Age::Any,
            Seeing::Others | Seeing::Both => Age::Old,
        };
        let children = match seeing {
            Seeing::Dated => Children::Dated,
            _ if self.has_dated(planned) => Children::Undated,
            _ => Children::All,
        };
        let mut after: Option<Vec<String>> = None;
        loop {
            self.check_turn()?;
            let part = Part::After(after.as_deref());
            let Some(mut rows) = self.select(n, scope, age, part).await? else {
                return Ok(());
            };
            let count = rows.len();
            let keys = keys_of(planned, &mut rows);
            self.children(n, scope, &rows, children).await?;
            if seeing == Seeing::Both {
                self.see(n, scope, &rows, &keys).await?;
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

    /// Does to rows what is done to them where they are not deleted.
    async fn see(
        &mut self,
        n: usize,
        scope: &Scope,
        rows: &[Row],
        keys: &[Vec<String>],
    ) -> Result<(), Broken> {
        match &self.planned(n).action {
            SqlAction::Delete => {
                for row in rows {
                    self.count(n, scope, row, true);
                }
            }
            SqlAction::Anonymize { .. } if keys.is_empty() => {}
            SqlAction::Anonymize { .. } => {
                let changes = self.anonymize(n, scope, keys).await?;
                for (row, key) in rows.iter().zip(keys) {
                    self.count(n, scope, row, changes.contains(key));
                }
            }
        }
        Ok(())
    }

    /// What is found through these rows.
    pub(super) async fn children(
        &mut self,
        n: usize,
        scope: &Scope,
        rows: &[Row],
        which: Children,
    ) -> Result<(), Broken> {
        let planned = self.planned(n);
        let owners = self.owner_columns(n, scope).len();
        for (place, link) in planned.links.iter().enumerate() {
            let is_dated = self.planned(link.table).collected_at.is_some();
            let is_meant = match which {
                Children::All => true,
                Children::Dated => is_dated,
                Children::Undated => !is_dated,
            };
            if !link.is_way || !is_meant {
                continue;
            }
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
                self.table(link.table, &Scope::Through(values)).await?;
            }
        }
        Ok(())
    }

    pub(super) fn count(&mut self, n: usize, scope: &Scope, row: &Row, is_changed: bool) {
        self.done += u64::from(is_changed);
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

    pub(super) fn check_turn(&self) -> Result<(), Broken> {
        self.turn
            .ended()
            .map_or(Ok(()), |ended| Err(Broken::Ended(ended)))
    }

    pub(super) async fn rest(&self) {
        if !self.on.pause.is_zero() && self.mode == Mode::Work {
            self.turn.rest(self.on.pause).await;
        }
    }
}

/// Takes the keys off the rows.
pub(super) fn keys_of(planned: &Planned, rows: &mut [Row]) -> Vec<Vec<String>> {
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
