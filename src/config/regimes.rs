//! The legal clocks as data: Lacuna's own table, `regimes.toml`, which is compiled in, and a file of the user's in the
//! same form.

use std::path::Path;

use super::{
    problems::Problems,
    read_file,
    reader::{Entry, Section, Source},
};
use crate::domain::{
    calendar::{EXPECTED_LENGTH, Fine, Length, Regimes, Terms},
    ids::RegimeName,
};

/// What Lacuna knows by itself, with its sources.
pub(super) const BUILT_IN: &str = include_str!("regimes.toml");

/// The table of regimes as far as it could be read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) table: Regimes,
    /// Whether all of it could be.
    pub(super) complete: bool,
}

impl Read {
    fn take(&mut self, section: &Section<'_>, found: Result<Regimes, Problems>) {
        match found {
            Ok(table) => self.table = table,
            Err(problems) => {
                section.adopt(problems);
                self.complete = false;
            }
        }
    }
}

/// Reads Lacuna's own regimes, and those of the file that `regimes` names.
pub(super) fn read(section: &Section<'_>) -> Read {
    let mut read = Read {
        table: Regimes::default(),
        complete: true,
    };
    read.take(
        section,
        add("regimes.toml (built in)", BUILT_IN, &Regimes::default()),
    );
    if let Some(entry) = section.get("regimes") {
        match entry.path() {
            Some(path) => {
                let own = read.table.clone();
                read.take(section, read_user_file(&path, &own));
            }
            None => read.complete = false,
        }
    }
    read
}

fn read_user_file(path: &Path, own: &Regimes) -> Result<Regimes, Problems> {
    let name = path.display().to_string();
    let text = read_file(path, &name)?;
    add(&name, &text, own)
}

/// The regimes of a text, beside those that there are already, which it must not change.
pub(super) fn add(name: &str, text: &str, own: &Regimes) -> Result<Regimes, Problems> {
    Source::new(name, Path::new(""), text, &|_| None).read(|root| {
        // Its keys are the names of regimes.
        root.take_any();
        let mut table = own.clone();
        for (key, entry) in root.entries() {
            match RegimeName::new(key) {
                Err(error) => entry.problem(&error.to_string()),
                Ok(name) if own.get(&name).is_some() => {
                    entry.problem(
                        "one of Lacuna's own regimes, which cannot be changed: give yours another name",
                    );
                }
                Ok(name) => {
                    if let Some(terms) = entry.table(terms).flatten() {
                        table.insert(name, terms);
                    }
                }
            }
        }
        table
    })
}

fn terms(section: &Section<'_>) -> Option<Terms> {
    let respond_by = section.need("respond_by").and_then(|entry| length(&entry));
    let acknowledge_by = section.get("acknowledge_by").and_then(|entry| length(&entry));
    let extend_to = section.get("extend_to").and_then(|entry| length(&entry));
    let pauses_for_identity = section.boolean_or("pauses_for_identity", false);
    let fine_per_day = section
        .get("fine_per_day")
        .and_then(|entry| entry.checked(|text| Fine::parse(text).ok_or(EXPECTED_FINE)));
    let respond_by = respond_by?;
    if acknowledge_by.is_some_and(|sooner| !respond_by.is_longer_than(sooner)) {
        section.problem(
            "acknowledge_by",
            "expected a shorter time than respond_by, from the same start",
        );
    }
    if extend_to.is_some_and(|later| !later.is_longer_than(respond_by)) {
        section.problem(
            "extend_to",
            "expected a longer time than respond_by: an extension counts from the same start",
        );
    }
    Some(Terms {
        acknowledge_by,
        respond_by,
        extend_to,
        pauses_for_identity,
        fine_per_day,
    })
}

const EXPECTED_FINE: &str = "expected an amount and a currency, such as \"200 USD\"";

fn length(entry: &Entry<'_>) -> Option<Length> {
    entry.checked(|text| Length::parse(text).ok_or(EXPECTED_LENGTH))
}
