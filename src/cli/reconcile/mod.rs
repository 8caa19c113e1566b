//! `lacuna reconcile`: what upstream believes it has sent, and what became of it.
//!
//! The file is read once, in batches; only what is not as upstream believes is looked for among the dead letters.

mod claim;
mod dead_letters;
mod look;
mod report;

use std::{collections::HashSet, path::PathBuf};

use indicatif::ProgressBar;

use self::{
    claim::{Claim, Reader},
    look::{Fate, Finding},
    report::Report,
};
use super::{
    Exit, Failure, arguments, bar, file_kind,
    lines::{self, Line, Lines},
    output::Out,
    session::{self, ConfigArg, block_on},
};
use crate::{clock::Clock, config::Config, domain::ids::Tenant, store::Store, vault::Vault};

/// Arguments of `lacuna reconcile`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A line is a request_id, or a JSON object: a command as it was published, or only its ids \
    {\"request_id\":\"…\",\"command_id\":\"…\",\"type\":\"erase\",\"tenant\":\"acme\"}. With a subject it is taken for the \
    whole command, and compared with what arrived under its command_id.\n\
    Lists what never arrived (missing), what was refused (dead_lettered: reason, age, letter) and what arrived \
    otherwise (different: payload, tenant, action, or another command or request under the same id), and counts the \
    rest by status. Reads the store and the keyring, changes nothing, and shows no identifiers.\n\
    Exit code 1: something has not arrived as it was sent. 2: a line cannot be read. 3: the store is unreachable.\n\n\
    Example:\n  lacuna reconcile sent-in-november.txt\n  \
    psql -Atc 'select request_id from erasures' crm | lacuna reconcile - --json"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The ids, one a line; - for stdin.
    file: PathBuf,
    /// The tenant of commands that name none; the configured default where it is absent.
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<Tenant>,
    /// As JSON lines; the last one is the summary.
    #[arg(long)]
    json: bool,
}

/// How many lines are looked at together: enough that a walk through the dead letters is seldom, and a few megabytes.
const BATCH: usize = 20_000;

/// With so many unreadable lines it is the wrong file.
const MAX_UNREADABLE: u64 = 20;

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let vault = session::vault(&config)?;
    let (mut file, length) = lines::open(&args.file)?;
    let start = file.fill_buf().map_err(lines::unreadable(&args.file))?;
    if let Some(what) = file_kind::kind_of(start) {
        return Err(Failure::Usage(format!("{}: {what}", args.file.display())));
    }
    let mut run = Run {
        tenant: args.tenant.as_ref().unwrap_or(&config.tenant_default),
        vault: &vault,
        args,
        lines: Lines::new(file),
        unreadable: Vec::new(),
        report: Report::new(args.json),
        bar: bar::over_bytes(length).with_message("reconciling"),
        out: Out::stdout(),
    };
    block_on(run.all(&config))?;
    run.end()
}

struct Run<'a, R> {
    args: &'a Args,
    vault: &'a Vault,
    tenant: &'a Tenant,
    lines: Lines<R>,
    unreadable: Vec<Failure>,
    report: Report,
    bar: ProgressBar,
    out: Out,
}

impl<R: std::io::BufRead> Run<'_, R> {
    async fn all(&mut self, config: &Config) -> Result<(), Failure> {
        let store = session::open_store(config).await?;
        session::check_keyring(config, self.vault, store.as_ref()).await?;
        loop {
            let claims = self.read_batch()?;
            if claims.is_empty() {
                self.bar.finish_and_clear();
                return Ok(());
            }
            let findings = self
                .look(store.as_ref(), claims)
                .await
                .map_err(|failure| match failure {
                    Failure::App(crate::app::AppError::Store(source)) => session::of_store(config, source),
                    other => other,
                })?;
            let Self { bar, report, out, .. } = self;
            bar.suspend(|| {
                findings
                    .iter()
                    .try_for_each(|finding| report.take(finding, out))?;
                out.flush()
            })?;
            self.bar.set_position(self.lines.offset());
        }
    }

    /// The next claims; none at the end of the file.
    fn read_batch(&mut self) -> Result<Vec<Claim>, Failure> {
        let reader = Reader {
            vault: self.vault,
            tenant: self.tenant,
        };
        let mut claims = Vec::new();
        while claims.len() < BATCH && (self.unreadable.len() as u64) < MAX_UNREADABLE {
            let failed = lines::unreadable(&self.args.file);
            let number = self.lines.number() + 1;
            let claim = match self.lines.next_line().map_err(failed)? {
                None => break,
                Some(Line::TooLong) => Err((number, "expected a line of at most 1 MiB")),
                // Blank lines are counted too, so that the number is known only now.
                Some(Line::Text(text)) => {
                    let text = text.to_vec();
                    let number = self.lines.number();
                    reader.read(number, &text).map_err(|expected| (number, expected))
                }
            };
            match claim {
                Ok(claim) => claims.push(claim),
                Err((number, expected)) => self.unreadable.push(Failure::Usage(format!(
                    "{}:{number}: {expected}",
                    self.args.file.display()
                ))),
            }
        }
        Ok(claims)
    }

    async fn look(&mut self, store: &dyn Store, claims: Vec<Claim>) -> Result<Vec<Finding>, Failure> {
        let mut findings = look::look_up(store, self.tenant, claims).await?;
        let is_wrong = |finding: &Finding| matches!(finding.fate, Fate::Missing | Fate::Different(_));
        let wanted: HashSet<_> = findings
            .iter()
            .filter(|finding| is_wrong(finding))
            .flat_map(Finding::ids)
            .collect();
        if wanted.is_empty() {
            return Ok(findings);
        }
        let found = dead_letters::find(store, self.vault, &wanted, Clock::System.now()).await?;
        self.report.set_nameless(found.nameless);
        for finding in findings.iter_mut().filter(|finding| is_wrong(finding)) {
            let letter = finding.ids().find_map(|id| found.by_id.get(&id).cloned());
            finding.letter = letter;
            if finding.fate == Fate::Missing && finding.letter.is_some() {
                finding.fate = Fate::DeadLettered;
            }
        }
        Ok(findings)
    }

    fn end(mut self) -> Result<Exit, Failure> {
        let name = self.args.file.display();
        let unreadable = self.unreadable.len() as u64;
        if self.report.looked_up() + unreadable == 0 {
            return Err(Failure::Usage(format!(
                "{name}: expected ids, one a line; there is nothing"
            )));
        }
        if unreadable >= MAX_UNREADABLE {
            self.unreadable.push(Failure::Usage(format!(
                "{name}: stopped at the {unreadable}th line that cannot be read: is it the right file?"
            )));
        }
        self.report.set_unreadable(unreadable);
        self.report.end(&mut self.out)?;
        self.out.end()?;
        match (self.unreadable.is_empty(), self.report.is_clean()) {
            (false, _) => Err(Failure::Several(self.unreadable)),
            (true, true) => Ok(Exit::Ok),
            (true, false) => Ok(Exit::NotSo),
        }
    }
}
