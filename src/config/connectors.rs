//! Connectors: those that the program brings along, and those of the folder `[connectors] path`.
//!
//! A file is read completely and checked before anything is called by it: an unknown key, a placeholder that does not exist or
//! a soft delete that claims an erasure is a mistake with its line.

mod library;

use std::path::Path;

use toml_edit::{Document, Item};

use self::library::SHIPPED;
use super::{
    problems::{Problem, Problems},
    read_file,
};
use crate::connector::{
    Connector,
    check::{Flaw, check},
};

/// Where a connector comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The program.
    Shipped,
    /// The folder `[connectors] path`.
    Folder,
}

/// Reads a connector's file, and finds every mistake in it.
pub fn read(path: &Path) -> Result<Connector, Problems> {
    let name = path.display().to_string();
    let connector = read_text(&name, &read_file(path, &name)?)?;
    if path.file_stem().is_none_or(|stem| stem != connector.id.as_str()) {
        let why = format!(
            "the file of a connector has its id as its name: expected {}.toml",
            connector.id
        );
        return Err(Problems::of_file(&name, None, why));
    }
    Ok(connector)
}

/// Reads a connector's text; `name` is what problems call it.
pub fn read_text(name: &str, text: &str) -> Result<Connector, Problems> {
    let document = Document::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        Problems::of_file(name, line, format!("no valid TOML: {}", error.message()))
    })?;
    let connector: Connector = toml_edit::de::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        Problems::of_file(name, line, error.message().to_owned())
    })?;
    let flaws = check(&connector);
    let problems = flaws
        .into_iter()
        .map(|flaw| problem(name, text, (&document, &connector), flaw));
    Problems::new(problems.collect()).map_or(Ok(connector), Err)
}

/// A mistake with its line and its step.
fn problem(
    name: &str,
    text: &str,
    (document, connector): (&Document<&str>, &Connector),
    flaw: Flaw,
) -> Problem {
    let step = flaw.step.and_then(|place| {
        let tables = document.get("step")?.as_array_of_tables()?;
        tables.get(place)
    });
    let rule = flaw.rule.and_then(|place| {
        let tables = step?.get("rule")?.as_array_of_tables()?;
        tables.get(place)
    });
    let line = match (rule, step) {
        (Some(rule), _) => rule.get(&flaw.key).and_then(Item::span).or_else(|| rule.span()),
        (None, Some(step)) => step.get(&flaw.key).and_then(Item::span).or_else(|| step.span()),
        (None, None) => document.get(&flaw.key).and_then(Item::span),
    };
    let in_step = flaw.step.and_then(|place| connector.steps.get(place));
    let key = match in_step {
        Some(step) => format!("step {:?}: {}", step.id, flaw.key),
        None => flaw.key,
    };
    Problem {
        file: name.to_owned(),
        line: line.map(|span| line_of(text, span.start)),
        key,
        message: flaw.why,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// The connector of an id: the folder's, else the program's. `None`: there is none.
pub fn find(folder: Option<&Path>, id: &str) -> Result<Option<(Connector, Origin)>, Problems> {
    let is_name = !id.is_empty()
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if let Some(folder) = folder.filter(|_| is_name) {
        let path = folder.join(format!("{id}.toml"));
        if path.exists() {
            return Ok(Some((read(&path)?, Origin::Folder)));
        }
    }
    let shipped = SHIPPED.iter().find(|(name, _)| *name == id);
    shipped
        .map(|(name, text)| read_text(name, text).map(|connector| (connector, Origin::Shipped)))
        .transpose()
}

/// Every connector, by id.
pub fn all(folder: Option<&Path>) -> Result<Vec<(Connector, Origin)>, Problems> {
    let mut ids: Vec<String> = SHIPPED.iter().map(|(id, _)| (*id).to_owned()).collect();
    if let Some(folder) = folder {
        let name = folder.display().to_string();
        let entries = std::fs::read_dir(folder).map_err(|error| {
            Problems::of_file(
                &name,
                None,
                format!("cannot be read: {}", super::why(error.kind())),
            )
        })?;
        for entry in entries {
            let path = entry
                .map_err(|error| Problems::of_file(&name, None, format!("cannot be read: {error}")))?
                .path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                ids.push(read(&path)?.id);
            }
        }
    }
    ids.sort();
    ids.dedup();
    let mut found = Vec::new();
    for id in ids {
        found.extend(find(folder, &id)?);
    }
    Ok(found)
}

/// The ids of the connectors that the program brings along.
pub fn shipped() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(id, _)| *id)
}

/// The text of a connector that the program brings along.
pub fn shipped_text(id: &str) -> Option<&'static str> {
    SHIPPED
        .iter()
        .find(|(name, _)| *name == id)
        .map(|(_, text)| *text)
}
