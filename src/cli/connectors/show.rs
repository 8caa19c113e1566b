//! A connector for people: what it takes, what it calls, what each answer means, and what of it is not verified.

use std::time::Duration;

use crate::{
    cli::{Failure, output::Out},
    connector::{
        Auth, Connector, Does, Step,
        language::{Certainty, Setting},
        pointer::Pointer,
    },
    domain::ids::IdentityType,
};

/// Shows it.
pub(super) fn show(out: &mut Out, connector: &Connector, from: &str) -> Result<(), Failure> {
    unverified(out, connector)?;
    out.line(format_args!("{} ({}), from {from}", connector.name, connector.id))?;
    out.line(format_args!("kind      {}", connector.kind))?;
    out.line(format_args!(
        "shape     {}: {}",
        connector.shape,
        shape(&connector.shape)
    ))?;
    out.line(format_args!("login     {}", login(&connector.auth)))?;
    if let Some(rate) = connector.rate {
        let (tasks, per) = (rate.0.tasks, length(rate.0.per));
        out.line(format_args!("rate      {tasks} calls within {per}"))?;
    }
    for link in &connector.documentation {
        out.line(format_args!("read      {link}"))?;
    }
    for note in &connector.notes {
        out.line(format_args!("note      {note}"))?;
    }
    needs(out, connector)?;
    out.line("")?;
    out.line("Calls")?;
    for step in &connector.steps {
        show_step(out, step)?;
    }
    ends(out, connector)?;
    out.line("")?;
    out.line("Facts")?;
    for fact in &connector.facts {
        let source = fact
            .source
            .as_ref()
            .map_or_else(String::new, |source| format!(" <{source}>"));
        out.line(format_args!(
            "  [{}] {}{source}",
            fact.certainty.meaning(),
            fact.says
        ))?;
    }
    Ok(())
}

/// How what is only accepted comes to an end.
fn ends(out: &mut Out, connector: &Connector) -> Result<(), Failure> {
    if let Some(every) = connector.poll.filter(|_| connector.can_poll()) {
        let within = connector.accepted_for.map_or_else(String::new, |within| {
            format!(
                "; somebody has to look where it is not done after {}",
                length(within.0)
            )
        });
        out.line(format_args!(
            "  a job is asked about every {}{within}",
            length(every.0)
        ))?;
    }
    if let Some(term) = &connector.completes_by {
        let probe = if term.probe {
            ", and the vendor is asked first whether the person is still there"
        } else {
            ""
        };
        out.line(format_args!(
            "  what is only accepted counts as attested after {}{probe}",
            length(term.after.0)
        ))?;
    }
    let left_out = connector.left_out_by_probes();
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.into_iter().map(IdentityType::as_str).collect();
        out.line(format_args!(
            "  no probe asks by {}: of a person with one, the vendor is never believed that they are gone",
            names.join(", ")
        ))?;
    }
    Ok(())
}

/// A length of time in the largest unit that it has a whole number of.
fn length(of: Duration) -> String {
    let seconds = of.as_secs();
    let units = [(24 * 3600, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let whole = units
        .iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(
        || format!("{} ms", of.as_millis()),
        |(unit, name)| format!("{} {name}", seconds / unit),
    )
}

/// What its registration has to say.
fn needs(out: &mut Out, connector: &Connector) -> Result<(), Failure> {
    out.line("")?;
    out.line("Identifiers")?;
    for (kind, takes) in &connector.identities {
        let form: Vec<String> = takes
            .form
            .iter()
            .map(|form| format!("{form:?}").to_lowercase())
            .collect();
        let form = if form.is_empty() {
            String::new()
        } else {
            format!(" ({})", form.join(", "))
        };
        out.line(format_args!("  {kind} as {}{form}", takes.word))?;
    }
    out.line("")?;
    out.line("Settings of its transport")?;
    for (name, setting) in &connector.settings {
        out.line(format_args!("  {name}: {}{}", setting.about, need(setting)))?;
    }
    Ok(())
}

/// What could not be verified is said first, so that nobody overlooks it.
fn unverified(out: &mut Out, connector: &Connector) -> Result<(), Failure> {
    let unverified: Vec<_> = connector.unverified().collect();
    if unverified.is_empty() {
        return Ok(());
    }
    out.line(format_args!(
        "!! {} of what this connector rests on could NOT BE VERIFIED. Try it with a test account before you rely on it:",
        unverified.len()
    ))?;
    for fact in unverified {
        debug_assert_eq!(fact.certainty, Certainty::M);
        out.line(format_args!("!!   {}", fact.says))?;
    }
    out.line("")
}

fn need(setting: &Setting) -> String {
    let secret = if setting.secret { ", secret" } else { "" };
    match &setting.default {
        Some(default) => format!(" (default {default:?}{secret})"),
        None => format!(" (needed{secret})"),
    }
}

fn show_step(out: &mut Out, step: &Step) -> Result<(), Failure> {
    let takes = if step.takes.is_empty() {
        String::new()
    } else {
        format!(" by {}", step.takes.join(", "))
    };
    let last = if step.last { ", settles" } else { "" };
    let many = step.batch.map_or_else(String::new, |batch| {
        format!(", up to {} in one call", batch.count)
    });
    out.line(format_args!(
        "  {}: {}{takes}{last}{many}",
        step.id,
        word_of(step.does)
    ))?;
    if let Some(select) = &step.select {
        out.line(format_args!(
            "    looks only at those elements of {} whose {} is the person's",
            place(&select.list),
            place(&select.has)
        ))?;
    }
    for rule in &step.rules {
        let says = rule
            .says
            .as_ref()
            .map_or_else(String::new, |says| format!(" ({says})"));
        let when: Vec<String> = rule
            .when
            .iter()
            .map(|(pointer, want)| match (&step.select, place(pointer)) {
                (Some(_), whole) if whole == WHOLE => format!("such an element {want}"),
                (_, place) => format!("{place} {want}"),
            })
            .collect();
        let when = if when.is_empty() {
            String::new()
        } else {
            format!(" where {}", when.join(" and "))
        };
        let status = if rule.each {
            "each person".to_owned()
        } else {
            rule.status.to_string()
        };
        let then = rule
            .step
            .as_ref()
            .map_or_else(String::new, |step| format!(" {step}"));
        out.line(format_args!(
            "    {status}{when} -> {}{then}{says}",
            rule.means.as_str()
        ))?;
    }
    Ok(())
}

/// Where something stands, as people read it.
fn place(pointer: &Pointer) -> String {
    let text = pointer.to_string();
    if text.is_empty() { WHOLE.to_owned() } else { text }
}

/// The place of all of an answer.
const WHOLE: &str = "the answer";

/// What a step is for, in a word.
pub(super) const fn word_of(does: Does) -> &'static str {
    match does {
        Does::Lookup => "looks up",
        Does::Suppress => "prepares",
        Does::Delete => "deletes",
        Does::Submit => "submits",
        Does::Poll => "asks how it stands",
        Does::Run => "has it go on",
        Does::Probe => "asks whether somebody is still there",
    }
}

const fn login(auth: &Auth) -> &'static str {
    match auth {
        Auth::None => "none, or in the calls themselves",
        Auth::Basic { .. } => "a name and a password (Basic)",
        Auth::Bearer { .. } => "a token (Bearer)",
        Auth::Header { .. } => "a header of its own",
        Auth::ClientCredentials { .. } => "OAuth 2.0, client credentials",
        Auth::RefreshToken { .. } => "OAuth 2.0, a refresh token",
    }
}

/// What proves an erasure.
fn shape(shape: &str) -> String {
    let of = |letter| match letter {
        'A' => "one call, whose answer is final",
        'B' => "one call that is only accepted: attested after the vendor's term",
        'C' => "a job that is asked about until it is done",
        'D' => "a job that many people share, found by its date",
        'E' => "two steps: soft, then for good",
        'F' => "rows of one's own warehouse",
        'G' => "the vendor tells us",
        _ => "no interface for a person",
    };
    shape.chars().map(of).collect::<Vec<_>>().join("; ")
}
