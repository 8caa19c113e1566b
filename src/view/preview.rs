//! What a decision would do, found by letting a copy of the request take it: so what is promised is what happens. Nothing of it
//! is written anywhere.

use super::sentences::outlook::name;
use crate::domain::{
    command::Decision,
    entry::Entry,
    request::{Context, Request, Trail, gates::Rulebook, operate::DecisionError},
    time::At,
    words::{Status, TaskStateName},
};

/// A decision that somebody may take.
#[derive(Debug, Clone, Copy)]
pub enum Wish<'a> {
    /// About its gates, its deadline, or that it is refused.
    Decide(&'a Decision),
    /// That it is withdrawn.
    Cancel,
    /// That a task is done again.
    Retry(u16),
    /// That a task is not done at all.
    Waive(u16),
}

/// Who would take it, and under which rules.
#[derive(Debug, Clone, Copy)]
pub struct Under<'a> {
    /// The name of whoever would take it.
    pub actor: &'a str,
    /// Who has submitted the request, where the channel tells.
    pub submitter: Option<&'a str>,
    /// The controller's rules.
    pub rules: Rulebook<'a>,
}

/// What a decision would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Who is asked by it.
    pub asks: Vec<String>,
    /// Who is not asked any more.
    pub spares: Vec<String>,
    /// The status that it leads to, where that is another one.
    pub becomes: Option<Status>,
    /// The deadline before and after, where it moves.
    pub deadline: Option<(At, At)>,
    /// Whether the identifiers are forgotten by it.
    pub forgets: bool,
}

impl Preview {
    /// What it would do; an error: it is not possible, and why.
    pub fn of(
        request: &Request,
        wish: Wish<'_>,
        under: Under<'_>,
        context: &Context<'_>,
    ) -> Result<Self, DecisionError> {
        let mut after = request.clone();
        let trail = match wish {
            Wish::Decide(decision) => {
                after.decide(decision, under.actor, under.submitter, under.rules, context)?
            }
            Wish::Cancel => after.cancel(Some(under.actor), context)?,
            Wish::Retry(ordinal) => after.retry(ordinal, under.actor, context)?,
            Wish::Waive(ordinal) => after.waive(ordinal, under.actor, context)?,
        };
        Ok(Self {
            asks: places(&after, &trail, |to| {
                matches!(to, TaskStateName::Dispatched | TaskStateName::Ready)
            }),
            spares: places(&after, &trail, |to| {
                matches!(
                    to,
                    TaskStateName::Cancelled | TaskStateName::Exempt | TaskStateName::Waived
                )
            }),
            becomes: Some(after.life.status).filter(|status| *status != request.life.status),
            deadline: trail.entries.iter().find_map(moved),
            forgets: request.bookkeeping.readable && !after.bookkeeping.readable,
        })
    }

    /// In sentences. `day`: how a day is written.
    pub fn says(&self, day: impl Fn(At) -> String) -> Vec<String> {
        let mut says = Vec::new();
        if !self.asks.is_empty() {
            says.push(format!("Asks {}.", self.asks.join(", ")));
        }
        if !self.spares.is_empty() {
            says.push(format!("Not asked any more: {}.", self.spares.join(", ")));
        }
        if let Some((from, to)) = self.deadline {
            says.push(format!("The deadline moves from {} to {}.", day(from), day(to)));
        }
        if let Some(status) = self.becomes {
            says.push(format!(
                "The request is then {}.",
                status.as_str().replace('_', " ")
            ));
        }
        if self.forgets {
            says.push("The person's identifiers are forgotten at once.".to_owned());
        }
        says
    }
}

/// The tasks that end in such a state, each once.
fn places(request: &Request, trail: &Trail, ends: impl Fn(TaskStateName) -> bool) -> Vec<String> {
    let mut places: Vec<u16> = trail.moves.iter().map(|moved| moved.ordinal).collect();
    places.sort_unstable();
    places.dedup();
    places
        .into_iter()
        .filter(|place| ends(request.task(*place).state.name()))
        .map(|place| name(request, place))
        .collect()
}

const fn moved(entry: &Entry) -> Option<(At, At)> {
    match entry {
        Entry::DeadlineMoved { from, to, .. } => Some((*from, *to)),
        _ => None,
    }
}
