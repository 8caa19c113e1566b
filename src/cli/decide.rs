//! `lacuna approve|refuse|cancel|extend|verify-identity`: people's decisions about a request, and `lacuna retry|waive` about a task.
//!
//! A decision is the same document either way: it is read by the same function, and decided by the same use case. Directly it is
//! committed to the store, and a worker publishes what follows from it.

mod args;

use serde_json::{Map, Value, json};

use self::args::Who;
pub use self::args::{ApproveArgs, CancelArgs, ExtendArgs, RefuseArgs, RetryArgs, VerifyArgs, WaiveArgs};
use super::{
    Exit, Failure,
    fields::{text, value},
    output::Out,
    remote::{RemoteArgs, Target, path, refuse_actor},
    session::{self, block_on, deciding},
    status::flags,
};
use crate::{
    config::Config,
    domain::{
        identity::SubjectData,
        ids::{RequestId, TaskId},
        request::Request,
    },
    engine::{
        Engine, OperateError,
        operations::{By, TaskDecision},
    },
    view::task::TaskView,
    wire::{DecisionKind, Rejection, api, parse_decision},
};

/// A decision about a request: its call, and its body.
struct Decided {
    verb: &'static str,
    id: RequestId,
    body: Value,
}

/// Runs `lacuna approve`.
pub fn approve(args: ApproveArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let body = body([("reason", args.reason)]);
    decide(
        remote,
        args.who,
        &Decided {
            verb: "approve",
            id: args.id,
            body,
        },
    )
}

/// Runs `lacuna refuse`.
pub fn refuse(args: RefuseArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let body = body([
        ("basis", Some(args.basis.to_string())),
        ("processor", args.processor.map(|processor| processor.to_string())),
        ("reason", args.reason),
    ]);
    decide(
        remote,
        args.who,
        &Decided {
            verb: "refuse",
            id: args.id,
            body,
        },
    )
}

/// Runs `lacuna cancel`.
pub fn cancel(args: CancelArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let body = body([("reason", args.reason)]);
    decide(
        remote,
        args.who,
        &Decided {
            verb: "cancel",
            id: args.id,
            body,
        },
    )
}

/// Runs `lacuna extend`.
pub fn extend(args: ExtendArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let body = body([("reason", Some(args.reason.to_string()))]);
    decide(
        remote,
        args.who,
        &Decided {
            verb: "extend",
            id: args.id,
            body,
        },
    )
}

/// Runs `lacuna verify-identity`.
pub fn verify(args: VerifyArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let body = body([
        ("method", Some(args.method.to_string())),
        ("result", Some(args.result.to_string())),
    ]);
    decide(
        remote,
        args.who,
        &Decided {
            verb: "verify-identity",
            id: args.id,
            body,
        },
    )
}

/// Runs `lacuna retry`.
pub fn retry(args: RetryArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    decide_task(remote, args.who, args.task, TaskDecision::Retry, args.reason)
}

/// Runs `lacuna waive`.
pub fn waive(args: WaiveArgs, remote: &RemoteArgs) -> Result<Exit, Failure> {
    decide_task(
        remote,
        args.who,
        args.task,
        TaskDecision::Waive,
        Some(args.reason),
    )
}

/// A body of texts that were given.
fn body<const N: usize>(fields: [(&str, Option<String>); N]) -> Value {
    let given = fields
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), json!(text?))));
    Value::Object(given.collect::<Map<_, _>>())
}

fn decide(remote: &RemoteArgs, who: Who, decided: &Decided) -> Result<Exit, Failure> {
    let status = match remote.target(&who.config)? {
        Target::Direct(config) => block_on(decide_here(&config, decided, &deciding(who.actor)?))?,
        Target::Remote(worker) => {
            refuse_actor(who.actor.as_deref())?;
            worker.post(
                &path(&["requests", &decided.id.to_string(), decided.verb]),
                &decided.body,
            )?
        }
    };
    show(who.json, &status, &status)
}

async fn decide_here(config: &Config, decided: &Decided, actor: &str) -> Result<Value, Failure> {
    let bytes = decided.body.to_string();
    let kind = match decided.verb {
        "approve" => Some(DecisionKind::Approve),
        "refuse" => Some(DecisionKind::Refuse),
        "extend" => Some(DecisionKind::Extend),
        "verify-identity" => Some(DecisionKind::VerifyIdentity),
        _ => None,
    };
    let engine = session::engine(config).await?;
    let by = By::from(actor);
    let done = match kind {
        Some(kind) => {
            let (decision, note) = parse_decision(kind, bytes.as_bytes()).map_err(unreadable)?;
            let note = note.as_ref().map(SubjectData::expose);
            engine
                .operations()
                .decide_request(decided.id, &decision, by, note)
                .await
        }
        None => {
            let reason = api::parse_reason(bytes.as_bytes()).map_err(unreadable)?;
            engine
                .operations()
                .cancel_request(decided.id, by, reason.as_deref())
                .await
        }
    };
    status_of(&engine, &done.map_err(refused)?.0)
}

fn decide_task(
    remote: &RemoteArgs,
    who: Who,
    task: TaskId,
    decision: TaskDecision,
    reason: Option<String>,
) -> Result<Exit, Failure> {
    let verb = match decision {
        TaskDecision::Retry => "retry",
        TaskDecision::Waive => "waive",
    };
    let came = match remote.target(&who.config)? {
        Target::Direct(config) => {
            let actor = deciding(who.actor)?;
            block_on(decide_task_here(&config, task, decision, &actor, reason))?
        }
        Target::Remote(worker) => {
            refuse_actor(who.actor.as_deref())?;
            worker.post(
                &path(&["tasks", &task.to_string(), verb]),
                &body([("reason", reason)]),
            )?
        }
    };
    show(who.json, &came, &came["request"])
}

async fn decide_task_here(
    config: &Config,
    task: TaskId,
    decision: TaskDecision,
    actor: &str,
    reason: Option<String>,
) -> Result<Value, Failure> {
    let bytes = body([("reason", reason)]).to_string();
    let reason = api::parse_reason(bytes.as_bytes()).map_err(unreadable)?;
    let engine = session::engine(config).await?;
    let done = engine
        .operations()
        .decide_task(task, decision, By::from(actor), reason.as_deref())
        .await;
    let (request, _) = done.map_err(refused)?;
    let ordinal = request
        .find_task(task)
        .ok_or_else(|| Failure::NotSo("there is no such task".to_owned()))?;
    let mut view = value(&TaskView::now(&request, ordinal, &engine.lanes_now().view()))?;
    view["request"] = status_of(&engine, &request)?;
    Ok(view)
}

fn status_of(engine: &Engine, request: &Request) -> Result<Value, Failure> {
    value(&engine.status_of(request))
}

/// What is wrong with what was typed.
pub(super) fn unreadable(rejection: Rejection) -> Failure {
    Failure::Usage(rejection.detail.to_string())
}

/// Why a decision was not taken.
pub(super) fn refused(error: OperateError) -> Failure {
    match error {
        OperateError::Engine(error) => error.into(),
        OperateError::Unknown(what) => Failure::NotSo(format!("there is no such {what}")),
        other => Failure::NotSo(other.to_string()),
    }
}

fn show(json: bool, came: &Value, status: &Value) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if json {
        out.json(came)?;
    } else {
        out.line(format_args!(
            "request {}: {}{}, deadline {}",
            text(status, "request_id"),
            text(status, "status"),
            flags(status),
            text(status, "deadline")
        ))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}
