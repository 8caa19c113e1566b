//! `lacuna completions` and `lacuna man`: what shells and manuals know of the command line, made from the command line itself.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

use super::{Exit, Failure, output::Out};

/// Arguments of `lacuna completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lacuna completions bash > /etc/bash_completion.d/lacuna\n  lacuna completions zsh > _lacuna"
)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Arguments of `lacuna man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The folder, which is made where there is none. Files of the same name are replaced.
    dir: PathBuf,
}

/// Prints the completions of a shell. `program`: the whole command line.
pub fn completions(args: &CompletionsArgs, mut program: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "lacuna", &mut script);
    let mut out = Out::stdout();
    out.bytes(&script)?;
    out.end()?;
    Ok(Exit::Ok)
}

/// Writes a page for the program and for each of its subcommands.
pub fn man(args: &ManArgs, mut program: Command) -> Result<Exit, Failure> {
    std::fs::create_dir_all(&args.dir).map_err(failed("create", &args.dir))?;
    program.build();
    let mut out = Out::stdout();
    page(&args.dir, &program, &mut out)?;
    out.end()?;
    Ok(Exit::Ok)
}

fn page(dir: &Path, command: &Command, out: &mut Out) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = dir.join(format!("{name}.1"));
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().disable_help_subcommand(true)).render(&mut text)?;
    std::fs::write(&path, text).map_err(failed("write", &path))?;
    out.line(path.display())?;
    let subcommands = command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help" && !sub.is_hide_set());
    subcommands.into_iter().try_for_each(|sub| page(dir, sub, out))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::File {
        action,
        path: path.to_owned(),
        source,
    }
}
