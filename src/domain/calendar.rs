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
