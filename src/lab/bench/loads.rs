//! How much is asked at a time: what warms, and what is measured.

use std::time::Duration;

use super::{Args, measure::Warming};
use crate::lab::sim::Load;

/// The embedded broker loses what lags by more than about 5 MB a partition.
const EMBEDDED_WINDOW: u64 = 1_500;

/// Enough to keep two cores busy; beyond it only waiting times grow.
const WINDOW: u64 = 4_000;

/// A cold broker costs several times as much as a warm one: its code is compiled while it runs.
const WARM: u64 = 20_000;

/// There is no compiler to warm in this process.
const EMBEDDED_WARM: u64 = 2_000;

/// What warms, and the load that is measured.
pub(super) fn loads(args: &Args) -> (Warming, Load) {
    let (window, warm) = if args.embedded {
        (EMBEDDED_WINDOW, EMBEDDED_WARM)
    } else {
        (WINDOW, WARM)
    };
    let measured = Load {
        requests: args.requests,
        rate: args.rate,
        window: usize::try_from(args.window.unwrap_or(window)).unwrap_or(usize::MAX),
        // Processors that answer late are waited for, and then some. With dead ones no request is ever closed.
        patience: if args.dead > 0 {
            Duration::from_secs(args.limit)
        } else {
            Duration::from_secs(30) + Duration::from_millis(args.spread)
        },
        limit: Duration::from_secs(args.limit),
    };
    // Whatever is measured later, broker and worker are warmed by what the machine can carry. One request at the least
    // shows that the worker is up.
    let round = Load {
        requests: args.warm.unwrap_or(warm).max(1),
        rate: None,
        window: usize::try_from(window).unwrap_or(usize::MAX),
        ..measured.clone()
    };
    // With dead processors none of them is ever closed, so that they are all open together: their tasks wait when it begins.
    let round = if args.dead > 0 {
        Load {
            requests: round.requests.min(measured.window as u64),
            window: measured.window,
            ..round
        }
    } else {
        round
    };
    let until_fast = args.warm.is_none() && !args.embedded;
    (Warming { round, until_fast }, measured)
}
