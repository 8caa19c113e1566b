//! What an answer means: by its status and by what stands in it. Whatever no rule knows has failed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::pointer::{Pointer, text_of};

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
        self.0.is_empty() || self.0.iter().any(|one| (one.from..=one.to).contains(&status))
    }
}

/// What has to stand somewhere.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Want {
    /// `{ exists = true }`, `{ empty = true }`, `{ contains = "text" }`.
    Test(Test),
    /// One of these.
    OneOf(Vec<Value>),
    /// This.
    Is(Value),
}

/// A test of what stands somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    #[serde(default)]
    exists: Option<bool>,
    #[serde(default)]
    empty: Option<bool>,
    #[serde(default)]
    contains: Option<String>,
}

impl Want {
    pub(super) fn holds(&self, found: &[&Value]) -> bool {
        match self {
            Self::Test(test) => test.holds(found),
            Self::OneOf(values) => found.iter().any(|value| values.contains(value)),
            Self::Is(wanted) => found.contains(&wanted),
        }
    }
}

impl Test {
    fn holds(&self, found: &[&Value]) -> bool {
        // What is not there is no proof that there is nothing: a page of a proxy has no records either.
        let is_empty = found.iter().all(|value| match value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Number(number) => number.as_u64() == Some(0),
            _ => false,
        });
        let contains = |wanted: &String| {
            let has = |value: &&Value| text_of(value).is_some_and(|text| text.contains(wanted.as_str()));
            found.iter().any(has)
        };
        self.exists.is_none_or(|wanted| wanted != found.is_empty())
            && self
                .empty
                .is_none_or(|wanted| !found.is_empty() && wanted == is_empty)
            && self.contains.as_ref().is_none_or(contains)
    }
}

/// An answer, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body, where that is JSON.
    pub body: &'a Value,
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
        }
    }
}
