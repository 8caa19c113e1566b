//! `lacuna processors test`: tries a processor with a task that erases nobody.
//!
//! It reads the registry's file, so that a processor can be tried before it is activated. Nothing is written anywhere, and no
//! secret is shown.

use bytes::Bytes;
use hyper::{HeaderMap, Request, header::CONTENT_TYPE};

use crate::{
    app,
    cli::{
        Exit, Failure, arguments,
        output::Out,
        session::{ConfigArg, block_on},
    },
    clock::{Clock, Stopwatch},
    config::{Config, Problems},
    domain::{
        ids::ProcessorId,
        registry::{HttpOptions, OpenDsr, Processor, Registry, Transport, Webhook},
    },
    engine::effects::TaskDispatch,
    transport::{
        http_client::{CallError, HttpAnswer, HttpClient, Reached, parsed},
        local::{Reader, Unusable},
        opendsr,
        sender::{Failed, Reply},
        webhook::Endpoint,
    },
};

/// How much of an answer is shown.
const SHOWN: usize = 2000;

/// Arguments of `lacuna processors test`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --send everything but the call itself is done; to a processor of OpenDSR no more than that is done. The task asks whether data of a made-up subject is \
    still there (action verify), so it erases nobody even where it is carried out; its tenant, request and task are made up \
    too, and its token is believed nowhere. It is read from the registry's file, whether that is active or not.\n\nExit code \
    1: the processor is not registered, or its answer is not one. 2: a secret or a certificate is missing, or it is not \
    called over HTTP. 3: it cannot be reached.\n\nExample:\n  lacuna processors test crm --send"
)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The processor.
    #[arg(value_parser = arguments::processor)]
    id: ProcessorId,
    /// Makes the call, and shows the answer and what it would lead to.
    #[arg(long)]
    send: bool,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (config, registry) = Config::load_with_registry(args.config.path())?;
    let processor = of_id(&config, &registry, &args.id)?;
    let mut out = Out::stdout();
    let done = match &processor.transport {
        Transport::Webhook(webhook) => {
            block_on(try_webhook(&mut out, &config, (processor, webhook), args.send))
        }
        // Whatever is asked of it is about somebody.
        Transport::OpenDsr(_) if args.send => Err(Failure::Usage(format!(
            "{}: OpenDSR knows no request that erases nobody, so nothing is sent: without --send it is connected to",
            args.id
        ))),
        Transport::OpenDsr(opendsr) => block_on(try_opendsr(&mut out, &config, (processor, opendsr))),
        Transport::Vendor(_) => Err(Failure::Usage(format!(
            "{0} is called as its connector says: `lacuna connectors test {0} --dry-run` shows its calls",
            args.id
        ))),
        Transport::Kafka { .. } | Transport::Manual(_) | Transport::Agent => Err(Failure::Usage(format!(
            "{} is reached by {}, which this command does not try: it tries what is called over HTTP",
            args.id,
            processor.transport.kind()
        ))),
    };
    // What was found before something failed says where it failed.
    out.end()?;
    done
}

fn of_id<'a>(config: &Config, registry: &'a Registry, id: &ProcessorId) -> Result<&'a Processor, Failure> {
    registry.get(id).ok_or_else(|| {
        let path = config.registry.path.display();
        Failure::NotSo(format!("no processor {:?} is registered in {path}", id.as_str()))
    })
}

async fn try_webhook(
    out: &mut Out,
    config: &Config,
    (processor, webhook): (&Processor, &Webhook),
    send: bool,
) -> Result<Exit, Failure> {
    let unusable = |unusable| of_registry(config, processor, &unusable);
    let mut reader = Reader::new(&app::senders::registry_folder(config));
    let endpoint = Endpoint::open(webhook, app::senders::guard(config), &mut reader).map_err(unusable)?;
    out.line(format_args!("processor  {} ({})", processor.id, processor.name))?;
    let signatures = endpoint.signature_kinds().join(", ");
    out.line(format_args!(
        "secrets    {} found, signing with {signatures}",
        webhook.secrets.len()
    ))?;
    let reached = endpoint.connect().await;
    show_connection(
        out,
        reached.map_err(|error| of_call(config, processor, error))?,
        &webhook.http,
    )?;
    let now = Clock::System.now();
    let task = TaskDispatch::of_nobody(processor, &config.tenant_default, &config.policy.regime, now);
    let answer_to = app::senders::answer_to(config);
    let request = endpoint.request(&task, &answer_to, now).map_err(unusable)?;
    out.line("")?;
    show_request(out, &endpoint, &request, &task)?;
    out.line("")?;
    if !send {
        out.line("Nothing was sent. With --send the call is made: this task asks about a made-up subject and erases nobody.")?;
        return Ok(Exit::Ok);
    }
    out.flush()?;
    let watch = Stopwatch::start();
    let answer = endpoint.call(request, webhook.timeout).await;
    let answer = answer.map_err(|error| of_call(config, processor, error))?;
    out.line(format_args!(
        "answered {} after {} ms",
        answer.status,
        watch.elapsed().as_millis()
    ))?;
    show_answer(out, &answer, &task)?;
    out.line("")?;
    judge(out, processor, Endpoint::reply_of(&answer, &task, now))
}

async fn try_opendsr(
    out: &mut Out,
    config: &Config,
    (processor, opendsr): (&Processor, &OpenDsr),
) -> Result<Exit, Failure> {
    let unusable = |unusable| of_registry(config, processor, &unusable);
    let mut reader = Reader::new(&app::senders::registry_folder(config));
    let guard = app::senders::guard(config);
    opendsr::check(opendsr, guard, &mut reader).map_err(unusable)?;
    let client = HttpClient::new(&opendsr.http, guard, &mut reader).map_err(unusable)?;
    let uri = parsed("url", &opendsr.url).map_err(unusable)?;
    out.line(format_args!("processor  {} ({})", processor.id, processor.name))?;
    let reached = client.connect(&uri).await;
    show_connection(
        out,
        reached.map_err(|error| of_call(config, processor, error))?,
        &opendsr.http,
    )?;
    out.line("")?;
    out.line("Nothing was sent: OpenDSR knows no request that erases nobody.")?;
    Ok(Exit::Ok)
}

fn show_connection(out: &mut Out, reached: Reached, http: &HttpOptions) -> Result<(), Failure> {
    let address = reached
        .address
        .map_or_else(String::new, |address| address.to_string());
    let by = http
        .proxy
        .as_ref()
        .map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
    out.line(format_args!(
        "connected  {address}{by}, {}",
        reached.tls.unwrap_or("without TLS")
    ))
}

/// The request as it is sent. Of the registry's own headers only the names are shown, and of the body all but the token.
fn show_request(
    out: &mut Out,
    endpoint: &Endpoint,
    request: &Request<Bytes>,
    task: &TaskDispatch,
) -> Result<(), Failure> {
    out.line(format_args!("{} {}", request.method(), request.uri()))?;
    show_headers(out, request.headers())?;
    for name in endpoint.client().own_header_names() {
        out.line(format_args!("{name}: (set)"))?;
    }
    out.line("")?;
    out.line(legible(request.body(), task))
}

fn show_headers(out: &mut Out, headers: &HeaderMap) -> Result<(), Failure> {
    for (name, value) in headers {
        let value = value.to_str().unwrap_or("(no text)");
        out.line(format_args!("{name}: {value}"))?;
    }
    Ok(())
}

fn show_answer(out: &mut Out, answer: &HttpAnswer, task: &TaskDispatch) -> Result<(), Failure> {
    if let Some(kind) = answer.headers.get(CONTENT_TYPE) {
        out.line(format_args!(
            "content-type: {}",
            kind.to_str().unwrap_or("(no text)")
        ))?;
    }
    if answer.body.is_empty() {
        return out.line("(an empty body)");
    }
    out.line("")?;
    out.line(legible(&answer.body, task))
}

/// A body for people: without the token, and without what would move a terminal's cursor.
fn legible(body: &[u8], task: &TaskDispatch) -> String {
    let text = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) => format!("{json:#}"),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = text.replace(task.token(), "(the token)");
    let shown: String = text.chars().take(SHOWN).collect();
    let cut = if shown.len() < text.len() { "\n…" } else { "" };
    let shown = shown.replace(|c: char| c.is_control() && c != '\n', " ");
    format!("{shown}{cut}")
}

/// What the answer would lead to if the task were a real one.
fn judge(out: &mut Out, processor: &Processor, reply: Reply) -> Result<Exit, Failure> {
    match reply {
        Reply::Ack(ack) => {
            out.line(format_args!(
                "It is an ack with the outcome {}.",
                ack.answer.outcome()
            ))?;
            Ok(Exit::Ok)
        }
        Reply::Failed(Failed { why, retry_after, .. }) => {
            let again = retry_after.map_or_else(String::new, |wait| {
                format!("; it would be called again after {} s", wait.as_secs())
            });
            Err(Failure::NotSo(format!("{}: {why}{again}", processor.id)))
        }
        Reply::Unauthorised(why) => Err(Failure::NotSo(format!("{}: {why}", processor.id))),
    }
}

fn of_call(config: &Config, processor: &Processor, error: CallError) -> Failure {
    match error {
        CallError::Unusable(unusable) => of_registry(config, processor, &unusable),
        error @ CallError::Inside { .. } => Failure::Usage(format!("{}: {error}", processor.id)),
        error if error.is_certainly_unsent() => Failure::Unreachable(format!("{}: {error}", processor.id)),
        error => Failure::NotSo(format!("{}: {error}", processor.id)),
    }
}

fn of_registry(config: &Config, processor: &Processor, unusable: &Unusable) -> Failure {
    let problem = app::senders::problem_of(config, processor, unusable);
    match Problems::new(vec![problem]) {
        Some(problems) => Failure::Config(problems),
        None => Failure::Usage(unusable.to_string()),
    }
}
