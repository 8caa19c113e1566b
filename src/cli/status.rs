//! `lacuna status`: one request. Is it done, and if not, why not?

use jiff::tz::TimeZone;

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::{Out, Span, Table},
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    domain::{ids::RequestId, request::Request, time::At},
    engine::status::LanesNow,
    store::StoredRequest,
    view::{headline::headline, request::RequestOverview, task::TaskView},
};

/// Arguments of `lacuna status`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads the store directly. Exit code 1: there is no such request.\n\n\
    Example:\n  lacuna status 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The request.
    id: RequestId,
    /// As JSON: the status object, with the list of tasks and both deadlines.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let (found, knowledge) = block_on(async {
        let store = session::open_store(&config).await?;
        let found = store.requests(&[args.id]).await?.pop();
        let knowledge = Knowledge::read(store.as_ref(), &config, Clock::System.now()).await?;
        Ok((found, knowledge))
    })?;
    let Some(StoredRequest { request, .. }) = found else {
        return Err(Failure::NotSo(format!(
            "there is no request {}: it has not been taken in (see `lacuna dead-letters list`), or is past records_keep",
            args.id
        )));
    };
    let mut out = Out::stdout();
    if args.json {
        out.json(&RequestOverview::of(
            &request,
            &config.policy.complaint_bodies,
            &knowledge.lanes(),
        ))?;
    } else {
        let zone = knowledge.context().zones.of(&request.head.tenant);
        show(&mut out, &request, &knowledge.lanes(), Clock::System.now(), zone)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn show(
    out: &mut Out,
    request: &Request,
    lanes: &LanesNow<'_>,
    now: At,
    zone: &TimeZone,
) -> Result<(), Failure> {
    let (head, life, counts) = (&request.head, &request.life, request.counts());
    out.line(format_args!("request    {}", request.id))?;
    out.line(format_args!("status     {}{}", life.status, flags(request)))?;
    out.line(format_args!("in short   {}", headline(request, now, zone)))?;
    out.line(format_args!(
        "asked      {} for {} ({}), tenant {}",
        head.action, head.reason, head.regime, head.tenant
    ))?;
    out.line(format_args!("received   {}", head.received_at))?;
    let left = time_left(request, now);
    out.line(format_args!("deadline   {}{left}", request.life.clock.due))?;
    if request.life.clock.rolled != request.life.clock.due {
        out.line(format_args!(
            "           {} rolled to a working day",
            request.life.clock.rolled
        ))?;
    }
    if let Some(notice) = life.notice {
        out.line(format_args!("notice     {notice}"))?;
    }
    if let Some(at) = life.live_clean_at {
        out.line(format_args!("live clean {at}"))?;
    }
    if let Some(at) = life.completed_at {
        out.line(format_args!("closed     {at}"))?;
    }
    // Never among the erased: a published term has passed, and nobody has confirmed it.
    let attested = if counts.attested > 0 {
        format!(", {} attested", counts.attested)
    } else {
        String::new()
    };
    out.line(format_args!(
        "tasks      {}: {} done ({} erased, {} anonymized, {} not found{attested}), {} exempt, {} parked, {} abandoned",
        counts.total,
        counts.done,
        counts.erased,
        counts.anonymized,
        counts.not_found,
        counts.exempt,
        counts.parked,
        counts.abandoned
    ))?;
    for gate in request
        .waiting_for()
        .iter()
        .filter(|waiting| waiting.processor.is_none())
    {
        let until = gate
            .until
            .map_or_else(String::new, |until| format!(" until {until}"));
        out.line(format_args!("waits      {}{until}", gate.why))?;
    }
    out.line("")?;
    out.table(&tasks(request, lanes))
}

/// How long until the deadline, or since; nothing once the request is closed.
fn time_left(request: &Request, now: At) -> String {
    let deadline = request.life.clock.due;
    if request.life.status.is_final() {
        String::new()
    } else if now > deadline {
        format!(" ({} ago)", Span(now.since(deadline)))
    } else {
        format!(" (in {})", Span(deadline.since(now)))
    }
}

fn tasks(request: &Request, lanes: &LanesNow<'_>) -> Table {
    let mut table = Table::new(&[
        "processor",
        "state",
        "why",
        "until",
        "generation",
        "attempt",
        "task",
    ]);
    for task in TaskView::all(request, lanes) {
        let state = task.outcome.map_or_else(
            || task.state.to_string(),
            |proof| format!("{}: {proof}", task.state),
        );
        table.row([
            task.processor.to_string(),
            state,
            task.why.unwrap_or_default().to_owned(),
            task.until.map(|until| until.to_string()).unwrap_or_default(),
            task.generation.to_string(),
            task.attempt.to_string(),
            task.task_id.to_string(),
        ]);
    }
    table
}

/// What a person should see at once.
pub(super) fn flags(request: &Request) -> String {
    let life = &request.life;
    let flags = [
        (life.overdue, "overdue"),
        (life.at_risk, "at risk"),
        (life.needs_attention, "needs attention"),
    ];
    let set: Vec<&str> = flags
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| name)
        .collect();
    if set.is_empty() {
        String::new()
    } else {
        format!(" ({})", set.join(", "))
    }
}
