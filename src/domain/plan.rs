//! Which processors a request concerns, and what each is asked: pinned at intake.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::{
    command::Opening,
    ids::{AnchorName, IdentityType, Label, ProcessorId},
    registry::{
        AnonymizeFallback, BackupSet, MissingIdentity, Processor, Registry, Retention, UNNAMED_CATEGORY,
    },
    task::{Deferral, Purpose, Share, Task, TaskState},
    task_ids::MAX_TASKS,
    time::At,
    words::{AbandonCause, Action, ProcessorKind},
};

/// The basis of a task that is exempt because the subject has no identity that its processor knows.
pub const NO_IDENTITY: &str = "no_identity";

/// The basis of a backup task none of whose sources has erased anything.
pub const KEPT_AT_SOURCE: &str = "kept_at_source";

/// One task of a plan, with the identity types that its processor is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTask {
    /// The task.
    pub task: Task,
    /// The identity types.
    pub identities: Vec<IdentityType>,
    /// The command's anchor that its retention is counted from, where it has one of the rule's name.
    pub anchor: Option<AnchorName>,
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

/// What a plan is counted from.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// When a task may go at once.
    pub at: At,
    /// When the subject asked.
    pub requested_at: At,
    /// The controller's zone.
    pub zone: &'a TimeZone,
}

/// Plans a request. A task that may go at once is `Ready` at the start.
pub fn plan(opening: &Opening, registry: &Registry, start: Start<'_>) -> Result<Vec<PlannedTask>, NoPlan> {
    let concerned: Vec<&Processor> = registry
        .processors
        .iter()
        .filter(|p| concerns(p, opening, registry))
        .collect();
    if concerned.is_empty() {
        return Err(NoPlan::NoProcessor);
    }
    // Most have one share.
    let mut planned = Vec::with_capacity(concerned.len());
    for processor in concerned {
        planned.append(&mut shares(processor, opening, start));
    }
    if planned.len() > usize::from(MAX_TASKS) {
        return Err(NoPlan::TooManyTasks);
    }
    connect(&mut planned, registry);
    await_provided(&mut planned, registry);
    Ok(planned)
}

/// What a plan has for one processor, whatever else is in it. Which tasks it waits for is for the plan to say.
pub fn addition(
    processor: &Processor,
    opening: &Opening,
    registry: &Registry,
    start: Start<'_>,
) -> Vec<PlannedTask> {
    if concerns(processor, opening, registry) {
        shares(processor, opening, start)
    } else {
        Vec::new()
    }
}

/// Whether a processor may hold what the command is about. A backup set holds what its sources hold.
fn concerns(processor: &Processor, opening: &Opening, registry: &Registry) -> bool {
    match &processor.backup {
        Some(set) => set
            .sources
            .iter()
            .filter_map(|source| registry.get(source))
            .any(|source| holds(source, opening)),
        None => holds(processor, opening),
    }
}

/// A processor that names no categories or regions may hold any; a purpose it has to name, because withdrawing one
/// consent must leave alone whatever is processed for other purposes.
fn holds(processor: &Processor, opening: &Opening) -> bool {
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

/// A processor's tasks: one, unless rules keep some of its categories longer than others.
fn shares(processor: &Processor, opening: &Opening, start: Start<'_>) -> Vec<PlannedTask> {
    let wanted = opening
        .actions_by_processor
        .get(&processor.id)
        .copied()
        .unwrap_or(opening.action);
    let now = planned(processor, opening, wanted, start.at);
    // What is left out, or cannot be asked, is not split: there is nothing to wait for.
    if !matches!(now.task.state, TaskState::Ready { .. }) || processor.backup.is_some() {
        return vec![now];
    }
    let mut kept: Vec<PlannedTask> = processor
        .retention
        .iter()
        .filter_map(|rule| kept_share(rule, &now, opening, start))
        .collect();
    if kept.is_empty() {
        return vec![now];
    }
    let split: Vec<Label> = kept
        .iter()
        .flat_map(|share| share.task.categories.iter().cloned())
        .collect();
    let rest = rest_of(processor, &opening.scope.categories, &split);
    let mut shares = Vec::with_capacity(1 + kept.len());
    if !rest.is_empty() {
        shares.push(PlannedTask {
            task: Task {
                categories: rest,
                ..now.task
            },
            ..now
        });
    }
    shares.append(&mut kept);
    shares
}

/// What a rule keeps of a processor's share; `None`: nothing that does not go with the rest.
fn kept_share(
    rule: &Retention,
    now: &PlannedTask,
    opening: &Opening,
    start: Start<'_>,
) -> Option<PlannedTask> {
    let scope = &opening.scope.categories;
    let in_scope = |category: &&Label| scope.is_empty() || scope.contains(*category);
    let categories: Vec<Label> = rule.categories.iter().filter(in_scope).cloned().collect();
    let named = |anchor: &AnchorName| opening.anchors.contains_key(anchor);
    let anchor = rule.from.clone().filter(named);
    let from = anchor
        .as_ref()
        .and_then(|name| opening.anchors.get(name).copied())
        .unwrap_or(start.requested_at);
    let until = rule.keep.add_to(from, start.zone);
    let is_over = until <= start.at;
    // What need not be kept any more goes with the rest, if it goes the same way.
    if categories.is_empty() || (is_over && rule.then == now.task.action) {
        return None;
    }
    let state = if is_over {
        TaskState::Ready { due: start.at }
    } else {
        TaskState::Parked {
            why: Deferral::Retention,
            until,
        }
    };
    Some(PlannedTask {
        task: Task {
            action: rule.then,
            categories,
            share: Share::Kept {
                basis: rule.basis.clone(),
                anchor: from,
            },
            state,
            ..now.task.clone()
        },
        identities: now.identities.clone(),
        anchor,
    })
}

/// The categories that no rule keeps: a share that is split names what is in it, so that nothing else is erased with it.
fn rest_of(processor: &Processor, scope: &[Label], kept: &[Label]) -> Vec<Label> {
    let other = label(UNNAMED_CATEGORY);
    let held: Vec<&Label> = match (processor.categories.is_empty(), scope.is_empty()) {
        (true, true) => vec![&other],
        (true, false) => scope.iter().collect(),
        (false, true) => processor.categories.iter().collect(),
        (false, false) => processor
            .categories
            .iter()
            .filter(|c| scope.contains(*c))
            .collect(),
    };
    held.into_iter().filter(|c| !kept.contains(*c)).cloned().collect()
}

fn planned(processor: &Processor, opening: &Opening, wanted: Action, start: At) -> PlannedTask {
    let action = possible_action(processor, wanted);
    let identities: Vec<IdentityType> = processor
        .identities
        .iter()
        .filter(|kind| opening.identities.iter().any(|identity| identity.kind == **kind))
        .cloned()
        .collect();
    let excluded = opening
        .exclude
        .iter()
        .find(|exclusion| exclusion.processor == processor.id);
    // Copies that only have to grow old need no identity, and a backup system that cannot destroy a key still has those.
    let asked = processor.backup.as_ref().is_none_or(BackupSet::is_asked);
    let state = if let Some(exclusion) = excluded {
        TaskState::Exempt {
            basis: label(exclusion.basis.as_str()),
        }
    } else if asked && identities.is_empty() {
        // Before all else: an operator may have an abandoned task sent, and a task must never go out that names nobody.
        match processor.missing_identity {
            MissingIdentity::Block => TaskState::WithoutIdentity,
            MissingIdentity::Exempt => TaskState::Exempt {
                basis: label(NO_IDENTITY),
            },
        }
    } else if asked && action.is_none() {
        TaskState::Abandoned {
            cause: AbandonCause::Unsupported,
        }
    } else {
        TaskState::Ready { due: start }
    };
    let share = match (&processor.backup, processor.kind) {
        (Some(set), _) => Share::Wave {
            sources: Vec::new(),
            key: set.erase_by_key && !identities.is_empty() && action.is_some(),
        },
        (None, ProcessorKind::Backup) => Share::Backup,
        (None, _) => Share::Live,
    };
    PlannedTask {
        task: Task {
            processor: processor.id.clone(),
            action: action.unwrap_or(wanted),
            categories: Vec::new(),
            after: Vec::new(),
            share,
            purpose: Purpose::Asked,
            generation: 1,
            attempt: 0,
            counted: 0,
            answered: None,
            state,
            sent: None,
        },
        identities,
        anchor: None,
    }
}

/// Says which tasks wait for which others, now that each has its place.
fn connect(planned: &mut [PlannedTask], registry: &Registry) {
    let places: Vec<(u16, ProcessorId)> = (0..)
        .zip(planned.iter())
        .map(|(place, planned)| (place, planned.task.processor.clone()))
        .collect();
    let of = |wanted: &[ProcessorId]| -> Vec<u16> {
        places
            .iter()
            .filter(|(_, id)| wanted.contains(id))
            .map(|(place, _)| *place)
            .collect()
    };
    for PlannedTask { task, .. } in planned {
        let Some(processor) = registry.get(&task.processor) else {
            continue;
        };
        task.after = of(&processor.after);
        if let (Some(set), Share::Wave { sources, .. }) = (&processor.backup, &mut task.share) {
            *sources = of(&set.sources);
        }
        let waits = !task.after.is_empty() || processor.backup.is_some();
        if waits && matches!(task.state, TaskState::Ready { .. }) {
            task.state = TaskState::Blocked;
        }
    }
}

/// Who has no identity of the person may be brought one by an answer of somebody who comes before it: it is left out only once nobody
/// can bring it any more. Who waits for one may bring another one in its turn, so it is gone through until nothing changes.
fn await_provided(planned: &mut [PlannedTask], registry: &Registry) {
    let no_identity = TaskState::Exempt {
        basis: label(NO_IDENTITY),
    };
    loop {
        let mut has_changed = false;
        for place in 0..planned.len() {
            let task = &planned[place].task;
            if task.state != no_identity || task.share.is_wave() {
                continue;
            }
            let Some(wanted) = registry.get(&task.processor) else {
                continue;
            };
            let provides = |earlier: &Task| {
                let is_open = !matches!(earlier.state, TaskState::Exempt { .. });
                let mut brought = registry
                    .get(&earlier.processor)
                    .into_iter()
                    .flat_map(|earlier| &earlier.provides);
                is_open && brought.any(|kind| wanted.identities.contains(kind))
            };
            if before(planned, place)
                .iter()
                .any(|earlier| provides(&planned[*earlier].task))
            {
                planned[place].task.state = TaskState::WithoutIdentity;
                has_changed = true;
            }
        }
        if !has_changed {
            return;
        }
    }
}

/// The tasks that one waits for, directly or not, each once.
fn before(planned: &[PlannedTask], place: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut left = vec![place];
    while let Some(next) = left.pop() {
        let earlier = planned[next].task.after.iter().copied().map(usize::from);
        left.extend(earlier.filter(|earlier| found.insert(*earlier)));
    }
    found
}

/// What the processor can do of what is wanted. Erasing instead of anonymizing, and the reverse, only where it says so.
pub(super) fn possible_action(processor: &Processor, wanted: Action) -> Option<Action> {
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

pub(super) fn label(word: &'static str) -> Label {
    // Words of our own vocabularies are labels, which a test of `words` and `Label` together proves.
    Label::new(word).unwrap_or_else(|_| unreachable!("{word} is a label"))
}
