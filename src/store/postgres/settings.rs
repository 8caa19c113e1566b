//! Settings of the server by which it may lose what it has confirmed.

use std::collections::BTreeMap;

use sqlx::{PgExecutor, query_as};

use crate::store::error::StoreError;

/// As this worker's connections have them.
pub(super) async fn read(on: impl PgExecutor<'_>) -> Result<BTreeMap<String, String>, StoreError> {
    let sql = "select name, setting from pg_settings where name in \
               ('synchronous_commit', 'fsync', 'full_page_writes', 'synchronous_standby_names', 'server_encoding')";
    let rows: Vec<(String, String)> = query_as(sql).fetch_all(on).await?;
    Ok(rows.into_iter().collect())
}

/// What is wrong with them, each for itself.
pub(super) fn warnings(settings: &BTreeMap<String, String>) -> Vec<String> {
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    let has_standbys = settings
        .get("synchronous_standby_names")
        .is_some_and(|names| !names.is_empty());
    let mut warnings = Vec::new();
    let mut warn = |text: &str| warnings.push(text.to_owned());
    if is("synchronous_commit", "off") {
        warn(
            "synchronous_commit is off: the server confirms before it has written, and a crash loses the last commands, holds \
             and answers; set it to on",
        );
    }
    if is("synchronous_commit", "local") && has_standbys {
        warn(
            "synchronous_commit is local: a commit does not wait for the synchronous standbys, and a failover loses the last \
             ones; set it to on",
        );
    }
    if is("fsync", "off") {
        warn(
            "fsync is off: a crash of the machine can lose or destroy everything in the store; set it to on",
        );
    }
    if is("full_page_writes", "off") {
        warn("full_page_writes is off: a crash of the machine can destroy pages of the store; set it to on");
    }
    if settings
        .get("server_encoding")
        .is_some_and(|encoding| encoding != "UTF8")
    {
        warn(
            "server_encoding is not UTF8: a text that the database's encoding does not have cannot be stored, and intake waits \
             for it; create the database with encoding 'UTF8'",
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)]) -> Vec<String> {
        warnings(
            &settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn lossy_server_is_named_by_its_setting() {
        let safe = [
            ("synchronous_commit", "on"),
            ("fsync", "on"),
            ("full_page_writes", "on"),
            ("synchronous_standby_names", ""),
            ("server_encoding", "UTF8"),
        ];
        assert!(of(&safe).is_empty());
        for (name, value) in [
            ("synchronous_commit", "off"),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("server_encoding", "LATIN1"),
        ] {
            let said = of(&[(name, value)]);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with(name), "{said:?}");
        }
        let local = ("synchronous_commit", "local");
        assert!(of(&[local, ("synchronous_standby_names", "")]).is_empty());
        assert_eq!(of(&[local, ("synchronous_standby_names", "b")]).len(), 1);
    }
}
