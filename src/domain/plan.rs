//! Which processors a request concerns, and what each is asked: pinned at intake.

use super::{
    command::Opening,
    ids::{IdentityType, Label},
    registry::{AnonymizeFallback, MissingIdentity, Processor, Registry},
    task::{Task, TaskState},
    task_ids::MAX_TASKS,
    time::At,
    words::{AbandonCause, Action, ProcessorKind},
};

/// The basis of a task that is exempt because the subject has no identity that its processor knows.
pub const NO_IDENTITY: &str = "no_identity";

/// One task of a plan, with the identity types that its processor is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTask {
    /// The task.
    pub task: Task,
    /// The identity types.
    pub identities: Vec<IdentityType>,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// Nothing would be erased anywhere, which must not look like an erasure.
    #[error("no registered processor is concerned")]
    NoProcessor,
    /// More tasks than a request can have.
    #[error("the plan has more than {MAX_TASKS} tasks")]
    TooManyTasks,
}

/// Plans a request. A task that may go at once is `Ready` at `start`.
pub fn plan(opening: &Opening, registry: &Registry, start: At) -> Result<Vec<PlannedTask>, NoPlan> {
    let concerned: Vec<&Processor> = registry
        .processors
        .iter()
        .filter(|p| concerns(p, opening))
        .collect();
    if concerned.is_empty() {
        return Err(NoPlan::NoProcessor);
    }
    if concerned.len() > usize::from(MAX_TASKS) {
        return Err(NoPlan::TooManyTasks);
    }
    Ok(concerned
        .iter()
        .map(|processor| planned(processor, opening, &concerned, start))
        .collect())
}

/// Whether a processor may hold what the command is about.
///
/// A processor that names no categories or regions may hold any; a purpose it has to name, because withdrawing one
/// consent must leave alone whatever is processed for other purposes.
fn concerns(processor: &Processor, opening: &Opening) -> bool {
    let scope = &opening.scope;
    let meets = |limits: &[Label], of: &[Label]| limits.iter().any(|label| of.contains(label));
    (scope.processors.is_empty() || scope.processors.contains(&processor.id))
        && (scope.purposes.is_empty() || meets(&scope.purposes, &processor.purposes))
        && (scope.categories.is_empty()
            || processor.categories.is_empty()
            || meets(&scope.categories, &processor.categories))
        && match &opening.region {
            Some(region) => processor.regions.is_empty() || processor.regions.contains(region),
            None => true,
        }
}

fn planned(processor: &Processor, opening: &Opening, concerned: &[&Processor], start: At) -> PlannedTask {
    let wanted = opening
        .actions_by_processor
        .get(&processor.id)
        .copied()
        .unwrap_or(opening.action);
    let action = possible_action(processor, wanted);
    let identities: Vec<IdentityType> = processor
        .identities
        .iter()
        .filter(|kind| opening.identities.iter().any(|identity| identity.kind == **kind))
        .cloned()
        .collect();
    let after: Vec<u16> = (0..)
        .zip(concerned)
        .filter(|(_, other)| processor.after.contains(&other.id))
        .map(|(ordinal, _)| ordinal)
        .collect();
    let excluded = opening
        .exclude
        .iter()
        .find(|exclusion| exclusion.processor == processor.id);
    let state = if let Some(exclusion) = excluded {
        TaskState::Exempt {
            basis: basis(exclusion.basis.as_str()),
        }
    } else if identities.is_empty() {
        // Before all else: an operator may have an abandoned task sent, and a task must never go out that names nobody.
        match processor.missing_identity {
            MissingIdentity::Block => TaskState::WithoutIdentity,
            MissingIdentity::Exempt => TaskState::Exempt {
                basis: basis(NO_IDENTITY),
            },
        }
    } else if action.is_none() {
        TaskState::Abandoned {
            cause: AbandonCause::Unsupported,
        }
    } else if after.is_empty() {
        TaskState::Ready { due: start }
    } else {
        TaskState::Blocked
    };
    PlannedTask {
        task: Task {
            processor: processor.id.clone(),
            action: action.unwrap_or(wanted),
            categories: Vec::new(),
            after,
            backup: processor.kind == ProcessorKind::Backup,
            generation: 1,
            attempt: 0,
            counted: 0,
            answered: None,
            state,
        },
        identities,
    }
}

/// What the processor can do of what is wanted. Erasing instead of anonymizing, and the reverse, only where it says so.
fn possible_action(processor: &Processor, wanted: Action) -> Option<Action> {
    let can = |action| processor.actions.contains(&action);
    match wanted {
        Action::Anonymize if can(Action::Anonymize) => Some(Action::Anonymize),
        Action::Anonymize => (can(Action::Erase) && processor.anonymize_fallback == AnonymizeFallback::Erase)
            .then_some(Action::Erase),
        Action::Erase | Action::Verify if can(Action::Erase) => Some(Action::Erase),
        Action::Erase | Action::Verify => {
            (can(Action::Anonymize) && processor.accept_anonymized).then_some(Action::Anonymize)
        }
    }
}

fn basis(word: &'static str) -> Label {
    // Words of our own vocabularies are labels, which a test of `words` and `Label` together proves.
    Label::new(word).unwrap_or_else(|_| unreachable!("{word} is a label"))
}
