//! Traces: what was done about a message, as a span of the trace that it came with (W3C Trace Context), told to a collector of
//! OpenTelemetry.
//!
//! A span has ids of requests, and nothing of a subject. Where no collector is configured none of this is ever called.

use std::{collections::HashMap, fmt, sync::Arc};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
        TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    trace::{SdkTracer, SdkTracerProvider, Span, SpanExporter},
};

use crate::domain::ids::RequestId;

/// The traces of a worker.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// The share of messages without a trace of their own that begin one.
    sample: f64,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}

impl Traces {
    /// Traces that are told by this exporter, in batches and by a thread of their own.
    pub fn new(exporter: impl SpanExporter + 'static, sample: f64) -> Self {
        let resource = Resource::builder_empty()
            .with_service_name("lacuna")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        Self {
            tracer: provider.tracer("lacuna"),
            provider,
            sample,
        }
    }

    /// What all that is done about a command goes on from: the `traceparent` that it came with, by its sender's choice; of the others
    /// a share begins a trace with a span of its own.
    pub fn received(&self, request: RequestId, parent: Option<&str>) -> Option<Arc<str>> {
        if let Some(parent) = parent.and_then(context_of) {
            return Some(text_of(&parent));
        }
        let mut span = self.begun(request)?;
        span.end();
        Some(text_of(span.span_context()))
    }

    /// A trace that begins here, for a share of what brings none.
    fn begun(&self, request: RequestId) -> Option<Span> {
        (rand::random::<f64>() < self.sample)
            .then(|| self.span("received", SpanKind::Consumer, request, &Context::new()))
    }

    fn span(&self, what: &'static str, kind: SpanKind, request: RequestId, context: &Context) -> Span {
        self.tracer
            .span_builder(what)
            .with_kind(kind)
            .with_attributes([KeyValue::new("lacuna.request_id", request.to_string())])
            .start_with_context(&self.tracer, context)
    }

    /// Begins the spans of messages: what is done about each, the request that it is about, and the `traceparent` that it brings. One
    /// that brings none, which is empty, begins a trace for a share of them.
    pub fn begin(
        &self,
        what: &'static str,
        messages: impl IntoIterator<Item = (RequestId, String)>,
    ) -> Spans {
        let mut spans = Spans::default();
        for (request, parent) in messages {
            let parent = match context_of(&parent) {
                Some(parent) => text_of(&parent),
                None => match self.begun(request) {
                    Some(mut span) => {
                        span.end();
                        text_of(span.span_context())
                    }
                    None => continue,
                },
            };
            match self.below(what, SpanKind::Consumer, request, &parent) {
                Some(span) => {
                    spans.parents.insert(request, text_of(span.span_context()));
                    spans.begun.push(span);
                }
                // Its sender looks at none of it; others on its way may have chosen otherwise.
                None => drop(spans.parents.insert(request, parent)),
            }
        }
        spans
    }

    /// A span below another one; `None`: nobody looks at that one.
    fn below(&self, what: &'static str, kind: SpanKind, request: RequestId, parent: &str) -> Option<Span> {
        let parent = context_of(parent).filter(SpanContext::is_sampled)?;
        let context = Context::new().with_remote_span_context(parent);
        Some(self.span(what, kind, request, &context))
    }

    /// Begins the span of a call that sends a task; `None`: nobody looks at what it belongs to. `what`: the kind of its transport.
    pub fn call(&self, what: &'static str, called: Called<'_>) -> Option<CallSpan> {
        let mut span = self.below(what, SpanKind::Client, called.request, called.parent)?;
        span.set_attribute(KeyValue::new("lacuna.processor", called.processor.to_owned()));
        span.set_attribute(KeyValue::new("lacuna.attempt", i64::from(called.attempt)));
        Some(CallSpan(span))
    }

    /// Tells what was not told yet. Blocks, for some seconds at the most.
    pub fn end(&self) -> Result<(), OTelSdkError> {
        self.provider.shutdown()
    }
}

/// A call that sends a task.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// The request.
    pub request: RequestId,
    /// Who is called.
    pub processor: &'a str,
    /// Which attempt it is.
    pub attempt: u32,
    /// The `traceparent` of what led to it.
    pub parent: &'a str,
}

/// The span of a call.
pub struct CallSpan(Span);

impl fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSpan").finish_non_exhaustive()
    }
}

impl CallSpan {
    /// The `traceparent` that the call carries.
    pub fn traceparent(&self) -> Arc<str> {
        text_of(self.0.span_context())
    }

    /// The call is over. `failed`: in a word, how it came to nothing.
    pub fn end(mut self, failed: Option<&'static str>) {
        if let Some(word) = failed {
            self.0.set_status(Status::error(word));
        }
        self.0.end();
    }
}

/// The id of the trace of a `traceparent`, for lines of the log.
pub fn trace_id_of(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (id.len() == 32 && id.bytes().all(is_hex)).then_some(id)
}

/// The spans of a batch of messages.
#[derive(Default)]
pub struct Spans {
    begun: Vec<Span>,
    parents: HashMap<RequestId, Arc<str>>,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans")
            .field("begun", &self.begun.len())
            .finish_non_exhaustive()
    }
}

impl Spans {
    /// Ends them: what was decided is committed. Gives the `traceparent` of what follows, by request.
    pub fn end(mut self) -> HashMap<RequestId, Arc<str>> {
        for span in &mut self.begun {
            span.end();
        }
        self.parents
    }
}

/// Reads a `traceparent` whose form was checked.
fn context_of(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?.get(..2)?, 16).ok()?;
    let context = SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::default());
    context.is_valid().then_some(context)
}

fn text_of(context: &SpanContext) -> Arc<str> {
    let (trace, span) = (context.trace_id(), context.span_id());
    // Of the flags only the one that version 00 knows.
    Arc::from(format!(
        "00-{trace}-{span}-{:02x}",
        u8::from(context.is_sampled())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read_and_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = context_of(text).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(&*text_of(&context), text);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(context_of(bad).is_none(), "{bad}");
        }
    }
}
