//! What goes when it has been kept for long enough: the lines that it waits in, and its deletion.

use async_trait::async_trait;
use uuid::Uuid;

use super::report;
use crate::{
    domain::{identity::SubjectDigest, ids::RequestId, time::At},
    store::{
        changes::Changes,
        error::StoreError,
        retention::{Closing, CompactedKey, LastWord, Line, PurgedRow, RetentionStore, RetentionTransaction},
        session::{Pool, Session},
        statement::{Delete, Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> RetentionStore for S {
    async fn take_last_words(&self, before: At, now: At, limit: u32) -> Result<Vec<LastWord>, StoreError> {
        let sql = sql!(
            "update last_word as w set at = $2 from (select id as taken from last_word where at < $1 \
             order by id limit $3" lock " for update skip locked" ") as v where w.id = v.taken returning id, kind, key"
        );
        let statement = Statement::new(sql)
            .bind(before.millis())
            .bind(now.millis())
            .bind(i64::from(limit));
        let mut rows: Vec<WordColumns> = self.change(statement).await?.all()?;
        rows.sort_by_key(|(id, ..)| *id);
        rows.into_iter().map(last_word).collect()
    }

    async fn last_words_done(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        let delete = Delete::from("last_word", Table::of(ids).uuid("id", |id| *id));
        self.run(delete.into()).await?;
        Ok(())
    }
}

#[async_trait]
impl<S: Session> RetentionTransaction for S {
    async fn closings(&mut self, line: Line, limit: u32) -> Result<Vec<Closing>, StoreError> {
        let sql = match line {
            Line::Lookups => sql!(
                "select at, id, requests from lookups_line order by at, id limit $1" lock " for update skip locked"
            ),
            Line::Records => sql!(
                "select at, id, requests from records_line order by at, id limit $1" lock " for update skip locked"
            ),
        };
        let rows = self.fetch(Statement::new(sql).bind(i64::from(limit))).await?;
        rows.map(|columns| closing(line, columns))
    }
}

/// The digests first: the rows that say which they are may go next.
pub(super) async fn write(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    let purged: Vec<RequestId> = changes.purged.iter().map(|row| row.id).collect();
    let expired = [changes.expired.as_slice(), &purged].concat();
    if !expired.is_empty() {
        delete_lookups(on, &expired).await?;
    }
    if !changes.expired.is_empty() {
        let sql = sql!([
            "update request r set lookups = '', ticket = null from unnest($1::uuid[]) as v(id) where r.id = v.id"
                | "update request set lookups = x'', ticket = null where id in (select unhex(value) from json_each($1))"
        ]);
        on.run(Statement::new(sql).bind(changes.expired.as_slice()))
            .await?;
    }
    if !changes.purged.is_empty() {
        report::count_forgotten(on, &changes.purged).await?;
        delete_states(on, &changes.purged).await?;
        delete_rows(on, &changes.purged).await?;
    }
    for (line, rows) in by_line(&changes.closings_done) {
        leave_line(on, line, &rows).await?;
    }
    for (line, rows) in by_line(&changes.closings) {
        stand_in_line(on, line, &rows).await?;
    }
    insert_words(on, &changes.last_words, changes.at).await
}

async fn delete_lookups(on: &mut impl Session, ids: &[RequestId]) -> Result<(), StoreError> {
    let sql = sql!("select id, lookups from request where id " ids "$1");
    let statement = Statement::new(sql).bind(ids);
    let rows = on.fetch(statement).await?.all()?;
    let found = lookups(rows);
    let keys = Table::of(&found)
        .bytes("digest", |(digest, _)| digest.as_slice())
        .uuid("request_id", |(_, id)| id.0);
    on.run(Delete::from("subject", keys).into()).await?;
    let keys = Table::of(ids).uuid("request_id", |id| id.0);
    on.run(Delete::from("suppression", keys).into()).await?;
    Ok(())
}

/// A row that has another revision than expected is not deleted, and the count tells.
async fn delete_states(on: &mut impl Session, rows: &[PurgedRow]) -> Result<(), StoreError> {
    let keys = Table::of(rows)
        .uuid("id", |row| row.id.0)
        .integer("revision", |row| row.revision.cast_signed());
    let deleted = on.run(Delete::from("state", keys).into()).await?;
    all_of(rows.len(), deleted)
}

async fn delete_rows(on: &mut impl Session, rows: &[PurgedRow]) -> Result<(), StoreError> {
    /// Tables, and the column that names the request.
    const EACH: [(&str, &str); 11] = [
        ("agenda", "request_id"),
        ("deferred", "request_id"),
        ("asked_wave", "request_id"),
        ("undeliverable", "request_id"),
        ("queued", "request_id"),
        ("manual", "request_id"),
        ("poll", "request_id"),
        ("status_callback", "request_id"),
        ("merged", "leader"),
        ("capsule", "request_id"),
        ("outbox", "request_id"),
    ];
    let ids: Vec<RequestId> = rows.iter().map(|row| row.id).collect();
    let named = |column| Table::of(rows).uuid(column, |row| row.id.0);
    on.run(Delete::from("request", named("id")).into()).await?;
    // The commands but the one that gave the request its id: the condition is that of the index.
    let commands = sql!([
        "delete from inbox i using unnest($1::uuid[]) as v(id) where i.request_id = v.id and i.request_id <> i.command_id"
            | "delete from inbox where request_id in (select unhex(value) from json_each($1)) and request_id <> command_id"
    ]);
    on.run(Statement::new(commands).bind(ids.as_slice())).await?;
    for (table, column) in EACH {
        on.run(Delete::from(table, named(column)).into()).await?;
    }
    // The leaves stay as they are; the free text and the references beside them go.
    let leaves = sql!([
        "update ledger l set sealed = null from unnest($1::uuid[]) as v(id) \
          where l.request_id = v.id and l.sealed is not null"
            | "update ledger set sealed = null where request_id in (select unhex(value) from json_each($1)) \
            and sealed is not null"
    ]);
    on.run(Statement::new(leaves).bind(ids.as_slice())).await?;
    let keys = Table::of(rows)
        .text("tenant", |row| row.tenant.as_str())
        .uuid("command_id", |row| row.id.0)
        .uuid("request_id", |row| row.id.0);
    on.run(Delete::from("inbox", keys).into()).await?;
    Ok(())
}

const fn table_of(line: Line) -> &'static str {
    match line {
        Line::Lookups => "lookups_line",
        Line::Records => "records_line",
    }
}

async fn leave_line(on: &mut impl Session, line: Line, rows: &[&Closing]) -> Result<(), StoreError> {
    let keys = Table::of(rows)
        .bigint("at", |row| row.at.millis())
        .uuid("id", |row| row.id);
    let left = on.run(Delete::from(table_of(line), keys).into()).await?;
    all_of(rows.len(), left)
}

async fn stand_in_line(on: &mut impl Session, line: Line, rows: &[&Closing]) -> Result<(), StoreError> {
    let table = Table::of(rows)
        .bigint("at", |row| row.at.millis())
        .uuid("id", |row| row.id)
        .bytes("requests", |row| packed_ids(&row.requests));
    let insert = Insert::into(table_of(line), table);
    on.run(insert.into()).await?;
    Ok(())
}

async fn insert_words(on: &mut impl Session, words: &[LastWord], at: At) -> Result<(), StoreError> {
    if words.is_empty() {
        return Ok(());
    }
    let table = Table::of(words)
        .uuid("id", |word| word.id)
        .bigint("at", |_| at.millis())
        .smallint("kind", |word| key_columns(&word.key).0)
        .bytes("key", |word| key_columns(&word.key).1);
    let insert = Insert::into("last_word", table);
    on.run(insert.into()).await?;
    Ok(())
}

/// Fewer rows than expected: somebody else has changed one.
fn all_of(expected: usize, changed: u64) -> Result<(), StoreError> {
    if changed == expected as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

/// The rows of each line, where it has any.
fn by_line(rows: &[Closing]) -> impl Iterator<Item = (Line, Vec<&Closing>)> {
    [Line::Lookups, Line::Records].into_iter().filter_map(|line| {
        let of_line: Vec<&Closing> = rows.iter().filter(|row| row.line == line).collect();
        (!of_line.is_empty()).then_some((line, of_line))
    })
}

/// Ids one after the other, 16 bytes each.
fn packed_ids(ids: &[RequestId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0.into_bytes()).collect()
}

/// Columns: request id, its digests one after the other.
type LookupColumns = (Uuid, Vec<u8>);

/// The rows of `subject` that these requests have.
fn lookups(rows: Vec<LookupColumns>) -> Vec<(SubjectDigest, RequestId)> {
    let mut keys: Vec<_> = rows
        .iter()
        .flat_map(|(id, digests)| {
            let (digests, _) = digests.as_chunks();
            digests.iter().map(|digest| (*digest, RequestId(*id)))
        })
        .collect();
    keys.sort_unstable();
    keys
}

/// Columns: at, id, requests.
type ClosingColumns = (i64, Uuid, Vec<u8>);

fn closing(line: Line, (at, id, requests): ClosingColumns) -> Closing {
    Closing {
        line,
        at: At::from_millis(at),
        id,
        requests: requests
            .as_chunks()
            .0
            .iter()
            .map(|id| RequestId(Uuid::from_bytes(*id)))
            .collect(),
    }
}

const STATUS: i16 = 0;

const SUPPRESSION: i16 = 1;

/// A key as its columns: kind, bytes.
fn key_columns(key: &CompactedKey) -> (i16, &[u8]) {
    match key {
        CompactedKey::Status(id) => (STATUS, id.0.as_bytes()),
        CompactedKey::Suppression(digest) => (SUPPRESSION, digest),
    }
}

/// Columns: id, kind, key.
type WordColumns = (Uuid, i16, Vec<u8>);

fn last_word((id, kind, key): WordColumns) -> Result<LastWord, StoreError> {
    let of_status = || {
        Uuid::from_slice(&key)
            .ok()
            .map(|id| CompactedKey::Status(RequestId(id)))
    };
    let of_suppression = || key.as_slice().try_into().ok().map(CompactedKey::Suppression);
    let known = match kind {
        STATUS => of_status(),
        SUPPRESSION => of_suppression(),
        _ => None,
    };
    let key = known.ok_or_else(|| StoreError::Unreadable {
        table: "last_word",
        detail: format!("{id}: no key of kind {kind}"),
    })?;
    Ok(LastWord { id, key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::in_order::packed_digests;

    #[test]
    fn keys_are_read_back() {
        let id = Uuid::from_u128(7);
        for key in [
            CompactedKey::Status(RequestId(id)),
            CompactedKey::Suppression([9; 32]),
        ] {
            let (kind, bytes) = key_columns(&key);
            assert_eq!(last_word((id, kind, bytes.to_vec())).unwrap().key, key);
        }
        assert!(last_word((id, STATUS, vec![1; 32])).is_err());
        assert!(last_word((id, 7, vec![1; 32])).is_err());
    }

    #[test]
    fn what_is_packed_is_read_back() {
        let ids: Vec<RequestId> = (1..4).map(|n| RequestId(Uuid::from_u128(n))).collect();
        let read = closing(Line::Records, (5, Uuid::nil(), packed_ids(&ids)));
        assert_eq!(read.requests, ids);
        let packed = packed_digests(&[[2; 16], [1; 16], [2; 16]]);
        let read = lookups(vec![(Uuid::from_u128(1), packed)]);
        assert_eq!(read, [([1; 16], ids[0]), ([2; 16], ids[0])]);
    }
}
