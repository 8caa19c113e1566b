//! Changes to many requests at once. A job says what is done to which requests; workers work it off under a lease, each change by the
//! same use case as if somebody had asked for it alone, with the same rules.
//!
//! Each change has a key of its own, which is remembered in the transaction that makes it. So a worker that dies in the middle leaves
//! changes that are made, or not; whoever goes on with the job is told of those that are made already, and makes none twice.

mod judging;
mod ordering;
mod working;

use serde::{Deserialize, Serialize};

use super::lists::Filter;
use crate::domain::{
    ids::{ProcessorId, RequestId, Tenant},
    words::{BulkAction, HoldBasis},
};

pub use self::{
    judging::{Forecast, Refusal},
    ordering::BulkError,
    working::{Claimed, Worked},
};

/// How many requests one job takes at the most: their ids are rows, and a dry run looks at each.
pub const MOST: usize = 100_000;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is done.
    pub action: BulkAction,
    /// To which requests.
    pub chosen: Chosen,
    /// Why.
    pub reason: Option<String>,
    /// The ground, where they are held.
    pub basis: Option<HoldBasis>,
}

/// Which requests are meant.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// All that meet a filter.
    Filter(Box<Filter>),
    /// These, and no task of another processor, where one is named.
    Ids {
        /// The requests.
        ids: Vec<RequestId>,
        /// The one tenant whose requests may be meant.
        tenant: Option<Tenant>,
        /// The processor whose tasks are meant.
        processor: Option<ProcessorId>,
    },
}

impl Chosen {
    /// The processor whose tasks are meant, where one is named.
    const fn processor(&self) -> Option<&ProcessorId> {
        match self {
            Self::Filter(filter) => filter.processor.as_ref(),
            Self::Ids { processor, .. } => processor.as_ref(),
        }
    }

    /// The one tenant whose requests are meant.
    const fn tenant(&self) -> Option<&Tenant> {
        match self {
            Self::Filter(filter) => filter.tenant.as_ref(),
            Self::Ids { tenant, .. } => tenant.as_ref(),
        }
    }

    /// As the query of a list; nothing where the requests were named.
    fn text(&self) -> String {
        match self {
            Self::Filter(filter) => {
                let pairs = filter.pairs().into_iter();
                let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
                pairs.join("&")
            }
            Self::Ids { .. } => String::new(),
        }
    }
}

/// What lies sealed beside a job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Said {
    reason: Option<String>,
    basis: Option<HoldBasis>,
}
