//! Work that a person does.

use crate::{
    config::{reader::Section, values::Zero},
    domain::registry::Manual,
};

/// Reads `{ type = "manual", assignee, instructions?, due?, confirm_by_two? }`.
pub(super) fn manual(section: &Section<'_>) -> Option<Manual> {
    let assignee = section.need("assignee").and_then(|e| e.line_of_text());
    let instructions = section.get("instructions").and_then(|e| e.text());
    let due = section.get("due").and_then(|e| e.duration(Zero::Refused));
    let confirm_by_two = section.get("confirm_by_two").and_then(|e| e.boolean());
    Some(Manual {
        assignee: assignee?.to_owned(),
        instructions: instructions.map(str::to_owned),
        due,
        confirm_by_two: confirm_by_two.unwrap_or(false),
    })
}
