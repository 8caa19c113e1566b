//! `lacuna init`: writes a configuration and a registry to start from: those of a scenario, so that what is copied is
//! what was tested.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::{Exit, Failure, output::Out};
use crate::policies::{Policy, Profile, Purpose};

/// Arguments of `lacuna init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes lacuna.toml and processors.toml, and for a policy whose database has an agent agent.toml and a database.sql \
    to try it on: those that `lacuna demo --scenario NAME` plays, with comments. Rename, add and remove processors in them; `lacuna check` names every mistake. Files that are there already are left \
    alone, and the exit code is 2.\n\nExample:\n  lacuna init --policy jojocell ./deployment"
)]
pub struct Args {
    /// The policy that is nearest to yours.
    #[arg(long, value_enum)]
    policy: Policy,
    /// Replaces files that are there already.
    #[arg(long)]
    force: bool,
    /// The folder, which is made where there is none.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// As wide as the comments of the files.
const WIDTH: usize = 118;

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let profile = args.policy.profile();
    let mut files = vec![
        ("lacuna.toml", begun(profile) + profile.config),
        ("processors.toml", profile.registry.to_owned()),
    ];
    if let Some(agent) = &profile.agent {
        files.push(("agent.toml", agent.config.to_owned()));
        files.push(("database.sql", agent.database.to_owned()));
    }
    std::fs::create_dir_all(&args.dir).map_err(failed("create", &args.dir))?;
    if !args.force {
        // All are looked at before one is written: half a configuration would be worse than none.
        for (name, _) in &files {
            let path = args.dir.join(name);
            if path.symlink_metadata().is_ok() {
                return Err(there_already(&path));
            }
        }
    }
    let mut out = Out::stdout();
    for (name, text) in &files {
        let path = args.dir.join(name);
        write(&path, text, args.force)?;
        out.line(format_args!("written  {}", path.display()))?;
    }
    for line in next(args, profile, &profile.registry_secrets()?) {
        out.line(line)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

/// The promise that the files keep, above them.
fn begun(profile: &Profile) -> String {
    let promise = profile.promise();
    let mut text = format!(
        "# From `lacuna init --policy {}`, for this promise:\n",
        profile.name
    );
    let mut line = "#  ".to_owned();
    for word in promise.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text += &line;
            text.push('\n');
            line = "#  ".to_owned();
        }
        line.push(' ');
        line += word;
    }
    text + &line + "\n#\n"
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => there_already(path),
        _ => failed("write", path)(error),
    })?;
    file.write_all(text.as_bytes()).map_err(failed("write", path))
}

fn next(args: &Args, profile: &Profile, registry_secrets: &[(String, Purpose)]) -> Vec<String> {
    let mut next = vec![String::new(), "Next:".to_owned()];
    let mut command = |command: &str, why: &str| next.push(format!("  {command:<42}  {why}"));
    if args.dir != Path::new(".") {
        command(&format!("cd {}", args.dir.display()), "");
    }
    for name in profile.secrets() {
        command(&format!("export {name}=$(openssl rand -hex 32)"), "");
    }
    for (name, purpose) in registry_secrets {
        match purpose {
            Purpose::Signing => command(
                &format!("export {name}=whsec_$(openssl rand -base64 32)"),
                "# that system needs it, too",
            ),
            Purpose::Entry => command(&format!("export {name}=…"), "# what that system lets you in with"),
        }
    }
    command("lacuna check", "# every mistake of both files at once");
    command(
        "lacuna topics create",
        "# every topic, and who may read and write it",
    );
    command("lacuna serve", "# the worker");
    if let Some(variable) = profile.database_variable() {
        command(
            &format!("export {variable}=…"),
            "# the database of agent.toml: postgres://…, or sqlite:… made of database.sql",
        );
        command(
            "lacuna agent --config agent.toml --check",
            "# whether it is as agent.toml says",
        );
        command(
            "lacuna agent --config agent.toml",
            "# beside it, a program of its own",
        );
    }
    command(
        &format!("lacuna demo --scenario {}", profile.name),
        "# what these files are tested to do",
    );
    next.iter().map(|line| line.trim_end().to_owned()).collect()
}

fn there_already(path: &Path) -> Failure {
    Failure::Usage(format!(
        "{} is there already, and nothing was written: --force replaces it",
        path.display()
    ))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::File {
        action,
        path: path.to_owned(),
        source,
    }
}
