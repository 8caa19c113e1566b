//! What the port says of the aggregates, written once for both databases.
//!
//! Whatever runs statements, on any connection ([`super::Pool`]) or on one that is held ([`super::Session`]), has the traits
//! of all aggregates by what is here. So a new query is two edits: the method of the aggregate's trait, and its
//! implementation in the module of the same name below.
//!
//! The hot tables are written in the adapters, each in its dialect's own way.

mod bulk;
mod capsules;
mod cold;
mod counters;
mod dead_letters;
mod deferred;
mod drop_fetch;
mod early;
mod facts;
mod keyring;
mod ledger;
mod lists;
mod manual;
mod merged;
mod notes;
mod outbox;
mod outcomes;
mod polls;
mod positions;
mod queues;
mod report;
mod requests;
mod resealed;
mod retention;
mod sessions;
mod status_callbacks;
mod stops;
mod suppression;
mod sweeps;
mod undeliverable;

pub(super) use self::{
    cold::{write_before_deferred, write_cold},
    deferred::until,
    facts::{chain_what_is_not, heads},
    requests::{StateColumns, stored_request},
};
