//! `lacuna schemas`: the JSON Schemas of the messages, for those who write or read them, and what machines read of the topics
//! (AsyncAPI) and of the API (OpenAPI).

mod asyncapi;
mod yaml;

use std::path::{Path, PathBuf};

use super::{Exit, Failure, output::Out, session::ConfigArg};
use crate::{http::openapi, wire::schemas};

/// Arguments of `lacuna schemas`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna schemas print ./schemas")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Writes a file for each message, asyncapi.yaml and openapi.json into a folder, which is made where there is none.
    #[command(
        after_help = "Files of the same name are replaced. The schemas don't depend on the configuration.\n\n\
        Example:\n  lacuna schemas print ./schemas"
    )]
    Print {
        #[command(flatten)]
        config: ConfigArg,
        /// The folder.
        dir: PathBuf,
    },
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let Action::Print { config: _, dir } = args.action;
    std::fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
    let mut out = Out::stdout();
    let described = [
        ("asyncapi.yaml", asyncapi::text()?),
        ("openapi.json", openapi::text().to_owned()),
    ];
    for (name, text) in schemas::all().into_iter().chain(described) {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(failed("write", &path))?;
        out.line(path.display())?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::File {
        action,
        path: path.to_owned(),
        source,
    }
}
