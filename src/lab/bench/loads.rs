//! How much is asked at a time: what warms, and what is measured.

use std::time::Duration;

use super::Args;
use crate::lab::sim::Load;

/// The embedded broker loses what lags by more than about 5 MB a partition.
const EMBEDDED_WINDOW: u64 = 1_500;

/// Enough to keep two cores busy; beyond it only waiting times grow.
const WINDOW: u64 = 4_000;

/// A cold broker costs several times as much as a warm one: its code is compiled while it runs.
const WARM: u64 = 20_000;

/// There is no compiler to warm in this process.
const EMBEDDED_WARM: u64 = 2_000;

/// What comes before the measuring and counts for nothing.
#[derive(Debug)]
pub(super) struct Warming {
    /// One round of it.
    pub round: Load,
    /// Whether rounds go on until the broker is as fast as it gets: just started, it costs four times as much.
    pub until_fast: bool,
    /// How long the deployment rests after it.
    pub rest: Duration,
}

impl Warming {
    /// So many rounds are enough for any broker.
    const ROUNDS: usize = 12;
    /// What a round has to cost less than the one before it, for another one to be worth it.
    const WORTH_IT: f64 = 0.95;

    /// Whether there is another round, after one for which the broker needed this much.
    pub(super) fn goes_on(&self, broker: &[Duration]) -> bool {
        let is_faster = match broker {
            [.., earlier, last] => last.as_secs_f64() < earlier.as_secs_f64() * Self::WORTH_IT,
            [_] => true,
            [] => false,
        };
        self.until_fast && is_faster && broker.len() < Self::ROUNDS
    }
}

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
    let rest = Duration::from_secs(args.rest);
    (
        Warming {
            round,
            until_fast,
            rest,
        },
        measured,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warming_goes_on_while_the_broker_gets_faster() {
        let warming = |until_fast| Warming {
            rest: Duration::ZERO,
            round: Load {
                requests: 1,
                rate: None,
                window: 1,
                patience: Duration::ZERO,
                limit: Duration::ZERO,
            },
            until_fast,
        };
        let goes_on = |millis: &[u64]| {
            let broker: Vec<Duration> = millis.iter().map(|ms| Duration::from_millis(*ms)).collect();
            warming(true).goes_on(&broker)
        };
        assert!(goes_on(&[4_000]) && goes_on(&[4_000, 2_000]) && goes_on(&[2_000, 1_800]));
        assert!(!goes_on(&[2_000, 1_990]) && !goes_on(&[2_000, 2_100]));
        assert!(!goes_on(&[]), "a broker whose cost is not known");
        assert!(!goes_on(
            &[12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1].map(|n| n * 1_000)
        ));
        assert!(!warming(false).goes_on(&[Duration::from_secs(4)]));
    }
}
