//! Lists of requests: which are meant, and by which index they are found. And the marks and deadlines of requests that an earlier
//! version has written.

mod filling;

use super::{Engine, EngineError};
use crate::{
    domain::{
        ids::{ProcessorId, Tenant},
        request::{Request, marks::mark_of},
        time::At,
        words::{Mark, Status},
    },
    store::{Among, ListOrder, ListPlace, Listed, Sieve, Walk},
};

/// Which requests are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states.
    pub statuses: Option<Vec<Status>>,
    /// Of this tenant.
    pub tenant: Option<Tenant>,
    /// With a task of this processor.
    pub processor: Option<ProcessorId>,
    /// Whether the deadline has passed and live systems are not clean.
    pub overdue: Option<bool>,
    /// Whether little of the period is left.
    pub at_risk: Option<bool>,
    /// Whether a person has to look at it.
    pub needs_attention: Option<bool>,
    /// Whether a task has failed and not succeeded since.
    pub failing: Option<bool>,
    /// Received after this time.
    pub received_after: Option<At>,
    /// Received before it.
    pub received_before: Option<At>,
    /// Due after this time.
    pub due_after: Option<At>,
    /// Due before it.
    pub due_before: Option<At>,
}

impl Filter {
    /// What a list is filtered by.
    pub const KEYS: &'static [&'static str] = &[
        "status",
        "tenant",
        "processor",
        "overdue",
        "at_risk",
        "needs_attention",
        "failing",
        "received_after",
        "received_before",
        "due_after",
        "due_before",
    ];

    /// What a condition takes.
    pub fn expects(key: &str) -> String {
        match key {
            "status" => {
                let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
                format!("one or more of {}, with commas between", words.join(", "))
            }
            "tenant" => "a tenant".to_owned(),
            "processor" => "the id of a processor".to_owned(),
            "overdue" | "at_risk" | "needs_attention" | "failing" => "true or false".to_owned(),
            _ => "a time of RFC 3339, such as 2026-11-21T10:00:00Z".to_owned(),
        }
    }

    /// With one more condition; `None`: it cannot be read, or there is no such key.
    pub fn with(mut self, key: &str, text: &str) -> Option<Self> {
        let flag = || text.parse().ok().map(Some);
        let time = || At::parse(text).ok().map(Some);
        match key {
            "status" => self.statuses = Some(statuses(text)?),
            "tenant" => self.tenant = Some(Tenant::new(text).ok()?),
            "processor" => self.processor = Some(ProcessorId::new(text).ok()?),
            "overdue" => self.overdue = flag()?,
            "at_risk" => self.at_risk = flag()?,
            "needs_attention" => self.needs_attention = flag()?,
            "failing" => self.failing = flag()?,
            "received_after" => self.received_after = time()?,
            "received_before" => self.received_before = time()?,
            "due_after" => self.due_after = time()?,
            "due_before" => self.due_before = time()?,
            _ => return None,
        }
        Some(self)
    }

    /// Its conditions, as they stand in an address.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let statuses = self.statuses.as_ref().map(|statuses| {
            let words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
            words.join(",")
        });
        let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
        let time = |at: Option<At>| at.map(|at| at.to_string());
        let all = [
            ("status", statuses),
            ("tenant", self.tenant.as_ref().map(ToString::to_string)),
            ("processor", self.processor.as_ref().map(ToString::to_string)),
            ("overdue", flag(self.overdue)),
            ("at_risk", flag(self.at_risk)),
            ("needs_attention", flag(self.needs_attention)),
            ("failing", flag(self.failing)),
            ("received_after", time(self.received_after)),
            ("received_before", time(self.received_before)),
            ("due_after", time(self.due_after)),
            ("due_before", time(self.due_before)),
        ];
        all.into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    /// Whether a request meets them.
    pub fn takes(&self, request: &Request) -> bool {
        let (head, life) = (&request.head, &request.life);
        let flag = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        self.statuses
            .as_ref()
            .is_none_or(|statuses| statuses.contains(&life.status))
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == head.tenant)
            && self
                .processor
                .as_ref()
                .is_none_or(|processor| request.processors().any(|one| one == processor))
            && flag(self.overdue, life.overdue)
            && flag(self.at_risk, life.at_risk)
            && flag(self.needs_attention, life.needs_attention)
            && self.failing.is_none_or(|wanted| wanted == request.is_failing())
            && self.received_after.is_none_or(|at| head.received_at > at)
            && self.received_before.is_none_or(|at| head.received_at < at)
            && self.due_after.is_none_or(|at| life.clock.due > at)
            && self.due_before.is_none_or(|at| life.clock.due < at)
    }

    /// What the database leaves out by itself.
    pub fn sieve(&self) -> Sieve {
        Sieve {
            statuses: self.statuses.clone(),
            tenant: self.tenant.clone(),
            processor: self.processor.clone(),
        }
    }

    /// Whether only open requests can be meant: the flags are about what is still to be done.
    pub fn means_open(&self) -> bool {
        let flags = [self.overdue, self.at_risk, self.needs_attention, self.failing];
        flags.contains(&Some(true))
            || self
                .statuses
                .as_ref()
                .is_some_and(|statuses| statuses.iter().all(|status| !status.is_final()))
    }

    /// Whether something is said about deadlines.
    pub const fn is_by_deadline(&self) -> bool {
        self.due_after.is_some() || self.due_before.is_some()
    }

    /// The mark that all that is meant has: the list of what has it is the shortest to look through.
    pub fn mark(&self) -> Option<Mark> {
        let flags = [
            (self.overdue, Mark::Overdue),
            (self.failing, Mark::Failing),
            (self.needs_attention, Mark::NeedsAttention),
            (self.at_risk, Mark::AtRisk),
        ];
        let of_status = || match self.statuses.as_deref() {
            Some([one]) => mark_of(*one),
            _ => None,
        };
        let flag = flags.iter().find(|(flag, _)| *flag == Some(true));
        flag.map(|(_, mark)| *mark).or_else(of_status)
    }

    /// Whether the times of receipt of what is meant lie in an order that can be read: of what is open, those that are parked
    /// and those that are not are told apart, and of all, the times are known.
    pub fn has_receipts(&self) -> bool {
        match self.among() {
            Among::Open => self.sieve().parked().is_some(),
            Among::All => true,
            Among::Tenant | Among::Marked(_) => false,
        }
    }

    /// Between which times a walk in this order goes.
    pub const fn bounds(&self, order: ListOrder) -> (Option<At>, Option<At>) {
        match order {
            ListOrder::Received => (self.received_after, self.received_before),
            ListOrder::Id | ListOrder::Deadline => (self.due_after, self.due_before),
        }
    }

    /// Through which requests to look.
    pub fn among(&self) -> Among {
        match self.mark() {
            Some(mark) => Among::Marked(mark),
            None if self.means_open() => Among::Open,
            None if self.sieve().tenant_index() => Among::Tenant,
            None => Among::All,
        }
    }
}

/// Whether an index has the deadlines of these requests: of closed ones none is kept.
pub const fn has_deadlines(among: Among) -> bool {
    matches!(among, Among::Open | Among::Marked(_))
}

/// Through which requests to look while marks are being filled in.
pub(super) fn unfilled(filter: &Filter) -> Among {
    if filter.means_open() {
        Among::Open
    } else {
        Among::All
    }
}

fn statuses(text: &str) -> Option<Vec<Status>> {
    text.split(',').map(|word| Status::parse(word.trim())).collect()
}

impl Engine {
    /// The next requests of a walk, each with its place.
    pub async fn walk(&self, walk: &Walk) -> Result<Vec<(ListPlace, Request)>, EngineError> {
        let rows = self.store.walk(walk).await?;
        Ok(rows
            .into_iter()
            .map(|(place, stored)| (place, stored.request))
            .collect())
    }

    /// The place of the last of as many requests as a walk has at the most, whatever its sieve lets through.
    pub async fn stride(&self, walk: &Walk) -> Result<Option<ListPlace>, EngineError> {
        Ok(self.store.stride(walk).await?)
    }

    /// Whether every request has its marks and its deadline where lists look for them. An earlier version wrote none, and until
    /// they are filled in, lists look through the requests themselves.
    pub async fn lists_are_filled(&self) -> Result<bool, EngineError> {
        if self.lists_filled.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(true);
        }
        let filled = self.store.listed().await? == Listed::All;
        self.lists_filled
            .store(filled, std::sync::atomic::Ordering::Relaxed);
        Ok(filled)
    }

    /// How many requests were received between these two times, and with them, up to a limit.
    pub async fn count_received(&self, after: At, until: At, limit: u32) -> Result<u64, EngineError> {
        Ok(self.store.count_received(after, until, limit).await?)
    }

    /// How many requests have a mark, up to a limit.
    pub async fn count_marked(&self, mark: Mark, limit: u32) -> Result<u64, EngineError> {
        Ok(self.store.count_marked(mark, limit).await?)
    }

    /// How many tasks are deferred until a time between these two, up to a limit.
    pub async fn count_deferred(&self, from: At, until: At, limit: u32) -> Result<u64, EngineError> {
        Ok(self.store.count_deferred(from, until, limit).await?)
    }
}

/// In which order a list is: what it goes by, and whether from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// What it goes by.
    pub order: ListOrder,
    /// Whether from the end to the beginning.
    pub backwards: bool,
}

impl Sort {
    /// All of them, by their words.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("id", Self::new(ListOrder::Id, false)),
        ("-id", Self::new(ListOrder::Id, true)),
        ("deadline", Self::new(ListOrder::Deadline, false)),
        ("-deadline", Self::new(ListOrder::Deadline, true)),
        ("received", Self::new(ListOrder::Received, false)),
        ("-received", Self::new(ListOrder::Received, true)),
    ];

    const fn new(order: ListOrder, backwards: bool) -> Self {
        Self { order, backwards }
    }

    /// The order of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::WORDS
            .into_iter()
            .find(|(word, _)| *word == text)
            .map(|(_, sort)| sort)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        Self::WORDS
            .into_iter()
            .find(|(_, sort)| *sort == self)
            .map_or("id", |(word, _)| word)
    }

    /// The order of a list that says nothing of it: by deadline where it is about deadlines and an index has them; by receipt
    /// where what is meant is found so without looking through what is not.
    pub fn of(filter: &Filter) -> Self {
        let order = if filter.is_by_deadline() && has_deadlines(filter.among()) {
            ListOrder::Deadline
        } else if filter.has_receipts() && (filter.received_after.is_some() || filter.among() == Among::Open)
        {
            ListOrder::Received
        } else {
            ListOrder::Id
        };
        Self::new(order, false)
    }
}
