//! `lacuna search`: the requests of a person, found by an identifier. That somebody has looked is an entry in the ledger.

use serde_json::{Value, json};

use super::{
    Exit, Failure, arguments,
    decide::unreadable,
    fields::{is, items, text, value, values},
    output::Out,
    remote::{RemoteArgs, Target, path, refuse_actor},
    requests::table,
    session::{self, ConfigArg, block_on, deciding},
    subjects,
};
use crate::{
    config::Config,
    domain::{entry::Entry, ids::Tenant},
    engine::Engine,
    wire::api,
};

/// How many requests of one person are shown: far more than anybody makes.
const MOST: u32 = 500;

/// Arguments of `lacuna search`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The newest request comes first. Exit code 1: there is none. The identifier is in no URL, log or ledger entry; the \
    ledger says who has looked and what was found.\n\n\
    Example:\n  printf %s ann@example.org | lacuna search email\n  lacuna search customer_id 4711 --tenant acme"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The type of the identifier, such as email.
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Its value; - or absent: stdin, which other users of this machine cannot see.
    #[arg(default_value = "-", hide_default_value = true)]
    value: String,
    /// Only in this tenant.
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<Tenant>,
    /// Who looks; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    actor: Option<String>,
    /// As JSON lines: status objects.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let identity = subjects::typed(&subjects::kind_of(&args.kind)?, &args.value)?;
    let mut body = json!({ "identity": identity });
    if let Some(tenant) = &args.tenant {
        body["tenant"] = json!(tenant);
    }
    let found = match remote.target(&args.config)? {
        Target::Direct(config) => block_on(look(&config, &body, deciding(args.actor)?))?,
        Target::Remote(worker) => {
            refuse_actor(args.actor.as_deref())?;
            worker.post(&path(&["requests", "search"]), &body)?
        }
    };
    let requests = items(&found, "items");
    let mut out = Out::stdout();
    if args.json {
        requests.iter().try_for_each(|request| out.json(request))?;
    } else {
        out.table(&table(requests))?;
    }
    out.end()?;
    tracing::info!(
        ledger_entry = text(&found, "ledger_entry"),
        "the ledger says that you have looked"
    );
    if is(&found, "truncated") {
        tracing::warn!("there are more than {MOST}: only the newest are shown");
    }
    if requests.is_empty() {
        return Err(Failure::NotSo("there is no request of this person".to_owned()));
    }
    Ok(Exit::Ok)
}

async fn look(config: &Config, body: &Value, actor: String) -> Result<Value, Failure> {
    let engine = session::engine(config).await?;
    let search = api::parse_search(body.to_string().as_bytes()).map_err(unreadable)?;
    engine.check_searched(&search.identity).map_err(unreadable)?;
    let tenants = tenants(&engine, search.tenant).await?;
    let ids = engine.requests_of(&tenants, &search.identity, MOST + 1).await?;
    if ids.is_empty()
        && let Some(rejection) = engine.unknown_search(&search.identity.kind)
    {
        return Err(unreadable(rejection));
    }
    let shown = &ids[..ids.len().min(MOST as usize)];
    let found = engine.requests(shown).await?;
    let truncated = ids.len() > shown.len();
    let look = Entry::Searched {
        actor,
        identity_type: search.identity.kind,
        requests: found.iter().map(|request| request.id).collect(),
        truncated,
    };
    let ledger_entry = engine.record_disclosure(look).await?;
    let statuses = values(found.iter().map(|request| engine.status_of(request)))?;
    value(&json!({ "items": statuses, "truncated": truncated, "ledger_entry": ledger_entry }))
}

/// Where it looks: in the tenant that is named, else in all of them.
async fn tenants(engine: &Engine, named: Option<Tenant>) -> Result<Vec<Tenant>, Failure> {
    if let Some(tenant) = named {
        // Nobody is found in a misspelt one, which must not pass for an answer.
        engine.intake().check_served(&tenant).map_err(unreadable)?;
        return Ok(vec![tenant]);
    }
    let all = engine.known_tenants().await?;
    all.ok_or_else(|| Failure::Usage("--tenant: expected one, because there are too many here".to_owned()))
}
