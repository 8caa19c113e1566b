//! Rows that are deleted: found, deleted, and looked for again until none is found.
//!
//! What the database says it deleted is compared with what was found. Rows that others write meanwhile are looked for again; what is
//! found and never goes is an error. Only that nothing is found any more says that it is gone.

use std::collections::{BTreeSet, HashSet};

use super::{
    catalogue::Shape,
    database::{Row, Statement},
    plan::{Link, Planned},
    walk::{Age, Broken, Children, PASSES, Part, Scope, Walk, keys_of},
    writer::Writer,
};
use crate::config::{SqlAction, SqlDialect};

impl Walk<'_> {
    /// Deletes what is theirs.
    pub(super) async fn delete(&mut self, n: usize, scope: &Scope) -> Result<(), Broken> {
        let holders = self.holders(n);
        if !holders.is_empty() {
            self.delete_unheld(n, scope, &holders).await
        } else if self.planned(n).children.is_empty() {
            self.delete_leaves(n, scope).await
        } else {
            self.delete_families(n, scope).await
        }
    }

    /// Rows that nothing else is found through.
    async fn delete_leaves(&mut self, n: usize, scope: &Scope) -> Result<(), Broken> {
        let mut patience = Patience::default();
        loop {
            self.check_turn()?;
            let Some(rows) = self.delete_some(n, scope).await? else {
                return Ok(());
            };
            self.gone(n, scope, &rows);
            if rows.len() < self.on.chunk && !self.is_left(n, scope).await? {
                return Ok(());
            }
            patience.after(rows.len(), self.planned(n))?;
            self.rest().await;
        }
    }

    /// Rows that others are found through: the others go first.
    async fn delete_families(&mut self, n: usize, scope: &Scope) -> Result<(), Broken> {
        let planned = self.planned(n);
        let mut patience = Patience::default();
        loop {
            self.check_turn()?;
            let found = self.select(n, scope, Age::Old, Part::Some).await?;
            let Some(mut rows) = found.filter(|rows| !rows.is_empty()) else {
                return Ok(());
            };
            let keys = keys_of(planned, &mut rows);
            self.children(n, scope, &rows, Children::All).await?;
            let gone = self.delete_keys(n, scope, &keys).await?;
            self.gone(n, scope, &gone);
            patience.after(gone.len(), planned)?;
            self.rest().await;
        }
    }

    /// Rows of which some have to stay, because what refers to them may stay: each is seen once, and all of them again as long as any goes.
    async fn delete_unheld(&mut self, n: usize, scope: &Scope, holders: &[usize]) -> Result<(), Broken> {
        let planned = self.planned(n);
        for _ in 0..PASSES {
            let mut kept: BTreeSet<usize> = BTreeSet::new();
            let mut is_all_held = true;
            let mut after: Option<Vec<String>> = None;
            loop {
                self.check_turn()?;
                let part = Part::After(after.as_deref());
                let Some(mut rows) = self.select(n, scope, Age::Old, part).await? else {
                    return Ok(());
                };
                let count = rows.len();
                let keys = keys_of(planned, &mut rows);
                self.children(n, scope, &rows, Children::All).await?;
                let held = self.held(n, scope, holders, &rows).await?;
                for (row, _) in rows.iter().zip(&held).filter(|(_, is_held)| **is_held) {
                    kept.extend(self.owners(n, scope, row));
                }
                let free = keys.iter().zip(&held).filter(|(_, is_held)| !**is_held);
                let free: Vec<Vec<String>> = free.map(|(key, _)| key.clone()).collect();
                if !free.is_empty() {
                    is_all_held = false;
                    let gone = self.delete_keys(n, scope, &free).await?;
                    self.gone(n, scope, &gone);
                }
                if count < self.on.chunk {
                    break;
                }
                after = keys.last().cloned();
                self.rest().await;
            }
            if is_all_held {
                for owner in kept {
                    self.counts[owner].found.insert(n);
                    self.counts[owner].kept.insert(n);
                }
                return Ok(());
            }
        }
        Err(stays(planned))
    }

    /// What refers to rows of a table and may stay: places in its links. What is not found through them may be somebody else's.
    fn holders(&self, n: usize) -> Vec<usize> {
        let links = self.planned(n).links.iter().enumerate();
        links
            .filter(|(_, link)| !link.is_way || self.may_stay(link.table, self.on.plan.tables.len()))
            .map(|(place, _)| place)
            .collect()
    }

    /// Whether rows that are found through others may stay: nobody asks for them, or they are too young, or others keep them. Without
    /// what they are found through, nobody would find them again.
    fn may_stay(&self, n: usize, steps: usize) -> bool {
        let planned = self.planned(n);
        let keeps = |link: &Link| !link.is_way || self.may_stay(link.table, steps - 1);
        let are_kept = || steps > 0 && planned.links.iter().any(keeps);
        !self.concerns(planned)
            || (planned.action == SqlAction::Delete && (planned.collected_at.is_some() || are_kept()))
    }

    /// Which of these rows are referred to by rows that are still there.
    async fn held(
        &mut self,
        n: usize,
        scope: &Scope,
        holders: &[usize],
        rows: &[Row],
    ) -> Result<Vec<bool>, Broken> {
        let planned = self.planned(n);
        let owners = self.owner_columns(n, scope).len();
        let mut held = vec![false; rows.len()];
        for place in holders {
            let link = &planned.links[*place];
            let value_of = |row: &Row| row.get(owners + place).cloned().flatten();
            let mut values: Vec<String> = rows.iter().filter_map(value_of).collect();
            values.sort_unstable();
            values.dedup();
            if values.is_empty() {
                continue;
            }
            let holder = self.planned(link.table);
            let mut writer = self.on.writer();
            writer.push("select distinct ").as_text(&link.column);
            writer.push(" from ").table(&holder.table).push(" where ");
            writer.one_of(&link.column, &values);
            let found = self.on.pool.read(&holder.name, writer.done()).await?;
            let found: HashSet<String> = found
                .into_iter()
                .filter_map(|mut row| row.pop().flatten())
                .map(|value| value.to_lowercase())
                .collect();
            for (row, held) in rows.iter().zip(&mut held) {
                *held |= value_of(row).is_some_and(|value| found.contains(&value.to_lowercase()));
            }
        }
        Ok(held)
    }

    fn gone(&mut self, n: usize, scope: &Scope, rows: &[Row]) {
        for row in rows {
            self.count(n, scope, row, true);
        }
    }

    /// Deletes some rows; gives the owners of those that went. `None`: nothing can be theirs.
    async fn delete_some(&mut self, n: usize, scope: &Scope) -> Result<Option<Vec<Row>>, Broken> {
        let planned = self.planned(n);
        let limit = format!(" limit {}", self.on.chunk);
        let place = match (self.on.dialect, planned.table.shape) {
            (SqlDialect::Postgres, Shape::Table) => "ctid",
            // Its rows have a place of their own, which is no column.
            (SqlDialect::Sqlite, Shape::Table) if is_place(planned) => &planned.key[0].name,
            _ => {
                let mut writer = self.on.writer();
                if !self.select_keys(n, scope, None, &mut writer) {
                    return Ok(None);
                }
                writer.push(&limit);
                return self.delete_by_key(n, scope, writer).await.map(Some);
            }
        };
        let is_array = place == "ctid";
        let mut writer = self.on.writer();
        writer.push("delete from ").table(&planned.table).push(" where ");
        writer.push(place);
        writer.push(if is_array {
            " = any(array(select "
        } else {
            " in (select "
        });
        writer
            .push(place)
            .push(" from ")
            .table(&planned.table)
            .push(" where ");
        if !self.condition(n, scope, Age::Old, &mut writer) {
            return Ok(None);
        }
        writer.push(&limit).push(if is_array { "))" } else { ")" });
        self.delete_returning(n, scope, writer).await.map(Some)
    }

    /// Deletes those rows with these keys that are still theirs; gives their owners.
    async fn delete_keys(
        &mut self,
        n: usize,
        scope: &Scope,
        keys: &[Vec<String>],
    ) -> Result<Vec<Row>, Broken> {
        let planned = self.planned(n);
        let mut writer = self.on.writer();
        if self.on.dialect == SqlDialect::MySql {
            if !self.select_keys(n, scope, Some(keys), &mut writer) {
                return Ok(Vec::new());
            }
            return self.delete_by_key(n, scope, writer).await;
        }
        writer.push("delete from ").table(&planned.table).push(" where ");
        writer.key_in(&planned.key, keys).push(" and ");
        if !self.condition(n, scope, Age::Old, &mut writer) {
            return Ok(Vec::new());
        }
        self.delete_returning(n, scope, writer).await
    }

    async fn delete_returning(
        &mut self,
        n: usize,
        scope: &Scope,
        mut writer: Writer,
    ) -> Result<Vec<Row>, Broken> {
        let planned = self.planned(n);
        writer.push(" returning ").texts(self.owner_columns(n, scope));
        let statement = self.note(writer.done());
        let mut tx = self.on.pool.begin().await?;
        let rows = tx.read(&planned.name, statement).await?;
        self.check_owners(n, scope, &rows)?;
        tx.commit(&planned.name).await?;
        Ok(rows)
    }

    fn select_keys(
        &self,
        n: usize,
        scope: &Scope,
        keys: Option<&[Vec<String>]>,
        writer: &mut Writer,
    ) -> bool {
        let planned = self.planned(n);
        writer.push("select ").texts(&planned.key).push(", ");
        writer.texts(self.owner_columns(n, scope));
        writer.push(" from ").table(&planned.table).push(" where ");
        if let Some(keys) = keys {
            writer.key_in(&planned.key, keys).push(" and ");
        }
        self.condition(n, scope, Age::Old, writer)
    }

    /// Locks what a statement selects, and deletes it by its keys; gives the owners of the rows.
    async fn delete_by_key(
        &mut self,
        n: usize,
        scope: &Scope,
        mut select: Writer,
    ) -> Result<Vec<Row>, Broken> {
        let planned = self.planned(n);
        if self.on.dialect != SqlDialect::Sqlite {
            select.push(" for update");
        }
        let select: Statement = select.done();
        let mut tx = self.on.pool.begin().await?;
        let mut rows = tx.read(&planned.name, select).await?;
        let keys = keys_of(planned, &mut rows);
        self.check_owners(n, scope, &rows)?;
        if keys.is_empty() {
            return Ok(rows);
        }
        let mut writer = self.on.writer();
        writer.push("delete from ").table(&planned.table).push(" where ");
        writer.key_in(&planned.key, &keys);
        let statement = self.note(writer.done());
        let deleted = tx.change(&planned.name, statement).await?;
        if deleted != keys.len() as u64 {
            return Err(Broken::NotSo(format!(
                "{} rows of {} are found, and the database says that it deletes {deleted}: nothing of them was deleted",
                keys.len(),
                planned.name
            )));
        }
        tx.commit(&planned.name).await?;
        Ok(rows)
    }
}

fn is_place(planned: &Planned) -> bool {
    let mut key = planned.key.iter();
    key.all(|column| planned.table.column(&column.name).is_none()) && planned.key.len() == 1
}

/// How often in a row nothing went of what was found.
#[derive(Default)]
struct Patience(usize);

impl Patience {
    fn after(&mut self, gone: usize, planned: &Planned) -> Result<(), Broken> {
        self.0 = if gone == 0 { self.0 + 1 } else { 0 };
        if self.0 < PASSES {
            Ok(())
        } else {
            Err(stays(planned))
        }
    }
}

fn stays(planned: &Planned) -> Broken {
    Broken::NotSo(format!("rows of {} are found and not deleted", planned.name))
}
