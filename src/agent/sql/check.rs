//! What the catalogue says besides what is declared.

use std::collections::BTreeSet;

use super::{
    catalogue::{Catalogue, OnDelete, Place, Shape},
    plan::Plan,
};
use crate::config::{Sql, SqlAction};

/// What is not declared and looks as if it had to be.
pub(super) fn look_around(plan: &mut Plan, sql: &Sql, catalogue: &Catalogue) {
    let declared: BTreeSet<Place> = plan.tables.iter().map(|table| table.table.place()).collect();
    let personal: BTreeSet<&str> = sql
        .tables
        .iter()
        .flat_map(|table| table.columns.iter().map(|(column, _)| column.as_str()))
        .collect();
    for table in &catalogue.tables {
        if declared.contains(&table.place()) || table.shape == Shape::View {
            continue;
        }
        let columns = table.columns.iter().map(|column| column.name.as_str());
        let looks: Vec<&str> = columns.filter(|name| personal.contains(name)).collect();
        if !looks.is_empty() {
            plan.warnings.push(format!(
                "the table {} is not declared and has {}, as declared tables have: does it hold personal data?",
                table.shown(),
                looks.join(", ")
            ));
        }
    }
    check_heirs(plan, catalogue, &declared);
    for reference in &catalogue.references {
        if declared.contains(&reference.child) {
            continue;
        }
        let Some(parent) = plan
            .tables
            .iter()
            .find(|table| table.table.place() == reference.parent)
        else {
            continue;
        };
        if parent.action != SqlAction::Delete {
            continue;
        }
        let (child, parent) = (&reference.child.1, &parent.name);
        match reference.on_delete {
            OnDelete::Refuse => plan.errors.push(format!(
                "the table {child} is not declared and refers to {parent}: the database refuses to delete rows that it refers to. \
                 Declare it through {parent}"
            )),
            OnDelete::Delete => plan.warnings.push(format!(
                "the table {child} is not declared: the database deletes its rows with those of {parent}, and nobody counts them"
            )),
            OnDelete::Clear => plan.warnings.push(format!(
                "the table {child} is not declared: its rows stay when those of {parent} go, and only lose the reference"
            )),
        }
    }
}

/// Rows of tables that inherit from a declared one are seen as its own by everybody but the agent, which takes each table for itself.
fn check_heirs(plan: &mut Plan, catalogue: &Catalogue, declared: &BTreeSet<Place>) {
    for (heir, of) in &catalogue.heirs {
        if declared.contains(of) && !declared.contains(heir) {
            plan.errors.push(format!(
                "the table {} is not declared and inherits from {}: declare it as well, since each is searched for itself",
                heir.1, of.1
            ));
        }
    }
}
