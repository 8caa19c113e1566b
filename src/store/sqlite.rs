//! SQLite: one file, one writer.
//!
//! Every statement crosses to the connection's own thread, so what is written goes over in large chunks of rows, and
//! lists of keys go over as one JSON text.

mod count;
mod deferred;
mod file;
mod insert_rows;
mod positions;
mod requests;
mod session;
mod store;
mod transaction;
mod write;

pub use self::store::SqliteStore;
