//! The SQL agent: how many people a second it erases from a PostgreSQL with a table of customers and three tables that belong to it.
//!
//! The agent is this process, and takes its tasks from memory: what is measured is the agent and the database, not the worker. It makes a
//! schema of its own in the database that it is given, and removes it in the end.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{Args, BenchError, go_on};
use crate::{
    agent::{Answer, Place, Task, Turn, open},
    clock::{Clock, Stopwatch},
    config::Agent,
    domain::words::Outcome,
    terminal::{Exit, interrupt::Interrupt, output::Out},
};

/// How many tasks an agent has at a time.
const BATCH: u64 = 500;

const TABLES: &str = "
[[sql.table]]
name = 'customers'
match = { email = 'email' }
action = 'delete'
[[sql.table]]
name = 'orders'
through = { parent = 'customers', column = 'customer_id', parent_column = 'id' }
action = 'delete'
[[sql.table]]
name = 'addresses'
through = { parent = 'customers', column = 'customer_id', parent_column = 'id' }
action = 'delete'
[[sql.table]]
name = 'logins'
through = { parent = 'customers', column = 'customer_id', parent_column = 'id' }
action = 'delete'
";

/// Measures it, and says what came of it.
pub(super) async fn show(args: &Args) -> Result<Exit, BenchError> {
    let url = args.sql.as_deref().ok_or(BenchError::Usage(
        "--transport agent-sql needs --sql with the URL of a PostgreSQL, in which it makes a schema of its own",
    ))?;
    if args.requests > args.people {
        return Err(BenchError::Usage(
            "--requests: no more people can be erased than there are (--people)",
        ));
    }
    let interrupt = Interrupt::listen();
    let schema = format!("lacuna_bench_{}", uuid::Uuid::now_v7().simple());
    let mut to = PgConnection::connect(url).await?;
    let measured = measure(args, (url, &schema), &mut to, &interrupt).await;
    run(&mut to, &format!("drop schema if exists {schema} cascade")).await?;
    let (people, seconds) = measured?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = people as f64 / seconds.max(f64::EPSILON);
    let mut out = Out::stdout();
    if args.json {
        let figures = serde_json::json!({
            "transport": "agent-sql", "people": args.people, "erased": people, "seconds": seconds, "per_second": rate,
        });
        out.line(figures)?;
    } else {
        out.line(format_args!(
            "{people} of {} people erased from four tables in {seconds:.1} s: {rate:.0} a second",
            args.people
        ))?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

async fn measure(
    args: &Args,
    (url, schema): (&str, &str),
    to: &mut PgConnection,
    interrupt: &Interrupt,
) -> Result<(u64, f64), BenchError> {
    let people = args.people;
    run(
        to,
        &format!("create schema {schema}; set search_path to {schema}"),
    )
    .await?;
    run(
        to,
        &format!(
            "create table customers (id bigint primary key, email text not null, name text);
             insert into customers select n, 'p' || n || '@example.org', 'Person ' || n from generate_series(1, {people}) n;
             create index on customers (email)"
        ),
    )
    .await?;
    for child in ["orders", "addresses", "logins"] {
        go_on(interrupt)?;
        run(
            to,
            &format!(
                "create table {child} (id bigserial primary key, customer_id bigint not null references customers (id), what text);
                 insert into {child} (customer_id, what) select n, 'something' from generate_series(1, {people}) n;
                 create index on {child} (customer_id)"
            ),
        )
        .await?;
    }
    run(to, "analyze").await?;
    let separator = if url.contains('?') { '&' } else { '?' };
    let text = format!(
        "processor = 'bench'\n[source]\nhttp = {{ url = 'http://127.0.0.1:1' }}\n[sql]\n\
         url = \"{url}{separator}options=-csearch_path%3D{schema}\"\nchunk = 2000\n{TABLES}"
    );
    let agent =
        Agent::read_text("the benchmark", Path::new(""), &text, &|_| None).map_err(BenchError::Config)?;
    let place = open(&agent, &Clock::System)
        .await
        .map_err(|error| BenchError::Agent(error.to_string()))?;
    erase(args, place.as_ref(), interrupt).await
}

/// Erases people all over the table.
async fn erase(args: &Args, place: &dyn Place, interrupt: &Interrupt) -> Result<(u64, f64), BenchError> {
    let step = args.people / args.requests;
    let mut seconds = 0.0;
    let mut done = 0;
    while done < args.requests {
        go_on(interrupt)?;
        let count = BATCH.min(args.requests - done);
        let tasks: Vec<Task> = (done..done + count)
            .map(|n| task(n * step + 1))
            .collect::<Result<_, _>>()?;
        let watch = Stopwatch::start();
        let answers = place.carry_out(&tasks, &Turn::default()).await;
        seconds += watch.elapsed().as_secs_f64();
        let is_whole = |answer: &Answer| {
            let records = answer.evidence.as_ref().map(|evidence| evidence.records);
            answer.outcome == Outcome::Erased && records == Some(4)
        };
        if let Some(other) = answers.iter().find(|answer| !is_whole(answer)) {
            return Err(BenchError::Agent(format!(
                "a task came to {}",
                other.outcome.as_str()
            )));
        }
        done += count;
    }
    Ok((done, seconds))
}

fn task(person: u64) -> Result<Task, BenchError> {
    let id = uuid::Uuid::now_v7();
    let message = serde_json::json!({
        "task_id": id, "request_id": id, "processor": "bench", "generation": 1, "attempt": 1, "action": "erase",
        "tenant": "default", "identities": [{ "type": "email", "value": format!("p{person}@example.org") }],
        "scope": { "purposes": [], "categories": [] }, "reason": "account_closed", "data_before": "2026-11-21T10:00:00Z",
        "respond_by": "2026-11-22T10:00:00Z", "deadline": "2026-12-21T10:00:00Z",
        "ack": { "topic": "acks", "url": null, "token": "t" },
    });
    Task::parse(message.to_string().as_bytes()).map_err(|error| BenchError::Agent(error.to_string()))
}

async fn run(to: &mut PgConnection, statements: &str) -> Result<(), BenchError> {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(to)
        .await?;
    Ok(())
}
