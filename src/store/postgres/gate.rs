//! The gate that facts and everything else pass one after the other.

use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow, raw_sql};

use crate::{
    domain::time::At,
    store::{
        error::StoreError,
        facts::Gate,
        history::{self, Passed},
        sql::chain_what_is_not,
    },
};

/// Takes the gate lock, and then reads which facts there are: the second statement's snapshot is of a time when the
/// lock was held, so it sees whatever was committed while it was waited for. One round trip brings both.
///
/// Advisory locks count for a whole database, hence the schema in the key; the number ("lacuna" in ASCII) tells the gate
/// lock from whatever else takes advisory locks there. The next number is the lock between those that open requests and
/// those that let commands wait for one: it is taken after the gate, so that nobody waits in a circle.
pub(super) async fn gate(on: &mut PgConnection, mode: Gate) -> Result<Passed, StoreError> {
    let locks = match mode {
        Gate::Shared => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873));"
        }
        Gate::Opening => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267874));"
        }
        Gate::Waiting => {
            "select 0 from pg_advisory_xact_lock_shared(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873)); select 0 from pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), \
             119165536267874));"
        }
        Gate::Exclusive => {
            "select 0 from pg_advisory_xact_lock(hashtextextended(coalesce(current_schema(), ''), \
             119165536267873));"
        }
    };
    // The text is one of four, whatever comes in.
    let rows = raw_sql(AssertSqlSafe(format!("{locks} {HEADS}")))
        .fetch_all(&mut *on)
        .await?;
    match passed(rows.last().ok_or(sqlx::Error::RowNotFound)?)? {
        Some(passed) => Ok(passed),
        None => {
            chain_what_is_not(on).await?;
            let row = raw_sql(HEADS).fetch_one(on).await?;
            passed(&row)?.ok_or(StoreError::Conflict)
        }
    }
}

/// How far facts and registry have come, and the time. The subqueries read one row each, by their keys.
const HEADS: &str = "select (select version from fact order by version desc limit 1), \
                     (select chain from fact order by version desc limit 1), \
                     (select revision from registry order by revision desc limit 1), \
                     (select chain from registry order by revision desc limit 1), \
                     (extract(epoch from clock_timestamp()) * 1000)::int8";

/// `None`: something has no chain yet.
fn passed(row: &PgRow) -> Result<Option<Passed>, StoreError> {
    let number =
        |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i32>, _>(column)?.map(i32::cast_unsigned));
    let (Some(facts), Some(registry)) = (
        history::head_of(number(0)?, row.try_get(1)?),
        history::head_of(number(2)?, row.try_get(3)?),
    ) else {
        return Ok(None);
    };
    Ok(Some(Passed {
        facts,
        registry,
        now: At::from_millis(row.try_get(4)?),
    }))
}
