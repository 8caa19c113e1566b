//! Whether a database has the schema that this version works with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use sqlx::{
    SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{error::StoreError, port::Flaw};

/// The migrations of one dialect, in the order of their numbers. sqlx has a macro that reads the folder, but it brings the whole
/// of sqlx and SQLite a second time, compiled for the compiler; a test compares this list with the folders instead.
macro_rules! migrator {
    ($dialect:literal) => {
        migrator!(
            $dialect: "0001_init", "0002_deferred", "0003_merged", "0004_records", "0005_early",
            "0006_dead_letter_kinds", "0007_asked_wave", "0008_dead_letter_headers", "0009_keyring",
            "0010_log_incarnations", "0011_ack_way", "0012_undeliverable", "0013_history",
            "0015_suppression_recipe", "0016_dead_letter_payloads", "0017_capsule_counts", "0018_gauges",
            "0019_compaction", "0020_queues", "0021_opendsr", "0022_outcomes", "0023_manual",
            "0025_sessions", "0026_lists", "0027_report", "0028_census", "0029_tenant_lists", "0031_agents",
            "0032_notes", "0033_parked",
        )
    };
    ($dialect:literal: $($name:literal,)+) => {
        LazyLock::new(|| {
            Migrator::with_migrations(vec![$(migration(
                $name,
                include_str!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/src/store/", $dialect, "/migrations/", $name, ".sql"
                )),
            )),+])
        })
    };
}

pub(super) static POSTGRES: LazyLock<Migrator> = migrator!("postgres");
pub(super) static SQLITE: LazyLock<Migrator> = migrator!("sqlite");

/// A migration by the name of its file: a number, then what it does.
fn migration(name: &'static str, sql: &'static str) -> Migration {
    let (number, description) = name.split_once('_').expect("a number, then what it does");
    Migration::new(
        number.parse().expect("a number"),
        description.replace('_', " ").into(),
        MigrationType::Simple,
        sql.into_sql_str(),
        false,
    )
}

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

/// The indexes that the migrations leave, those of keys apart.
pub(super) fn indexes(migrator: &Migrator) -> BTreeSet<String> {
    // What each was made on: an index goes with its table.
    let mut indexes: BTreeMap<String, String> = BTreeMap::new();
    for migration in migrator.iter() {
        let lines = migration
            .sql
            .as_str()
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        let text = lines.collect::<Vec<_>>().join(" ");
        for statement in text.split(';') {
            let words: Vec<&str> = statement.split_whitespace().collect();
            match words.as_slice() {
                ["create", "index", name, "on", table, ..]
                | ["create", "unique", "index", name, "on", table, ..] => {
                    indexes.insert((*name).to_owned(), (*table).to_owned());
                }
                ["drop", "index", .., name] => {
                    indexes.remove(*name);
                }
                ["drop", "table", .., table] => indexes.retain(|_, on| on != table),
                ["alter", "table", table, "rename", "to", name] => {
                    for on in indexes.values_mut().filter(|on| on == table) {
                        (*name).clone_into(on);
                    }
                }
                _ => {}
            }
        }
    }
    indexes.into_keys().collect()
}

/// What to say of an index that is not there.
pub(super) fn missing_index(name: &str) -> Flaw {
    Flaw {
        what: format!("the index {name} is missing: what goes by it reads whole tables"),
        advice: "make it again as src/store/*/migrations/ of this version says".to_owned(),
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_migrations_is_in_the_list() {
        for (dialect, migrator) in [("postgres", &POSTGRES), ("sqlite", &SQLITE)] {
            let folder =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/{dialect}/migrations"));
            let files: BTreeSet<(i64, Vec<u8>)> = fs::read_dir(folder)
                .unwrap()
                .map(|entry| {
                    let path = entry.unwrap().path();
                    let name = path.file_name().unwrap().to_str().unwrap();
                    let number = name.split_once('_').unwrap().0.parse().unwrap();
                    (number, fs::read(&path).unwrap())
                })
                .collect();
            let known: BTreeSet<(i64, Vec<u8>)> = migrator
                .iter()
                .map(|migration| (migration.version, migration.sql.as_str().as_bytes().to_vec()))
                .collect();
            assert!(
                files == known,
                "{dialect}: the list in src/store/schema.rs has other files"
            );
        }
    }
}
