//! How far a partition has been taken in, beside what its log holds.

use serde::Serialize;

/// A partition as it is shown.
#[derive(Debug, Serialize)]
pub struct PositionView<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its number.
    pub partition: i32,
    /// The next offset to take in; `None`: nothing was taken in yet.
    pub next_offset: Option<i64>,
    /// The first offset that its log holds.
    pub low: Option<i64>,
    /// The offset after the last one.
    pub high: Option<i64>,
    /// How many logs it has had before this one.
    pub log: Option<u32>,
    /// `ok`, or `stopped`.
    pub state: &'static str,
    /// Why it is stopped.
    pub why: Option<String>,
}
