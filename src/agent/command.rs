//! A program that carries tasks out: the task on its standard input, one ack on its standard output.
//!
//! No shell reads anything. The program gets identifiers on its standard input only, in a process group of its own, which is killed
//! when its time is over. Whatever it does that is no ack of its task is `failed`, never a completion.

use std::{process::Stdio, time::Duration};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use super::{
    answer::{Answer, Evidence},
    place::Place,
    task::Task,
    turn::Turn,
};
use crate::{
    config::AgentCommand,
    domain::{
        ack,
        words::{Action, Outcome},
    },
    wire::ack::parse_bare_ack,
};

/// More than any ack has.
const MOST_OUTPUT: u64 = 64 * 1024;
/// Variables that a program needs whatever it does.
const USUAL: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// A program that carries tasks out.
#[derive(Debug)]
pub struct Program {
    command: AgentCommand,
}

impl Program {
    /// The program of a configuration.
    pub fn new(command: &AgentCommand) -> Self {
        Self {
            command: command.clone(),
        }
    }

    async fn run(&self, task: &Task, turn: &Turn) -> Answer {
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(error) => return Answer::failed(format!("the program cannot be started: {}", error.kind())),
        };
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let exchange = exchange(&mut child, &task.raw);
        let done = tokio::select! {
            done = tokio::time::timeout(self.command.timeout, exchange) => {
                done.unwrap_or(Err(Failure::Late(self.command.timeout)))
            }
            () = turn.stopping() => Err(Failure::Stopped),
        };
        // Whatever it has started goes with it, also after an orderly end.
        if let Some(group) = group
            && let Err(error) = kill_process_group(group, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, "the processes of a program cannot be ended");
        }
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "the end of a program cannot be waited for");
        }
        match done {
            Ok(output) => answer_of(task, &output),
            Err(Failure::Stopped) => Answer::partial("the agent stops: the program was ended"),
            Err(failure) => Answer::failed(failure.to_string()),
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let (program, arguments) = self
            .command
            .run
            .split_first()
            .ok_or(std::io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.command.folder)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let named = self.command.environment.iter().map(String::as_str);
        for name in USUAL.into_iter().chain(named) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.spawn()
    }
}

#[async_trait]
impl Place for Program {
    fn names_tables(&self) -> bool {
        false
    }

    async fn carry_out(&self, tasks: &[Task], turn: &Turn) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            answers.push(match turn.ended() {
                Some(ended) => Answer::partial(ended.says()),
                None => self.run(task, turn).await,
            });
        }
        answers
    }
}

/// Why a program has not answered.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the program took longer than {} s and was ended", .0.as_secs())]
    Late(Duration),
    #[error("the agent stops")]
    Stopped,
    #[error("the program wrote more than 64 KiB and was ended")]
    TooMuch,
    #[error("the program ended with {0}")]
    Exit(String),
    #[error("the program cannot be spoken to: {0}")]
    Pipe(std::io::ErrorKind),
}

/// Writes the task, and reads what comes until the program ends.
async fn exchange(child: &mut Child, task: &[u8]) -> Result<Vec<u8>, Failure> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Failure::Pipe(std::io::ErrorKind::NotConnected));
    };
    let write = async {
        // One that reads nothing may answer all the same.
        let written = stdin.write_all(task).await;
        drop(stdin);
        written.map_err(|error| error.kind())
    };
    let (written, output, errors) = tokio::join!(write, read(stdout, MOST_OUTPUT), drain(stderr));
    if let Err(kind) = written {
        tracing::debug!(%kind, "a program did not read its task");
    }
    if errors.is_ok_and(|bytes| bytes > 0) {
        // What it says may name somebody.
        tracing::warn!("the program wrote to its standard error, which is not shown: it may name somebody");
    }
    let (output, is_all) = output.map_err(|error| Failure::Pipe(error.kind()))?;
    if !is_all {
        return Err(Failure::TooMuch);
    }
    let status = child.wait().await.map_err(|error| Failure::Pipe(error.kind()))?;
    if status.success() {
        Ok(output)
    } else {
        Err(Failure::Exit(status.to_string()))
    }
}

/// Reads up to so many bytes, and throws away what is left of a stream that may be cut. The answer says whether it was all.
async fn read(mut from: impl AsyncRead + Unpin, most: u64) -> std::io::Result<(Vec<u8>, bool)> {
    let mut found = Vec::new();
    (&mut from).take(most).read_to_end(&mut found).await?;
    let mut next = [0; 1];
    let is_all = from.read(&mut next).await? == 0;
    Ok((found, is_all))
}

/// Reads what nobody keeps, so that whoever writes it goes on.
async fn drain(mut from: impl AsyncRead + Unpin) -> std::io::Result<u64> {
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await
}

/// The answer that a program gave: an ack of this task.
fn answer_of(task: &Task, output: &[u8]) -> Answer {
    let text = output.trim_ascii();
    if text.is_empty() {
        return Answer::failed("the program ended without an ack");
    }
    let Ok(ack) = parse_bare_ack(text) else {
        return Answer::failed("the program wrote something that is no ack");
    };
    let is_of_task = ack.task_id == task.id
        && ack.request_id == task.request
        && ack.generation == task.generation
        && ack.processor == task.processor;
    if !is_of_task {
        return Answer::failed("the program wrote an ack of another task");
    }
    let outcome = ack.answer.outcome();
    let is_question = task.action == Action::Verify;
    if matches!(outcome, Outcome::Present | Outcome::Absent) != is_question
        && matches!(
            outcome,
            Outcome::Present | Outcome::Absent | Outcome::Erased | Outcome::Anonymized | Outcome::NotFound
        )
    {
        return Answer::failed(format!(
            "the program answered {} to {}",
            outcome.as_str(),
            task.action.as_str()
        ));
    }
    read_ack(ack)
}

fn read_ack(ack: ack::Ack) -> Answer {
    let mut answer = Answer::new(ack.answer.outcome());
    answer.message = ack.message;
    answer.identities = ack.identities;
    match ack.answer {
        ack::Answer::Accepted { expected_by } => answer.expected_by = expected_by,
        ack::Answer::Retained(retained) => {
            answer.retained = Some((retained.basis, retained.until, retained.categories));
        }
        ack::Answer::Partial { retry_after_seconds } | ack::Answer::Failed { retry_after_seconds } => {
            answer.retry_after_seconds = retry_after_seconds;
        }
        _ => {}
    }
    answer.evidence = ack.evidence.map(|evidence| Evidence {
        method: evidence.method,
        records: evidence.records.unwrap_or(0),
        reference: evidence.reference,
        digest: evidence.digest,
        by_category: evidence.by_category,
        by_table: evidence.by_table,
    });
    answer
}
