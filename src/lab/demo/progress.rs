//! A line a processor while the demonstration runs.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{cast::Cast, setup::PROCESSORS};
use crate::{
    clock::Stopwatch,
    lab::sim::{Progress, Tally},
    terminal::output::aside,
};

/// Shows how far everything is: bars on a terminal, else a line now and then.
pub(super) enum Show {
    /// On a terminal.
    Bars {
        closed: ProgressBar,
        processors: Vec<ProgressBar>,
        drawn: Stopwatch,
    },
    /// Elsewhere.
    Lines { requests: u64, said: Stopwatch },
}

/// Often enough to look alive.
const DRAW_EVERY: Duration = Duration::from_millis(80);

/// Seldom enough for a log.
const SAY_EVERY: Duration = Duration::from_secs(1);

impl Show {
    pub(super) fn new(requests: u64, terminal: bool) -> Self {
        if !terminal {
            return Self::Lines {
                requests,
                said: Stopwatch::start(),
            };
        }
        let all = MultiProgress::new();
        let bar = |name: &str| {
            let bar = all.add(ProgressBar::new(requests));
            // The default style is kept where a template cannot be read, which a test rules out.
            bar.set_style(style().unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.to_owned());
            bar
        };
        let processors = PROCESSORS.iter().map(|processor| bar(processor.id)).collect();
        Self::Bars {
            closed: bar("requests"),
            processors,
            drawn: Stopwatch::start(),
        }
    }

    pub(super) fn update(&mut self, progress: Progress, cast: &Cast) {
        match self {
            Self::Bars { drawn, .. } if drawn.elapsed() >= DRAW_EVERY => {
                *drawn = Stopwatch::start();
                self.draw(progress.closed, cast);
            }
            Self::Lines { requests, said } if said.elapsed() >= SAY_EVERY => {
                *said = Stopwatch::start();
                let done: u64 = cast.tallies().iter().map(proved).sum();
                aside(format_args!(
                    "{:>5.1} s: {} of {requests} commands published, {done} tasks proved, {} requests closed",
                    progress.elapsed.as_secs_f64(),
                    progress.published,
                    progress.closed,
                ));
            }
            Self::Bars { .. } | Self::Lines { .. } => {}
        }
    }

    pub(super) fn finish(&mut self, cast: &Cast) {
        if let Self::Bars { closed, .. } = self {
            let all = closed.length().unwrap_or_default();
            self.draw(all, cast);
        }
        if let Self::Bars {
            closed, processors, ..
        } = self
        {
            for bar in processors.iter().chain([&*closed]) {
                bar.finish_and_clear();
            }
        }
    }

    fn draw(&self, requests_closed: u64, cast: &Cast) {
        let Self::Bars {
            closed, processors, ..
        } = self
        else {
            return;
        };
        closed.set_position(requests_closed);
        for ((bar, tally), processor) in processors.iter().zip(cast.tallies()).zip(&PROCESSORS) {
            bar.set_position(proved(&tally));
            bar.set_message(match tally.failed {
                0 => processor.manner.to_owned(),
                failed => format!("{}: {failed} times so far", processor.manner),
            });
        }
    }
}

fn style() -> Result<ProgressStyle, indicatif::style::TemplateError> {
    ProgressStyle::with_template("{prefix:>12} {bar:32} {pos:>5}/{len} {msg}")
}

const fn proved(tally: &Tally) -> u64 {
    tally.erased + tally.not_found
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_can_be_read() {
        assert!(super::style().is_ok());
    }
}
