//! Which of a database's errors are worth another try, and which can be a message's fault at all. Decided once, here, from codes
//! and never from texts.
//!
//! What is not known to come from what was written is the store's: then everything waits, and nothing is dead-lettered.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{error::DatabaseError, postgres::PgDatabaseError, sqlite::SqliteError};

use super::error::StoreError;
use crate::clock::Stopwatch;

/// When a connection was last found whose prepared statements do not fit any more: after a migration, or behind a pooler.
static UNFIT: Mutex<Option<Stopwatch>> = Mutex::new(None);

/// Whether a connection is so old that its prepared statements may not fit any more: it has to be replaced, because it
/// would fail in the same way for ever.
pub(super) fn is_unfit(age: Duration) -> bool {
    let unfit = *UNFIT.lock().unwrap_or_else(PoisonError::into_inner);
    unfit.is_some_and(|since| age >= since.elapsed())
}

/// What an error means for the transaction that met it.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It lost a race.
    Race,
    /// The database is away, or has no room for anybody just now.
    Outage,
    /// The connection is not the one that it seems to be.
    Pooler,
    /// The database would refuse anybody: rights, tables, its disk, whatever is not known.
    Unusable,
    /// It may be what was written.
    Refused,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match judge(&error) {
            Verdict::Race => Self::Race(error),
            Verdict::Outage => Self::Unreachable(error),
            Verdict::Pooler => Self::Pooler(error),
            Verdict::Unusable => Self::Unusable(error),
            Verdict::Refused => Self::Refused(error),
        }
    }
}

fn judge(error: &sqlx::Error) -> Verdict {
    match error {
        sqlx::Error::Database(database) => judge_code(database.as_ref()),
        // A connection that is out of step with its server is as good as none.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Verdict::Outage,
        // A row that is there and cannot be read is that row's, and its neighbours may be well.
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_) => Verdict::Refused,
        _ => Verdict::Unusable,
    }
}

fn judge_code(error: &dyn DatabaseError) -> Verdict {
    if let Some(postgres) = error.try_downcast_ref::<PgDatabaseError>() {
        let code = postgres.code();
        // A cached plan must not change its result; a prepared statement is not there, or is there already.
        if matches!(code, "0A000" | "26000" | "42P05") {
            *UNFIT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stopwatch::start());
        }
        // A pooler says "protocol violation" of whatever it refuses itself, also of a server that is away, and names no routine.
        // Where the server says so, the statement is another one than was prepared.
        if code == "08P01" && postgres.routine().is_some() {
            return Verdict::Pooler;
        }
        judge_sqlstate(code)
    } else if error.try_downcast_ref::<SqliteError>().is_some() {
        error
            .code()
            .and_then(|code| code.parse().ok())
            .map_or(Verdict::Unusable, judge_sqlite)
    } else {
        Verdict::Unusable
    }
}

fn judge_sqlstate(code: &str) -> Verdict {
    match code {
        // Serialization failure, deadlock, unique violation, lock timeout.
        "40001" | "40P01" | "23505" | "55P03" => Verdict::Race,
        // A prepared statement that is not there, or is there already: the statements of this connection went to several
        // servers.
        "26000" | "42P05" => Verdict::Pooler,
        // A statement that ran into its time limit, a server that stops or was stopped, a transaction that idled or
        // lasted too long, a standby, a failing disk.
        "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" | "25006" | "58030" => {
            Verdict::Outage
        }
        // Connection exceptions and insufficient resources, as classes.
        _ if code.starts_with("08") || code.starts_with("53") => Verdict::Outage,
        // What the database's encoding does not have, no message can be blamed for.
        "22021" | "22P05" => Verdict::Unusable,
        // Data exceptions, constraints, two rows for one, limits of size: what was written decides. Whether it did is found
        // out before anybody is blamed.
        _ if ["21", "22", "23", "54"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Verdict::Refused
        }
        _ => Verdict::Unusable,
    }
}

fn judge_sqlite(extended: i32) -> Verdict {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NO_MEMORY: i32 = 7;
    const READ_ONLY: i32 = 8;
    const IO: i32 = 10;
    const FULL: i32 = 13;
    const CANNOT_OPEN: i32 = 14;
    const TOO_BIG: i32 = 18;
    const CONSTRAINT: i32 = 19;
    const MISMATCH: i32 = 20;
    const CONSTRAINT_PRIMARY_KEY: i32 = 1555;
    const CONSTRAINT_UNIQUE: i32 = 2067;
    match extended {
        CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE => Verdict::Race,
        // The low byte is the primary code.
        _ => match extended & 0xff {
            BUSY | LOCKED => Verdict::Race,
            NO_MEMORY | READ_ONLY | IO | FULL | CANNOT_OPEN => Verdict::Outage,
            TOO_BIG | CONSTRAINT | MISMATCH => Verdict::Refused,
            _ => Verdict::Unusable,
        },
    }
}

/// Waits no longer than this for a database: a peer that vanished without a word must not hold a worker for ever.
pub(super) async fn bounded<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unreachable(sqlx::Error::Io(
            std::io::ErrorKind::TimedOut.into(),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged() {
        for code in ["40001", "40P01", "23505", "55P03"] {
            assert_eq!(judge_sqlstate(code), Verdict::Race, "{code}");
        }
        for code in [
            "57P01", "57014", "08006", "08P01", "53300", "53100", "25006", "58030",
        ] {
            assert_eq!(judge_sqlstate(code), Verdict::Outage, "{code}");
        }
        for code in ["26000", "42P05"] {
            assert_eq!(judge_sqlstate(code), Verdict::Pooler, "{code}");
        }
        for code in ["23502", "23514", "22001", "22003", "21000", "54000"] {
            assert_eq!(judge_sqlstate(code), Verdict::Refused, "{code}");
        }
    }

    #[test]
    fn non_data_and_unknown_errors_are_store_faults() {
        for code in [
            "42501", "42P01", "42703", "0A000", "58P01", "XX000", "XX001", "XX002", "28P01", "28000",
            "3D000", "22021", "22P05", "P0001", "25P02", "55000", "99999", "",
        ] {
            assert_eq!(judge_sqlstate(code), Verdict::Unusable, "{code}");
        }
    }

    #[test]
    fn codes_of_sqlite_are_judged() {
        // SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT, SQLITE_CONSTRAINT_UNIQUE.
        assert!(
            [5, 517, 2067]
                .into_iter()
                .all(|code| judge_sqlite(code) == Verdict::Race)
        );
        // SQLITE_IOERR_FSYNC, SQLITE_FULL.
        assert!(
            [1034, 13]
                .into_iter()
                .all(|code| judge_sqlite(code) == Verdict::Outage)
        );
        // SQLITE_CONSTRAINT_NOTNULL.
        assert_eq!(judge_sqlite(1299), Verdict::Refused);
        // SQLITE_ERROR (no such table), SQLITE_CORRUPT, SQLITE_AUTH.
        assert!(
            [1, 11, 23]
                .into_iter()
                .all(|code| judge_sqlite(code) == Verdict::Unusable)
        );
    }
}
