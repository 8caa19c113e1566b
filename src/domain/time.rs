//! A point in time, to the millisecond: RFC 3339 in JSON, an integer in packed rows and tables.

use std::{borrow::Cow, fmt, time::Duration};

use jiff::{SignedDuration, Timestamp, fmt::temporal::DateTimePrinter};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(i64);

/// A text is not a time of RFC 3339 between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time of RFC 3339, such as 2026-11-21T10:00:00Z")]
pub struct BadTime;

impl At {
    /// Takes milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The later time by this much; the end of time rather than an overflow.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The time from `earlier` until this one, zero where it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339. A leap second is the next second.
    pub fn parse(text: &str) -> Result<Self, BadTime> {
        // `Timestamp` wants an offset, which is what RFC 3339 demands; it reads second 60 as 59.
        let leap = text.as_bytes().get(17..19) == Some(b"60");
        if text.len() < 20 || text.as_bytes().get(19).is_some_and(|b| *b == b'[') || text.contains('[') {
            return Err(BadTime);
        }
        let read: Timestamp = short(text).parse().map_err(|_| BadTime)?;
        let read = if leap {
            read.checked_add(SignedDuration::from_secs(1))
                .map_err(|_| BadTime)?
        } else {
            read
        };
        Ok(Self(read.as_millisecond()))
    }

    /// As a time of `jiff`, for civil reckoning.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or_else(|_| {
            if self.0 < 0 {
                return Timestamp::MIN;
            }
            // The end of time has milliseconds too, and no more.
            Timestamp::new(Timestamp::MAX.as_second(), 999_000_000).unwrap_or(Timestamp::MAX)
        })
    }
}

/// The most digits of a second's fraction that `jiff` reads. RFC 3339 has no limit, and a millisecond is all that is kept.
const MOST_DIGITS: usize = 9;

/// The same text without what of a fraction is beyond a nanosecond.
fn short(text: &str) -> Cow<'_, str> {
    let Some((start, fraction)) = text
        .split_at_checked(20)
        .filter(|(start, _)| start.ends_with('.'))
    else {
        return Cow::Borrowed(text);
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= MOST_DIGITS {
        return Cow::Borrowed(text);
    }
    Cow::Owned([start, &fraction[..MOST_DIGITS], &fraction[digits..]].concat())
}

impl From<Timestamp> for At {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_millisecond())
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.timestamp(), f)
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Room for a time as text: at the most `-009999-12-31T23:59:59.999Z`.
#[derive(Default)]
struct Text {
    bytes: [u8; 32],
    length: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl jiff::fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> Result<(), jiff::Error> {
        let end = self.length + part.len();
        let room = self.bytes.get_mut(self.length..end);
        room.ok_or_else(|| jiff::Error::from_args(format_args!("a time longer than its room")))?
            .copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            // Every message has a few of them: written as a whole, not piece by piece through a formatter.
            let mut text = Text::default();
            DateTimePrinter::new()
                .print_timestamp(&self.timestamp(), &mut text)
                .map_err(serde::ser::Error::custom)?;
            serializer.serialize_str(text.as_str())
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Self::parse(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

impl schemars::JsonSchema for At {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        let at = At::parse("2026-11-21T10:00:00.250+01:00").unwrap();
        assert_eq!(at.to_string(), "2026-11-21T09:00:00.25Z");
        assert_eq!(
            At::parse("2026-11-21T10:00:00Z").unwrap().to_string(),
            "2026-11-21T10:00:00Z"
        );
    }

    #[test]
    fn a_fraction_has_as_many_digits_as_it_likes() {
        let at = At::parse("2026-11-30T03:23:19.123Z").unwrap();
        for fraction in [
            "1230",
            "123456789",
            "1239999999",
            "1234567890123",
            &format!("123{}", "4".repeat(300)),
        ] {
            assert_eq!(
                At::parse(&format!("2026-11-30T03:23:19.{fraction}Z")),
                Ok(at),
                "{fraction}"
            );
            assert_eq!(
                At::parse(&format!("2026-11-30T04:23:19.{fraction}+01:00")),
                Ok(at),
                "{fraction}"
            );
        }
        let leap = At::parse("2016-12-31T23:59:60.1234567890123Z");
        assert_eq!(leap, At::parse("2017-01-01T00:00:00.123Z"));
        for bad in [
            "2026-11-30T03:23:19.Z",
            "2026-11-30T03:23:19.12345678901x",
            "2026-11-30T03:23:19.1234567890",
        ] {
            assert_eq!(At::parse(bad), Err(BadTime), "{bad}");
        }
    }

    #[test]
    fn the_end_of_time_has_milliseconds_too() {
        assert_eq!(At::from_millis(i64::MAX).to_string(), "9999-12-30T22:00:00.999Z");
        assert!(!At::from_millis(i64::MIN).to_string().contains(".0"));
    }

    #[test]
    fn a_leap_second_is_the_next_second() {
        assert_eq!(
            At::parse("2016-12-31T23:59:60Z"),
            At::parse("2017-01-01T00:00:00Z")
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T10:00:00",
            "yesterday",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(At::parse(text), Err(BadTime), "{text}");
        }
    }
}
