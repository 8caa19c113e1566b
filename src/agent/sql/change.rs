//! Rows that are anonymized, a part of a table at a time.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    anonymize::{NotSo, anonymized},
    catalogue::{Column, Kind},
    database::{Row, Transaction},
    plan::Planned,
    walk::{Age, Broken, Mode, Scope, Walk},
};
use crate::config::{Anonymized, KAnonymity, SqlAction, SqlDialect};

/// What is to become of a row: its key, and the new values.
type Change = (Vec<String>, Vec<Option<String>>);

impl Walk<'_> {
    /// Anonymizes the rows with these keys, where anything is to be done for; gives the keys of those that are changed, or would be.
    pub(super) async fn anonymize(
        &mut self,
        n: usize,
        scope: &Scope,
        keys: &[Vec<String>],
    ) -> Result<HashSet<Vec<String>>, Broken> {
        let planned = self.planned(n);
        let SqlAction::Anonymize { columns, k_anonymity } = &planned.action else {
            return Ok(HashSet::new());
        };
        let columns: Vec<(&Column, &Anonymized)> = columns
            .iter()
            .filter_map(|(name, to)| Some((planned.table.column(name)?, to)))
            .collect();
        let mut tx = self.on.pool.begin().await?;
        let changes = self.changes((n, scope), keys, &columns, &mut tx).await?;
        let changed: HashSet<Vec<String>> = changes.iter().map(|(key, _)| key.clone()).collect();
        if self.mode != Mode::Work || changes.is_empty() {
            return Ok(changed);
        }
        let is_same_for_all = columns
            .iter()
            .all(|(_, to)| matches!(to, Anonymized::Null | Anonymized::Replace(_)));
        if is_same_for_all {
            let keys: Vec<Vec<String>> = changes.iter().map(|(key, _)| key.clone()).collect();
            self.update(n, &columns, &keys, &changes[0].1, &mut tx).await?;
        } else {
            for (key, values) in &changes {
                self.update(n, &columns, std::slice::from_ref(key), values, &mut tx)
                    .await?;
            }
        }
        if let Some(wanted) = k_anonymity {
            self.check_k(planned, wanted, &changed, &mut tx).await?;
        }
        tx.commit(&planned.name).await?;
        Ok(changed)
    }

    /// What is to become of the rows with these keys: those that are so already are left out.
    async fn changes(
        &mut self,
        (n, scope): (usize, &Scope),
        keys: &[Vec<String>],
        columns: &[(&Column, &Anonymized)],
        tx: &mut Transaction,
    ) -> Result<Vec<Change>, Broken> {
        let planned = self.planned(n);
        let mut writer = self.on.writer();
        writer.push("select ").texts(&planned.key).push(", ");
        writer.texts(columns.iter().map(|(column, _)| *column));
        for (column, to) in columns {
            if let Some(text) = compared(column, to) {
                writer.push(", ").is_same(column, text);
            }
        }
        writer.push(" from ").table(&planned.table).push(" where ");
        writer.key_in(&planned.key, keys).push(" and ");
        // Meanwhile a row may have become somebody else's.
        if !self.condition(n, scope, Age::Old, &mut writer) {
            return Ok(Vec::new());
        }
        if self.mode == Mode::Work && self.on.dialect != SqlDialect::Sqlite {
            writer.push(" for update");
        }
        let statement = writer.done();
        let mut changes = Vec::new();
        for mut row in tx.read(&planned.name, statement).await? {
            let key: Vec<String> = row
                .drain(..planned.key.len().min(row.len()))
                .map(Option::unwrap_or_default)
                .collect();
            let values = columns.iter().zip(&row).map(|((column, to), value)| {
                anonymized(column, to, value.as_deref(), self.on.hmac.as_ref()).map_err(|NotSo(why)| {
                    Broken::NotSo(format!("a value of {}.{} {why}", planned.name, column.name))
                })
            });
            let values: Row = values.collect::<Result<_, _>>()?;
            let mut answers = row.iter().skip(columns.len());
            let is_so = columns
                .iter()
                .zip(&values)
                .zip(&row)
                .all(|(((column, to), new), old)| {
                    let is_same = compared(column, to).is_some()
                        && answers
                            .next()
                            .is_some_and(|answer| answer.as_deref() == Some("1"));
                    is_same || new == old
                });
            if !is_so {
                changes.push((key, values));
            }
        }
        Ok(changes)
    }

    async fn update(
        &mut self,
        n: usize,
        columns: &[(&Column, &Anonymized)],
        keys: &[Vec<String>],
        values: &[Option<String>],
        tx: &mut Transaction,
    ) -> Result<(), Broken> {
        let planned = self.planned(n);
        let mut writer = self.on.writer();
        writer.push("update ").table(&planned.table).push(" set ");
        for (place, ((column, _), value)) in columns.iter().zip(values).enumerate() {
            writer
                .push(if place > 0 { ", " } else { "" })
                .name(&column.name)
                .push(" = ");
            writer.bind_as(column, value.as_deref());
        }
        writer.push(" where ").key_in(&planned.key, keys);
        let statement = self.note(writer.done());
        let changed = tx.change(&planned.name, statement).await?;
        if changed == keys.len() as u64 {
            return Ok(());
        }
        Err(Broken::NotSo(format!(
            "{} rows of {} are found, and the database says that it changes {changed}: nothing of them was changed",
            keys.len(),
            planned.name
        )))
    }

    /// Whether each of the changed rows looks like enough others: otherwise it still tells who it was.
    async fn check_k(
        &mut self,
        planned: &Planned,
        wanted: &KAnonymity,
        changed: &HashSet<Vec<String>>,
        tx: &mut Transaction,
    ) -> Result<(), Broken> {
        let columns: Vec<&Column> = wanted
            .columns
            .iter()
            .filter_map(|name| planned.table.column(name))
            .collect();
        let mut keys: Vec<Vec<String>> = changed.iter().cloned().collect();
        keys.sort_unstable();
        let mut writer = self.on.writer();
        writer.push("select distinct ").texts(columns.iter().copied());
        writer
            .push(" from ")
            .table(&planned.table)
            .push(" where ")
            .key_in(&planned.key, &keys);
        let looks: BTreeSet<Row> = tx.read(&planned.name, writer.done()).await?.into_iter().collect();
        for look in looks {
            let mut writer = self.on.writer();
            writer
                .push("select '1' from ")
                .table(&planned.table)
                .push(" where ");
            for (place, (column, value)) in columns.iter().zip(&look).enumerate() {
                writer
                    .push(if place > 0 { " and " } else { "" })
                    .name(&column.name);
                match value {
                    Some(value) => writer.push(" = ").bind_as(column, Some(value)),
                    None => writer.push(" is null"),
                };
            }
            writer.push(&format!(" limit {}", wanted.k));
            let alike = tx.read(&planned.name, writer.done()).await?.len();
            if alike < wanted.k as usize {
                return Err(Broken::NotSo(format!(
                    "a row of {} would look like {} others only, where {} have to look the same in {}: it is not anonymous, and was left as it is",
                    planned.name,
                    alike.saturating_sub(1),
                    wanted.k,
                    wanted.columns.join(", ")
                )));
            }
        }
        Ok(())
    }
}

/// What a value is compared with by the database: `0` is `0.00` there, and a day is a time.
fn compared<'t>(column: &Column, to: &'t Anonymized) -> Option<&'t str> {
    match to {
        Anonymized::Replace(text) if !matches!(column.kind, Kind::Text | Kind::Other) => Some(text),
        _ => None,
    }
}

/// The tables of counts by their names.
pub(super) fn named(plan: &[Planned], counts: &BTreeMap<usize, u64>) -> BTreeMap<String, u64> {
    let named = counts
        .iter()
        .filter_map(|(n, rows)| Some((plan.get(*n)?.name.clone(), *rows)));
    named.collect()
}
