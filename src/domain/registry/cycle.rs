//! Processors that wait for each other.

use std::collections::BTreeMap;

use super::Processor;
use crate::domain::ids::ProcessorId;

/// Processors that wait for each other in a circle, if there are any.
pub fn cycle_in_after(processors: &[Processor]) -> Option<Vec<ProcessorId>> {
    let by_id: BTreeMap<&ProcessorId, &Processor> = processors.iter().map(|p| (&p.id, p)).collect();
    let mut finished = std::collections::BTreeSet::new();
    for start in by_id.keys() {
        if let Some(cycle) = walk(start, &by_id, &mut Vec::new(), &mut finished) {
            return Some(cycle);
        }
    }
    None
}

fn walk<'a>(
    id: &'a ProcessorId,
    by_id: &BTreeMap<&'a ProcessorId, &'a Processor>,
    path: &mut Vec<&'a ProcessorId>,
    finished: &mut std::collections::BTreeSet<&'a ProcessorId>,
) -> Option<Vec<ProcessorId>> {
    if let Some(start) = path.iter().position(|p| *p == id) {
        return Some(path[start..].iter().map(|p| (*p).clone()).collect());
    }
    if !finished.insert(id) {
        return None;
    }
    path.push(id);
    let found = by_id
        .get(id)
        .and_then(|p| p.after.iter().find_map(|next| walk(next, by_id, path, finished)));
    path.pop();
    found
}
