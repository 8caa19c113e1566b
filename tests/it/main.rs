//! Tests against what is real: Kafka, PostgreSQL, SQLite. `tests/run` starts the services.

mod store;
