//! What the answers to the tasks of a request have brought: proofs, and why a try did not succeed.
//!
//! It lies sealed beside the ledger and is read for people only, without the person's identifiers in it.

use std::collections::HashMap;

use super::task::EvidenceView;
use crate::{
    domain::{
        note::{Note, Proof, Statement},
        request::Request,
        words::Outcome,
    },
    engine::{decisions::notes_of, masking::mask_of, questions::FullRequest},
    vault::Vault,
};

/// The longest reason that a sentence has: whoever wants all of it finds it with the evidence.
const LONGEST: usize = 300;

/// What the answers to the current generation of each task have brought, the oldest first.
pub struct Proofs(Vec<Proof>);

/// Without what they say.
impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Proofs").field(&self.0.len()).finish()
    }
}

impl Proofs {
    /// Of a request.
    pub fn of(full: &FullRequest, vault: &Vault) -> Self {
        let request = full.request();
        let mask = mask_of(vault, full);
        let notes = full
            .leaves
            .iter()
            .flat_map(|leaf| notes_of(vault, request.id, leaf, &mask));
        let proofs = notes.filter_map(|note| match note {
            Note::Proof(proof) => Some(proof),
            Note::Said(_) => None,
        });
        let is_current = |proof: &Proof| {
            let task = request.tasks.get(usize::from(proof.brought_by.ordinal));
            task.is_some_and(|task| task.generation == proof.brought_by.generation)
        };
        Self(proofs.filter(is_current).collect())
    }

    /// Why the last try of each task did not succeed, as far as somebody has said it.
    pub fn tries(&self) -> Tries {
        let mut tries = HashMap::new();
        for Proof {
            brought_by,
            statement,
            ..
        } in &self.0
        {
            match Failed::of(brought_by.attempt, statement) {
                Some(failed) => tries.insert(brought_by.ordinal, failed),
                // What came after it has not failed.
                None => tries.remove(&brought_by.ordinal),
            };
        }
        Tries(tries)
    }

    /// What is shown of each task's latest answer, by the place of the task.
    pub fn evidence(self) -> HashMap<u16, EvidenceView> {
        let shown = self.0.into_iter().filter_map(|proof| {
            let view = EvidenceView::of(proof.statement)?;
            Some((proof.brought_by.ordinal, view))
        });
        shown.collect()
    }
}

/// Why the last try of tasks did not succeed, by the place of the task.
#[derive(Default)]
pub struct Tries(HashMap<u16, Failed>);

/// Without what was said.
impl std::fmt::Debug for Tries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A try that did not succeed.
struct Failed {
    attempt: u32,
    outcome: Outcome,
    why: String,
}

impl Failed {
    /// `None`: it has not failed, or nobody has said why.
    fn of(attempt: u32, statement: &Statement) -> Option<Self> {
        let outcome = statement.outcome;
        if !matches!(
            outcome,
            Outcome::Failed | Outcome::Partial | Outcome::Rejected | Outcome::Unsupported
        ) {
            return None;
        }
        let why = one_line(statement.message.as_deref()?);
        (!why.is_empty()).then_some(Self {
            attempt,
            outcome,
            why,
        })
    }
}

impl Tries {
    /// What is said of the last try of a task, as a clause; `None`: there is nothing to say.
    pub fn said_of(&self, request: &Request, ordinal: u16) -> Option<String> {
        let Failed {
            attempt,
            outcome,
            why,
        } = self.0.get(&ordinal)?;
        let last = *attempt == request.task(ordinal).attempt;
        Some(match outcome {
            Outcome::Partial if last => format!("the last answer was partial: {why}"),
            Outcome::Partial => format!("the answer to attempt {attempt} was partial: {why}"),
            Outcome::Rejected | Outcome::Unsupported => format!("it answered: {why}"),
            _ if last => format!("the last try failed: {why}"),
            _ => format!("attempt {attempt} failed: {why}"),
        })
    }
}

/// A text as a part of a sentence.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let line = line.trim_end_matches('.');
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_a_bounded_length() {
        assert_eq!(one_line(" HTTP 500:\n  try later. "), "HTTP 500: try later");
        assert_eq!(one_line(&"ä".repeat(400)), format!("{}…", "ä".repeat(LONGEST)));
        assert_eq!(one_line(" \n"), "");
    }
}
