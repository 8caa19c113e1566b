//! The figures of the first page.

use jiff::ToSpan as _;

use super::super::{
    super::{Api, auth::Caller, problem::Problem},
    parts::times::Times,
};
use crate::{
    domain::{
        ids::ProcessorId,
        time::At,
        words::{Mark, Status, TaskStateName},
    },
    engine::manual::ManualTask,
    store::CounterKey,
    view::dates::count,
};

/// How far is counted what has no counter: beyond it nobody counts with their eyes.
const FLOOR: u32 = 500;

/// How much a figure matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Where it is more than nothing, something has gone wrong.
    Alarm,
    /// Where it is more than nothing, somebody should know.
    Mind,
    /// For information.
    Plain,
}

/// A figure that leads to what it counts.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) n: i64,
    /// Whether there may be more.
    pub(super) is_floor: bool,
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) kind: Kind,
}

/// What the first page is made of.
pub(super) struct Figures {
    counters: Vec<(CounterKey, i64)>,
    dead_letters: u64,
    dead_erasures: u64,
    /// The lanes whose circuit is open, or whose topic takes nothing.
    failing: Vec<ProcessorId>,
    paused: usize,
    is_braked: bool,
    mine: (i64, bool),
    this_month: (i64, bool),
    failing_now: (i64, bool),
    name: String,
}

impl Figures {
    pub(super) async fn read(api: &Api, caller: &Caller) -> Result<Self, Problem> {
        let engine = &api.engine;
        let facts = engine.refresh_facts().await?;
        let letters = engine.open_dead_letters().await?;
        let active = engine.active()?;
        let circuits = engine.open_circuits();
        let is_failing = |id: &ProcessorId| circuits.contains_key(id) || engine.lane(id).is_some();
        let failing = active
            .registry
            .processors
            .iter()
            .filter(|processor| is_failing(&processor.id));
        Ok(Self {
            counters: engine.counters().await?,
            dead_letters: letters.iter().map(|alike| alike.count).sum(),
            dead_erasures: letters
                .iter()
                .filter(|alike| alike.kind.is_some_and(|kind| kind.opens()))
                .map(|alike| alike.count)
                .sum(),
            failing: failing.map(|processor| processor.id.clone()).collect(),
            paused: facts.stops().paused().count(),
            is_braked: facts.stops().brake().is_some(),
            mine: mine(api, caller).await?,
            this_month: this_month(api).await?,
            failing_now: failing_now(api).await?,
            name: caller.name.clone(),
        })
    }

    fn sum(&self, kind: &str, fits: impl Fn(&CounterKey) -> bool) -> i64 {
        let fitting = self
            .counters
            .iter()
            .filter(|(key, _)| key.kind == kind && fits(key));
        fitting.map(|(_, n)| n).sum::<i64>().max(0)
    }

    fn of_status(&self, status: Status) -> i64 {
        self.sum("requests", |key| key.b == status.as_str())
    }

    fn open(&self) -> i64 {
        let open = Status::ALL.iter().filter(|status| !status.is_final());
        open.map(|status| self.of_status(*status)).sum()
    }

    fn given_up(&self) -> i64 {
        self.sum("tasks", |key| key.b == TaskStateName::Abandoned.as_str())
    }

    /// Where the tasks of this person are listed.
    fn my_tasks(&self) -> String {
        let query = serde_html_form::to_string([("assignee", &self.name)]);
        query.map_or_else(|_| "/manual".to_owned(), |query| format!("/manual?{query}"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sum("requests", |_| true) == 0
    }

    /// What needs a look, and then how many stand where.
    pub(super) fn requests(&self) -> Vec<Figure> {
        let open = Status::ALL.iter().filter(|status| !status.is_final());
        let open: Vec<&str> = open.map(|status| status.as_str()).collect();
        let every = format!("/requests?status={}", open.join(","));
        let flagged = |flag: &'static str, name, more: &str, kind| {
            figure(
                self.sum(flag, |_| true),
                name,
                format!("/requests?{flag}=true{more}"),
                kind,
            )
        };
        let in_status = |status: Status, name, kind| {
            figure(
                self.of_status(status),
                name,
                format!("/requests?status={status}"),
                kind,
            )
        };
        let (failing, is_floor) = self.failing_now;
        vec![
            figure(self.open(), "open", every, Kind::Plain),
            flagged("overdue", "overdue", "&sort=deadline", Kind::Alarm),
            flagged("at_risk", "at risk", "&sort=deadline", Kind::Mind),
            flagged("needs_attention", "need attention", "", Kind::Alarm),
            Figure {
                is_floor,
                ..figure(failing, "failing now", "/requests?failing=true", Kind::Alarm)
            },
            figure(
                self.of_status(Status::AwaitingApproval),
                "wait for an approval",
                "/approvals",
                Kind::Mind,
            ),
            in_status(
                Status::AwaitingVerification,
                "wait for a verification",
                Kind::Mind,
            ),
            in_status(Status::InProgress, "in progress", Kind::Plain),
            in_status(Status::Deferred, "deferred", Kind::Plain),
            in_status(Status::Completed, "completed", Kind::Plain),
        ]
    }

    pub(super) fn work(&self) -> Vec<Figure> {
        let stopped = i64::try_from(self.paused).unwrap_or(i64::MAX) + i64::from(self.is_braked);
        let (mine, this_month) = (self.mine, self.this_month);
        let with = |(n, is_floor), name, href: String| Figure {
            is_floor,
            ..figure(n, name, href, Kind::Plain)
        };
        vec![
            figure(
                i64::try_from(self.failing.len()).unwrap_or(i64::MAX),
                "systems failing now",
                "/processors",
                Kind::Alarm,
            ),
            figure(
                self.given_up(),
                "tasks given up",
                "/requests?needs_attention=true",
                Kind::Alarm,
            ),
            figure(stopped, "lanes paused or stopped", "/processors", Kind::Mind),
            figure(
                i64::try_from(self.dead_letters).unwrap_or(i64::MAX),
                "dead letters open",
                "/dead-letters",
                Kind::Alarm,
            ),
            with(mine, "by hand, mine to do", self.my_tasks()),
            with(
                this_month,
                "deferred tasks due this month",
                "/deferred".to_owned(),
            ),
            figure(
                self.sum("deferred", |_| true),
                "deferred tasks in all",
                "/deferred",
                Kind::Plain,
            ),
        ]
    }

    /// What does not go on without a person: in words, and where.
    pub(super) fn urgent(&self) -> Vec<(String, String)> {
        let mut urgent = Vec::new();
        let mut add = |n: i64, says: &dyn Fn(&str) -> String, one: &str, href: &str| {
            if let Ok(n @ 1..) = u64::try_from(n) {
                urgent.push((says(&count(n, one)), href.to_owned()));
            }
        };
        let any = |_: &CounterKey| true;
        let erasures = i64::try_from(self.dead_erasures).unwrap_or(i64::MAX);
        add(
            erasures,
            &|n| format!("{n} asked for an erasure and could not be taken in: nobody is carrying it out"),
            "dead letter",
            "/dead-letters?erasures=true",
        );
        add(
            self.sum("overdue", any),
            &|n| format!("{n} past the legal deadline"),
            "request",
            "/requests?overdue=true&sort=deadline",
        );
        add(
            self.given_up(),
            &|n| format!("{n} given up: an operator has to retry or waive"),
            "task",
            "/requests?needs_attention=true",
        );
        add(
            self.of_status(Status::AwaitingApproval),
            &|n| format!("{n} waiting for a second person's approval"),
            "request",
            "/approvals",
        );
        add(
            self.of_status(Status::AwaitingVerification),
            &|n| format!("{n} waiting until the person's identity is verified"),
            "request",
            "/requests?status=awaiting_verification",
        );
        for id in &self.failing {
            urgent.push((format!("{id} is failing now"), format!("/processors/{id}")));
        }
        let (mine, _) = self.mine;
        if let Ok(n @ 1..) = u64::try_from(mine) {
            let says = format!("{} by hand that {} can do", count(n, "task"), self.name);
            urgent.push((says, self.my_tasks()));
        }
        urgent
    }
}

fn figure(n: i64, name: &'static str, href: impl Into<String>, kind: Kind) -> Figure {
    Figure {
        n,
        is_floor: false,
        name,
        href: href.into(),
        kind,
    }
}

/// How many tasks wait for this person: claimed by it, or assigned to it and free. Of the first ones, and whether that is all.
async fn mine(api: &Api, caller: &Caller) -> Result<(i64, bool), Problem> {
    let (tasks, next) = api.engine.manual().list(None, FLOOR).await?;
    let is_mine = |task: &&ManualTask| {
        task.is_claimed_by(&caller.name) || (task.claim.is_none() && task.assignee == caller.name)
    };
    let n = tasks.iter().filter(is_mine).count();
    Ok((i64::try_from(n).unwrap_or(i64::MAX), next.is_some()))
}

/// How many deferred tasks are due before the month is over, and whether that is not all.
async fn this_month(api: &Api) -> Result<(i64, bool), Problem> {
    let Times { zone, now } = Times::of(api);
    let today = now.timestamp().to_zoned(zone.clone()).date();
    let next = today.first_of_month().checked_add(1.month()).ok();
    let end = next.and_then(|day| day.to_zoned(zone).ok());
    let end = end.map_or(At::from_millis(i64::MAX), |end| At::from(end.timestamp()));
    // What is overdue counts as well.
    let n = api.engine.count_deferred(At::default(), end, FLOOR + 1).await?;
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    Ok((n.min(i64::from(FLOOR)), n > i64::from(FLOOR)))
}

/// How many requests have a task that has failed and not succeeded since, and whether that is not all.
async fn failing_now(api: &Api) -> Result<(i64, bool), Problem> {
    let n = api.engine.count_marked(Mark::Failing, FLOOR + 1).await?;
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    Ok((n.min(i64::from(FLOOR)), n > i64::from(FLOOR)))
}
