//! Which of a database's errors are worth another try. Decided once, here, from codes and never from texts.

use std::time::Duration;

use sqlx::{error::DatabaseError, postgres::PgDatabaseError, sqlite::SqliteError};

use super::StoreError;

/// What an error means for the transaction that met it.
enum Verdict {
    Race,
    Outage,
    Refused,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match judge(&error) {
            Verdict::Race => Self::Race(error),
            Verdict::Outage => Self::Unreachable(error),
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
        _ => Verdict::Refused,
    }
}

fn judge_code(error: &dyn DatabaseError) -> Verdict {
    if let Some(postgres) = error.try_downcast_ref::<PgDatabaseError>() {
        judge_sqlstate(postgres.code())
    } else if error.try_downcast_ref::<SqliteError>().is_some() {
        error
            .code()
            .and_then(|code| code.parse().ok())
            .map_or(Verdict::Refused, judge_sqlite)
    } else {
        Verdict::Refused
    }
}

fn judge_sqlstate(code: &str) -> Verdict {
    match code {
        // Serialization failure, deadlock, unique violation, lock timeout.
        "40001" | "40P01" | "23505" | "55P03" => Verdict::Race,
        // A statement that ran into its time limit, a server that stops or was stopped, a transaction that idled or
        // lasted too long, a standby, a failing disk: the batch is not to blame, so it must not be dead-lettered.
        "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" | "25006" | "58030" => {
            Verdict::Outage
        }
        // Connection exceptions and insufficient resources, as classes.
        _ if code.starts_with("08") || code.starts_with("53") => Verdict::Outage,
        _ => Verdict::Refused,
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
    const CONSTRAINT_PRIMARY_KEY: i32 = 1555;
    const CONSTRAINT_UNIQUE: i32 = 2067;
    match extended {
        CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE => Verdict::Race,
        // The low byte is the primary code.
        _ => match extended & 0xff {
            BUSY | LOCKED => Verdict::Race,
            NO_MEMORY | READ_ONLY | IO | FULL | CANNOT_OPEN => Verdict::Outage,
            _ => Verdict::Refused,
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
            assert!(matches!(judge_sqlstate(code), Verdict::Race), "{code}");
        }
        for code in ["57P01", "57014", "08006", "53300"] {
            assert!(matches!(judge_sqlstate(code), Verdict::Outage), "{code}");
        }
        for code in ["22021", "23502", "42P01", "XX000"] {
            assert!(matches!(judge_sqlstate(code), Verdict::Refused), "{code}");
        }
        // SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT, SQLITE_CONSTRAINT_UNIQUE; SQLITE_IOERR_FSYNC; SQLITE_CONSTRAINT_NOTNULL.
        assert!(
            [5, 517, 2067]
                .into_iter()
                .all(|code| matches!(judge_sqlite(code), Verdict::Race))
        );
        assert!(matches!(judge_sqlite(1034), Verdict::Outage));
        assert!(matches!(judge_sqlite(1299), Verdict::Refused));
    }
}
