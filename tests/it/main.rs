//! Tests against what is real: Kafka, PostgreSQL, SQLite, the binary. `tests/run` starts the services.

mod agent;
mod architecture;
#[path = "../../src/transport/opendsr/authority.rs"]
mod authority;
mod cli;
mod console;
mod contracts;
mod demo;
mod end_to_end;
mod forwarder;
mod http;
mod packaging;
mod pages;
mod scenarios;
#[macro_use]
mod schedules;
mod store;
mod support;
mod timelines;
mod transport;
