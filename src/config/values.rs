//! Typed values: each reader takes an entry, or reports what was expected instead.

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, time::Duration};

use jiff::civil::Date;
use toml_edit::Value;

use super::{
    reader::{Entry, Node, Section},
    secret::{Secret, SecretSource},
};
use crate::domain::{calendar::Period, time::At};

/// Whether a duration may be zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    Allowed,
    Refused,
}

impl<'a> Entry<'a> {
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.node {
            Node::Value(Value::String(text)) => Some(text.value()),
            _ => self.mismatch("text"),
        }
    }

    /// The text of a text, a whole number or a boolean.
    pub(super) fn scalar_text(&self) -> Option<String> {
        match self.node {
            Node::Value(Value::String(text)) => Some(text.value().clone()),
            Node::Value(Value::Integer(number)) => Some(number.value().to_string()),
            Node::Value(Value::Boolean(value)) => Some(value.value().to_string()),
            _ => None,
        }
    }

    /// A value of the environment, where everything is text.
    fn text_of_environment(&self) -> Option<&'a str> {
        match self.node {
            Node::Value(Value::String(text)) if self.is_set_by_environment() => Some(text.value()),
            _ => None,
        }
    }

    /// A text in which something stands, and which fits on a line.
    pub(super) fn line_of_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            return self.refused("expected a text that is not empty");
        }
        if text.chars().any(char::is_control) {
            return self.refused("expected a text without control characters");
        }
        Some(text)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.node {
            Node::Value(Value::Boolean(value)) => Some(*value.value()),
            _ => match self.text_of_environment().map(str::parse) {
                Some(Ok(value)) => Some(value),
                Some(Err(_)) => self.refused("expected true or false"),
                None => self.mismatch("true or false"),
            },
        }
    }

    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        match self.node {
            Node::Value(Value::Integer(number)) => match u32::try_from(*number.value()) {
                Ok(number) if range.contains(&number) => Some(number),
                _ => self.refused(&format!("expected {expected}")),
            },
            _ => match self.text_of_environment().map(str::parse) {
                Some(Ok(number)) if range.contains(&number) => Some(number),
                Some(_) => self.refused(&format!("expected {expected}")),
                None => self.mismatch(&expected),
            },
        }
    }

    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let number = match self.node {
            Node::Value(Value::Float(number)) => *number.value(),
            // Only small integers can be in range, and they are exact.
            Node::Value(Value::Integer(number)) => i32::try_from(*number.value()).map_or(f64::NAN, f64::from),
            _ => match self.text_of_environment() {
                Some(text) => text.parse().unwrap_or(f64::NAN),
                None => return self.mismatch(&expected),
            },
        };
        if range.contains(&number) {
            Some(number)
        } else {
            self.refused(&format!("expected {expected}"))
        }
    }

    /// One of the words of a closed set.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.refused(&format!("expected one of: {}", words.join(", ")))
            })
    }

    /// A text that a type of its own checks, whose error says what was expected.
    pub(super) fn checked<T, E: Display>(&self, check: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        check(self.text()?)
            .map_err(|error| self.problem(&error.to_string()))
            .ok()
    }

    pub(super) fn period(&self, zero: Zero) -> Option<Period> {
        let period = self.checked(Period::parse)?;
        if zero == Zero::Refused && period.is_zero() {
            return self.refused("expected a duration longer than zero");
        }
        Some(period)
    }

    /// A duration whose length does not depend on the calendar.
    pub(super) fn duration(&self, zero: Zero) -> Option<Duration> {
        self.period(zero)?.exact().or_else(|| {
            self.refused("expected a duration without months and years, whose length depends on the calendar")
        })
    }

    /// A date, as text or in TOML's own notation.
    pub(super) fn date(&self) -> Option<Date> {
        const EXPECTED: &str = "a date such as 2026-12-25";
        let text = match self.node {
            Node::Value(Value::String(text)) => text.value().clone(),
            Node::Value(Value::Datetime(date)) => date.value().to_string(),
            _ => return self.mismatch(EXPECTED),
        };
        // Only this spelling: others would make two texts of one day.
        let read = text.parse::<Date>().ok().filter(|date| date.to_string() == text);
        read.or_else(|| self.refused(&format!("expected {EXPECTED}")))
    }

    /// A point in time, as text or in TOML's own notation.
    pub(super) fn time(&self) -> Option<At> {
        const EXPECTED: &str = "a time with its offset, such as 2026-12-25T00:00:00Z";
        let text = match self.node {
            Node::Value(Value::String(text)) => text.value().clone(),
            Node::Value(Value::Datetime(time)) => time.value().to_string(),
            _ => return self.mismatch(EXPECTED),
        };
        At::parse(&text)
            .ok()
            .or_else(|| self.refused(&format!("expected {EXPECTED}")))
    }

    /// A path, resolved against the folder of the file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.line_of_text().map(|path| self.source.folder.join(path))
    }

    pub(super) fn secret_source(&self) -> Option<SecretSource> {
        self.checked(SecretSource::parse)
    }

    /// Fetches a secret that this entry names.
    pub(super) fn resolved(&self, source: &SecretSource) -> Option<Secret> {
        let found = source.resolve(&self.source.folder, self.source.environment);
        found.map_err(|error| self.problem(&error.to_string())).ok()
    }

    /// A list whose elements are all different. An element that cannot be read is left out, and is reported.
    pub(super) fn set<T: PartialEq>(&self, read: impl Fn(&Entry<'a>) -> Option<T>) -> Option<Vec<T>> {
        let mut found = Vec::new();
        for entry in self.list()? {
            match read(&entry) {
                Some(value) if found.contains(&value) => entry.problem("listed twice"),
                Some(value) => found.push(value),
                None => {}
            }
        }
        Some(found)
    }

    /// The same, of at least one element.
    pub(super) fn some_set<T: PartialEq>(&self, read: impl Fn(&Entry<'a>) -> Option<T>) -> Option<Vec<T>> {
        if self.list()?.is_empty() {
            return self.refused("expected at least one element");
        }
        self.set(read)
    }

    /// Reports a problem and stands for the value that is not there.
    pub(super) fn refused<T>(&self, message: &str) -> Option<T> {
        self.problem(message);
        None
    }
}

/// Readers of keys that have a default.
impl Section<'_> {
    /// Reads the table of this key, if there is one.
    pub(super) fn section_if<T>(&self, key: &'static str, read: impl FnOnce(&Section<'_>) -> T) -> Option<T> {
        self.get(key)?.table(|section| read(section))
    }

    pub(super) fn text_or(&self, key: &'static str, default: &str) -> String {
        self.get(key)
            .and_then(|e| e.line_of_text())
            .unwrap_or(default)
            .to_owned()
    }

    pub(super) fn boolean_or(&self, key: &'static str, default: bool) -> bool {
        self.get(key).and_then(|e| e.boolean()).unwrap_or(default)
    }

    pub(super) fn integer_or(&self, key: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        self.get(key).and_then(|e| e.integer(range)).unwrap_or(default)
    }

    pub(super) fn number_or(&self, key: &'static str, range: RangeInclusive<f64>, default: f64) -> f64 {
        self.get(key).and_then(|e| e.number(range)).unwrap_or(default)
    }

    pub(super) fn period_or(&self, key: &'static str, zero: Zero, default: Period) -> Period {
        self.get(key).and_then(|e| e.period(zero)).unwrap_or(default)
    }

    pub(super) fn duration_or(&self, key: &'static str, zero: Zero, default: Duration) -> Duration {
        self.get(key).and_then(|e| e.duration(zero)).unwrap_or(default)
    }

    pub(super) fn word_or<T: Copy>(&self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        self.get(key).and_then(|e| e.word(words)).unwrap_or(default)
    }
}
