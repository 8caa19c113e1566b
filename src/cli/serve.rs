//! `lacuna serve`: the worker.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    Exit, Failure,
    session::{ConfigArg, brokers, of_system},
};
use crate::{
    app::{Roles, startup::start_patiently},
    clock::Clock,
    config::Config,
    domain::calendar::Period,
};

/// Arguments of `lacuna serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIGTERM or SIGINT: stops taking work in, finishes, and ends within shutdown_timeout. A second \
    one ends it at once.\nSIGHUP: reads [auth] and [policy] of the configuration anew, and activates the registry file for all workers.\n\n\
    Example:\n  lacuna serve --config /etc/lacuna/lacuna.toml --roles intake,settle,agenda,dispatch"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// What this worker does; everything where it is absent.
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<Role>,
    /// How long Kafka and the store may be away at the start, before it gives up with exit code 3. It tries once at
    /// the least, for a second.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    wait: Duration,
}

/// What a worker can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Takes commands in.
    Intake,
    /// Takes acks in.
    Settle,
    /// Sends what is due.
    Dispatch,
    /// Wakes what is due.
    Agenda,
    /// Serves HTTP.
    Api,
}

fn roles(named: &[Role]) -> Roles {
    if named.is_empty() {
        return Roles::ALL;
    }
    let has = |role| named.contains(&role);
    Roles {
        intake: has(Role::Intake),
        settle: has(Role::Settle),
        dispatch: has(Role::Dispatch),
        agenda: has(Role::Agenda),
        api: has(Role::Api),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let period = Period::parse(text).map_err(|error| error.to_string())?;
    period
        .exact()
        .ok_or_else(|| "expected a duration without months and years".to_owned())
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(serve(config, roles(&args.roles), args.wait));
    // Whatever a client library still does in a thread of its own is nobody's work any more.
    runtime.shutdown_timeout(Duration::from_millis(500));
    done
}

async fn serve(config: Config, roles: Roles, wait: Duration) -> Result<Exit, Failure> {
    let stop = CancellationToken::new();
    let signals = Signals::install()?;
    let watching = tokio::spawn(signals.watch(stop.clone()));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        store = %config.store.url,
        kafka = brokers(&config),
        "starting"
    );
    let running = start_patiently(config, roles, Clock::System, wait, &stop).await?;
    if let Some(running) = running {
        tracing::info!(
            http = running.http.map(tracing::field::display),
            kafka = running.servers,
            "serving"
        );
        let shutdown = running.shutdown.clone();
        let ended = running.until_shutdown();
        tokio::pin!(ended);
        tokio::select! {
            ended = &mut ended => ended?,
            () = stop.cancelled() => {
                shutdown.cancel();
                ended.await?;
            }
        }
    }
    watching.abort();
    tracing::info!("ended");
    Ok(Exit::Ok)
}

/// The signals that end a worker.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Only there so that a SIGHUP before the worker listens for it does not end the process.
    _hangup: Signal,
}

impl Signals {
    fn install() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(of_system("listen for signals"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            _hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// The first one asks the worker to end, the second one ends it.
    async fn watch(mut self, stop: CancellationToken) {
        let first = self.next().await;
        tracing::info!(
            signal = first,
            "finishing what was begun; a second signal ends it at once"
        );
        stop.cancel();
        let second = self.next().await;
        tracing::warn!(
            signal = second,
            "ending at once: what was begun is taken over by others, or at the next start"
        );
        // It did not end as it should have, so this is no success.
        std::process::exit(i32::from(Exit::NotSo.code()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_names_a_worker_has_every_role() {
        assert_eq!(roles(&[]), Roles::ALL);
        let some = roles(&[Role::Api, Role::Agenda]);
        assert!(some.api && some.agenda && !some.intake && !some.settle && !some.dispatch);
    }
}
