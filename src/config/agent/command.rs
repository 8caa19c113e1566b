//! `[command]`: a program that carries tasks out.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::config::{reader::Section, values::Zero};

/// A program that carries tasks out: the task on its standard input, the ack on its standard output.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentCommand {
    /// The program and its arguments. No shell reads them.
    pub run: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// The variables of the agent's environment that it gets, besides PATH, HOME, LANG and TZ.
    pub environment: Vec<String>,
    /// The folder that it runs in.
    pub folder: PathBuf,
}

pub(super) fn read(section: &Section<'_>) -> Option<AgentCommand> {
    let run = section.need("run").and_then(|e| {
        let parts = e.list()?;
        if parts.is_empty() {
            return e.refused("expected the program, and then its arguments");
        }
        let parts: Option<Vec<String>> = parts
            .iter()
            .map(|part| part.line_of_text().map(str::to_owned))
            .collect();
        parts
    });
    let timeout = section.duration_or("timeout", Zero::Refused, Duration::from_secs(600));
    let environment = section
        .get("environment")
        .and_then(|e| e.set(|name| name.line_of_text().map(str::to_owned)));
    Some(AgentCommand {
        run: run?,
        timeout,
        environment: environment.unwrap_or_default(),
        // No folder is the one that the agent runs in.
        folder: Path::new(".").join(section.folder()),
    })
}
