//! What happened, told from the store and the ledger, which are what an auditor would look at too.

use std::collections::BTreeMap;

use super::{DemoError, setup::PROCESSORS};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::RequestId,
        request::Request,
        task::TaskState,
        time::At,
        words::{Proof, Status},
    },
    engine::EngineError,
    lab::sim::Histogram,
    store::Store,
    terminal::{Failure, output::say, table::Table},
    view::sentences::entries::{duration, render_live},
};

/// What became of all requests.
#[derive(Default)]
pub(super) struct Summary {
    /// How many there are.
    pub requests: u64,
    /// How many are completed.
    pub completed: u64,
    processors: BTreeMap<String, Row>,
    open: BTreeMap<String, (u64, String)>,
    /// A request to which more happened than to most.
    pub example: Option<RequestId>,
    most: u32,
}

#[derive(Default)]
struct Row {
    tasks: u64,
    erased: u64,
    not_found: u64,
    other: u64,
    retries: u64,
    times: Histogram,
}

/// Reads every request.
pub(super) async fn summarise(store: &dyn Store) -> Result<Summary, DemoError> {
    const PAGE: u32 = 500;
    let mut summary = Summary::default();
    let mut after = None;
    loop {
        let page = store.page(after, PAGE).await.map_err(EngineError::from)?;
        let Some(last) = page.last() else {
            return Ok(summary);
        };
        after = Some(last.request.id);
        for stored in &page {
            summary.add(&stored.request);
        }
    }
}

impl Summary {
    fn add(&mut self, request: &Request) {
        self.requests += 1;
        self.completed += u64::from(request.life.status == Status::Completed);
        for task in &request.tasks {
            let row = self.processors.entry(task.processor.to_string()).or_default();
            row.tasks += 1;
            row.retries += u64::from(task.attempt.saturating_sub(1));
            match &task.state {
                TaskState::Done { proof, at } => {
                    *(if *proof == Proof::NotFound {
                        &mut row.not_found
                    } else {
                        &mut row.erased
                    }) += 1;
                    row.times.record(at.since(request.head.received_at));
                }
                _ => row.other += 1,
            }
        }
        for waiting in request.waiting_for() {
            let who = waiting
                .processor
                .map_or_else(|| "the request".to_owned(), ToString::to_string);
            let (count, _) = self
                .open
                .entry(format!("{who}: {}", waiting.why))
                .or_insert_with(|| (0, request.id.to_string()));
            *count += 1;
        }
        let sends: u32 = request.tasks.iter().map(|task| task.attempt).sum();
        if sends > self.most && request.life.status == Status::Completed {
            (self.most, self.example) = (sends, Some(request.id));
        }
    }
}

/// A line a processor.
pub(super) fn print_table(summary: &Summary) -> Result<(), Failure> {
    let mut table = Table::headed([
        "processor",
        "asked by",
        "character",
        "tasks",
        "erased",
        "not found",
        "open",
        "retries",
        "median time",
    ])
    .right(3..9);
    for processor in &PROCESSORS {
        let nothing = Row::default();
        let row = summary.processors.get(processor.id).unwrap_or(&nothing);
        let counts = [row.tasks, row.erased, row.not_found, row.other, row.retries];
        let names = [processor.id, processor.transport(), processor.manner].map(str::to_owned);
        let cells = names.into_iter().chain(counts.map(|count| count.to_string()));
        table.row(cells.chain([duration(row.times.percentile(0.5))]));
    }
    table.lines().try_for_each(say)
}

/// Why what is open is not done yet.
pub(super) fn print_open(summary: &Summary) -> Result<(), Failure> {
    if summary.open.is_empty() {
        return Ok(());
    }
    say("\nWhy not done yet (processor: why, how many, one of them):")?;
    for (why, (count, example)) in &summary.open {
        say(format_args!("  {why:<40}{count:>7}   {example}"))?;
    }
    Ok(())
}

/// Everything that happened to one request, from its ledger.
pub(super) async fn print_path(store: &dyn Store, id: RequestId) -> Result<(), DemoError> {
    let leaves = store.leaves(id).await.map_err(EngineError::from)?;
    say(format_args!("\nThe path of one request ({id}), from the ledger:"))?;
    let (mut start, mut processors): (Option<At>, Vec<String>) = (None, Vec::new());
    for stored in leaves {
        let leaf = Leaf::from_bytes(&stored.leaf).map_err(EngineError::from)?;
        let start = *start.get_or_insert(leaf.at);
        for entry in &leaf.entries {
            if let Entry::Opened {
                processors: planned, ..
            } = entry
            {
                processors = planned.iter().map(ToString::to_string).collect();
            }
            if let Some(told) = render_live(entry, &processors, leaf.at) {
                say(format_args!(
                    "  {:>7}  {told}",
                    format!("+{}", duration(leaf.at.since(start)))
                ))?;
            }
        }
    }
    Ok(())
}
