//! Reading the whole file before anything is published: who is on it, and what is wrong with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    format::{FilePosition, Format},
    identity_types::Types,
    input::Input,
    plan::Order,
    subject::command,
    subjects::Subjects,
};
use crate::{
    cli::{Failure, bar, output::Out},
    clock::Stopwatch,
    domain::{
        identity::{Identity, Placeholders},
        ids::{IdentityType, ProcessorId},
        registry::{MissingIdentity, Registry},
    },
    vault::Vault,
};

/// What is on the file.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) format: Format,
    pub(super) subjects: u64,
    pub(super) bad: u64,
    /// How many subjects have an identifier of each type.
    pub(super) identities: BTreeMap<String, u64>,
    /// Processors that take none of the identifiers of some subjects.
    pub(super) unnamed: Vec<Unnamed>,
    /// How long the reading took.
    pub(super) took: Duration,
}

/// A processor to which some subjects cannot be named.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) processor: ProcessorId,
    pub(super) subjects: u64,
    /// Whether it is left out then; otherwise the request needs attention.
    pub(super) exempt: bool,
    takes: Vec<IdentityType>,
}

/// What a survey needs to know.
pub(super) struct Surveyor<'a> {
    pub(super) input: &'a Input,
    pub(super) order: &'a Order,
    pub(super) vault: &'a Vault,
    pub(super) types: &'a Types,
    pub(super) placeholders: &'a Placeholders,
    pub(super) registry: &'a Registry,
}

impl Surveyor<'_> {
    /// Reads all of it. Each line that is wrong is said as it is found: there may be millions.
    pub(super) fn survey(&self, wrong: &mut Wrongs<'_>) -> Result<Survey, Failure> {
        let watch = Stopwatch::start();
        let bar = bar::over_bytes(Some(self.input.bytes())).with_message("reading");
        let format = Format::of(self.input)?;
        let mut survey = Survey {
            format,
            subjects: 0,
            bad: 0,
            identities: BTreeMap::new(),
            unnamed: unnamed(self.registry),
            took: Duration::ZERO,
        };
        let mut subjects = Subjects::open(
            self.input,
            format,
            self.types,
            self.placeholders,
            FilePosition::default(),
        )?;
        while let Some(entry) = subjects.next()? {
            let checked = entry.identities.and_then(|identities| {
                // Any run will do: the command is only checked.
                command(self.order, uuid::Uuid::nil(), self.vault, &identities).map(|_| identities)
            });
            match checked {
                Ok(identities) => survey.count(&identities),
                Err(what) => {
                    survey.bad += 1;
                    wrong.say(entry.line, &what)?;
                }
            }
            if (survey.subjects + survey.bad).is_multiple_of(1000) {
                bar.set_position(entry.end.offset);
            }
        }
        bar.finish_and_clear();
        if survey.subjects + survey.bad == 0 {
            let name = self.input.name();
            return Err(Failure::Usage(format!(
                "{name}: expected subjects; there is nobody on it"
            )));
        }
        survey.unnamed.retain(|unnamed| unnamed.subjects > 0);
        survey.took = watch.elapsed();
        Ok(survey)
    }
}

impl Survey {
    fn count(&mut self, identities: &[Identity]) {
        self.subjects += 1;
        for identity in identities {
            match self.identities.get_mut(identity.kind.as_str()) {
                Some(count) => *count += 1,
                None => drop(self.identities.insert(identity.kind.to_string(), 1)),
            }
        }
        for unnamed in &mut self.unnamed {
            let is_named = identities
                .iter()
                .any(|identity| unnamed.takes.contains(&identity.kind));
            unnamed.subjects += u64::from(!is_named);
        }
    }
}

/// The processors that have to be told who it is. A backup set is not: it rotates for everybody.
fn unnamed(registry: &Registry) -> Vec<Unnamed> {
    registry
        .processors
        .iter()
        .filter(|processor| processor.backup.is_none())
        .map(|processor| Unnamed {
            processor: processor.id.clone(),
            subjects: 0,
            exempt: processor.missing_identity == MissingIdentity::Exempt,
            takes: processor.identities.clone(),
        })
        .collect()
}

/// Where wrong lines are said: on stdout, or in a file beside the subjects where they are left out.
pub(super) enum Wrongs<'a> {
    Shown {
        out: &'a mut Out,
        name: String,
    },
    Kept {
        file: Option<std::io::BufWriter<std::fs::File>>,
        path: PathBuf,
    },
}

impl Wrongs<'_> {
    /// Lines that are left out, in a file that is made at the first of them.
    pub(super) const fn kept(path: PathBuf) -> Self {
        Self::Kept { file: None, path }
    }

    fn say(&mut self, line: u64, what: &str) -> Result<(), Failure> {
        match self {
            Self::Shown { out, name } => out.line(format_args!("{name}:{line}: {what}")),
            Self::Kept { file, path } => {
                use std::io::Write as _;
                let to = match file {
                    Some(file) => file,
                    None => {
                        let made = std::fs::File::create(&*path).map_err(unwritable(path))?;
                        file.insert(std::io::BufWriter::new(made))
                    }
                };
                writeln!(to, "{line}: {what}").map_err(unwritable(path))
            }
        }
    }

    /// Hands over what is still buffered.
    pub(super) fn end(self) -> Result<(), Failure> {
        use std::io::Write as _;
        match self {
            Self::Kept {
                file: Some(mut file),
                path,
            } => file.flush().map_err(unwritable(&path)),
            Self::Kept { file: None, .. } | Self::Shown { .. } => Ok(()),
        }
    }
}

fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File {
        action: "write",
        path,
        source,
    }
}
