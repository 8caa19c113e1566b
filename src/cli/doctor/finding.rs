//! What was found, and how bad it is.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// It is as it should be.
    Fine,
    /// Somebody should look at it.
    Warning,
    /// Something does not work, or will not.
    Wrong,
    /// It cannot be reached, so nothing more is known of it.
    Away,
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "look",
            Self::Wrong => "WRONG",
            Self::Away => "AWAY",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Of what.
    pub(super) part: &'static str,
    /// How it stands.
    pub(super) what: String,
    /// What to do about it.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

/// As a program reads it.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    healthy: bool,
    findings: Vec<&'a Finding>,
}

impl Findings {
    pub(super) fn fine(&mut self, part: &'static str, what: impl Into<String>) {
        self.add(Level::Fine, part, what.into(), None);
    }

    pub(super) fn warn(&mut self, part: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Warning, part, what.into(), Some(advice.into()));
    }

    pub(super) fn wrong(&mut self, part: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Wrong, part, what.into(), Some(advice.into()));
    }

    pub(super) fn away(&mut self, part: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Away, part, what.into(), Some(advice.into()));
    }

    fn add(&mut self, level: Level, part: &'static str, what: String, advice: Option<String>) {
        self.0.push(Finding {
            level,
            part,
            what,
            advice,
        });
    }

    /// The worst first; those that are as bad in the order in which they were found.
    pub(super) fn by_level(&self) -> Vec<&Finding> {
        let mut sorted: Vec<&Finding> = self.0.iter().collect();
        sorted.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        sorted
    }

    pub(super) fn worst(&self) -> Level {
        let levels = self.0.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Fine)
    }

    /// How many are wrong, to be looked at, and fine.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let count = |is: fn(Level) -> bool| self.0.iter().filter(|finding| is(finding.level)).count();
        (
            count(|level| level >= Level::Wrong),
            count(|level| level == Level::Warning),
            count(|level| level == Level::Fine),
        )
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            healthy: self.worst() < Level::Wrong,
            findings: self.by_level(),
        }
    }
}
