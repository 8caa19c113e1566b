//! Whether columns can become what they are to become.

use super::catalogue::{Column, Kind, Table};
use crate::config::{Anonymized, Generalized, SqlAction, SqlTable};

/// The hexadecimal digits of a keyed digest.
const DIGEST: u32 = 64;

/// Whether the columns can become what they are to become: what is wrong, and what is worth a look.
pub(super) fn misfits(declared: &SqlTable, table: &Table) -> (Vec<String>, Vec<String>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let SqlAction::Anonymize { columns, k_anonymity } = &declared.action else {
        return (errors, warnings);
    };
    for (name, to) in columns {
        match table.column(name) {
            None => errors.push(format!("the table {} has no column {name}", declared.name)),
            Some(column) => {
                if let Some(why) = misfit(column, to, table) {
                    errors.push(format!("{}.{name} {why}", declared.name));
                }
            }
        }
    }
    for name in k_anonymity.iter().flat_map(|wanted| &wanted.columns) {
        if table.column(name).is_none() {
            errors.push(format!("the table {} has no column {name}", declared.name));
        }
    }
    for (name, _) in &declared.columns {
        if !columns.contains_key(name) {
            warnings.push(format!(
                "{}.{name} stays: whoever knows the identifier finds the rows again, so they are pseudonymous, not anonymous",
                declared.name
            ));
        }
    }
    (errors, warnings)
}

fn misfit(column: &Column, to: &Anonymized, table: &Table) -> Option<String> {
    if table.key.contains(&column.name) {
        return Some("is of the primary key, which stays".to_owned());
    }
    let is_text = column.kind == Kind::Text;
    let short = |length: u32| column.length.is_some_and(|most| most < length);
    match to {
        Anonymized::Null if !column.nullable => Some("cannot be null".to_owned()),
        Anonymized::Replace(text) if short(u32::try_from(text.chars().count()).unwrap_or(u32::MAX)) => {
            Some("is too short for what replaces it".to_owned())
        }
        Anonymized::Hmac if !is_text || short(DIGEST) => {
            Some("has no room for a digest: expected text of 64 characters or more".to_owned())
        }
        Anonymized::Generalize(Generalized::Year) if !matches!(column.kind, Kind::Date | Kind::Text) => {
            Some("is no date".to_owned())
        }
        Anonymized::Generalize(Generalized::Prefix(_)) if !is_text => Some("is no text".to_owned()),
        Anonymized::Generalize(Generalized::Band(_)) if !matches!(column.kind, Kind::Int(..)) => {
            Some("is no whole number".to_owned())
        }
        _ => None,
    }
}
