//! What is decided about messages is seen in their traces, where a collector is configured.

use super::{
    Engine,
    effects::Effects,
    prepare::{Arrival, Names},
};
use crate::{
    domain::ids::RequestId,
    telemetry::traces::{Spans, Traces},
};

impl Engine {
    /// From now on traces are told.
    pub fn set_traces(&self, traces: Traces) {
        // Set once, before anything is decided.
        self.said.traces.set(traces).unwrap_or_default();
    }

    /// The traces; `None`: there are none, and nothing has to be read for them.
    pub fn traces(&self) -> Option<&Traces> {
        self.said.traces.get()
    }

    /// Begins what is seen of messages while it is decided about them; `None`: nothing is.
    pub fn begin_spans<T: Names>(&self, what: &'static str, arrivals: &[Arrival<T>]) -> Option<Spans> {
        let traces = self.traces()?;
        let messages: Vec<(RequestId, Option<String>)> = arrivals
            .iter()
            .filter_map(|arrival| {
                let request = arrival.content.as_ref().ok()?.request_id()?;
                Some((request, arrival.headers.traceparent()))
            })
            .collect();
        let messages = messages
            .iter()
            .map(|(request, parent)| (*request, parent.as_deref()));
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
