//! The plots of a report, drawn here as SVG: no script, no style, and the same numbers stand in the tables beside them.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use super::tables::span;
use crate::wire::report::{DaysColumn, Report};

/// Wide enough for a printed page.
const SIZE: (u32, u32) = (720, 260);
/// Dark enough on white for anybody, also when it is printed without colours.
const BAR: RGBColor = RGBColor(0x1f, 0x5f, 0x8b);
/// Bars beside each other; beyond this nobody can read what stands below them.
const MOST_BARS: usize = 24;

/// What a plot shows.
struct Plot {
    caption: &'static str,
    unit: &'static str,
    bars: Vec<(String, f64)>,
    /// The bars once more, in words.
    said: String,
}

/// All plots that have anything to show.
pub(super) fn all(report: &Report) -> Markup {
    let plots = [
        days("Days until live systems were clean", &report.live_clean_days),
        days("Days until the end", &report.complete_days),
        months(report),
        answers(report),
    ];
    html! {
        @for plot in plots.iter().filter(|plot| plot.bars.iter().any(|(_, value)| *value > 0.0)) {
            figure {
                (draw(plot))
                figcaption { (plot.caption) ", " (plot.unit) ". " (plot.said) }
            }
        }
    }
}

fn days(caption: &'static str, columns: &[DaysColumn]) -> Plot {
    let mut before = 0;
    let mut bars = Vec::with_capacity(columns.len());
    for column in columns {
        let name = match column.up_to {
            Some(days) => format!("≤ {days}"),
            None => format!("> {before}"),
        };
        before = column.up_to.unwrap_or(before);
        bars.push((name, decimal(column.count)));
    }
    counted(caption, "requests by days", bars)
}

fn months(report: &Report) -> Plot {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &report.deferred_months {
        if let Some(month) = &row.month {
            *sums.entry(month).or_default() += row.tasks;
        }
    }
    let bars = sums
        .into_iter()
        .map(|(month, tasks)| (month.to_owned(), decimal(tasks)));
    counted("What wakes in which month", "tasks by month", bars.collect())
}

fn answers(report: &Report) -> Plot {
    let mut slowest: Vec<(String, f64)> = report
        .processors
        .iter()
        .filter_map(|row| Some((row.id.to_string(), row.ack_seconds.p90?)))
        .collect();
    slowest.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    slowest.truncate(MOST_BARS);
    let said: Vec<String> = slowest
        .iter()
        .map(|(name, seconds)| format!("{name}: {}", span(Some(*seconds))))
        .collect();
    Plot {
        caption: "How long processors take to answer, 9 of 10 answers",
        unit: "hours by processor",
        said: said.join("; "),
        bars: slowest
            .into_iter()
            .map(|(name, seconds)| (name, seconds / 3600.0))
            .collect(),
    }
}

fn counted(caption: &'static str, unit: &'static str, mut bars: Vec<(String, f64)>) -> Plot {
    bars.truncate(MOST_BARS);
    let said: Vec<String> = bars
        .iter()
        .filter(|(_, value)| *value > 0.0)
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    Plot {
        caption,
        unit,
        said: said.join("; "),
        bars,
    }
}

/// The drawing, with what it shows as its alternative. A drawing that fails leaves the words, which say the same.
fn draw(plot: &Plot) -> Markup {
    let mut svg = String::new();
    match bars(&mut svg, &plot.bars) {
        Ok(()) => {
            let label =
                html! { svg role="img" aria-label={ (plot.caption) ", " (plot.unit) ": " (plot.said) } {} };
            // maud has escaped the label; the rest of the element is the library's, which escapes its texts.
            let opening = label.into_string().replace("></svg>", " ");
            PreEscaped(svg.replacen("<svg ", &opening, 1))
        }
        Err(_) => html! {},
    }
}

type Fault = Box<dyn std::error::Error>;

fn bars(svg: &mut String, bars: &[(String, f64)]) -> Result<(), Fault> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let highest = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(n) => bars.get(*n).map_or_else(String::new, |(name, _)| name.clone()),
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d((0..bars.len()).into_segmented(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(bars.len())
        .x_label_formatter(&name)
        .y_labels(5)
        .label_style(("sans-serif", 13))
        .draw()?;
    chart.draw_series(
        Histogram::vertical(&chart)
            .style(BAR.filled())
            .margin(6)
            .data(bars.iter().enumerate().map(|(n, (_, value))| (n, *value))),
    )?;
    area.present()?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "the height of a bar")]
const fn decimal(n: u64) -> f64 {
    n as f64
}
