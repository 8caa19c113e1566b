//! Lists as CSV: exactly what the list's filter finds, page after page, as it is read by whoever asked. No list is held in memory.
//!
//! A cell that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP advises: names, reasons and details
//! come from others.

use std::{
    borrow::Cow,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use http_body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Api, problem::Problem, query::Params};
use crate::domain::time::At;

/// How many rows are read at a time.
pub(super) const ROWS: usize = 500;
/// How many pages wait for whoever reads them: a slow reader holds up its own list, and nothing else.
const AHEAD: usize = 2;

/// Whether a list is asked for as CSV by `format=csv`.
pub(super) fn is_asked(params: &mut Params) -> bool {
    format_of(params).unwrap_or(false)
}

fn format_of(params: &mut Params) -> Option<bool> {
    params.take("format", "json or csv", |text| match text {
        "csv" => Some(true),
        "json" => Some(false),
        _ => None,
    })
}

/// The same, or because nothing else is accepted.
pub(super) fn is_wanted(params: &mut Params, headers: &HeaderMap) -> bool {
    format_of(params).unwrap_or_else(|| {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| {
            let first = accept.split([',', ';']).next().unwrap_or_default();
            first.trim().eq_ignore_ascii_case("text/csv")
        })
    })
}

/// Rows on their way to whoever reads them.
pub(super) struct Rows(Sender<io::Result<Bytes>>);

impl Rows {
    /// Sends some rows; `false`: nobody reads them any more.
    pub(super) async fn send<const N: usize>(&self, rows: impl IntoIterator<Item = [String; N]>) -> bool {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = rows
            .into_iter()
            .try_for_each(|row| writer.write_record(row.iter().map(|cell| guarded(cell).into_owned())));
        let bytes = written.map_err(io::Error::other).and_then(|()| {
            writer
                .into_inner()
                .map_err(|error| io::Error::other(error.to_string()))
        });
        match bytes {
            Ok(bytes) if bytes.is_empty() => !self.0.is_closed(),
            bytes => self.0.send(bytes.map(Bytes::from)).await.is_ok(),
        }
    }

    /// Breaks off: whoever reads sees that it is not all of it.
    pub(super) async fn fail(&self, problem: &Problem) {
        let (_, code, _) = problem.said();
        tracing::warn!(code, "a list as CSV broke off");
        // Where nobody reads any more there is nobody to tell.
        let _gone = self.0.send(Err(io::Error::other("the list broke off"))).await;
    }
}

/// A cell that no spreadsheet takes for a formula.
pub(super) fn guarded(cell: &str) -> Cow<'_, str> {
    // A number is none.
    if cell.parse::<i64>().is_err() && cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// An answer whose rows are written while it is read.
pub(super) fn streamed<F>(name: &str, write: impl FnOnce(Rows) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = channel(AHEAD);
    // It ends with its list, or with whoever reads it: `Rows::send` says when nobody does.
    tokio::spawn(write(Rows(sender)));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.csv\""),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Body::new(Streamed(receiver))).into_response()
}

/// A body that is written while it is read.
struct Streamed(Receiver<io::Result<Bytes>>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(cx)
            .map(|next| next.map(|next| next.map(Frame::data)))
    }
}

/// A list that is read page after page.
#[async_trait]
pub(super) trait Source<const COLUMNS: usize>: Send + 'static {
    /// The rows of the next page, and whether there are more.
    async fn next(&mut self, api: &Api) -> Result<(Vec<[String; COLUMNS]>, bool), Problem>;
}

/// All of a list.
pub(super) fn list<const COLUMNS: usize>(
    api: Arc<Api>,
    name: &str,
    columns: [&'static str; COLUMNS],
    source: impl Source<COLUMNS>,
) -> Response {
    streamed(name, |rows| write_all(api, columns, source, rows))
}

async fn write_all<const COLUMNS: usize>(
    api: Arc<Api>,
    columns: [&'static str; COLUMNS],
    mut source: impl Source<COLUMNS>,
    rows: Rows,
) {
    let mut more = rows.send([columns.map(str::to_owned)]).await;
    while more {
        match source.next(&api).await {
            Ok((page, is_more)) => more = rows.send(page).await && is_more,
            Err(problem) => return rows.fail(&problem).await,
        }
    }
}

/// A time, or nothing.
pub(super) fn when(at: Option<At>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn what_looks_like_a_formula_is_a_text() {
        for (cell, safe) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-5", "-5"),
            ("-5+1", "'-5+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("crm: retry", "crm: retry"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), safe);
        }
    }
}
