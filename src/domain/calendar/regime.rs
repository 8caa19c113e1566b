//! Regimes: the laws and policies that a request's clock runs under, by name.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Calendar, Length};
use crate::domain::{ids::RegimeName, time::At};

/// The regime whose clock a request runs under.
///
/// It is stored by its name, for years: what the name means is looked up in [`Regimes`], and a request whose regime is no
/// longer there keeps the dates that it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Regime {
    /// One that the table of regimes has, or had.
    Named(RegimeName),
    /// A policy's own count, which needs no entry there.
    Counted(Length),
}

/// What a text that is no regime should have been, for messages.
pub const EXPECTED_REGIME: &str = "expected the name of a regime, such as gdpr, or days:N, working_days:N (N from 1 to 3650) or months:N (N from 1 to 120)";

impl Regime {
    /// Reads a name, or a count such as `days:30`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            Length::parse(text).map(Self::Counted)
        } else {
            RegimeName::new(text).map(Self::Named).ok()
        }
    }
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => fmt::Display::fmt(name, f),
            Self::Counted(length) => fmt::Display::fmt(length, f),
        }
    }
}

impl Serialize for Regime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Regime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text itself is not repeated: it came from outside and may hold anything.
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(EXPECTED_REGIME))
    }
}

impl schemars::JsonSchema for Regime {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Regime".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // The first group of a count spells 1 to 3650, the second 1 to 120.
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([a-z0-9_]{1,32}|(working_)?days:([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650)|months:([1-9][0-9]?|1[01][0-9]|120))$"
        })
    }
}

/// What a regime asks for. Every length counts from the same start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// By when the person has to be told that the request has come in.
    pub acknowledge_by: Option<Length>,
    /// By when it has to be done.
    pub respond_by: Length,
    /// By when, where an extension was announced before `respond_by`; `None`: there is no extension.
    pub extend_to: Option<Length>,
    /// Whether the clock stands still while the subject's identity is in doubt.
    pub pauses_for_identity: bool,
    /// What each day costs by which a request is late; `None`: the law names no such amount.
    pub fine_per_day: Option<Fine>,
}

/// An amount of money that a law names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fine {
    /// In whole units of the currency.
    pub amount: u32,
    /// The currency, by its code of three letters (ISO 4217).
    pub currency: [u8; 3],
}

impl Fine {
    /// Reads an amount such as `200 USD`.
    pub fn parse(text: &str) -> Option<Self> {
        let (amount, currency) = text.split_once(' ')?;
        let currency: [u8; 3] = currency.as_bytes().try_into().ok()?;
        let amount = amount.parse().ok().filter(|amount| *amount > 0)?;
        currency
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self { amount, currency })
    }

    /// The code of its currency.
    pub fn currency(&self) -> &str {
        // Only capital letters of ASCII get in.
        std::str::from_utf8(&self.currency).unwrap_or_default()
    }
}

impl Terms {
    /// A deadline and nothing else.
    pub const fn within(respond_by: Length) -> Self {
        Self {
            acknowledge_by: None,
            respond_by,
            extend_to: None,
            pauses_for_identity: false,
            fine_per_day: None,
        }
    }

    /// The shortest time that a request can have until its deadline: one that is made at the very end of a day, on the
    /// worst day of a leap year's cycle.
    pub fn shortest(&self, calendar: &Calendar) -> std::time::Duration {
        last_moments(calendar)
            .map(|start| self.respond_by.after(start, calendar).unrolled.since(start))
            .min()
            .unwrap_or_default()
    }

    /// Whether a time that ends so much after a request still leaves it some until its deadline, whenever it is made.
    pub fn leaves_time_after(&self, wait: impl Fn(At) -> At, calendar: &Calendar) -> bool {
        last_moments(calendar).all(|start| wait(start) < self.respond_by.after(start, calendar).unrolled)
    }
}

/// The last millisecond of every day of four years, which have every date and every change of the clock.
fn last_moments(calendar: &Calendar) -> impl Iterator<Item = At> {
    let first = jiff::civil::date(2027, 1, 1);
    first
        .series(jiff::Span::new().days(1))
        .take(4 * 365 + 1)
        .map(|day| At::from_millis(calendar.end_of(day).millis() + 999))
}

/// The table of regimes: Lacuna's own and the user's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regimes(BTreeMap<RegimeName, Terms>);

impl Regimes {
    /// What a regime asks for; `None`: it is not in the table, or no more.
    pub fn terms(&self, regime: &Regime) -> Option<Terms> {
        match regime {
            Regime::Named(name) => self.0.get(name).copied(),
            Regime::Counted(length) => Some(Terms::within(*length)),
        }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&RegimeName, &Terms)> {
        self.0.iter()
    }

    /// The terms of this name.
    pub fn get(&self, name: &RegimeName) -> Option<&Terms> {
        self.0.get(name)
    }

    /// Adds a regime, or changes what one asks for.
    pub fn insert(&mut self, name: RegimeName, terms: Terms) {
        self.0.insert(name, terms);
    }

    /// What the name of a regime should have been, for messages.
    pub fn expected(&self) -> String {
        let names: Vec<&str> = self.0.keys().map(RegimeName::as_str).collect();
        format!(
            "expected one of: {}, or days:N, working_days:N (N from 1 to 3650) or months:N (N from 1 to 120)",
            names.join(", ")
        )
    }
}
