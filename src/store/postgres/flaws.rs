//! What is wrong with a database beside its settings: indexes that are missing, and a pooler that takes sessions apart.

use std::collections::BTreeMap;

use sqlx::{PgPool, Row as _, query_as};

use crate::store::{Flaw, error::StoreError, schema};

/// So many connections are held while another one is watched: a pooler in transaction mode gives its server away meanwhile.
const HELD: usize = 3;

pub(super) async fn find(pool: &PgPool) -> Result<Vec<Flaw>, StoreError> {
    let mut flaws = indexes(pool).await?;
    flaws.extend(pooler(pool).await?);
    Ok(flaws)
}

async fn indexes(pool: &PgPool) -> Result<Vec<Flaw>, StoreError> {
    let sql = "select c.relname::text, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid \
               where c.relnamespace = current_schema()::regnamespace";
    let there: Vec<(String, bool)> = query_as(sql).fetch_all(pool).await?;
    let there: BTreeMap<String, bool> = there.into_iter().collect();
    let flaw = |name: String| match there.get(&name) {
        Some(true) => None,
        Some(false) => Some(Flaw {
            what: format!("the index {name} is not valid: its making was interrupted"),
            advice: format!("reindex index {name}"),
        }),
        None => Some(schema::missing_index(&name)),
    };
    Ok(schema::indexes(&schema::POSTGRES)
        .into_iter()
        .filter_map(flaw)
        .collect())
}

/// A session that is answered by another server once others are busy is none.
async fn pooler(pool: &PgPool) -> Result<Option<Flaw>, StoreError> {
    // In the simple protocol: prepared statements are just what goes wrong behind such a pooler.
    const ASK: &str = "select pg_backend_pid()";
    let mut watched = pool.acquire().await?;
    let before: i32 = sqlx::raw_sql(ASK).fetch_one(&mut *watched).await?.try_get(0)?;
    let mut held = Vec::new();
    for _ in 0..HELD {
        let mut other = pool.acquire().await?;
        sqlx::raw_sql("begin").execute(&mut *other).await?;
        sqlx::raw_sql(ASK).fetch_one(&mut *other).await?;
        held.push(other);
    }
    let after: i32 = sqlx::raw_sql(ASK).fetch_one(&mut *watched).await?.try_get(0)?;
    for mut other in held {
        sqlx::raw_sql("rollback").execute(&mut *other).await?;
    }
    Ok((before != after).then(|| Flaw {
        what: "a pooler in transaction mode stands before the database: it takes sessions apart, and statements go astray".to_owned(),
        advice: "pool_mode = session, or the database's own address (docs/guide/postgresql.md)".to_owned(),
    }))
}
