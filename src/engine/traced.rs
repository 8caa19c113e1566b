//! What is decided about messages is seen in their traces, where a collector is configured.

use std::sync::Arc;

use super::{
    Engine,
    effects::Effects,
    prepare::{Arrival, Names},
};
use crate::{
    domain::command::Command,
    telemetry::traces::{Spans, Traces},
};

impl Engine {
    /// From now on traces are told.
    pub fn set_traces(&self, traces: Traces) {
        // Set once, before anything is decided.
        self.said.traces.set(Arc::new(traces)).unwrap_or_default();
    }

    /// The traces; `None`: there are none, and nothing has to be read for them.
    pub fn traces(&self) -> Option<&Arc<Traces>> {
        self.said.traces.get()
    }

    /// What all that is done about a command goes on from, and will after years: it is kept with the request. `parent`: the
    /// `traceparent` that it came with.
    pub(super) fn trace_of(&self, command: &Command, parent: Option<&str>) -> Option<Arc<str>> {
        self.traces()?.received(command.request_id()?, parent)
    }

    /// Begins what is seen of messages while it is decided about them; `None`: nothing is.
    pub fn begin_spans<T: Names>(&self, what: &'static str, arrivals: &[Arrival<T>]) -> Option<Spans> {
        let traces = self.traces()?;
        let messages = arrivals.iter().filter_map(|arrival| {
            let content = arrival.content.as_ref().ok()?;
            let parent = match content.traceparent() {
                Some(settled) => settled.map(ToOwned::to_owned)?,
                None => arrival.headers.traceparent().unwrap_or_default(),
            };
            Some((content.request_id()?, parent))
        });
        Some(traces.begin(what, messages))
    }
}

/// Ends what was begun, and has what follows say what led to it.
pub fn end_spans(spans: Option<Spans>, effects: Option<&mut Effects>) {
    if let Some(spans) = spans {
        let parents = spans.end();
        if let Some(effects) = effects.filter(|_| !parents.is_empty()) {
            effects.trace(&parents);
        }
    }
}
