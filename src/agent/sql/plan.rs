//! What is done in which order: the declared tables as the catalogue knows them, children before what they refer to.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    catalogue::{Catalogue, Column, Kind, OnDelete, Shape, Table},
    misfit::misfits,
};
use crate::{
    config::{Sql, SqlAction, SqlDialect, SqlTable},
    domain::ids::{IdentityType, Label},
};

/// A declared table.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// As it is declared.
    pub(super) name: String,
    pub(super) table: Table,
    pub(super) columns: Vec<(Column, IdentityType)>,
    /// The column whose value the parent has, and the parent's column.
    pub(super) through: Option<(Column, Column)>,
    pub(super) category: Option<Label>,
    pub(super) collected_at: Option<Column>,
    pub(super) action: SqlAction,
    /// What tells a row; empty: nothing, where nothing has to.
    pub(super) key: Vec<Column>,
    /// The tables through it, in the order in which they are done.
    pub(super) children: Vec<usize>,
    /// What refers to its rows: first the tables through it, in their order.
    pub(super) links: Vec<Link>,
}

/// Rows of a declared table that refer to rows of another one.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// The table whose rows refer.
    pub(super) table: usize,
    pub(super) column: Column,
    /// The column whose value they have.
    pub(super) parent: Column,
    /// Whether they are found through it.
    pub(super) is_way: bool,
}

/// The declared tables, and where to begin.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) tables: Vec<Planned>,
    /// The tables with match columns, in the order in which they are done.
    pub(super) roots: Vec<usize>,
    pub(super) errors: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Plan {
    pub(super) fn of(sql: &Sql, catalogue: &Catalogue) -> Self {
        let mut plan = Self::default();
        for declared in &sql.tables {
            if let Some(table) = plan.look_up(sql, declared, catalogue) {
                plan.tables.push(table);
            }
        }
        if plan.errors.is_empty() {
            plan.order(sql, catalogue);
        }
        plan
    }

    fn look_up(&mut self, sql: &Sql, declared: &SqlTable, catalogue: &Catalogue) -> Option<Planned> {
        let name = &declared.name;
        let Some(table) = catalogue.find(name) else {
            self.errors.push(format!("the table {name} does not exist"));
            return None;
        };
        if table.shape == Shape::View {
            self.errors.push(format!(
                "{name} is a view or a foreign table: declare the tables that it is made of"
            ));
            return None;
        }
        let before = self.errors.len();
        if table.is_filtered {
            self.errors.push(format!(
                "{name} has row-level security, which hides rows from this user: what it does not show would be taken for gone"
            ));
        }
        let mut columns = Vec::new();
        for (column, kind) in &declared.columns {
            if let Some(column) = self.column(name, table, column) {
                self.check_match(name, &column);
                columns.push((column, kind.clone()));
            }
        }
        let through = self.through(declared, table, catalogue);
        let collected_at = declared.collected_at.as_ref().and_then(|column| {
            let column = self.column(name, table, column)?;
            // SQLite has times as text, in columns of any type. A number may be seconds, milliseconds or a day.
            let is_time = match sql.dialect {
                SqlDialect::Sqlite => !matches!(column.kind, Kind::Int(..)),
                SqlDialect::Postgres | SqlDialect::MySql => column.kind == Kind::Date,
            };
            if !is_time {
                self.errors.push(format!(
                    "{name}.{} is of type {}: expected a date or a time",
                    column.name, column.type_name
                ));
            }
            Some(column)
        });
        let (errors, warnings) = misfits(declared, table);
        self.errors.extend(errors);
        self.warnings.extend(warnings);
        let key = self.key(sql, declared, table);
        (self.errors.len() == before).then(|| Planned {
            name: name.clone(),
            table: table.clone(),
            columns,
            through,
            category: category_of(sql, declared),
            collected_at,
            action: declared.action.clone(),
            key,
            children: Vec::new(),
            links: Vec::new(),
        })
    }

    fn through(
        &mut self,
        declared: &SqlTable,
        table: &Table,
        catalogue: &Catalogue,
    ) -> Option<(Column, Column)> {
        let name = &declared.name;
        let through = declared.through.as_ref()?;
        let column = self.column(name, table, &through.column)?;
        let parent = catalogue.find(&through.parent)?;
        let parent_column = self.column(&through.parent, parent, &through.parent_column)?;
        if !is_joinable(&column, &parent_column) {
            self.errors.push(format!(
                "{name}.{} is of type {}, and {}.{} of type {}: expected two of the same kind: whole numbers, texts or UUIDs",
                column.name, column.type_name, through.parent, parent_column.name, parent_column.type_name
            ));
        } else if !column.indexed {
            self.warnings.push(format!(
                "{name}.{} has no index: every look reads the whole table",
                column.name
            ));
        }
        Some((column, parent_column))
    }

    /// What tells rows apart, which has to be there where they are told apart.
    fn key(&mut self, sql: &Sql, declared: &SqlTable, table: &Table) -> Vec<Column> {
        let name = &declared.name;
        let key = key_of(sql.dialect, table);
        let is_parent = sql.tables.iter().any(|other| {
            other
                .through
                .as_ref()
                .is_some_and(|through| through.parent == *name)
        });
        let needs_key = is_parent
            || declared.action != SqlAction::Delete
            || sql.dialect == SqlDialect::MySql
            || table.shape == Shape::NoRowId;
        if needs_key && key.is_empty() {
            self.errors.push(format!(
                "{name} has no primary key, and its rows cannot be told apart without"
            ));
        }
        let Some(inexact) = key.iter().find(|column| column.kind == Kind::Other) else {
            return key;
        };
        if needs_key {
            self.errors.push(format!(
                "{name}.{} of its primary key is of type {}, whose text does not lead back to it: its rows cannot be told apart",
                inexact.name, inexact.type_name
            ));
        }
        Vec::new()
    }

    fn column(&mut self, name: &str, table: &Table, column: &str) -> Option<Column> {
        let found = table.column(column).cloned();
        if found.is_none() {
            self.errors
                .push(format!("the table {name} has no column {column}"));
        }
        found
    }

    fn check_match(&mut self, name: &str, column: &Column) {
        if matches!(column.kind, Kind::Date | Kind::Exact | Kind::Other) {
            self.errors.push(format!(
                "{name}.{} is of type {}: expected text, a whole number or a UUID, which identifiers are compared with",
                column.name, column.type_name
            ));
        } else if !column.indexed {
            self.warnings.push(format!(
                "{name}.{} has no index: every look reads the whole table",
                column.name
            ));
        }
    }

    /// What refers to what: the first has to go before the second.
    fn edges(&mut self, catalogue: &Catalogue) -> BTreeSet<(usize, usize)> {
        let places: BTreeMap<(String, String), usize> = self
            .tables
            .iter()
            .enumerate()
            .map(|(n, table)| (table.table.place(), n))
            .collect();
        let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
        for reference in &catalogue.references {
            if let (Some(child), Some(parent)) = (places.get(&reference.child), places.get(&reference.parent))
            {
                let matters = self.tables[*parent].action == SqlAction::Delete
                    && reference.on_delete == OnDelete::Refuse;
                if child == parent && matters {
                    self.errors.push(format!(
                        "{} refers to itself by a foreign key that refuses to delete: a circle of one",
                        self.tables[*child].name
                    ));
                } else if child != parent && matters {
                    edges.insert((*child, *parent));
                }
            }
        }
        edges
    }

    /// What is found through a row goes before the row, so the row must not refer to it.
    fn check_ways(&mut self, edges: &BTreeSet<(usize, usize)>, parents: &[Option<usize>]) {
        for (child, parent) in edges {
            let is_above = std::iter::successors(parents[*parent], |n| parents[*n]).any(|n| n == *child);
            if is_above {
                self.errors.push(format!(
                    "{} refers to {} by a foreign key, and rows of {} are found through {}: neither can go first",
                    self.tables[*child].name,
                    self.tables[*parent].name,
                    self.tables[*parent].name,
                    self.tables[*child].name
                ));
            }
        }
    }

    /// Children before what they refer to, within each family and among them.
    fn order(&mut self, sql: &Sql, catalogue: &Catalogue) {
        let by_name: BTreeMap<&str, usize> = sql
            .tables
            .iter()
            .zip(0..)
            .map(|(t, n)| (t.name.as_str(), n))
            .collect();
        let parents: Vec<Option<usize>> = sql
            .tables
            .iter()
            .map(|table| by_name.get(table.through.as_ref()?.parent.as_str()).copied())
            .collect();
        let edges = self.edges(catalogue);
        self.check_ways(&edges, &parents);
        let root_of = |mut n: usize| {
            while let Some(parent) = parents[n] {
                n = parent;
            }
            n
        };
        let count = self.tables.len();
        for family in std::iter::once(None).chain((0..count).map(Some)) {
            let members: Vec<usize> = (0..count).filter(|n| parents[*n] == family).collect();
            // To which of these members a table belongs.
            let belongs = |n: usize| {
                let mut at = Some(n);
                while let Some(table) = at {
                    if members.contains(&table) {
                        return Some(table);
                    }
                    at = parents[table];
                }
                None
            };
            let among: BTreeSet<(usize, usize)> = edges
                .iter()
                .filter(|(child, parent)| family.is_none() || root_of(*child) == root_of(*parent))
                .filter_map(|(child, parent)| Some((belongs(*child)?, belongs(*parent)?)))
                .filter(|(child, parent)| child != parent)
                .collect();
            match sorted(&members, &among) {
                Ok(order) => match family {
                    None => self.roots = order,
                    Some(parent) => self.tables[parent].children = order,
                },
                Err(circle) => {
                    let names: Vec<&str> = circle.iter().map(|n| self.tables[*n].name.as_str()).collect();
                    self.errors.push(format!(
                        "foreign keys go round in a circle, so no order of deleting is possible: {}",
                        names.join(", ")
                    ));
                }
            }
        }
    }
}

/// The members, each before what it refers to; or those that go round in a circle.
fn sorted(members: &[usize], edges: &BTreeSet<(usize, usize)>) -> Result<Vec<usize>, Vec<usize>> {
    let mut left: Vec<usize> = members.to_vec();
    let mut order = Vec::new();
    while !left.is_empty() {
        let is_free = |n: &usize| {
            !edges
                .iter()
                .any(|(child, parent)| parent == n && left.contains(child))
        };
        let Some(next) = left.iter().copied().find(|n| is_free(n)) else {
            return Err(left);
        };
        order.push(next);
        left.retain(|n| *n != next);
    }
    Ok(order)
}

fn key_of(dialect: SqlDialect, table: &Table) -> Vec<Column> {
    // A column may have the name of what it hides then.
    let is_free = |name: &&str| !table.columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    let row_id = ["rowid", "_rowid_", "oid"].into_iter().find(is_free);
    if let (SqlDialect::Sqlite, Shape::Table, Some(name)) = (dialect, table.shape, row_id) {
        return vec![Column {
            name: name.to_owned(),
            type_name: "integer".to_owned(),
            kind: Kind::Int(i64::MIN.into(), i64::MAX.into()),
            nullable: false,
            length: None,
            indexed: true,
            is_lax: false,
        }];
    }
    let columns = table.key.iter();
    columns.filter_map(|name| table.column(name).cloned()).collect()
}

/// Whether the text of one finds the other.
fn is_joinable(column: &Column, parent: &Column) -> bool {
    match (column.kind, parent.kind) {
        (Kind::Int(..), Kind::Int(..)) | (Kind::Uuid, Kind::Uuid) | (Kind::Text, Kind::Text) => true,
        (Kind::Exact, Kind::Exact) => column.type_name == parent.type_name,
        _ => false,
    }
}

/// Its own, or that of the next ancestor that has one.
fn category_of(sql: &Sql, declared: &SqlTable) -> Option<Label> {
    let mut at = declared;
    for _ in 0..=sql.tables.len() {
        if at.category.is_some() {
            return at.category.clone();
        }
        let parent = &at.through.as_ref()?.parent;
        at = sql.tables.iter().find(|table| table.name == *parent)?;
    }
    None
}
