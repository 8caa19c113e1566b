//! The report of a period: every request that was received in it, with its leaves of the ledger, counted one after the other.
//!
//! It reads chunk by chunk and locks nothing, so that intake does not notice. Each request is counted as of one revision: the
//! leaves that were written after it was read are left out.

use std::{collections::HashMap, time::Duration};

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{Engine, EngineError};
use crate::{
    domain::{
        calendar::{Calendar, Regime},
        entry::Leaf,
        ids::{RequestId, Tenant},
        registry::Registry,
        report::Tally,
        request::{Request, open::Rules},
        time::At,
    },
    store::{Store, Stretch},
    wire::report::{Forgotten, Report},
};

mod figures;

/// How many requests are read at a time: what they are and all that has happened to them, in some milliseconds.
const CHUNK: u32 = 1_000;
/// How much of the period is looked at first. It grows where there is little, and shrinks where there is much.
const FIRST_STRETCH: Duration = Duration::from_secs(3600);

/// What a report is asked about.
#[derive(Debug, Clone)]
pub struct ReportQuestion {
    /// When the period begins.
    pub from: At,
    /// When it ends.
    pub to: At,
    /// The tenant; `None`: all of them.
    pub tenant: Option<Tenant>,
    /// The regime; `None`: all of them.
    pub regime: Option<Regime>,
}

impl Engine {
    /// The zone in which the days and months of reports are counted: a tenant's own, where it is about that one.
    pub fn report_zone(&self, tenant: Option<&Tenant>) -> &TimeZone {
        &self.report_rules(tenant).calendar.zone
    }

    fn report_rules(&self, tenant: Option<&Tenant>) -> &Rules {
        tenant.map_or(&self.policy().rules, |tenant| self.rules_of(tenant))
    }

    /// The report of a period. One is made at a time: others wait for it.
    pub async fn report(&self, question: &ReportQuestion) -> Result<Report, EngineError> {
        let _one_at_a_time = self.reporting.lock().await;
        let active = self.active().ok();
        let registry = active.as_ref().map(|active| &active.registry);
        let calendar = &self.report_rules(question.tenant.as_ref()).calendar;
        report(
            self.store.as_ref(),
            question,
            calendar,
            registry,
            self.clock.now(),
        )
        .await
    }
}

/// The report of a period, read from a store.
pub async fn report(
    store: &dyn Store,
    question: &ReportQuestion,
    calendar: &Calendar,
    registry: Option<&Registry>,
    made_at: At,
) -> Result<Report, EngineError> {
    let mut walk = Walk::over(question);
    let mut tally = Tally::default();
    while let Some(ids) = walk.next(store).await? {
        for (request, leaves) in read(store, &ids).await? {
            let is_meant = |regime: &Regime| *regime == request.head.regime;
            if question.regime.as_ref().is_none_or(is_meant) {
                tally.add(&request, &leaves, calendar);
            }
        }
        // Whoever takes messages in on this thread goes first.
        tokio::task::yield_now().await;
    }
    let forgotten = forgotten(store, question).await?;
    Ok(figures::report(
        tally, question, calendar, registry, forgotten, made_at,
    ))
}

async fn forgotten(store: &dyn Store, question: &ReportQuestion) -> Result<Forgotten, EngineError> {
    let regime = question.regime.as_ref().map(ToString::to_string);
    let tenant = question.tenant.as_ref();
    let statuses = store
        .forgotten(tenant, regime.as_deref(), question.from, question.to)
        .await?;
    Ok(Forgotten {
        requests: statuses.iter().map(|(_, count)| count).sum(),
        statuses: statuses.into_iter().collect(),
    })
}

/// Walks over the requests of a period by the time of their receipt, stretch by stretch: a stretch has about a chunk.
struct Walk<'a> {
    question: &'a ReportQuestion,
    from: At,
    after: RequestId,
    stretch: Duration,
}

impl<'a> Walk<'a> {
    const fn over(question: &'a ReportQuestion) -> Self {
        Self {
            question,
            from: question.from,
            after: RequestId(Uuid::nil()),
            stretch: FIRST_STRETCH,
        }
    }

    /// The next ones; `None`: the period is over.
    async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<RequestId>>, EngineError> {
        while self.from < self.question.to {
            let place = Stretch {
                from: self.from,
                after: self.after,
                to: self.from.plus(self.stretch).min(self.question.to),
            };
            let rows = store
                .received_between(self.question.tenant.as_ref(), place, CHUNK)
                .await?;
            match rows.last() {
                Some((at, id)) if rows.len() >= CHUNK as usize => {
                    (self.from, self.after) = (*at, *id);
                    self.stretch = (self.stretch / 2).max(Duration::from_millis(1));
                }
                _ => {
                    (self.from, self.after) = (place.to, RequestId(Uuid::nil()));
                    self.stretch = self.stretch.saturating_mul(2);
                }
            }
            if !rows.is_empty() {
                return Ok(Some(rows.into_iter().map(|(_, id)| id).collect()));
            }
        }
        Ok(None)
    }
}

/// These requests with their leaves. One that has been forgotten since is left out: it is counted as such.
async fn read(store: &dyn Store, ids: &[RequestId]) -> Result<Vec<(Request, Vec<Leaf>)>, EngineError> {
    let stored = store.requests(ids).await?;
    let mut leaves: HashMap<RequestId, Vec<Leaf>> = HashMap::with_capacity(ids.len());
    for (id, _, bytes) in store.leaves_of(ids).await? {
        leaves.entry(id).or_default().push(Leaf::from_bytes(&bytes)?);
    }
    let with_leaves = stored.into_iter().map(|stored| {
        let request = stored.request;
        let mut of_it = leaves.remove(&request.id).unwrap_or_default();
        // Those that came after it was read belong to a later revision.
        of_it.truncate(request.bookkeeping.leaves as usize);
        (request, of_it)
    });
    Ok(with_leaves.collect())
}
