//! One binary for everything that needs the real parts: Kafka, PostgreSQL, SQLite. `tests/run` starts the services.

mod end_to_end;
mod store;
mod support;
