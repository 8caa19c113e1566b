//! Whether a database has the schema that this version works with.

use sqlx::migrate::{MigrateError, Migrator};

use super::error::StoreError;

/// A migration that a database says it has: version, whether it went through, checksum.
pub(super) type Applied = (i64, bool, Vec<u8>);

/// Refuses a database that misses a migration, has one that this version does not know, or has another one under the
/// same number.
pub(super) fn check(migrator: &Migrator, applied: &[Applied]) -> Result<(), StoreError> {
    for (version, success, checksum) in applied {
        let Some(known) = migrator.iter().find(|migration| migration.version == *version) else {
            return Err(unknown(*version));
        };
        if !success {
            return Err(StoreError::Schema(format!(
                "migration {version} of the store went through only in part"
            )));
        }
        if known.checksum != *checksum {
            return Err(altered(*version));
        }
    }
    match migrator
        .iter()
        .find(|known| applied.iter().all(|(version, ..)| *version != known.version))
    {
        None => Ok(()),
        Some(missing) => Err(StoreError::Schema(format!(
            "the store misses migration {}: run `lacuna migrate`",
            missing.version
        ))),
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(version) => unknown(version),
            MigrateError::VersionMismatch(version) => altered(version),
            other => Self::Schema(other.to_string()),
        }
    }
}

fn unknown(version: i64) -> StoreError {
    StoreError::Schema(format!(
        "the store has migration {version}, which this version of Lacuna does not know: run a newer one"
    ))
}

fn altered(version: i64) -> StoreError {
    StoreError::Schema(format!(
        "migration {version} of the store is not the one that this version of Lacuna brings"
    ))
}
