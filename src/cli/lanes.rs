//! How the lanes of processors stand, on a terminal.

use std::collections::BTreeMap;

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::{Out, Span, Table},
    session,
};
use crate::{
    clock::Clock, config::Config, domain::ids::ProcessorId, engine::standing::Standings,
    view::processor::ProcessorView,
};

/// Shows one of them, or all.
pub(super) async fn show(config: &Config, id: Option<&ProcessorId>, json: bool) -> Result<Exit, Failure> {
    let vault = session::vault(config)?;
    let store = session::open_store(config).await?;
    session::check_keyring(config, &vault, store.as_ref()).await?;
    let now = store.now().await?;
    let knowledge = Knowledge::read(store.as_ref(), config, Clock::System.now()).await?;
    let registry = knowledge.registry();
    let lanes: Vec<ProcessorId> = registry.processors.iter().map(|one| one.id.clone()).collect();
    let facts = std::sync::Arc::new(knowledge.facts.clone());
    let standings = Standings::read(store.as_ref(), Some(&vault), facts, &lanes, now).await?;
    let topics = &config.kafka.topics;
    let views: Vec<ProcessorView<'_>> = registry
        .processors
        .iter()
        .filter(|processor| id.is_none_or(|id| *id == processor.id))
        .map(|processor| {
            let topic = processor.task_topic(&topics.tasks_prefix);
            ProcessorView::of(processor, topic, None, &standings)
        })
        .collect();
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

fn table(views: &[ProcessorView<'_>]) -> Table {
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
            view.id.to_string(),
            view.lane.to_owned(),
            view.ready.to_string(),
            view.in_flight.to_string(),
            age(view.oldest_ready_seconds),
            age(view.oldest_unanswered_seconds),
            seconds(view.ack_seconds.p50),
            seconds(view.ack_seconds.p99),
            percent(view.not_found_share),
            percent(view.not_found_share_usual),
        ]);
    }
    table
}

fn print(out: &mut Out, view: &ProcessorView<'_>) -> Result<(), Failure> {
    out.line(format_args!("processor    {}", view.id))?;
    out.line(format_args!("lane         {}", view.lane))?;
    if let Some(reason) = &view.lane_reason {
        out.line(format_args!("             {}", reason.says()))?;
    }
    if let Some(rate) = &view.rate {
        out.line(format_args!(
            "rate         {} tasks within {} s, {} of it used over the last ten minutes",
            rate.tasks,
            rate.per_seconds,
            percent(Some(rate.used))
        ))?;
    }
    out.line(format_args!(
        "ready        {}, the first of them for {}",
        view.ready,
        or_none(age(view.oldest_ready_seconds))
    ))?;
    out.line(format_args!(
        "in flight    {}, the first of them for {}",
        view.in_flight,
        or_none(age(view.oldest_unanswered_seconds))
    ))?;
    out.line(format_args!(
        "answers in   {} (half of them), {} (99 of 100)",
        or_none(seconds(view.ack_seconds.p50)),
        or_none(seconds(view.ack_seconds.p99))
    ))?;
    out.line(format_args!("last hour    {}", counts(&view.outcomes_hour)))?;
    out.line(format_args!("last day     {}", counts(&view.outcomes_day)))?;
    out.line(format_args!(
        "not found    {} of what was proved, usually {}",
        or_none(percent(view.not_found_share)),
        or_none(percent(view.not_found_share_usual))
    ))
}

fn counts(outcomes: &BTreeMap<&'static str, i64>) -> String {
    let counts: Vec<String> = outcomes
        .iter()
        .map(|(outcome, n)| format!("{n} {outcome}"))
        .collect();
    or_none(counts.join(", "))
}

fn or_none(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

fn age(seconds: Option<u64>) -> String {
    let span = |seconds| Span(std::time::Duration::from_secs(seconds)).to_string();
    seconds.map(span).unwrap_or_default()
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map(|seconds| format!("{seconds} s")).unwrap_or_default()
}

fn percent(share: Option<f64>) -> String {
    share
        .map(|share| format!("{:.1} %", share * 100.0))
        .unwrap_or_default()
}
