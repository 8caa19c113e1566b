//! Traces: from a command to its task, from the ack to the status, told to a collector on loopback.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Publisher, Reader, Record, answer};
use crate::{
    support::{Deployment, StoreKind, wait_for},
    transport::peer::{Call, Peer, json as answer_json},
};

const PATIENCE: Duration = Duration::from_secs(60);

const REGISTRY: &str = "[[processor]]\nid = \"crm\"\nkind = \"crm\"\ntransport = { type = \"kafka\" }\n\
                        actions = [\"erase\"]\nidentities = [\"email\"]\n";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A collector: what it was sent, and with which header.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<(Vec<Span>, Vec<String>)>>);

impl Collector {
    /// Begins one, and gives its port.
    fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let collector = Self::default();
        let own = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut reader, own) = (BufReader::new(stream.unwrap()), own.clone());
                std::thread::spawn(move || while own.take(&mut reader).is_some() {});
            }
        });
        (collector, port)
    }

    /// Takes one call; `None`: the connection is over.
    fn take(&self, reader: &mut BufReader<std::net::TcpStream>) -> Option<()> {
        let (mut length, mut line) = (0, String::new());
        let mut headers = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let text = line.trim_end().to_ascii_lowercase();
            if text.is_empty() {
                break;
            }
            if let Some(bytes) = text.strip_prefix("content-length: ") {
                length = bytes.parse().unwrap();
            }
            headers += &text;
            headers.push('\n');
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let sent = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let spans = sent.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        let mut own = self.0.lock().unwrap();
        own.0.extend(spans.flat_map(|of| of.spans));
        own.1.push(headers);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        reader.get_mut().write_all(answer.as_bytes()).ok()
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().0.clone()
    }
}

/// The first record of a topic of which something is so.
fn record(topic: &str, so: impl Fn(&Value) -> bool) -> (Value, Record) {
    let reader = Reader::new(topic);
    wait_for("the record is there", PATIENCE, || {
        reader.read().into_iter().find_map(|record| {
            let value = serde_json::from_slice(&record.value).ok()?;
            so(&value).then_some((value, record))
        })
    })
}

fn command(id: Uuid) -> Vec<u8> {
    let command = json!({
        "command_id": id, "type": "erase", "reason": "subject_request",
        "subject": { "identities": [{ "type": "email", "value": format!("{id}@example.org") }] },
    });
    command.to_string().into_bytes()
}

/// The span of a `traceparent` of the trace.
fn span_in(record: &Record) -> String {
    let parent = &record.headers["traceparent"];
    let rest = parent
        .strip_prefix(&format!("00-{TRACE}-"))
        .unwrap_or_else(|| panic!("{parent}"));
    rest.strip_suffix("-01").unwrap().to_owned()
}

#[test]
fn trace_goes_from_command_to_task_and_from_ack_to_status() {
    let (collector, port) = Collector::start();
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let telemetry = format!(
        "[telemetry]\notlp = {{ endpoint = \"http://127.0.0.1:{port}/v1/traces\", sample = 0.0, headers = {{ x-key = \"sesame\" }} }}\n"
    );
    deployment.write("lacuna.toml", &(config + &telemetry));
    let worker = deployment.serve();
    let (traced, plain, unsampled) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let publisher = Publisher::new();
    let commands = deployment.topic("commands");
    publisher.publish_traced(
        &commands,
        &command(traced),
        &format!("00-{TRACE}-00f067aa0ba902b7-01"),
    );
    let other = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00";
    publisher.publish_traced(&commands, &command(unsampled), other);
    publisher.publish(&commands, None, &command(plain));
    publisher.flush();

    let of = |id: Uuid| move |value: &Value| value["request_id"] == id.to_string();
    let (task, sent) = record(&deployment.topic("tasks.crm"), of(traced));
    let intake = span_in(&sent);
    // One that its sender does not look at keeps its trace, and one without begins none here.
    let (_, sent) = record(&deployment.topic("tasks.crm"), of(unsampled));
    assert_eq!(sent.headers["traceparent"], other);
    let (_, sent) = record(&deployment.topic("tasks.crm"), of(plain));
    assert!(!sent.headers.contains_key("traceparent"));

    let ack = answer(&task, "erased").to_string();
    publisher.publish_traced(
        &deployment.topic("acks"),
        ack.as_bytes(),
        &format!("00-{TRACE}-{intake}-01"),
    );
    let done = |value: &Value| of(traced)(value) && value["status"] == "completed";
    let (_, status) = record(&deployment.topic("status"), done);
    let settle = span_in(&status);
    worker.stop();

    let spans = collector.spans();
    let found = |id: &str| {
        let found = spans.iter().find(|span| hex::encode(&span.span_id) == id);
        found.unwrap_or_else(|| panic!("{id}: {spans:?}"))
    };
    for (id, name, parent) in [
        (&intake, "intake", "00f067aa0ba902b7"),
        (&settle, "settle", intake.as_str()),
    ] {
        let span = found(id);
        assert_eq!(hex::encode(&span.trace_id), TRACE);
        assert_eq!(
            (span.name.as_str(), hex::encode(&span.parent_span_id)),
            (name, parent.to_owned())
        );
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
        let shown = format!("{:?}", span.attributes);
        assert!(
            shown.contains(&traced.to_string()) && !shown.contains("example.org"),
            "{shown}"
        );
    }
    assert_eq!(spans.len(), 2, "{spans:?}");
    let headers = &collector.0.lock().unwrap().1;
    assert!(
        headers.iter().all(|sent| sent.contains("x-key: sesame")),
        "{headers:?}"
    );
}

/// A system that is called, fails once, and then does it: the calls carry the trace, and each has a span.
#[test]
fn calls_and_their_retries_carry_the_trace() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let seen: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let heard = Arc::clone(&seen);
    let peer = runtime.block_on(Peer::start(move |call: &Call| {
        let mut seen = heard.lock().unwrap();
        seen.push(call.headers.get("traceparent").cloned());
        if seen.len() == 1 {
            answer_json(500, "{}")
        } else {
            answer_json(200, r#"{"outcome":"erased"}"#)
        }
    }));
    let (collector, port) = Collector::start();
    let registry = format!(
        "[[processor]]\nid = \"crm\"\nkind = \"crm\"\nactions = [\"erase\"]\nidentities = [\"email\"]\n\
         transport = {{ type = \"webhook\", url = \"{}\", secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\" }}\n\
         retry = {{ initial = \"1s\", multiplier = 1.0, jitter = 0.0, attempts = 3 }}\n",
        peer.url()
    );
    let deployment = Deployment::new(StoreKind::Sqlite, &registry);
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let telemetry =
        format!("[telemetry]\notlp = {{ endpoint = \"http://127.0.0.1:{port}/v1/traces\", sample = 0.0 }}\n");
    deployment.write("lacuna.toml", &(config + &telemetry));
    let worker = deployment.serve();
    let id = Uuid::now_v7();
    let publisher = Publisher::new();
    publisher.publish_traced(
        &deployment.topic("commands"),
        &command(id),
        &format!("00-{TRACE}-00f067aa0ba902b7-01"),
    );
    publisher.flush();
    let completed = |value: &Value| value["request_id"] == id.to_string() && value["status"] == "completed";
    record(&deployment.topic("status"), completed);
    worker.stop();

    let carried: Vec<String> = seen.lock().unwrap().iter().flatten().cloned().collect();
    assert_eq!(carried.len(), 2, "{carried:?}");
    let spans = collector.spans();
    let calls: Vec<&Span> = spans.iter().filter(|span| span.name == "webhook").collect();
    assert_eq!(calls.len(), 2, "{spans:?}");
    for (call, (carried, failed)) in calls.iter().zip(carried.iter().zip([true, false])) {
        let own = hex::encode(&call.span_id);
        assert_eq!(*carried, format!("00-{TRACE}-{own}-01"));
        assert_eq!(hex::encode(&call.parent_span_id), "00f067aa0ba902b7");
        let status = call.status.as_ref().map(|status| status.code).unwrap_or_default();
        assert_eq!(status == 2, failed, "{call:?}");
        let shown = format!("{:?}", call.attributes);
        assert!(
            shown.contains(&id.to_string()) && shown.contains("crm") && !shown.contains("example.org"),
            "{shown}"
        );
    }
}

/// A vendor of OpenDSR takes a request, and is asked how it stands: each question carries the trace and has a span, and so has what
/// is decided about its answer.
#[test]
fn questions_to_a_vendor_of_opendsr_carry_the_trace() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let heard = Arc::clone(&asked);
    let peer = runtime.block_on(Peer::start(move |call: &Call| {
        if call.line.starts_with("POST ") {
            let request: Value = serde_json::from_slice(&call.body).unwrap();
            let created = json!({
                "controller_id": "c", "expected_completion_time": "2027-01-01T00:00:00Z", "received_time": "2026-11-30T00:00:00Z",
                "encoded_request": STANDARD.encode(&call.body), "subject_request_id": request["subject_request_id"], "api_version": "2.0",
            });
            return answer_json(201, &created.to_string());
        }
        let mut asked = heard.lock().unwrap();
        asked.push(call.headers.get("traceparent").cloned());
        let path = call.line.split(' ').nth(1).unwrap();
        let status = if asked.len() == 1 { "in_progress" } else { "completed" };
        let said = json!({
            "controller_id": "c", "expected_completion_time": "2027-01-01T00:00:00Z", "request_status": status,
            "subject_request_id": path.rsplit('/').next().unwrap(), "api_version": "2.0",
        });
        answer_json(200, &said.to_string())
    }));
    let (collector, port) = Collector::start();
    let registry = format!(
        "[[processor]]\nid = \"ads\"\nkind = \"advertising\"\nactions = [\"erase\"]\nidentities = [\"email\"]\n\
         transport = {{ type = \"opendsr\", url = \"{}\", poll = \"1s\" }}\n",
        peer.url()
    );
    let deployment = Deployment::new(StoreKind::Sqlite, &registry);
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let telemetry =
        format!("[telemetry]\notlp = {{ endpoint = \"http://127.0.0.1:{port}/v1/traces\", sample = 0.0 }}\n");
    deployment.write("lacuna.toml", &(config + &telemetry));
    let worker = deployment.serve();
    let id = Uuid::now_v7();
    let publisher = Publisher::new();
    publisher.publish_traced(
        &deployment.topic("commands"),
        &command(id),
        &format!("00-{TRACE}-00f067aa0ba902b7-01"),
    );
    publisher.flush();
    let completed = |value: &Value| value["request_id"] == id.to_string() && value["status"] == "completed";
    record(&deployment.topic("status"), completed);
    worker.stop();

    let carried: Vec<String> = asked.lock().unwrap().iter().flatten().cloned().collect();
    assert!(carried.len() >= 2, "{carried:?}");
    let spans = collector.spans();
    let questions: Vec<&Span> = spans.iter().filter(|span| span.name == "opendsr_poll").collect();
    assert_eq!(questions.len(), carried.len(), "{spans:?}");
    for (question, carried) in questions.iter().zip(&carried) {
        let own = hex::encode(&question.span_id);
        assert_eq!(*carried, format!("00-{TRACE}-{own}-01"));
        assert_eq!(hex::encode(&question.trace_id), TRACE);
    }
    let last = questions.last().unwrap();
    let is_settled = |span: &Span| span.name == "settle" && span.parent_span_id == last.span_id;
    assert!(spans.iter().any(is_settled), "{spans:?}");
}
