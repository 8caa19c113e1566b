//! Where everything that must survive lives: one port, two adapters (PostgreSQL, SQLite), one suite that both pass.
//!
//! A transaction reads what a batch touches, the pure domain decides, and [`Transaction::write`] takes everything
//! that follows at once: states, wake-ups, ledger leaves, inbox keys, dead letters and counters. Nothing here decides,
//! and no network call other than the database's own happens between `begin` and `commit`.
//!
//! The port has a trait for each aggregate, in the file of its rows; [`Store`] and [`Transaction`] are their sums.

#[macro_use]
mod columns;
mod bulk;
mod capsules;
mod changes;
mod classify;
mod counters;
mod dead_letters;
mod deferred;
mod drop_fetch;
mod early;
mod ended;
pub mod error;
mod facts;
pub mod history;
mod in_order;
mod keyring;
mod ledger;
mod lists;
mod manual;
mod notes;
pub mod open;
mod origin;
mod outbox;
mod outcomes;
mod polls;
mod port;
mod positions;
pub mod postgres;
mod queues;
mod report;
mod requests;
mod retention;
pub mod run;
mod schema;
mod session;
mod sessions;
mod sql;
pub mod sqlite;
mod statement;
mod status_callbacks;
mod stops;
mod suppression;
mod sweeps;

pub use self::{
    bulk::*,
    capsules::*,
    changes::Changes,
    counters::*,
    dead_letters::*,
    deferred::*,
    drop_fetch::*,
    early::*,
    ended::Ended,
    error::StoreError,
    facts::*,
    history::{Chain, Head, Passed},
    keyring::*,
    ledger::*,
    lists::*,
    manual::*,
    notes::*,
    open::{Exclusive, StoreOptions},
    origin::Origin,
    outbox::*,
    outcomes::*,
    polls::*,
    port::{Flaw, Store, Transaction, Transactions},
    positions::*,
    queues::*,
    report::*,
    requests::*,
    retention::*,
    run::{Attempts, Observer, StoreFailure},
    session::{Dialect, Pool, Session},
    sessions::*,
    statement::{Rows, Statement},
    status_callbacks::*,
    stops::*,
    suppression::*,
    sweeps::*,
};
