//! Results on stdout. A reader that goes away early, such as `head`, ends the command quietly.

use std::{
    fmt::{self, Display},
    io::{self, BufWriter, StdoutLock, Write},
    time::Duration,
};

use super::Failure;
pub use super::table::Table;

/// Stdout, buffered: one write for many lines.
#[derive(Debug)]
pub struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub fn stdout() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Writes a line.
    pub fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.0, "{line}")?)
    }

    /// Writes a table.
    pub fn table(&mut self, table: &Table) -> Result<(), Failure> {
        table.lines().try_for_each(|line| self.line(line))
    }

    /// Writes a value as one line of JSON.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)?;
        self.line(text)
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.0.write_all(bytes)?)
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.0.flush()?)
    }

    /// Hands over what is still buffered. Without it, a full disk would go unnoticed.
    pub fn end(mut self) -> Result<(), Failure> {
        self.flush()
    }
}

/// Writes a line to stdout at once, for what is told while it happens.
pub fn say(line: impl Display) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Writes a line to stderr, for people. Without a stderr there is nobody to tell, which is no failure.
pub fn aside(line: impl Display) {
    writeln!(io::stderr(), "{line}").unwrap_or_default();
}

/// A time span in its two largest units.
#[derive(Debug)]
pub struct Span(pub Duration);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds}s"),
            (0, 0, _) => write!(f, "{minutes}m"),
            (0, ..) => write!(f, "{hours}h {minutes}m"),
            _ => write!(f, "{days}d {hours}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_two_units() {
        for (seconds, expected) in [(5, "5s"), (90, "1m"), (3700, "1h 1m"), (90_000, "1d 1h")] {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), expected);
        }
    }
}
