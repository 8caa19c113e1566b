//! What a change would do to each request, tried on a copy by the same rules that decide about it later.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Chosen, MOST, Order, ordering::BulkError};
use crate::{
    domain::{
        command::Decision,
        ids::{ProcessorId, RequestId},
        request::{Context, Request, operate::DecisionError},
        words::BulkAction,
    },
    engine::{
        EngineError,
        lists::{Sort, unfilled},
        use_cases::Bulk,
    },
    store::{Among, BulkItem, BulkOutcome, ListOrder, Sieve, Walk},
};

/// How many requests are read at a time.
const CHUNK: u32 = 1_000;
/// How many requests are looked through for those that are meant: some seconds of work.
const MAX_SCANNED: usize = 500_000;
/// How many requests a dry run names for each reason.
const EXAMPLES: usize = 10;

/// What a change would come to.
#[derive(Debug, Default)]
pub struct Forecast {
    /// How many requests are meant.
    pub matched: u64,
    /// How many of them would be changed.
    pub will: u64,
    /// How many changes that makes: a request may have several tasks.
    pub changes: u64,
    /// Why others would not.
    pub refusals: BTreeMap<String, Refusal>,
    /// Each change, and each request that has none.
    pub(super) items: Vec<BulkItem>,
}

/// Requests that would not be changed, for one reason.
#[derive(Debug, Default)]
pub struct Refusal {
    /// How many.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<RequestId>,
}

impl Forecast {
    fn add(&mut self, id: RequestId, changes: Result<Vec<Option<u16>>, String>) {
        self.matched += 1;
        match changes {
            Ok(ordinals) => {
                self.will += 1;
                self.changes += ordinals.len() as u64;
                for ordinal in ordinals {
                    self.push(id, ordinal, BulkOutcome::Waiting, None);
                }
            }
            Err(why) => {
                let refusal = self.refusals.entry(why.clone()).or_default();
                refusal.count += 1;
                if refusal.examples.len() < EXAMPLES {
                    refusal.examples.push(id);
                }
                self.push(id, None, BulkOutcome::Refused, Some(why));
            }
        }
    }

    fn push(
        &mut self,
        request_id: RequestId,
        ordinal: Option<u16>,
        outcome: BulkOutcome,
        why: Option<String>,
    ) {
        let n = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(BulkItem {
            n,
            request_id,
            ordinal,
            outcome,
            why,
        });
    }
}

impl Bulk<'_> {
    /// What a change would come to if it was made now. Nothing is written.
    pub async fn foresee(self, order: &Order, actor: &str) -> Result<Forecast, BulkError> {
        self.shared.refresh_facts().await?;
        let mut forecast = Forecast::default();
        match &order.chosen {
            Chosen::Ids { ids, .. } => self.foresee_named(order, ids, actor, &mut forecast).await?,
            Chosen::Filter(_) => self.foresee_found(order, actor, &mut forecast).await?,
        }
        Ok(forecast)
    }

    async fn foresee_named(
        self,
        order: &Order,
        ids: &[RequestId],
        actor: &str,
        forecast: &mut Forecast,
    ) -> Result<(), BulkError> {
        let mut seen = HashSet::new();
        let ids: Vec<RequestId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        if ids.len() > MOST {
            return Err(BulkError::TooMany);
        }
        let tenant = order.chosen.tenant();
        for some in ids.chunks(CHUNK as usize) {
            let mut found: HashMap<RequestId, Request> = self
                .shared
                .requests(some)
                .await?
                .into_iter()
                .filter(|request| tenant.is_none_or(|tenant| *tenant == request.head.tenant))
                .map(|request| (request.id, request))
                .collect();
            let known: Vec<Request> = some.iter().filter_map(|id| found.remove(id)).collect();
            let is_known: HashSet<RequestId> = known.iter().map(|request| request.id).collect();
            self.judge_all(order, known, actor, forecast).await?;
            for id in some.iter().filter(|id| !is_known.contains(id)) {
                forecast.add(*id, Err("there is no such request".to_owned()));
            }
        }
        Ok(())
    }

    async fn foresee_found(
        self,
        order: &Order,
        actor: &str,
        forecast: &mut Forecast,
    ) -> Result<(), BulkError> {
        let Chosen::Filter(filter) = &order.chosen else {
            return Ok(());
        };
        let engine = self.shared;
        let filled = engine.lists_are_filled().await?;
        let sort = Sort::of(filter);
        let (among, order_of) = match filter.among() {
            _ if !filled => (unfilled(filter), ListOrder::Id),
            // Of all of them it has to look through a stretch at a time, which a list does.
            Among::All => (Among::All, ListOrder::Id),
            among => (among, sort.order),
        };
        // The index of a tenant's requests has to be told whose, and the one by receipt which; all the rest is filtered here.
        let sieve = match (among, order_of) {
            (Among::Tenant, _) => Sieve {
                tenant: filter.tenant.clone(),
                ..Sieve::default()
            },
            (_, ListOrder::Received) => Sieve {
                statuses: filter.statuses.clone(),
                ..Sieve::default()
            },
            _ => Sieve::default(),
        };
        let (later_than, earlier_than) = filter.bounds(order_of);
        let mut walk = Walk {
            among,
            order: order_of,
            backwards: false,
            after: None,
            until: None,
            sieve,
            later_than,
            earlier_than,
            limit: CHUNK,
        };
        let mut scanned = 0;
        loop {
            let page = engine.walk(&walk).await?;
            let is_last = page.len() < CHUNK as usize;
            scanned += page.len();
            walk.after = page.last().map(|(place, _)| *place).or(walk.after);
            let met = page
                .into_iter()
                .map(|(_, request)| request)
                .filter(|request| filter.takes(request));
            let met: Vec<Request> = met.collect();
            if forecast.matched as usize + met.len() > MOST {
                return Err(BulkError::TooMany);
            }
            self.judge_all(order, met, actor, forecast).await?;
            if is_last {
                return Ok(());
            }
            if scanned >= MAX_SCANNED {
                return Err(BulkError::TooMany);
            }
        }
    }

    async fn judge_all(
        self,
        order: &Order,
        requests: Vec<Request>,
        actor: &str,
        forecast: &mut Forecast,
    ) -> Result<(), EngineError> {
        let engine = self.shared;
        let mut submitters: HashMap<RequestId, Option<String>> = HashMap::new();
        if order.action == BulkAction::Approve {
            let ids: Vec<RequestId> = requests.iter().map(|request| request.id).collect();
            let bodies = engine.bodies(&ids).await?;
            submitters.extend(bodies.into_iter().map(|(id, body)| (id, body.submitter)));
        }
        engine.with_context(|context| {
            for request in &requests {
                let submitter = submitters.get(&request.id).and_then(Option::as_deref);
                let changes = self.judge(order, request, submitter, actor, context);
                forecast.add(request.id, changes);
            }
        })
    }

    /// What would be changed of a request: it as a whole, or some of its tasks; or why nothing would.
    fn judge(
        self,
        order: &Order,
        request: &Request,
        submitter: Option<&str>,
        actor: &str,
        context: &Context<'_>,
    ) -> Result<Vec<Option<u16>>, String> {
        let said = |error: DecisionError| error.to_string();
        let processor = order.chosen.processor();
        match order.action {
            BulkAction::Approve => {
                let rules = self.shared.rules_of(&request.head.tenant).rulebook();
                let mut copy = request.clone();
                copy.decide(&Decision::Approve, actor, submitter, rules, context)
                    .map_err(said)?;
                Ok(vec![None])
            }
            BulkAction::Cancel => {
                request.clone().cancel(Some(actor), context).map_err(said)?;
                Ok(vec![None])
            }
            BulkAction::Hold => {
                if request.life.following.is_some() {
                    return Err("it was merged into another one: hold that one".to_owned());
                }
                if request.life.status.is_final() {
                    return Err(said(DecisionError::Closed));
                }
                Ok(vec![None])
            }
            BulkAction::Retry => tasks(request, processor, context, |copy, ordinal| {
                copy.retry(ordinal, actor, context)
            }),
            BulkAction::Waive => tasks(request, processor, context, |copy, ordinal| {
                copy.waive(ordinal, actor, context)
            }),
        }
    }
}

/// The tasks that wait for an operator, and that the decision is possible about. What waits for a date that the law gives is left
/// alone: that is for somebody who looks at the one request.
fn tasks<T>(
    request: &Request,
    processor: Option<&ProcessorId>,
    context: &Context<'_>,
    decide: impl Fn(&mut Request, u16) -> Result<T, DecisionError>,
) -> Result<Vec<Option<u16>>, String> {
    let is_meant = |ordinal: &u16| {
        let task = request.task(*ordinal);
        request.is_given_up(*ordinal, context.now)
            && processor.is_none_or(|processor| *processor == task.processor)
    };
    let mut refused = None;
    let mut possible = Vec::new();
    for ordinal in request.ordinals().filter(is_meant) {
        match decide(&mut request.clone(), ordinal) {
            Ok(_) => possible.push(Some(ordinal)),
            Err(error) => refused = Some(error.to_string()),
        }
    }
    if possible.is_empty() {
        return Err(refused.unwrap_or_else(|| "none of its tasks was given up".to_owned()));
    }
    Ok(possible)
}
