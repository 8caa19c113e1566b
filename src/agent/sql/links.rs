//! What refers to the rows of declared tables: what goes before them, and what keeps them where it stays.

use super::{
    catalogue::{Catalogue, OnDelete, Place, Reference},
    plan::{Link, Plan, Planned},
};
use crate::config::{Anonymized, SqlAction};

/// Notes for each table what refers to its rows, and finds what can never work.
pub(super) fn tie(plan: &mut Plan, catalogue: &Catalogue) {
    for parent in 0..plan.tables.len() {
        let children = plan.tables[parent].children.clone();
        let mut links: Vec<Link> = children
            .into_iter()
            .filter_map(|table| {
                let (column, parent) = plan.tables[table].through.clone()?;
                Some(Link {
                    table,
                    column,
                    parent,
                    is_way: true,
                })
            })
            .collect();
        for reference in &catalogue.references {
            links.extend(link_of(plan, parent, reference, &links));
        }
        plan.tables[parent].links = links;
    }
    check_anonymized(plan, catalogue);
}

/// The rows of another declared table that do not let rows of this one go, or would go with them.
fn link_of(plan: &Plan, parent: usize, reference: &Reference, known: &[Link]) -> Option<Link> {
    let of = &plan.tables[parent];
    let is_here = reference.parent == of.table.place()
        && of.action == SqlAction::Delete
        && reference.on_delete != OnDelete::Clear
        && !of.key.is_empty();
    if !is_here {
        return None;
    }
    let table = plan
        .tables
        .iter()
        .position(|planned| planned.table.place() == reference.child)?;
    let (column, parent_column) = reference.columns.as_ref()?;
    let is_known = known
        .iter()
        .any(|link| link.table == table && link.column.name == *column);
    if is_known {
        return None;
    }
    Some(Link {
        table,
        column: plan.tables[table].table.column(column)?.clone(),
        parent: of.table.column(parent_column)?.clone(),
        is_way: false,
    })
}

/// Whether rows that refer to one that is deleted do not outlive it as they are.
fn is_in_the_way(parent: &Planned, reference: &Reference) -> bool {
    parent.action == SqlAction::Delete && reference.on_delete != OnDelete::Clear
}

/// A row that stays in another form still refers to what it referred to, unless just that is cleared.
fn check_anonymized(plan: &mut Plan, catalogue: &Catalogue) {
    for reference in &catalogue.references {
        let find = |place: &Place| plan.tables.iter().find(|planned| planned.table.place() == *place);
        let (Some(child), Some(parent)) = (find(&reference.child), find(&reference.parent)) else {
            continue;
        };
        let SqlAction::Anonymize { columns, .. } = &child.action else {
            continue;
        };
        let is_cleared = |(column, _): &(String, String)| columns.get(column) == Some(&Anonymized::Null);
        if !is_in_the_way(parent, reference) || reference.columns.as_ref().is_some_and(is_cleared) {
            continue;
        }
        let is_way = parent
            .links
            .iter()
            .any(|link| link.is_way && plan.tables[link.table].name == child.name);
        let text = format!(
            "rows of {} stay, anonymized, and refer to rows of {} by a foreign key: the database refuses to delete those, or deletes these with them",
            child.name, parent.name
        );
        if is_way {
            plan.errors
                .push(format!("{text}: clear the column, or delete them"));
        } else {
            plan.warnings.push(text);
        }
    }
}
