//! How the lanes of processors stand, on a terminal.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Exit, Failure,
    fields::{text, values},
    knowledge::Knowledge,
    output::{Out, Span, Table},
    remote::{Client, Target, path},
    session::{self, block_on},
};
use crate::{
    clock::Clock, config::Config, domain::ids::ProcessorId, engine::lane_states::LaneStates,
    view::processor::ProcessorView,
};

/// Shows one of them, or all.
pub(super) fn show(target: &Target, id: Option<&ProcessorId>, json: bool) -> Result<Exit, Failure> {
    let views = match target {
        Target::Direct(config) => block_on(read(config, id))?,
        Target::Remote(worker) => ask(worker, id)?,
    };
    let mut out = Out::stdout();
    match (id, &views[..]) {
        (Some(id), []) => {
            return Err(Failure::NotSo(format!(
                "there is no processor {id}: `lacuna processors list` shows those that are registered"
            )));
        }
        _ if json => views.iter().try_for_each(|view| out.json(view))?,
        (Some(_), [view]) => print(&mut out, view)?,
        _ => out.table(&table(&views))?,
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn ask(worker: &Client, id: Option<&ProcessorId>) -> Result<Vec<Value>, Failure> {
    match id {
        Some(id) => Ok(vec![worker.get(&path(&["processors", id.as_str()]), &[])?]),
        // A registry is one page.
        None => match worker.get(&path(&["processors"]), &[])?["items"].take() {
            Value::Array(all) => Ok(all),
            _ => Ok(Vec::new()),
        },
    }
}

async fn read(config: &Config, id: Option<&ProcessorId>) -> Result<Vec<Value>, Failure> {
    let vault = session::vault(config)?;
    let store = session::open_store(config).await?;
    session::check_keyring(config, &vault, store.as_ref()).await?;
    let now = store.now().await?;
    let knowledge = Knowledge::read(store.as_ref(), config, Clock::System.now()).await?;
    let registry = knowledge.registry();
    let lanes: Vec<ProcessorId> = registry.processors.iter().map(|one| one.id.clone()).collect();
    let facts = Arc::new(knowledge.facts.clone());
    let lane_states = LaneStates::read(store.as_ref(), Some(&vault), facts, &lanes, now).await?;
    let topics = &config.kafka.topics;
    let asked = registry
        .processors
        .iter()
        .filter(|processor| id.is_none_or(|id| *id == processor.id));
    values(asked.map(|processor| {
        let topic = processor.task_topic(&topics.tasks_prefix);
        ProcessorView::of(processor, topic, None, &lane_states)
    }))
}

fn table(views: &[Value]) -> Table {
    let mut table = Table::new(&[
        "processor",
        "lane",
        "ready",
        "in flight",
        "waits",
        "unanswered",
        "p50",
        "p99",
        "not found",
        "usually",
    ]);
    for view in views {
        table.row([
            text(view, "id"),
            text(view, "lane"),
            text(view, "ready"),
            text(view, "in_flight"),
            age(&view["oldest_ready_seconds"]),
            age(&view["oldest_unanswered_seconds"]),
            seconds(&view["ack_seconds"]["p50"]),
            seconds(&view["ack_seconds"]["p99"]),
            percent(&view["not_found_share"]),
            percent(&view["not_found_share_usual"]),
        ]);
    }
    table
}

fn print(out: &mut Out, view: &Value) -> Result<(), Failure> {
    out.line(format_args!("processor    {}", text(view, "id")))?;
    out.line(format_args!("lane         {}", text(view, "lane")))?;
    if let Some(reason) = reason(&view["lane_reason"]) {
        out.line(format_args!("             {reason}"))?;
    }
    let rate = &view["rate"];
    if rate.is_object() {
        out.line(format_args!(
            "rate         {} tasks within {} s, {} of it used over the last ten minutes",
            text(rate, "tasks"),
            rate["per_seconds"].as_f64().unwrap_or_default(),
            percent(&rate["used"])
        ))?;
    }
    out.line(format_args!(
        "ready        {}, the first of them for {}",
        text(view, "ready"),
        or_none(age(&view["oldest_ready_seconds"]))
    ))?;
    out.line(format_args!(
        "in flight    {}, the first of them for {}",
        text(view, "in_flight"),
        or_none(age(&view["oldest_unanswered_seconds"]))
    ))?;
    out.line(format_args!(
        "answers in   {} (half of them), {} (99 of 100)",
        or_none(seconds(&view["ack_seconds"]["p50"])),
        or_none(seconds(&view["ack_seconds"]["p99"]))
    ))?;
    out.line(format_args!("last hour    {}", counts(&view["outcomes_hour"])))?;
    out.line(format_args!("last day     {}", counts(&view["outcomes_day"])))?;
    out.line(format_args!(
        "not found    {} of what was proved, usually {}",
        or_none(percent(&view["not_found_share"])),
        or_none(percent(&view["not_found_share_usual"]))
    ))
}

/// Why a lane does not take everything, in a few words.
pub(super) fn reason(reason: &Value) -> Option<String> {
    let why = text(reason, "why");
    let since = reason["since"].as_str();
    match (reason["by"].as_str(), since, reason["until"].as_str()) {
        (Some(by), Some(since), _) if why.is_empty() => Some(format!("by {by} since {since}")),
        (Some(by), Some(since), _) => Some(format!("by {by} since {since}: {why}")),
        (_, Some(since), Some(until)) => Some(format!("since {since}, tried again at {until}: {why}")),
        _ => Some(why).filter(|why| !why.is_empty()),
    }
}

fn counts(outcomes: &Value) -> String {
    let outcomes = outcomes.as_object().into_iter().flatten();
    let counts: Vec<String> = outcomes.map(|(outcome, n)| format!("{n} {outcome}")).collect();
    or_none(counts.join(", "))
}

fn or_none(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

fn age(seconds: &Value) -> String {
    let span = |seconds| Span(Duration::from_secs(seconds)).to_string();
    seconds.as_u64().map(span).unwrap_or_default()
}

fn seconds(seconds: &Value) -> String {
    let seconds = seconds.as_f64();
    seconds.map(|seconds| format!("{seconds} s")).unwrap_or_default()
}

fn percent(share: &Value) -> String {
    let share = share.as_f64();
    share
        .map(|share| format!("{:.1} %", share * 100.0))
        .unwrap_or_default()
}
