//! What reconciling has found, for people and as JSON lines.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{
    claim::Claim,
    dead_letters::Letter,
    look::{Difference, Fate, Finding},
};
use crate::{
    cli::{
        Failure,
        output::{Out, Span},
    },
    domain::ids::{CommandId, RequestId},
};

/// Counts, and says what is not as upstream believes.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    what: &'static str,
    looked_up: u64,
    /// What has arrived, by status.
    there: BTreeMap<&'static str, u64>,
    missing: u64,
    dead_lettered: u64,
    different: u64,
    unreadable_lines: u64,
    /// Open dead letters that do not show what they were.
    nameless_dead_letters: u64,
    #[serde(skip)]
    as_json: bool,
    #[serde(skip)]
    begun: bool,
}

/// A finding as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    line: u64,
    what: &'static str,
    request_id: Option<RequestId>,
    command_id: Option<CommandId>,
    #[serde(skip_serializing_if = "<[Difference]>::is_empty")]
    differs: &'a [Difference],
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<&'a Letter>,
}

/// What counts by the status of its request where that one is forgotten.
const FORGOTTEN: &str = "past_records_keep";

impl Report {
    pub(super) fn new(as_json: bool) -> Self {
        Self {
            what: "summary",
            as_json,
            ..Self::default()
        }
    }

    /// Whether everything has arrived as it was sent.
    pub(super) const fn is_clean(&self) -> bool {
        self.missing + self.dead_lettered + self.different == 0
    }

    pub(super) const fn looked_up(&self) -> u64 {
        self.looked_up
    }

    pub(super) const fn set_unreadable(&mut self, lines: u64) {
        self.unreadable_lines = lines;
    }

    pub(super) fn set_nameless(&mut self, letters: u64) {
        self.nameless_dead_letters = self.nameless_dead_letters.max(letters);
    }

    /// Counts a finding, and says it where something is wrong.
    pub(super) fn take(&mut self, finding: &Finding, out: &mut Out) -> Result<(), Failure> {
        self.looked_up += 1;
        let (what, differs): (_, &[Difference]) = match &finding.fate {
            Fate::There(status) => {
                *self.there.entry(status.as_str()).or_default() += 1;
                return Ok(());
            }
            Fate::Forgotten => {
                *self.there.entry(FORGOTTEN).or_default() += 1;
                return Ok(());
            }
            Fate::Missing => {
                self.missing += 1;
                ("missing", &[])
            }
            Fate::DeadLettered => {
                self.dead_lettered += 1;
                ("dead_lettered", &[])
            }
            Fate::Different(differs) => {
                self.different += 1;
                ("different", differs)
            }
        };
        let Finding { claim, letter, .. } = finding;
        let letter = letter.as_ref();
        if self.as_json {
            return out.json(&Shown {
                line: claim.line,
                what,
                request_id: claim.request_id,
                command_id: claim.command_id,
                differs,
                dead_letter: letter,
            });
        }
        if !self.begun {
            self.begun = true;
            out.line(format_args!(
                "{:<13}  {:>9}  {:<36}  DETAIL",
                "WHAT", "LINE", "REQUEST OR COMMAND"
            ))?;
        }
        let (line, id, detail) = (claim.line, shown_id(claim), detail(differs, letter));
        out.line(format!("{what:<13}  {line:>9}  {id}  {detail}").trim_end())
    }

    /// The counts, and what to do next.
    pub(super) fn end(&self, out: &mut Out) -> Result<(), Failure> {
        if self.as_json {
            return out.json(self);
        }
        if self.begun {
            out.line("")?;
        }
        let by_status: Vec<String> = self
            .there
            .iter()
            .map(|(status, count)| format!("{status} {count}"))
            .collect();
        out.line(format_args!("looked up      {}", self.looked_up))?;
        let there: u64 = self.there.values().sum();
        out.line(format!("there          {there}  {}", by_status.join(", ")).trim_end())?;
        out.line(format_args!("missing        {}", self.missing))?;
        out.line(format_args!("dead-lettered  {}", self.dead_lettered))?;
        out.line(format_args!("different      {}", self.different))?;
        if self.unreadable_lines > 0 {
            out.line(format_args!(
                "unreadable     {} lines, not looked up",
                self.unreadable_lines
            ))?;
        }
        self.next_steps(out)
    }

    fn next_steps(&self, out: &mut Out) -> Result<(), Failure> {
        let next = [
            (
                self.missing > 0,
                "missing: publish them again with the same command_id, which changes nothing where one has arrived \
                 meanwhile; what was sent just now may still be on its way (lacuna_consumer_lag), and a partition may be \
                 stopped (`lacuna positions list`)",
            ),
            (
                self.dead_lettered > 0,
                "dead-lettered: `lacuna dead-letters show ID` says what is wrong; have it corrected and sent again, \
                 or redrive it",
            ),
            (
                self.different > 0,
                "different: what arrived first is carried out, and the other is not: send what is owed under a new \
                 command_id",
            ),
        ];
        for (_, text) in next.iter().filter(|(applies, _)| *applies) {
            out.line(format_args!("next           {text}"))?;
        }
        if self.nameless_dead_letters > 0 && self.missing > 0 {
            out.line(format_args!(
                "note           {} open dead letters do not show their ids (no JSON, ids in headers only, or their key \
                 is gone): what is missing may be among them",
                self.nameless_dead_letters
            ))?;
        }
        Ok(())
    }
}

/// The request, or the command where no request is named.
fn shown_id(claim: &Claim) -> String {
    let id = claim
        .request_id
        .map(|id| id.0)
        .or(claim.command_id.map(|id| id.0));
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn detail(differs: &[Difference], letter: Option<&Letter>) -> String {
    let differs: Vec<&str> = differs.iter().map(|difference| difference.as_str()).collect();
    let letter = letter.map(|letter| {
        let age = Span(Duration::from_secs(letter.age_seconds));
        format!(
            "{}, {age} ago, letter {} ({})",
            letter.reason, letter.id, letter.state
        )
    });
    [differs.join(", "), letter.unwrap_or_default()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
