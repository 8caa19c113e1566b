//! Public holidays: a list of dates, or a file with one date a line.

use std::{collections::BTreeSet, path::Path};

use jiff::civil::Date;

use super::{
    problems::{Problem, Problems},
    read_file,
    reader::{Entry, Section},
};

const EXPECTED: &str = "expected a date such as 2026-12-25, with a comment after # if you like";

/// Far more than the holidays of a lifetime, and little enough to be read without a second thought.
const MAX_BYTES: usize = 1024 * 1024;

/// Reads `holidays`, where they are given. A date that is given twice is one holiday.
pub(super) fn read(section: &Section<'_>) -> Option<BTreeSet<Date>> {
    section.get("holidays").map(|entry| holidays(section, &entry))
}

fn holidays(section: &Section<'_>, entry: &Entry<'_>) -> BTreeSet<Date> {
    if !entry.is_text() {
        let dates = entry.list_or("a list of dates, or the name of a file with one date a line");
        return dates.iter().flatten().filter_map(Entry::date).collect();
    }
    if entry.text().is_some_and(|text| text.parse::<Date>().is_ok()) {
        entry.problem(
            "expected a list of dates, such as [\"2026-12-25\"], or the name of a file with one date a line",
        );
        return BTreeSet::new();
    }
    let Some(path) = entry.path() else {
        return BTreeSet::new();
    };
    read_dates(&path).unwrap_or_else(|problems| {
        section.adopt(problems);
        BTreeSet::new()
    })
}

fn read_dates(path: &Path) -> Result<BTreeSet<Date>, Problems> {
    let name = path.display().to_string();
    let text = read_file(path, &name)?;
    if text.len() > MAX_BYTES {
        let message = "larger than 1 MiB, which no calendar of holidays needs";
        return Err(Problems::of_file(&name, None, message.to_owned()));
    }
    let (mut dates, mut problems) = (BTreeSet::new(), Vec::new());
    for (n, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let written = line.split('#').next().unwrap_or_default().trim();
        if written.is_empty() {
            continue;
        }
        // Only this spelling: others would make two texts of one day.
        match written
            .parse::<Date>()
            .ok()
            .filter(|date| date.to_string() == written)
        {
            Some(date) => {
                dates.insert(date);
            }
            None => problems.push(Problem {
                file: name.clone(),
                line: Some(n + 1),
                key: String::new(),
                message: EXPECTED.to_owned(),
            }),
        }
    }
    Problems::new(problems).map_or(Ok(dates), Err)
}
