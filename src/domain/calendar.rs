//! Legal clocks: which deadline a regime gives, to the day.

use serde::{Deserialize, Serialize};

/// The regime whose clock a request runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Regime {
    /// EU General Data Protection Regulation, Article 12(3).
    Gdpr,
    /// UK GDPR.
    UkGdpr,
    /// California Consumer Privacy Act.
    Ccpa,
    /// California Delete Act's platform for data brokers.
    Drop,
    /// Brazil's Lei Geral de Proteção de Dados.
    Lgpd,
    /// A policy's own count of calendar days.
    Days(u16),
    /// A policy's own count of working days.
    WorkingDays(u16),
}

impl Regime {
    /// The regime that this text names.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "gdpr" => Self::Gdpr,
            "uk_gdpr" => Self::UkGdpr,
            "ccpa" => Self::Ccpa,
            "drop" => Self::Drop,
            "lgpd" => Self::Lgpd,
            _ => match text.split_once(':')? {
                ("days", n) => Self::Days(n.parse().ok()?),
                ("working_days", n) => Self::WorkingDays(n.parse().ok()?),
                _ => return None,
            },
        })
    }
}

impl std::fmt::Display for Regime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gdpr => f.write_str("gdpr"),
            Self::UkGdpr => f.write_str("uk_gdpr"),
            Self::Ccpa => f.write_str("ccpa"),
            Self::Drop => f.write_str("drop"),
            Self::Lgpd => f.write_str("lgpd"),
            Self::Days(n) => write!(f, "days:{n}"),
            Self::WorkingDays(n) => write!(f, "working_days:{n}"),
        }
    }
}

impl Serialize for Regime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}
impl<'de> Deserialize<'de> for Regime {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("regime"))
    }
}
#[derive(Debug, Clone)]
pub struct Calendar {}
pub struct Deadline { pub unrolled: super::time::At, pub rolled: super::time::At }
pub fn deadline(_: Regime, at: super::time::At, _: &Calendar) -> Deadline { Deadline { unrolled: at, rolled: at } }
