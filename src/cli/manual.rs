//! `lacuna manual`: the tasks that people do.

mod evidence;

use serde_json::{Value, json};

use self::evidence::{Evidence, body_of};
use super::{
    Exit, Failure, arguments,
    fields::{items, text, value, values},
    output::{Out, Table},
    remote::{Client, RemoteArgs, Target, path, refuse_actor},
    session::{self, ConfigArg, block_on, deciding},
};
use crate::{
    config::Config,
    domain::ids::TaskId,
    engine::{
        OperateError,
        manual::{ManualAction, ManualError, ManualState, ManualTask},
    },
    view::manual::ManualView,
};

/// How many are read at a time.
const PAGE: u32 = 500;

/// Arguments of `lacuna manual`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna manual list --state open")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// Whose action it is, and about which task.
#[derive(Debug, clap::Args)]
struct Who {
    #[command(flatten)]
    config: ConfigArg,
    /// The task.
    task: TaskId,
    /// Who does it; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    actor: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the tasks that wait for people.
    #[command(
        after_help = "Whom a task is about is shown to whoever has claimed it: `lacuna manual show`.\n\n\
        Example:\n  lacuna manual list --assignee back-office"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// Only those of this person or team.
        #[arg(long, value_name = "NAME")]
        assignee: Option<String>,
        /// Only those in this state: open, claimed or awaiting_second.
        #[arg(long, value_parser = state)]
        state: Option<ManualState>,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Shows one of them: to whoever has claimed it with whom it is about, which the ledger then says.
    #[command(
        after_help = "Example:\n  lacuna manual show 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe"
    )]
    Show(Who),
    /// Takes one on, and shows whom it is about. One person at a time has it.
    #[command(
        after_help = "Exit code 1: somebody else has claimed it, or it cannot be done now.\n\n\
        Example:\n  lacuna manual claim 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe"
    )]
    Claim(Who),
    /// Says that it is done, and what proves it.
    #[command(
        after_help = "An e-mail that was sent is no erasure: confirm what was seen to be gone. Where two people have to confirm, the \
        second one needs no evidence.\n\nExample:\n  lacuna manual confirm 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe \
        --outcome erased --method delete --records 12 --reference T-4711"
    )]
    Confirm {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        evidence: Evidence,
    },
    /// Says that it will not be done: an operator has to retry or waive the task.
    #[command(
        after_help = "Example:\n  lacuna manual refuse 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe --reason 'not our system'"
    )]
    Refuse {
        #[command(flatten)]
        who: Who,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
    },
    /// Leaves it to somebody else, who can claim it then.
    #[command(
        after_help = "Example:\n  lacuna manual hand-over 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --actor j.doe --assignee a.roe"
    )]
    HandOver {
        #[command(flatten)]
        who: Who,
        /// To whom: a person or a team.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        assignee: String,
    },
}

fn state(text: &str) -> Result<ManualState, String> {
    let names: Vec<&str> = ManualState::ALL.iter().map(|state| state.as_str()).collect();
    ManualState::parse(text).ok_or_else(|| format!("expected one of: {}", names.join(", ")))
}

/// What is done about a task.
enum Wish<'a> {
    Show,
    Claim,
    Confirm(Value),
    Refuse(&'a str),
    HandOver(&'a str),
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    match args.action {
        Action::List {
            config,
            assignee,
            state,
            json,
        } => list(&remote.target(&config)?, assignee.as_deref(), state, json),
        Action::Show(who) => act(remote, &who, &Wish::Show),
        Action::Claim(who) => act(remote, &who, &Wish::Claim),
        Action::Confirm { who, evidence } => act(remote, &who, &Wish::Confirm(body_of(&evidence))),
        Action::Refuse { who, reason } => act(remote, &who, &Wish::Refuse(&reason)),
        Action::HandOver { who, assignee } => act(remote, &who, &Wish::HandOver(&assignee)),
    }
}

fn list(
    target: &Target,
    assignee: Option<&str>,
    state: Option<ManualState>,
    json: bool,
) -> Result<Exit, Failure> {
    let tasks = match target {
        Target::Direct(config) => read(config, assignee, state)?,
        Target::Remote(worker) => {
            let assignee = assignee.map(|name| ("assignee", name.to_owned()));
            let state = state.map(|state| ("state", state.as_str().to_owned()));
            let query: Vec<_> = assignee.into_iter().chain(state).collect();
            worker.list(&path(&["manual"]), &query, usize::MAX)?.0
        }
    };
    let mut out = Out::stdout();
    if json {
        tasks.iter().try_for_each(|task| out.json(task))?;
    } else {
        out.table(&table(&tasks))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn read(config: &Config, assignee: Option<&str>, state: Option<ManualState>) -> Result<Vec<Value>, Failure> {
    block_on(async {
        let engine = session::engine(config).await?;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (tasks, last) = engine.manual().list(after, PAGE).await?;
            let fits = |task: &ManualTask| {
                assignee.is_none_or(|name| name == task.assignee)
                    && state.is_none_or(|state| state == task.state)
            };
            found.extend(tasks.into_iter().filter(fits));
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        let now = engine.clock.now();
        values(found.iter().map(|task| ManualView::of(task, None, now)))
    })
}

fn table(tasks: &[Value]) -> Table {
    let mut table = Table::new(&[
        "task",
        "processor",
        "action",
        "assignee",
        "state",
        "claimed by",
        "due",
    ]);
    for task in tasks {
        let notice = match task["notice"].as_str() {
            Some("due_soon") => " (soon)",
            Some(_) => " (late)",
            None => "",
        };
        let due = task["due"].as_str();
        table.row([
            text(task, "task_id"),
            text(task, "processor"),
            text(task, "action"),
            text(task, "assignee"),
            text(task, "state"),
            text(task, "claimed_by"),
            due.map(|due| format!("{due}{notice}")).unwrap_or_default(),
        ]);
    }
    table
}

fn act(remote: &RemoteArgs, who: &Who, wish: &Wish<'_>) -> Result<Exit, Failure> {
    let came = match remote.target(&who.config)? {
        Target::Direct(config) => act_here(&config, who, wish)?,
        Target::Remote(worker) => {
            refuse_actor(who.actor.as_deref())?;
            ask(&worker, who.task, wish)?
        }
    };
    match wish {
        Wish::Confirm(_) | Wish::Refuse(_) => said(who.json, &came),
        Wish::Show | Wish::Claim | Wish::HandOver(_) => show(who.json, &came),
    }
}

fn ask(worker: &Client, task: TaskId, wish: &Wish<'_>) -> Result<Value, Failure> {
    let task = task.to_string();
    let (verb, body) = match wish {
        Wish::Show => return worker.get(&path(&["manual", &task]), &[]),
        Wish::Claim => ("claim", json!({})),
        Wish::Confirm(body) => ("confirm", body.clone()),
        Wish::Refuse(reason) => ("refuse", json!({ "reason": reason })),
        Wish::HandOver(assignee) => ("hand-over", json!({ "assignee": assignee })),
    };
    worker.post(&path(&["manual", &task, verb]), &body)
}

fn act_here(config: &Config, who: &Who, wish: &Wish<'_>) -> Result<Value, Failure> {
    let actor = deciding(who.actor.clone())?;
    let confirmed = match wish {
        Wish::Confirm(body) => body.to_string(),
        _ => String::new(),
    };
    let action = match wish {
        Wish::Show => None,
        Wish::Claim => Some(ManualAction::Claim),
        Wish::Confirm(_) => Some(ManualAction::Confirm(confirmed.as_bytes())),
        Wish::Refuse(reason) => Some(ManualAction::Refuse(reason)),
        Wish::HandOver(assignee) => Some(ManualAction::HandOver(assignee)),
    };
    block_on(async {
        let engine = session::engine(config).await?;
        if let Some(action) = &action {
            let done = engine.manual().carry_out(who.task, &actor, action, None).await;
            let (done, _) = done.map_err(failure)?;
            if matches!(action, ManualAction::Confirm(_) | ManualAction::Refuse(_)) {
                let state = if done.awaits_second {
                    "awaiting_second"
                } else {
                    "done"
                };
                let status = done.request.life.status;
                return Ok(
                    json!({ "task_id": who.task, "state": state, "outcome": done.outcome,
                    "status": status, "request_id": done.request.id }),
                );
            }
        }
        let task = match engine.manual().find(who.task).await {
            Err(OperateError::Engine(error)) => return Err(error.into()),
            found => found.map_err(|error| Failure::NotSo(error.to_string()))?,
        };
        let own: Vec<&ManualTask> = [&task]
            .into_iter()
            .filter(|task| task.is_claimed_by(&actor))
            .collect();
        let identities = engine.manual().identities(&own, &actor).await?.pop();
        value(&ManualView::of(&task, identities, engine.clock.now()))
    })
}

fn failure(error: ManualError) -> Failure {
    match error {
        ManualError::Operate(OperateError::Engine(error)) => error.into(),
        ManualError::Unreadable(rejection) => Failure::Usage(rejection.detail.to_string()),
        other => Failure::NotSo(other.to_string()),
    }
}

fn said(json: bool, came: &Value) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if json {
        out.json(came)?;
    } else if text(came, "state") == "awaiting_second" {
        out.line("confirmed, and another person has to confirm it, too")?;
    } else {
        out.line(format_args!(
            "{} of request {}",
            text(came, "outcome"),
            text(came, "request_id")
        ))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn show(json: bool, task: &Value) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if json {
        out.json(task)?;
        out.end()?;
        return Ok(Exit::Ok);
    }
    let or = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
    for (what, said) in [
        ("task", text(task, "task_id")),
        ("request", text(task, "request_id")),
        ("processor", text(task, "processor")),
        ("action", text(task, "action")),
        ("assignee", text(task, "assignee")),
        ("state", text(task, "state")),
        ("claimed by", or(text(task, "claimed_by"), "nobody")),
        ("due", text(task, "due")),
        ("do", or(text(task, "instructions"), "-")),
    ] {
        out.line(format_args!("{what:<12} {said}"))?;
    }
    for identity in items(task, "identities") {
        out.line(format_args!(
            "{:<12} {}",
            text(identity, "type"),
            text(identity, "value")
        ))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}
