//! The report of a period for people: as a page with plots, and as a table for a spreadsheet.
//!
//! Nothing here is of any person. A page holds no script and no style of its own but the one of a document that stands alone.

mod csv;
mod plots;
mod tables;

#[cfg(test)]
mod tests;

use maud::{DOCTYPE, Markup, html};

pub use self::csv::csv;
use self::tables::{figures, header, tables};
use crate::{domain::time::At, wire::report::Report};

/// The style of a document that stands alone: it is read in a browser, kept as a file and printed.
pub const STYLE: &str = include_str!("report/document.css");

/// A document that stands alone.
pub fn document(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title(report)) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body { main { (body(report)) } }
        }
    };
    page.into_string()
}

/// The day that it is in a report's zone.
pub fn day(at: At, zone: &str) -> String {
    tables::date(at, zone)
}

/// What it is about, in a line.
pub fn title(report: &Report) -> String {
    let of =
        |what: &str, name: Option<String>| name.map_or_else(String::new, |name| format!(", {what} {name}"));
    format!(
        "Erasure report, {} to {}{}{}",
        tables::date(report.from, &report.time_zone),
        tables::last_day(report.to, &report.time_zone),
        of("tenant", report.tenant.as_ref().map(ToString::to_string)),
        of("regime", report.regime.as_ref().map(ToString::to_string)),
    )
}

/// All that it says, for a page of any frame.
pub fn body(report: &Report) -> Markup {
    html! {
        h1 { (title(report)) }
        (header(report))
        (figures(report))
        (plots::all(report))
        (tables(report))
    }
}
