//! The answer to "is it done, and if not, why not?" in one sentence, without subject data.

mod rest;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;

use super::{
    dates::{count, day, days_until},
    sentences::outlook::name,
};
use crate::domain::{
    request::{Request, gates::ClosedGate},
    task::{Task, TaskState},
    time::At,
    words::{Action, Proof, Status},
};

/// How many names a sentence has at the most: whoever wants all of them finds them below it.
const NAMES: usize = 3;

/// How a request stands, in a sentence.
pub fn headline(request: &Request, now: At, zone: &TimeZone) -> String {
    let told = Told { request, now, zone };
    if request.life.set_aside_at.is_some() {
        return "Lacuna itself fails at this request, so nothing is decided about it: report it to whoever maintains Lacuna."
            .to_owned();
    }
    match request.life.status {
        Status::AwaitingVerification | Status::AwaitingApproval | Status::Scheduled => told.at_a_gate(),
        Status::InProgress => told.in_progress(),
        Status::Deferred => told.deferred(),
        Status::Completed => told.completed(),
        Status::ClosedWithExceptions => told.with_exceptions(),
        Status::Refused => told.refused(),
        Status::Cancelled => format!("Withdrawn{} before anything was sent.", told.on_its_end()),
        Status::Merged => told.merged(),
    }
}

/// A request, and when and where it is told.
struct Told<'a> {
    request: &'a Request,
    now: At,
    zone: &'a TimeZone,
}

impl Told<'_> {
    fn at_a_gate(&self) -> String {
        let waits = match self.request.shown_gate() {
            Some(ClosedGate::Verification) => {
                "Nothing has been sent yet: the person's identity has to be verified first".to_owned()
            }
            Some(ClosedGate::Approval) => {
                "Nothing has been sent yet: a second person has to approve it first".to_owned()
            }
            Some(ClosedGate::Grace(until)) => format!(
                "Nothing is sent before {}: until then it can be withdrawn",
                self.day(until)
            ),
            Some(ClosedGate::NotBefore(until)) => {
                format!("Nothing is sent before {}, as the command asked", self.day(until))
            }
            None => "Nothing has been sent yet".to_owned(),
        };
        format!("{waits}; {}.", self.until_deadline())
    }

    fn in_progress(&self) -> String {
        let open = self.open();
        let given_up: Vec<u16> = self.that(&open, |task| matches!(task.state, TaskState::Abandoned { .. }));
        let mut clauses = Vec::new();
        if let [only] = open[..] {
            clauses.push(self.but_one(only));
        } else {
            clauses.push(self.how_far());
            if !given_up.is_empty() {
                clauses.push(format!(
                    "{} given up and {} an operator's decision",
                    was(&self.names(&given_up), given_up.len()),
                    if given_up.len() == 1 { "needs" } else { "need" }
                ));
            }
            let out = self.that(&open, rest::is_with_its_processor);
            if !out.is_empty() {
                let have = if out.len() == 1 { "has" } else { "have" };
                clauses.push(format!("{} {have} not proved it yet", self.names(&out)));
            } else if given_up.is_empty() {
                clauses.push(format!("{} open", is(&self.names(&open), open.len())));
            }
        }
        clauses.push(self.margin());
        sentence(&clauses)
    }

    fn deferred(&self) -> String {
        let open = self.open();
        let mut clauses = match open[..] {
            [only] => vec![self.but_one(only)],
            _ => {
                let latest = open
                    .iter()
                    .filter_map(|ordinal| self.task(*ordinal).state.wake_at())
                    .max();
                let mut clauses = vec![format!("{} everywhere but {}", self.verb(), self.names(&open))];
                clauses.extend(latest.map(|at| format!("the last of it is due on {}", self.day(at))));
                clauses
            }
        };
        clauses.push(self.margin());
        sentence(&clauses)
    }

    fn completed(&self) -> String {
        let tasks = &self.request.tasks;
        let count_of = |proof: Proof| {
            let is_so =
                |task: &&Task| matches!(&task.state, TaskState::Done { proof: own, .. } if *own == proof);
            tasks.iter().filter(is_so).count()
        };
        let nobody_knew = !tasks.is_empty() && count_of(Proof::NotFound) == tasks.len();
        let mut clauses = vec![if nobody_knew {
            format!("Done{}: no system had data of this person", self.on_its_end())
        } else {
            format!("{} everywhere{}", self.verb(), self.on_its_end())
        }];
        let attested = count_of(Proof::Attested);
        if attested > 0 {
            let systems = count(attested as u64, "system");
            clauses.push(format!(
                "{systems} only accepted it, and nobody has confirmed it since (attested)"
            ));
        }
        clauses.push(self.margin());
        sentence(&clauses)
    }

    fn with_exceptions(&self) -> String {
        let request = self.request;
        let excepted = |task: &Task| matches!(task.state, TaskState::Exempt { .. } | TaskState::Waived);
        let all: Vec<u16> = request.ordinals().collect();
        let excepted = self.that(&all, excepted);
        let verb = self.verb();
        let exceptions = match excepted[..] {
            [only] => format!(
                "{} ({})",
                name(request, only),
                rest::exception(&self.task(only).state)
            ),
            _ => self.names(&excepted),
        };
        let what = if excepted.is_empty() {
            format!("{verb} everywhere it was asked for; others were left out by the command")
        } else if excepted.len() == request.tasks.len() {
            format!("Nothing was erased: exempt or waived at {exceptions}")
        } else {
            format!("{verb} everywhere but {exceptions}")
        };
        sentence(&[what, format!("closed{}", self.on_its_end()), self.margin()])
    }

    fn refused(&self) -> String {
        let basis = self.request.life.refused;
        let basis = basis.map_or_else(String::new, |basis| format!(": {}", plain(basis.as_str())));
        format!("Refused{}{basis}.", self.on_its_end())
    }

    fn merged(&self) -> String {
        let following = self.request.life.following.as_ref();
        let leader = following.map_or_else(
            || "another request".to_owned(),
            |following| format!("request {}", following.leader),
        );
        match self.request.life.completed_at {
            Some(at) => format!(
                "Merged into {leader}, which stood for both and ended on {}.",
                self.day(at)
            ),
            None => format!("Merged into {leader}, which stands for both and goes on."),
        }
    }

    /// All but one: what that one waits for.
    fn but_one(&self, ordinal: u16) -> String {
        let own = name(self.request, ordinal);
        let rest = rest::waits(self, ordinal);
        if self.request.tasks.len() == 1 {
            format!("Not done yet: {own} is the only system; {rest}")
        } else if self.request.life.live_clean_at.is_some() || self.is_all_but(ordinal) {
            format!("{} everywhere but {own}; {rest}", self.verb())
        } else {
            format!("{}; {own} is open: {rest}", self.how_far())
        }
    }

    /// Whether all the others have proved it.
    fn is_all_but(&self, ordinal: u16) -> bool {
        let mut others = self.request.ordinals().filter(|other| *other != ordinal);
        others.all(|other| matches!(self.task(other).state, TaskState::Done { .. }))
    }

    fn how_far(&self) -> String {
        let tasks = &self.request.tasks;
        let done = tasks
            .iter()
            .filter(|task| matches!(task.state, TaskState::Done { .. }))
            .count();
        match (done, tasks.len()) {
            (0, all) => format!("None of {} has proved it yet", count(all as u64, "task")),
            (done, all) => format!("{done} of {} proved", count(all as u64, "task")),
        }
    }

    /// How the end of what live systems had to do lies to the deadline, or how long it is until then.
    fn margin(&self) -> String {
        let life = &self.request.life;
        let Some(clean_at) = life.live_clean_at.or_else(|| self.ended_at()) else {
            return self.until_deadline();
        };
        match days_until(life.clock.due, clean_at, self.zone) {
            days if clean_at > life.clock.due => format!(
                "{} after the deadline",
                count(u64::from(days.unsigned_abs().max(1)), "day")
            ),
            0 => "on the day of the deadline".to_owned(),
            days => format!(
                "{} ahead of the deadline",
                count(days.unsigned_abs().into(), "day")
            ),
        }
    }

    fn until_deadline(&self) -> String {
        let due = self.request.life.clock.due;
        let days = days_until(due, self.now, self.zone);
        let n = count(days.unsigned_abs().into(), "day");
        if due < self.now {
            format!(
                "the deadline has passed ({}, {} ago)",
                self.day(due),
                if days == 0 { "hours" } else { &n }
            )
        } else if days == 0 {
            "the deadline is today".to_owned()
        } else {
            format!("{n} left until the deadline")
        }
    }

    fn ended_at(&self) -> Option<At> {
        self.request
            .life
            .completed_at
            .filter(|_| self.request.life.status.is_final())
    }

    fn on_its_end(&self) -> String {
        self.ended_at()
            .map_or_else(String::new, |at| format!(" on {}", self.day(at)))
    }

    /// What was done where it is done.
    fn verb(&self) -> &'static str {
        let actions = |wanted: Action| self.request.tasks.iter().any(|task| task.action == wanted);
        match (actions(Action::Erase), actions(Action::Anonymize)) {
            (true, true) => "Erased or anonymized",
            (false, true) => "Anonymized",
            _ => "Erased",
        }
    }

    fn task(&self, ordinal: u16) -> &Task {
        self.request.task(ordinal)
    }

    fn day(&self, at: At) -> String {
        day(at, self.now, self.zone)
    }

    fn open(&self) -> Vec<u16> {
        let ordinals = self.request.ordinals();
        ordinals
            .filter(|ordinal| !self.task(*ordinal).state.is_closed())
            .collect()
    }

    fn that(&self, among: &[u16], fits: impl Fn(&Task) -> bool) -> Vec<u16> {
        let among = among.iter().copied();
        among.filter(|ordinal| fits(self.task(*ordinal))).collect()
    }

    fn names(&self, places: &[u16]) -> String {
        let names: Vec<String> = places.iter().map(|place| name(self.request, *place)).collect();
        listed(&names)
    }
}

/// `crm`, `crm and ads`, `crm, ads and billing`, `crm, ads, billing and 4 more`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] if names.len() <= NAMES => format!("{} and {last}", most.join(", ")),
        _ => format!("{} and {} more", names[..NAMES].join(", "), names.len() - NAMES),
    }
}

fn was(names: &str, n: usize) -> String {
    format!("{names} {}", if n == 1 { "was" } else { "were" })
}

fn is(names: &str, n: usize) -> String {
    format!("{names} {}", if n == 1 { "is" } else { "are" })
}

fn sentence(clauses: &[String]) -> String {
    format!("{}.", clauses.join("; "))
}

/// A word of the contract for people.
fn plain(word: &str) -> String {
    word.replace('_', " ")
}
