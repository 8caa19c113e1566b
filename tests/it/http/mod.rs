//! The API over HTTP: a real engine and a SQLite store behind a real listener; no Kafka, its outputs are caught.

mod acks;
mod auth;
mod backfill;
mod backups;
pub mod browser;
mod bulk;
mod claims;
mod console_lists;
mod dead_letters;
mod decisions;
mod deferred;
mod detail;
mod disclosures;
mod fixture;
mod gauges;
mod holds;
mod identity_provider;
mod listener;
mod lists;
mod machines;
mod manual;
mod oidc;
mod opendsr;
mod privacy;
mod problems;
mod processors;
mod report;
mod requests;
mod sign_in;
mod stops;
mod suppression;
mod tasks;
mod tenant_policy;
mod tenants;
mod tls;

pub use tls::certificate;
