//! `lacuna serve`: the worker.

use std::path::PathBuf;

use super::Exit;
use crate::{
    app::{self, Roles},
    clock::Clock,
    config::Config,
};

/// Arguments of `lacuna serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(long, default_value = "lacuna.toml")]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: Args) -> Exit {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return Exit::Usage;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return Exit::NotSo;
        }
    };
    runtime.block_on(async {
        match app::start(config, Roles::ALL, Clock::System).await {
            Ok(running) => {
                let shutdown = running.shutdown.clone();
                tokio::spawn(async move {
                    if let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                        term.recv().await;
                    }
                    shutdown.cancel();
                });
                match running.until_shutdown().await {
                    Ok(()) => Exit::Ok,
                    Err(error) => {
                        eprintln!("{error}");
                        Exit::NotSo
                    }
                }
            }
            Err(error) => {
                eprintln!("{error}");
                if error.is_unreachable() { Exit::Unreachable } else { Exit::Usage }
            }
        }
    })
}
