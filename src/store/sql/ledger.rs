//! The leaves of the ledger.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{ids::RequestId, time::At},
    store::{
        changes::Changes,
        error::StoreError,
        in_order::LEDGER_LEAVES,
        ledger::{ActFilter, ActKind, ActRow, LeafRow, LedgerStore, LedgerTransaction, StoredLeaf},
        session::{Pool, Session},
        statement::{Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> LedgerStore for S {
    async fn leaves(&self, id: RequestId) -> Result<Vec<StoredLeaf>, StoreError> {
        let sql = sql!("select n, leaf, sealed from ledger where request_id = $1 order by n");
        let rows = self.read(Statement::new(sql).bind(id.0)).await?;
        rows.map(|(n, leaf, sealed): (i32, Vec<u8>, Option<Vec<u8>>)| StoredLeaf {
            n: n.cast_unsigned(),
            leaf,
            sealed,
        })
    }

    async fn recorded(&self, ids: &[RequestId]) -> Result<Vec<RequestId>, StoreError> {
        // Every request has a first entry, so that its key is looked up and nothing is counted.
        let sql = sql!([
            "select request_id from ledger where request_id = any($1) and n = 0"
                | "select l.request_id from json_each($1) k cross join ledger l on l.request_id = unhex(k.value) and l.n = 0"
        ]);
        let statement = Statement::new(sql).bind(ids);
        self.read(statement).await?.map(|(id,)| RequestId(id))
    }

    async fn acts(&self, filter: &ActFilter) -> Result<Vec<ActRow>, StoreError> {
        // Two texts: each reads one range of its index.
        let sql = if filter.actor.is_some() {
            sql!(
                "select at, request_id, n, kind, actor from acted where actor = $7 and (at, request_id, n) < ($1, $2, $3) \
                 and at > $4 and at < $5 and ($8 = 0 or kind = $8) order by actor desc, at desc, request_id desc, n desc limit $6"
            )
        } else {
            sql!(
                "select at, request_id, n, kind, actor from acted where (at, request_id, n) < ($1, $2, $3) \
                 and at > $4 and at < $5 and ($7 = 0 or kind = $7) order by at desc, request_id desc, n desc limit $6"
            )
        };
        let (at, id, n) = filter
            .after
            .map_or((i64::MAX, Uuid::max(), i32::MAX), |(at, id, n)| {
                (at.millis(), id.0, n.cast_signed())
            });
        let statement = Statement::new(sql)
            .bind(at)
            .bind(id)
            .bind(n)
            .bind(filter.since.map_or(i64::MIN, At::millis))
            .bind(filter.until.map_or(i64::MAX, At::millis))
            .bind(i64::from(filter.limit));
        let statement = match &filter.actor {
            Some(actor) => statement.bind(actor.as_str()),
            None => statement,
        };
        let kind = filter.kind.map_or(0, |kind| i16::from(kind.code()));
        self.read(statement.bind(kind)).await?.try_map(act)
    }

    async fn leaves_at(
        &self,
        places: &[(RequestId, u32)],
    ) -> Result<Vec<(RequestId, StoredLeaf)>, StoreError> {
        let sql = sql!([
            "select l.request_id, l.n, l.leaf, l.sealed from unnest($1::uuid[], $2::int4[]) as k(id, n) \
              join ledger l on l.request_id = k.id and l.n = k.n"
                | "select l.request_id, l.n, l.leaf, l.sealed from json_each($1) k \
                cross join ledger l on l.request_id = unhex(k.value ->> 0) and l.n = k.value ->> 1"
        ]);
        let table = Table::of(places)
            .uuid("id", |(id, _)| id.0)
            .integer("n", |(_, n)| n.cast_signed());
        let rows = self.read(Statement::new(sql).bind(table)).await?;
        rows.map(|(id, n, leaf, sealed): (Uuid, i32, Vec<u8>, Option<Vec<u8>>)| {
            let n = n.cast_unsigned();
            (RequestId(id), StoredLeaf { n, leaf, sealed })
        })
    }

    async fn ledger_size(&self) -> Result<u64, StoreError> {
        let sql = sql!("select coalesce(sum(n), 0)" ["::int8" | ""] " from counter where kind = $1");
        let (n,): (i64,) = self
            .glance(Statement::new(sql).bind(LEDGER_LEAVES))
            .await?
            .one()?;
        Ok(u64::try_from(n).unwrap_or(0))
    }
}

#[async_trait]
impl<S: Session> LedgerTransaction for S {
    async fn leaf_counts(&mut self, ids: &[RequestId]) -> Result<Vec<(RequestId, u32)>, StoreError> {
        let sql = sql!([
            "select l.request_id, max(l.n) + 1 from unnest($1::uuid[]) as v(id) \
              join ledger l on l.request_id = v.id group by l.request_id"
                | "select request_id, max(n) + 1 from ledger \
                where request_id in (select unhex(value) from json_each($1)) group by request_id"
        ]);
        let statement = Statement::new(sql).bind(ids);
        let rows = self.fetch(statement).await?;
        rows.map(|(id, n): (Uuid, i32)| (RequestId(id), n.cast_unsigned()))
    }
}

fn act((at, id, n, kind, actor): (i64, Uuid, i32, i16, String)) -> Result<ActRow, StoreError> {
    let known = u8::try_from(kind).ok().and_then(ActKind::from_code);
    let kind = known.ok_or_else(|| StoreError::Unreadable {
        table: "acted",
        detail: format!("{id}: kind {kind}"),
    })?;
    Ok(ActRow {
        place: (At::from_millis(at), RequestId(id), n.cast_unsigned()),
        kind,
        actor,
    })
}

/// Who acts in the leaves of a transaction: most of them have nobody.
pub(super) async fn write_acts(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    let leaves = changes.leaves.iter();
    let mut acts: Vec<(&LeafRow, ActKind, &str)> = leaves
        .filter_map(|leaf| {
            let acted = leaf.acted.as_ref()?;
            Some((leaf, acted.kind, acted.actor.as_str()))
        })
        .collect();
    if acts.is_empty() {
        return Ok(());
    }
    acts.sort_unstable_by_key(|(leaf, ..)| (leaf.request_id, leaf.n));
    let at = changes.at.millis();
    let rows = Table::of(&acts)
        .bigint("at", move |_| at)
        .uuid("request_id", |(leaf, ..)| leaf.request_id.0)
        .integer("n", |(leaf, ..)| leaf.n.cast_signed())
        .smallint("kind", |(_, kind, _)| i16::from(kind.code()))
        .text("actor", |(.., actor)| *actor);
    on.run(Insert::into("acted", rows).into()).await?;
    Ok(())
}
