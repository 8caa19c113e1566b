//! What people are told about a run, before and after.

use std::{fmt::Display, path::Path, time::Duration};

use indicatif::HumanCount;

use super::{
    input::Input,
    people::Person,
    plan::{Order, Plan},
    progress::Progress,
    rate::Rate,
    survey::Survey,
};
use crate::{
    cli::{
        Failure,
        output::{Out, Span},
    },
    config::{Approval, Config},
};

/// What one process publishes in a second on a broker at hand, about: for estimates only.
const USUAL_RATE: u64 = 10_000;

/// A line with its heading.
pub(super) fn say(out: &mut Out, heading: &str, text: impl Display) -> Result<(), Failure> {
    out.line(format_args!("{heading:<11} {text}"))
}

/// What is on the file, and what becomes of it.
pub(super) fn survey(
    out: &mut Out,
    input: &Input,
    order: &Order,
    survey: &Survey,
    rate: Option<Rate>,
    config: &Config,
) -> Result<(), Failure> {
    say(
        out,
        "file",
        format_args!(
            "{} ({}, {} bytes), SHA-256 {}",
            input.name(),
            survey.format.as_str(),
            HumanCount(input.bytes()),
            input.sha256()
        ),
    )?;
    say(
        out,
        "subjects",
        format_args!(
            "{}; {} lines are wrong",
            HumanCount(survey.subjects),
            HumanCount(survey.bad)
        ),
    )?;
    for (kind, count) in &survey.identities {
        say(out, "", format_args!("{} have {kind}", HumanCount(*count)))?;
    }
    asks(out, order)?;
    say(out, "takes", time_needed(survey.subjects, survey.took, rate))?;
    for warning in warnings(order, survey, rate, config) {
        say(out, "mind", warning)?;
    }
    Ok(())
}

/// What is asked for everybody.
fn asks(out: &mut Out, order: &Order) -> Result<(), Failure> {
    let verified = if order.identity_verified {
        ", their identity vouched for"
    } else {
        ""
    };
    say(
        out,
        "asks",
        format_args!(
            "{} for service_ceased, tenant {}, regime {}, as of {}{verified}",
            order.action,
            order.tenant,
            order.regime.as_deref().unwrap_or("of the policy"),
            order.requested_at
        ),
    )
}

fn time_needed(subjects: u64, reading: Duration, rate: Option<Rate>) -> String {
    match rate {
        Some(rate) => format!(
            "about {} to publish at this rate",
            Span(rate.time_for(subjects).max(reading))
        ),
        None => {
            let publishing = Duration::from_secs(subjects.div_ceil(USUAL_RATE));
            format!(
                "about {} to publish, as fast as the broker takes them (--rate spreads them)",
                Span(publishing.max(reading))
            )
        }
    }
}

/// What will hold requests up, or will not reach everybody.
fn warnings(order: &Order, survey: &Survey, rate: Option<Rate>, config: &Config) -> Vec<String> {
    let mut said = Vec::new();
    if config.policy.require_identity_verification && !order.identity_verified {
        said.push(
            "require_identity_verification: every request waits until each person's identity is verified; \
             --identity-verified says that your own records vouch for them"
                .to_owned(),
        );
    }
    said.extend(brake(config.policy.approval, survey.subjects, rate));
    for unnamed in &survey.unnamed {
        let then = if unnamed.exempt {
            "and is left out for them (no_identity)"
        } else {
            "and their requests need attention until one is supplied"
        };
        said.push(format!(
            "{} takes no identifier that {} subjects have, {then}",
            unnamed.processor,
            HumanCount(unnamed.subjects)
        ));
    }
    said
}

/// What the policy's volume brake does to so many.
pub(super) fn brake(approval: Approval, subjects: u64, rate: Option<Rate>) -> Option<String> {
    const HOW: &str = "a person approves them (`lacuna requests --status awaiting_approval`)";
    match approval {
        Approval::Never => None,
        Approval::Always => Some(format!("approval = \"always\": every request waits until {HOW}")),
        Approval::AbovePerHour(most) => {
            let an_hour = rate.map_or(subjects, |rate| rate.per_hour().min(subjects));
            (an_hour > u64::from(most)).then(|| {
                format!(
                    "the volume brake will hold: approval = {{ above_per_hour = {most} }}, and {} come within an \
                     hour; those above it wait until {HOW}, or a --rate well below {most}/h keeps under it",
                    HumanCount(an_hour)
                )
            })
        }
    }
}

/// Said loudly wherever two people cannot be told apart by proof.
pub(super) fn unproved(first: &Person, second: Option<&Person>) -> Option<&'static str> {
    let proved = first.proved && second.is_none_or(|second| second.proved);
    (!proved).then_some(
        "there is no [auth] token behind every name: that two people agree is only stated, not shown. One person with \
         this shell could have given both names",
    )
}

/// A plan was written.
pub(super) fn prepared(out: &mut Out, plan: &Plan, path: &Path, name: &str) -> Result<(), Failure> {
    say(out, "run", plan.run_id)?;
    say(out, "prepared by", plan.order.prepared_by.shown())?;
    if let Some(warning) = unproved(&plan.order.prepared_by, None) {
        say(out, "WARNING", warning)?;
    }
    say(
        out,
        "plan",
        format_args!("{}: nothing is published yet", path.display()),
    )?;
    let who = if plan.order.prepared_by.proved {
        "--token env:NAME"
    } else {
        "--actor NAME"
    };
    let file = if name == "stdin" { "-" } else { name };
    say(
        out,
        "next",
        format_args!(
            "another person: lacuna sunset {file} --approve {} {who}",
            path.display()
        ),
    )
}

/// Publishing begins, or goes on.
pub(super) fn begins(out: &mut Out, plan: &Plan, progress: &Progress, is_new: bool) -> Result<(), Failure> {
    let prepared_by = &plan.order.prepared_by;
    say(
        out,
        "run",
        format_args!("{}: {} subjects", plan.run_id, HumanCount(plan.subjects)),
    )?;
    for (kind, count) in &plan.identities {
        say(out, "", format_args!("{} have {kind}", HumanCount(*count)))?;
    }
    asks(out, &plan.order)?;
    say(out, "prepared by", prepared_by.shown())?;
    say(out, "approved by", progress.approved_by.shown())?;
    if let Some(warning) = unproved(prepared_by, Some(&progress.approved_by)) {
        say(out, "WARNING", warning)?;
    }
    if !is_new && !progress.complete {
        say(
            out,
            "continues",
            format_args!(
                "after {} of {}, which Kafka had confirmed by {}",
                HumanCount(progress.confirmed),
                HumanCount(plan.subjects),
                progress.updated_at
            ),
        )?;
    }
    out.flush()
}

/// Everything was published before, by another call.
pub(super) fn was_complete(out: &mut Out, progress: &Progress) -> Result<(), Failure> {
    say(
        out,
        "complete",
        format_args!(
            "nothing was published now: all {} commands of this plan were, and Kafka had confirmed the last of them at {}. To ask \
             for anybody once more, prepare a new plan",
            HumanCount(progress.confirmed),
            progress.updated_at
        ),
    )
}

/// Everything is published.
pub(super) fn complete(out: &mut Out, plan: &Plan, progress: &Progress) -> Result<(), Failure> {
    say(
        out,
        "published",
        format_args!("{} commands, confirmed by Kafka", HumanCount(progress.confirmed)),
    )?;
    if plan.left_out > 0 {
        say(
            out,
            "left out",
            format_args!("{} lines that are wrong", HumanCount(plan.left_out)),
        )?;
    }
    Ok(())
}

/// What to look at once everything is published.
pub(super) fn after(out: &mut Out, file: &Path, path: &Path) -> Result<(), Failure> {
    say(
        out,
        "next",
        format_args!(
            "lacuna sunset {} --ids {} | lacuna reconcile -    # have all of them arrived?",
            file.display(),
            path.display()
        ),
    )
}

/// What to do after it was stopped or has failed.
pub(super) fn unfinished(plan: &Plan, progress: &Progress) -> String {
    format!(
        "{} of {} commands are confirmed by Kafka; the same command continues there, and what it publishes twice \
         changes nothing",
        HumanCount(progress.confirmed),
        HumanCount(plan.subjects)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_brake_is_foretold() {
        let at = |rate: &str| Some(rate.parse().unwrap());
        let above = Approval::AbovePerHour(1000);
        assert_eq!(brake(Approval::Never, 1_000_000, None), None);
        assert_eq!(brake(above, 1000, None), None);
        assert_eq!(brake(above, 1_000_000, at("1000/h")), None);
        assert_eq!(brake(above, 500, at("50/s")), None);
        let said = brake(above, 5000, None).unwrap();
        assert!(
            said.contains("above_per_hour = 1000") && said.contains("5,000 come"),
            "{said}"
        );
        assert!(brake(above, 5000, at("1/s")).unwrap().contains("3,600 come"));
        assert!(brake(Approval::Always, 1, None).is_some());
    }
}
