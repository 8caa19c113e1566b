//! How large a batch of messages may become, and how long it waits for more.

use std::time::Duration;

use crate::clock::Stopwatch;

/// How large a batch may become, and how long it may wait for more.
///
/// Every transaction costs the same again whatever is in it, and every transaction that touches a request rewrites its row,
/// adds a leaf and says a status. So a batch that fills fast waits longer: where much arrives, work queues up behind it
/// anyway, and fewer transactions shorten that queue by more than the waiting adds. A rush is more than half of what two
/// cores can carry: below that the time to completion counts for more. (To wait for as long as the stage is busy was tried:
/// it saves a tenth less.)
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Messages.
    pub messages: usize,
    /// Bytes of their values and headers: a burst of large messages must not fill the memory.
    pub bytes: usize,
    /// Time after the first message.
    pub wait: Duration,
    /// So many messages by then are a rush.
    pub rush: usize,
    /// Time after the first message in a rush.
    pub rush_wait: Duration,
}

impl Window {
    /// Of commands. At half load, 10 ms cost 20-30 % less CPU than 1-5 ms and give a better p99.
    pub const COMMANDS: Self = Self {
        messages: 500,
        bytes: 8 << 20,
        wait: Duration::from_millis(10),
        rush: 60,
        rush_wait: Duration::from_millis(30),
    };

    /// Of acks. Those of a request come close together: 25 ms save a quarter of the transactions that touch it. Twice as many
    /// commands would cost a third more memory and gain nothing; twice as many acks cost next to none.
    pub const ACKS: Self = Self {
        messages: 4000,
        bytes: 8 << 20,
        wait: Duration::from_millis(25),
        rush: 900,
        rush_wait: Duration::from_millis(120),
    };
}

/// How a batch fills.
pub(super) struct Filling {
    window: Window,
    messages: usize,
    bytes: usize,
    started: Option<Stopwatch>,
    /// Whether nothing was there a moment ago.
    is_dry: bool,
}

impl Filling {
    /// Short enough for a prompt shutdown.
    const IDLE: Duration = Duration::from_millis(100);
    /// After so many messages in a row the time is looked at.
    const UNTIMED: usize = 32;

    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            messages: 0,
            bytes: 0,
            started: None,
            is_dry: true,
        }
    }

    /// How long to wait for the next message; `None`: it is enough. What is there already is taken without a look at the
    /// time.
    pub(super) fn wait(&self) -> Option<Duration> {
        if self.messages >= self.window.messages || self.bytes >= self.window.bytes {
            return None;
        }
        let Some(started) = &self.started else {
            return Some(Self::IDLE);
        };
        if !self.is_dry && !self.messages.is_multiple_of(Self::UNTIMED) {
            return Some(Duration::ZERO);
        }
        let until = if self.messages >= self.window.rush {
            self.window.rush_wait
        } else {
            self.window.wait
        };
        let left = until.saturating_sub(started.elapsed());
        match (left.is_zero(), self.is_dry) {
            (true, _) => None,
            (false, true) => Some(whole_millis(left)),
            (false, false) => Some(Duration::ZERO),
        }
    }

    pub(super) fn took(&mut self, bytes: usize) {
        self.started.get_or_insert_with(Stopwatch::start);
        self.messages += 1;
        self.bytes += bytes;
        self.is_dry = false;
    }

    pub(super) fn ran_dry(&mut self) {
        self.is_dry = true;
    }
}

/// Rounds up to what the client can wait for. It waits whole milliseconds and asks again and again, without a pause, for
/// what is left of one: half a millisecond of a processor's time for each batch.
pub fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(messages: usize, window: Window) -> Filling {
        let mut filling = Filling::new(window);
        for _ in 0..messages {
            filling.took(10);
        }
        filling
    }

    /// Its first wait is over at once, its second one not while this runs.
    const WINDOW: Window = Window {
        messages: 100,
        bytes: 10_000,
        wait: Duration::ZERO,
        rush: 3,
        rush_wait: Duration::from_secs(3600),
    };

    #[test]
    fn a_batch_that_fills_fast_waits_longer() {
        let mut slow = filling(2, WINDOW);
        slow.ran_dry();
        assert_eq!(slow.wait(), None);
        let mut fast = filling(3, WINDOW);
        fast.ran_dry();
        assert!(fast.wait().is_some_and(|wait| wait > Duration::from_secs(3000)));
    }

    #[test]
    fn what_is_there_is_taken_before_anything_is_waited_for() {
        assert_eq!(filling(0, WINDOW).wait(), Some(Filling::IDLE));
        assert_eq!(filling(1, WINDOW).wait(), Some(Duration::ZERO));
        // However much is there, the time is looked at now and then.
        let endless = Window {
            rush: usize::MAX,
            ..WINDOW
        };
        assert_eq!(filling(Filling::UNTIMED, endless).wait(), None);
        assert_eq!(filling(Filling::UNTIMED, WINDOW).wait(), Some(Duration::ZERO));
    }

    #[test]
    fn neither_messages_nor_bytes_exceed_the_window() {
        assert_eq!(filling(100, WINDOW).wait(), None);
        let heavy = Window { bytes: 50, ..WINDOW };
        assert_eq!(filling(5, heavy).wait(), None);
    }
}
