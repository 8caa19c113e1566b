//! Traces: what was done about a message, as a span of the trace that it came with (W3C Trace Context), told to a collector of
//! OpenTelemetry.
//!
//! A span has ids of requests, and nothing of a subject. Where no collector is configured none of this is ever called.

use std::{collections::HashMap, fmt, sync::Arc};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _, TracerProvider as _,
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

    /// Begins the spans of messages: what is done about each, and the request that it is about. A message that brings a
    /// `traceparent` goes by its sender's choice, and a share of the others begin a trace.
    pub fn begin<'a>(
        &self,
        what: &'static str,
        messages: impl IntoIterator<Item = (RequestId, Option<&'a str>)>,
    ) -> Spans {
        let mut spans = Spans::default();
        for (request, parent) in messages {
            let parent = parent.and_then(context_of);
            let context = match &parent {
                Some(parent) if parent.is_sampled() => {
                    Context::new().with_remote_span_context(parent.clone())
                }
                // Its sender looks at none of it; others on its way may have chosen otherwise.
                Some(parent) => {
                    spans.parents.insert(request, text_of(parent));
                    continue;
                }
                None if rand::random::<f64>() < self.sample => Context::new(),
                None => continue,
            };
            let span = self
                .tracer
                .span_builder(what)
                .with_kind(SpanKind::Consumer)
                .with_attributes([KeyValue::new("lacuna.request_id", request.to_string())])
                .start_with_context(&self.tracer, &context);
            spans.parents.insert(request, text_of(span.span_context()));
            spans.begun.push(span);
        }
        spans
    }

    /// Tells what was not told yet. Blocks, for some seconds at the most.
    pub fn end(&self) -> Result<(), OTelSdkError> {
        self.provider.shutdown()
    }
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
