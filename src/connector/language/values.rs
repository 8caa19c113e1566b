//! Values of a connector's file that have a notation of their own.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::{calendar::Period, registry::Rate};

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Asks for something.
    Post,
    /// Writes.
    Put,
    /// Changes.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How certain a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Certainty {
    /// Seen in the vendor's own documentation.
    S,
    /// Seen in the code of somebody who calls it.
    C,
    /// From memory: not verified.
    M,
}

impl Certainty {
    /// What it means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::S => "seen in the vendor's documentation",
            Self::C => "seen in the code of a client",
            Self::M => "NOT VERIFIED",
        }
    }
}

/// `30d`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Length(pub Duration);

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(millis) = text.strip_suffix("ms").and_then(|digits| digits.parse().ok()) {
            return Ok(Self(Duration::from_millis(millis)));
        }
        let period = Period::parse(&text).map_err(|error| error.to_string())?;
        let exact = period.exact().filter(|length| !length.is_zero());
        exact.map(Self).ok_or_else(|| {
            format!("{text:?}: expected a duration longer than zero, without months and years, such as 30d or 20ms")
        })
    }
}

/// `100/m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RateText(pub Rate);

impl TryFrom<String> for RateText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let seconds = |per: &str| match per {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            "d" => Some(24 * 3600),
            _ => None,
        };
        let read = || {
            let (number, per) = text.split_once('/')?;
            let tasks = number.parse().ok().filter(|n| *n >= 1)?;
            let per = Duration::from_secs(seconds(per)?);
            Some(Self(Rate { tasks, per }))
        };
        read().ok_or_else(|| {
            format!("{text:?}: expected a number a second, minute, hour or day, such as 100/m")
        })
    }
}
