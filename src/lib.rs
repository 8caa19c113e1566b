//! Lacuna: an event-driven data-erasure orchestrator.
//!
//! Commands arrive over Kafka or HTTP. Each becomes a request with a plan: one task for every registered processor that it
//! concerns. A request is completed when every task of its plan is proved done. `docs/ARCHITECTURE.md` tells the whole way of one
//! command and one answer, and `docs/INVARIANTS.md` what holds at any time.
//!
//! # Modules, from the top to the bottom
//!
//! | module | what it does |
//! |---|---|
//! | `program` | options, subcommands, exit codes |
//! | `lab` | bench, demonstration, scenarios, simulated processors |
//! | [`cli`] | one file a subcommand |
//! | `policies` | the configurations that `lacuna init` hands out and scenarios play |
//! | `terminal` | what every command needs of the terminal |
//! | [`agent`] | carries tasks out beside a store of one's own: databases, topics, programs |
//! | [`app`] | the composition root: names every concrete type, starts and joins what runs for long |
//! | [`http`] | the API |
//! | [`kafka`] | consumer stages, the producer, positions, watermarks, the embedded broker |
//! | [`delivery`] | effects on their way out: relay, outbox, what is republished, lanes that are tried again |
//! | [`transport`] | the trait of a way out, and how it says that something did not arrive |
//! | [`view`] | what people see of a request, a task, a hold |
//! | [`engine`] | use cases: each loads, lets the domain decide, seals, writes and commits |
//! | [`telemetry`] | metrics, logs, readiness |
//! | [`store`] | a trait an aggregate, `Store` and `Transaction` their sums; adapters for PostgreSQL and SQLite |
//! | [`vault`] | keyring, sealing, keyed digests, tokens |
//! | [`wire`] | messages: bytes to domain types and back |
//! | [`config`] | `lacuna.toml`, `processors.toml`, connectors, legal clocks |
//! | [`connector`] | what vendors take and answer, as data, and what follows from it |
//! | [`clock`] | the only place that reads a clock |
//! | [`domain`] | pure: requests, tasks, plans, gates, holds, backups, calendars |
//!
//! A module uses those below it and none above it; a test reads the `use` lines (`tests/it/architecture.rs`).
//!
//! # Three rules that explain most of the code
//!
//! - **One transaction for everything that belongs together.** States, wake-ups, ledger entries, idempotency keys and the position in
//!   the topic are written at once ([`store::Transaction::write`]). No network call happens inside.
//! - **Outputs before offset.** What follows from a transaction is produced after its commit, and only when the brokers have confirmed
//!   it is the offset stored. After a crash it is made again from the state.
//! - **The domain decides and does nothing else.** It gets the time, the facts and the registry as arguments, and answers with what has
//!   changed ([`domain::request`]).
#![forbid(unsafe_code)]

pub mod agent;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod delivery;
pub mod domain;
pub mod engine;
pub mod http;
pub mod kafka;
pub mod lab;
pub mod policies;
pub mod program;
pub mod store;
pub mod telemetry;
pub mod terminal;
pub mod transport;
pub mod vault;
pub mod view;
pub mod wire;
