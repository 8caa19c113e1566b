//! Logs: to stderr, for people or as JSON, and without identifiers.
//!
//! By construction no event carries subject data: it has a type of its own that does not print itself. What is here
//! besides is a net under that: whatever looks like an e-mail address is masked before a line leaves the process.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// For people on a terminal, JSON where a machine collects it.
    pub fn of_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::Human
        } else {
            Self::Json
        }
    }
}

/// What a worker logs: its own progress, and of its libraries what is wrong. What the pool says of each connection that it
/// refuses while a standby answers, the store says once.
pub const WORKER: &str =
    "info,librdkafka=warn,rdkafka=warn,sqlx=warn,sqlx_core::pool::inner=off,hyper=warn,h2=warn,rustls=warn";

/// What the demonstration logs: that the embedded broker forgets, it says in its own words.
pub const DEMO: &str = "warn,lacuna::app::connect=error";

/// What a command for people logs: its results are on stdout, so only what is wrong.
pub const COMMAND: &str = "warn";

/// The logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error(
        "no valid log filter: expected a level or target=level, separated by commas, such as info,lacuna::kafka=debug"
    )]
    Filter,
    /// Somebody was first.
    #[error("logs are set up already")]
    Twice,
}

/// Sets the logs of this process up, and lets panics show in them as one line without a backtrace.
pub fn init(format: Format, filter: &str) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(filter).map_err(|_| LogError::Filter)?;
    // Without colours, because they would put control sequences between what the mask has to see as one word.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Masking(io::stderr));
    match format {
        Format::Human => builder.with_target(false).try_init(),
        Format::Json => builder
            .json()
            .flatten_event(true)
            // The call that a line belongs to, with its request and its trace where they are known.
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    }
    .map_err(|_| LogError::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or("nothing");
        tracing::error!(location, said, "a bug: something panicked");
    }));
    Ok(())
}

/// An error and everything that caused it, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = text_of(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = text_of(error);
        // Errors that pass their source on say the same twice.
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = error.source();
    }
    // One problem is one line, whatever a library put into its message.
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an error says. To a server's message the library adds the line of the server's own source that it came from, which
/// reads as if it were a line of somebody's file.
fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((said, line)) if is_of_database(error) && line.bytes().all(|b| b.is_ascii_digit()) => {
            said.to_owned()
        }
        _ => text,
    }
}

fn is_of_database(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some()
        || matches!(
            error.downcast_ref::<sqlx::Error>(),
            Some(sqlx::Error::Database(_))
        )
}

/// Makes writers that mask.
#[derive(Debug, Clone, Copy)]
struct Masking<M>(M);

/// Masks each event, which the formatter writes at once.
#[derive(Debug)]
struct Masked<W>(W);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Masking<M> {
    type Writer = Masked<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Masked(self.0.make_writer())
    }
}

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.contains(&b'@') {
            self.0.write_all(&masked(line))?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What stands in the place of an address.
const MASK: &[u8] = b"[redacted]";

/// Replaces everything that looks like an e-mail address.
fn masked(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.iter().position(|b| *b == b'@') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let mut start = before.iter().rposition(|b| !is_local(*b)).map_or(0, |n| n + 1);
        // The letter after a backslash belongs to an escape of JSON, such as \n, not to the address.
        if start > 0 && start < at && before[start - 1] == b'\\' {
            start += 1;
        }
        let length = after.iter().position(|b| !is_domain(*b)).unwrap_or(after.len());
        if start < at && is_host(&after[..length]) {
            out.extend_from_slice(&before[..start]);
            out.extend_from_slice(MASK);
            rest = &after[length..];
        } else {
            out.extend_from_slice(&rest[..=at]);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Bytes beyond ASCII count as letters, because addresses may be international.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&*+-/=?^_`{|}~".contains(&byte) || !byte.is_ascii()
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte) || !byte.is_ascii()
}

/// Whether there is a dot with something on both sides, so that `topic@17` stays readable.
fn is_host(text: &[u8]) -> bool {
    let dot = text.iter().position(|b| *b == b'.');
    dot.is_some_and(|dot| dot > 0 && dot + 1 < text.len())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn addresses_are_masked_wherever_they_stand() {
        let cases = [
            ("to ann@example.org, and", "to [redacted], and"),
            ("ann.b+c@mail.example.co.uk", "[redacted]"),
            (r#"{"m":"x\nann@example.org"}"#, r#"{"m":"x\n[redacted]"}"#),
            (r#"{"m":"\"ann@example.org\""}"#, r#"{"m":"\"[redacted]\""}"#),
            ("zoë@bücher.example", "[redacted]"),
            ("a@b.de@c.de and d@e.fr", "[redacted]@c.de and [redacted]"),
            ("lacuna.commands/3@17", "lacuna.commands/3@17"),
            ("@example.org and ann@", "@example.org and ann@"),
            ("nothing here", "nothing here"),
        ];
        for (line, expected) in cases {
            assert_eq!(String::from_utf8(masked(line.as_bytes())).unwrap(), expected);
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_canary_does_not_get_through_either_format() {
        for json in [false, true] {
            let sink = Sink::default();
            let writer = sink.clone();
            let builder = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(Masking(move || writer.clone()));
            let say = || {
                let error = io::Error::other("refused for canary@example.org");
                tracing::error!(subject = "canary@example.org", %error, ?error, "about canary@example.org\n");
            };
            if json {
                tracing::subscriber::with_default(builder.json().finish(), say);
            } else {
                tracing::subscriber::with_default(builder.finish(), say);
            }
            let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
            assert!(text.contains("[redacted]") && !text.contains("canary"), "{text}");
            if json {
                serde_json::from_str::<serde_json::Value>(&text).unwrap();
            }
        }
    }

    #[test]
    fn a_chain_is_one_line_without_repeats() {
        #[derive(Debug, thiserror::Error)]
        #[error("the store cannot be reached")]
        struct Outer(#[source] io::Error);
        assert_eq!(
            chain(&Outer(io::Error::other("connection\n refused"))),
            "the store cannot be reached: connection refused"
        );
        assert_eq!(
            chain(&io::Error::other(Outer(io::Error::other("x")))),
            "the store cannot be reached: x"
        );
    }
}
