//! What an answer means: by its status and by what stands in it. Whatever no rule knows has failed.

mod want;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

pub use self::want::Want;
use super::pointer::Pointer;

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// The step has done what it is for: the next one.
    Next,
    /// There was nothing for the step to do: the next one.
    Gone,
    /// The person is erased. Only of a step that is `last`, or of a poll.
    Erased,
    /// The vendor does not know the person.
    NotFound,
    /// The vendor does not know the account, project or list: a mistake of the configuration, which stops the lane.
    AccountNotFound,
    /// The vendor will do it.
    Accepted,
    /// A job goes on: nothing new.
    Pending,
    /// It did not work: once more, later.
    Retry,
    /// Too many calls: later, and the attempt does not count.
    RateLimited,
    /// The vendor has to keep it by law: `basis` says which.
    Retained,
    /// The vendor does not let us in: the lane stops, and nobody's task fails.
    Unauthorised,
    /// The vendor will not do it.
    Rejected,
    /// It did not work, and somebody has to look at it.
    Failed,
    /// The person is still there.
    Present,
    /// The person is not there.
    Absent,
    /// The person is now under another id, which the answer names by `Link: <…>; rel="canonical"`.
    Merged,
    /// A poll: call the step that `step` names.
    Do,
    /// A batch: the rules with `each` say it of every person.
    Each,
}

impl Means {
    /// Its word, as connectors have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Gone => "gone",
            Self::Erased => "erased",
            Self::NotFound => "not_found",
            Self::AccountNotFound => "account_not_found",
            Self::Accepted => "accepted",
            Self::Pending => "pending",
            Self::Retry => "retry",
            Self::RateLimited => "rate_limited",
            Self::Retained => "retained",
            Self::Unauthorised => "unauthorised",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Merged => "merged",
            Self::Do => "do",
            Self::Each => "each",
        }
    }
}

/// When an answer means what.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The statuses that it is about; none: every one.
    #[serde(default)]
    pub status: Statuses,
    /// What has to stand where: all of it.
    #[serde(default)]
    pub when: BTreeMap<Pointer, Want>,
    /// Whether it is about the element of one person of a batch.
    #[serde(default)]
    pub each: bool,
    /// What it means then.
    pub means: Means,
    /// What people are told. Never a part of an answer.
    #[serde(default)]
    pub says: Option<String>,
    /// Why the vendor keeps it.
    #[serde(default)]
    pub basis: Option<String>,
    /// The step that is called.
    #[serde(default)]
    pub step: Option<String>,
}

impl Means {
    /// Whether nothing counts as done by it: what a batch may say of somebody whom its answer does not name.
    pub(super) const fn settles_nothing(self) -> bool {
        matches!(self, Self::Failed | Self::Retry | Self::Rejected | Self::NotFound)
    }

    /// Whether it only says that the call did not work: whatever the answer looks like.
    pub(super) const fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Retry | Self::RateLimited | Self::Unauthorised | Self::AccountNotFound | Self::Failed
        )
    }

    /// Whether the vendor has refused the call: what it would do to a new one is open.
    pub(super) const fn is_refusal(self) -> bool {
        matches!(self, Self::Failed | Self::Rejected)
    }

    /// Where several elements of an answer are about one person, the heaviest counts: nothing is over before all are.
    pub(super) const fn weight(self) -> u8 {
        match self {
            Self::Erased => 0,
            Self::Absent | Self::NotFound | Self::Gone => 1,
            Self::Next | Self::Each => 2,
            Self::Accepted => 3,
            Self::Pending | Self::Do => 4,
            Self::Present => 5,
            Self::Retained => 6,
            Self::Merged => 7,
            Self::Retry | Self::RateLimited => 8,
            Self::Rejected => 9,
            Self::Failed => 10,
            Self::Unauthorised | Self::AccountNotFound => 11,
        }
    }
}

/// Statuses: `404`, `"2xx"`, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct Statuses(Vec<Status>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
struct Status {
    from: u16,
    to: u16,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    More(Vec<Status>),
    One(Status),
}

impl From<OneOrMore> for Statuses {
    fn from(read: OneOrMore) -> Self {
        Self(match read {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        })
    }
}

impl TryFrom<Value> for Status {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let wrong = || format!("{value}: expected a status such as 404, or \"2xx\"");
        if let Some(number) = value.as_u64() {
            let number = u16::try_from(number).map_err(|_| wrong())?;
            return if (200..=599).contains(&number) {
                Ok(Self {
                    from: number,
                    to: number,
                })
            } else {
                Err(wrong())
            };
        }
        let class = value.as_str().and_then(|text| text.strip_suffix("xx"));
        let class: u16 = class.and_then(|digit| digit.parse().ok()).ok_or_else(wrong)?;
        if !(2..=5).contains(&class) {
            return Err(wrong());
        }
        Ok(Self {
            from: class * 100,
            to: class * 100 + 99,
        })
    }
}

impl std::fmt::Display for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("any status");
        }
        let shown = |one: &Status| {
            if one.from == one.to {
                one.from.to_string()
            } else {
                format!("{}xx", one.from / 100)
            }
        };
        f.write_str(&self.0.iter().map(shown).collect::<Vec<_>>().join(", "))
    }
}

impl Statuses {
    pub(super) fn has(&self, status: u16) -> bool {
        self.0.is_empty() || self.names(status)
    }

    /// Whether it is one of those that are written down.
    fn names(&self, status: u16) -> bool {
        self.0.iter().any(|one| (one.from..=one.to).contains(&status))
    }

    /// Whether one of these is a success with a body, in which anything may stand.
    pub(super) fn has_success_with_body(&self) -> bool {
        // 204 and 205 have none by definition.
        (200..=299).any(|status| !matches!(status, 204 | 205) && self.has(status))
    }

    /// Whether one of these is no success.
    pub(super) fn has_failure(&self) -> bool {
        (400..=599).any(|status| self.has(status))
    }

    /// Whether one of these forbids the call (403), which some vendors also say of a single person.
    pub(super) fn has_forbidden(&self) -> bool {
        self.has(403)
    }

    /// Those of these that say nothing of a person: we were not let in, there were too many calls, the vendor is away.
    /// `None`: no status is written down, so that it is about these too.
    pub(super) fn not_about_anybody(&self) -> Option<Vec<u16>> {
        let says_nothing = |status: &u16| matches!(status, 401 | 407 | 408 | 429 | 500..=599);
        (!self.0.is_empty()).then(|| {
            (400..=599)
                .filter(says_nothing)
                .filter(|status| self.names(*status))
                .collect()
        })
    }
}

/// An answer, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body, where that is JSON.
    pub body: &'a Value,
    /// Its body, where that is something else.
    pub text: Option<&'a str>,
    /// The id that it says somebody is merged into.
    pub canonical: Option<&'a str>,
}

/// What an answer means for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What it means.
    pub means: Means,
    /// What people are told.
    pub says: String,
    /// Why the vendor keeps it.
    pub basis: Option<String>,
    /// The step that is called.
    pub step: Option<String>,
    /// What is kept of it.
    pub kept: Vec<(String, Vec<String>)>,
    /// What the vendor calls what it did.
    pub reference: Option<String>,
    /// The id that somebody is merged into.
    pub canonical: Option<String>,
    /// Whether the vendor itself has refused it, so that nothing has begun: not an answer that could not be read.
    pub is_refused: bool,
}

impl Judged {
    /// Without anything kept.
    pub fn plain(means: Means, says: impl Into<String>) -> Self {
        Self {
            means,
            says: says.into(),
            basis: None,
            step: None,
            kept: Vec::new(),
            reference: None,
            canonical: None,
            is_refused: false,
        }
    }
}
