//! What was seen, told to people: the promise, and each step with its date and a line for all that had to be seen.

use jiff::tz::TimeZone;

use super::{
    Checked, Stuck,
    environment::Environment,
    in_process::InProcess,
    player::Player,
    script::{Script, Step},
    words,
};
use crate::{clock::Stopwatch, policies::Profile, terminal::Failure};

/// Takes a report, line by line, while it is written. Where nobody reads any more, the scenario ends.
pub type Print<'p> = &'p mut (dyn FnMut(&str) -> Result<(), Failure> + Send);

/// As wide as a terminal.
const WIDTH: usize = 100;

/// How many claims there were, and how many were not so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub claims: usize,
    /// Those that were not so.
    pub faults: usize,
}

/// Plays a scenario by hand. `print` takes the report, line by line, while it is written.
pub async fn play(profile: &Profile, print: Print<'_>) -> Result<Tally, Stuck> {
    let script = Script::read(profile.script)?;
    let zone = profile.zone()?;
    let mut in_process = InProcess::open(profile, script.starts).await?;
    head(profile, &script, &zone, print)?;
    perform(&script, &mut in_process, &zone, print).await
}

/// Plays a script, however its messages travel.
pub async fn perform(
    script: &Script,
    environment: &mut impl Environment,
    zone: &TimeZone,
    print: Print<'_>,
) -> Result<Tally, Stuck> {
    let watch = Stopwatch::start();
    let mut player = Player::new(script, environment, zone.clone());
    let mut tally = Tally::default();
    for step in &script.steps {
        let seen = player.play(step).await?;
        tally.claims += seen.len();
        tally.faults += seen.iter().filter(|seen| seen.fault.is_some()).count();
        render(step, &seen, zone, print)?;
    }
    foot(script, tally, zone, watch, print)?;
    Ok(tally)
}

fn head(profile: &Profile, script: &Script, zone: &TimeZone, print: Print<'_>) -> Result<(), Failure> {
    print(&format!("{}: {}\n", profile.name, script.title))?;
    print("The promise, in our words:")?;
    wrapped(&script.promise, "  ", "  ", print)?;
    print("")?;
    wrapped(
        "Real: the engine, the vault, the ledger, the API, a SQLite file (gone afterwards), every message, every call of a webhook, \
         of OpenDSR or of a vendor's connector, over loopback, an agent with its database, and the events of upstreams. Simulated: the clock, the people and systems, and the broker, because a clock \
         that is turned by hand cannot wait for one.",
        "",
        "",
        print,
    )?;
    print(&format!(
        "Times are those of {}. A line with ✓ was seen; one with ✗ was not.\n",
        zone.iana_name().unwrap_or("UTC")
    ))
}

fn render(step: &Step, seen: &[Checked], zone: &TimeZone, print: Print<'_>) -> Result<(), Failure> {
    let at = step.at.timestamp().to_zoned(zone.clone());
    let at = at.strftime("%Y-%m-%d %H:%M  ").to_string();
    wrapped(&step.headline, &at, &" ".repeat(at.len()), print)?;
    for seen in seen {
        let indent = " ".repeat(at.len());
        match &seen.fault {
            None => wrapped(&seen.text, &format!("{indent}✓ "), &format!("{indent}  "), print)?,
            Some(fault) => {
                wrapped(&seen.text, &format!("{indent}✗ "), &format!("{indent}  "), print)?;
                wrapped(
                    fault,
                    &format!("{indent}    but "),
                    &format!("{indent}    "),
                    print,
                )?;
            }
        }
    }
    Ok(())
}

fn foot(
    script: &Script,
    tally: Tally,
    zone: &TimeZone,
    watch: Stopwatch,
    print: Print<'_>,
) -> Result<(), Failure> {
    let last = script.steps.last().map_or(script.starts, |step| step.at);
    let Tally { claims, faults } = tally;
    let seconds = watch.elapsed().as_secs_f64();
    let (from, to) = (words::day(script.starts, zone), words::day(last, zone));
    let verdict = match faults {
        0 => "every one was so".to_owned(),
        1 => "one was not so".to_owned(),
        n => format!("{n} were not so"),
    };
    print(&format!(
        "\n{claims} things had to be seen from {from} to {to}: {verdict}. {seconds:.1} s in all."
    ))
}

/// Breaks a text into lines.
fn wrapped(text: &str, first: &str, next: &str, print: Print<'_>) -> Result<(), Failure> {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            print(&line)?;
            next.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    print(&line)
}
