//! Tells a collector of OpenTelemetry, by OTLP over HTTP, on the client of all our calls.

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient as Sends, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use tokio::runtime::Handle;

use super::http_client::HttpClient;
use crate::config::Otlp;

/// What is not taken within this is given up: a trace is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Our client, as the exporter wants it. The exporter has a thread of its own, where no runtime is.
struct Collector {
    client: HttpClient,
    runtime: Handle,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

#[async_trait]
impl Sends for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let call = async move { client.call(request, PATIENCE).await };
        let answer = self.runtime.spawn(call).await??;
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        Ok(response)
    }
}

/// What tells this collector. Has to be called on the runtime that the calls are made on.
pub fn exporter(otlp: &Otlp, client: HttpClient) -> Result<SpanExporter, ExporterBuildError> {
    let collector = Collector {
        client,
        runtime: Handle::current(),
    };
    let headers: HashMap<String, String> = otlp
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect();
    SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(otlp.endpoint.clone())
        .with_headers(headers)
        .with_timeout(PATIENCE)
        .build()
}
