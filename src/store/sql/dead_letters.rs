//! Messages that could not be taken in, and how much is kept of them: payloads go by age, and rows of a topic by number.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
    store::{
        dead_letters::{
            DeadLetter, DeadLetterFilter, DeadLetterState, DeadLetterStore, DeadLetterTransaction,
            DroppedLetters, LettersOfTopic, OpenLetters,
        },
        error::StoreError,
        origin::Origin,
        port::Transactions,
        session::{Dialect, Pool, Session},
        statement::{Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool + Transactions> DeadLetterStore for S {
    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        // Two texts, so that the index of open ones serves the list that people look at.
        let sql = if filter.open_only {
            sql!(
                "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, case when $3 then sealed end as sealed, \
                 case when $3 then headers end as headers, ids from dead_letter \
                 where state = 0 and id > $1 order by id limit $2"
            )
        } else {
            sql!(
                "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, case when $3 then sealed end as sealed, \
                 case when $3 then headers end as headers, ids from dead_letter \
                 where id > $1 order by id limit $2"
            )
        };
        let statement = Statement::new(sql)
            .bind(filter.after.unwrap_or(Uuid::nil()))
            .bind(i64::from(filter.limit))
            .bind(filter.with_payload);
        self.read(statement).await?.try_map(LetterColumns::into_letter)
    }

    async fn dead_letter(&self, id: Uuid) -> Result<Option<DeadLetter>, StoreError> {
        let sql = sql!(
            "select id, cluster, topic, part, off, incarnation, reason, detail, kind, at, state, sealed, headers, ids \
             from dead_letter where id = $1"
        );
        let row = self.read(Statement::new(sql).bind(id)).await?.first()?;
        row.map(LetterColumns::into_letter).transpose()
    }

    /// The counts are kept by the table itself, and each oldest one is the first of its range of an index.
    async fn open_dead_letters(&self) -> Result<Vec<OpenLetters>, StoreError> {
        let sql = sql!(["select c.reason, nullif(c.kind, ''), c.n, first.at \
              from (select reason, kind, sum(n)::int8 as n from open_letter group by reason, kind) as c \
              cross join lateral ( \
                select d.at from dead_letter d \
                where d.state = 0 and d.reason = c.reason and coalesce(d.kind, '') = c.kind order by d.at limit 1) as first \
              where c.n > 0 order by c.reason, c.kind"
            | "select reason, nullif(kind, ''), n, oldest from ( \
                  select c.reason, c.kind, c.n, ( \
                    select d.at from dead_letter d indexed by dead_letter_open_at \
                    where d.state = 0 and d.reason = c.reason and coalesce(d.kind, '') = c.kind order by d.at limit 1) as oldest \
                  from open_letter c where c.n > 0) \
                where oldest is not null order by reason, kind"]);
        self.glance(Statement::new(sql)).await?.map(open_letters)
    }

    async fn close_dead_letter(
        &self,
        id: Uuid,
        how: DeadLetterState,
        note: &str,
        at: At,
    ) -> Result<bool, StoreError> {
        // What it asked for has been decided about: its bytes are needed by nobody any more.
        let sql = sql!(
            "update dead_letter set state = $2, note = $3, closed_at = $4, sealed = null, headers = null, \
             size = null where id = $1 and state = 0"
        );
        let statement = Statement::new(sql)
            .bind(id)
            .bind(letter_code(how))
            .bind(note)
            .bind(at.millis());
        Ok(self.run(statement).await? == 1)
    }

    /// Both halves are read from indexes that hold nothing else, and neither is long: that is what they are read for.
    async fn letters_by_topic(&self) -> Result<Vec<LettersOfTopic>, StoreError> {
        let sql = sql!(
            "select topic, " ["sum(bytes)::int8, sum(open)::int8" | "sum(bytes), sum(open)"] " from ( \
               select topic, sum(size) as bytes, 0 as open from dead_letter where size is not null group by topic \
               union all \
               select topic, 0, count(*) from dead_letter \
               where state = 0 and (kind is null or kind not in ('erase', 'anonymize')) group by topic) v \
             group by topic order by topic"
        );
        self.read(Statement::new(sql)).await?.map(letters_of_topic)
    }

    async fn forget_letters(&self, before: At, limit: u32) -> Result<u64, StoreError> {
        let sql = sql!(
            "update dead_letter set sealed = null, headers = null, size = null where id in ( \
               select id from dead_letter where size is not null and at < $1 \
               and (state <> 0 or kind is null or kind not in ('erase', 'anonymize')) \
               order by at limit $2" lock " for update skip locked" ")"
        );
        self.run(Statement::new(sql).bind(before.millis()).bind(i64::from(limit)))
            .await
    }

    async fn drop_letters(&self, topic: &str, limit: u32) -> Result<u64, StoreError> {
        let sql = sql!(["with gone as (delete from dead_letter where id in ( \
                select id from dead_letter where topic = $1 and state = 0 and (kind is null or kind not in ('erase', 'anonymize')) \
                order by id limit $2 for update skip locked) returning topic, reason, at), \
              noted as (insert into dead_letter_dropped as d (topic, reason, count, since, until) \
                select topic, reason, count(*), min(at), max(at) from gone group by topic, reason order by reason \
                on conflict (topic, reason) do update set count = d.count + excluded.count, \
                since = least(d.since, excluded.since), until = greatest(d.until, excluded.until)) \
              select count(*) from gone"
            | "delete from dead_letter where id in ( \
                  select id from dead_letter where topic = $1 and state = 0 and (kind is null or kind not in ('erase', 'anonymize')) \
                  order by id limit $2) returning reason, at"]);
        let statement = Statement::new(sql).bind(topic).bind(i64::from(limit));
        if self.dialect() == Dialect::Postgres {
            let (gone,): (i64,) = self.change(statement).await?.one()?;
            return Ok(gone.cast_unsigned());
        }
        // SQLite changes one table a statement.
        let mut tx = self.begin("drop_letters").await?;
        let gone: Vec<(String, i64)> = tx.fetch(statement).await?.all()?;
        for (reason, at) in &gone {
            let sql = sql!(
                "insert into dead_letter_dropped as d (topic, reason, count, since, until) values ($1, $2, 1, $3, $3) \
                 on conflict (topic, reason) do update set count = d.count + 1, \
                 since = min(d.since, excluded.since), until = max(d.until, excluded.until)"
            );
            let counted = Statement::new(sql).bind(topic).bind(reason.as_str()).bind(*at);
            tx.run(counted).await?;
        }
        tx.commit().await?;
        Ok(gone.len() as u64)
    }

    async fn dropped_letters(&self) -> Result<Vec<DroppedLetters>, StoreError> {
        let sql =
            sql!("select topic, reason, count, since, until from dead_letter_dropped order by topic, reason");
        self.read(Statement::new(sql)).await?.map(dropped_letters)
    }
}

#[async_trait]
impl<S: Session> DeadLetterTransaction for S {
    async fn dead_letters_of(&mut self, from: &[Origin]) -> Result<Vec<DeadLetter>, StoreError> {
        let sql = sql!(
            "select d.id, d.cluster, d.topic, d.part, d.off, d.incarnation, d.reason, d.detail, d.kind, d.at, d.state, d.sealed, d.headers, d.ids from "
                ["unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int4[]) as o(cluster, topic, part, off, incarnation) \
              join dead_letter d on d.cluster = o.cluster and d.topic = o.topic and d.part = o.part and d.off = o.off \
              and d.incarnation = o.incarnation"
                    | "json_each($1) o cross join dead_letter d on d.cluster = o.value ->> 0 \
                and d.topic = o.value ->> 1 and d.part = o.value ->> 2 and d.off = o.value ->> 3 \
                and d.incarnation = o.value ->> 4"]
        );
        let rows = self
            .fetch(Statement::new(sql).bind(origins(Table::of(from), |origin| origin)))
            .await?;
        rows.try_map(LetterColumns::into_letter)
    }
}

/// The same message brings the same dead letter, however often it is read.
pub(super) async fn insert(on: &mut impl Session, letters: &[DeadLetter]) -> Result<(), StoreError> {
    if letters.is_empty() {
        return Ok(());
    }
    let mut letters: Vec<&DeadLetter> = letters.iter().collect();
    letters.sort_unstable_by(|x, y| x.origin.cmp(&y.origin));
    let table = origins(Table::of(&letters), |letter| &letter.origin)
        .uuid("id", |letter| letter.id)
        .text("reason", |letter| letter.reason.as_str())
        .text("detail", |letter| letter.detail.as_str())
        .maybe_text("kind", |letter| letter.kind.map(CommandKind::as_str))
        .bigint("at", |letter| letter.at.millis())
        .smallint("state", |letter| letter_code(letter.state))
        .maybe_bytes("sealed", |letter| kept_bytes(letter).0)
        .maybe_bytes("headers", |letter| kept_bytes(letter).1)
        .maybe_bytes("ids", |letter| packed_letter_ids(letter))
        .maybe_bigint("size", |letter| kept_size(letter));
    let insert =
        Insert::into("dead_letter", table).on_conflict("(cluster, topic, part, off, incarnation) do nothing");
    on.run(insert.into()).await?;
    Ok(())
}

/// Adds where rows came from: cluster, topic, partition, offset, and which log.
pub(super) fn origins<'q, T>(rows: Table<'q, T>, of: impl Fn(&'q T) -> &'q Origin) -> Table<'q, T> {
    rows.text("cluster", |row| &*of(row).cluster)
        .text("topic", |row| &*of(row).topic)
        .integer("part", |row| of(row).partition)
        .bigint("off", |row| of(row).offset)
        .integer("incarnation", |row| of(row).incarnation.cast_signed())
}

const fn letter_code(state: DeadLetterState) -> i16 {
    match state {
        DeadLetterState::Open => 0,
        DeadLetterState::Redriven => 1,
        DeadLetterState::Closed => 2,
    }
}

fn letter_state(code: i16) -> Option<DeadLetterState> {
    match code {
        0 => Some(DeadLetterState::Open),
        1 => Some(DeadLetterState::Redriven),
        2 => Some(DeadLetterState::Closed),
        _ => None,
    }
}

/// A word that only a later version knows says as little as none.
fn command_kind(text: Option<&str>) -> Option<CommandKind> {
    text.and_then(CommandKind::parse)
}

/// Columns: reason, kind, how many, the oldest.
type OpenLettersColumns = (String, Option<String>, i64, i64);

fn open_letters((reason, kind, count, oldest): OpenLettersColumns) -> OpenLetters {
    OpenLetters {
        reason,
        kind: command_kind(kind.as_deref()),
        count: count.cast_unsigned(),
        oldest: At::from_millis(oldest),
    }
}

/// How many bytes a row keeps of a letter; `None`: none.
fn kept_size(letter: &DeadLetter) -> Option<i64> {
    let sealed = letter.sealed.as_ref().filter(|_| letter.kept)?;
    let size = sealed.len() + letter.headers.as_ref().map_or(0, Vec::len);
    Some(i64::try_from(size).unwrap_or(i64::MAX))
}

/// What a row keeps of a letter's bytes.
fn kept_bytes(letter: &DeadLetter) -> (Option<&[u8]>, Option<&[u8]>) {
    if letter.kept {
        (letter.sealed.as_deref(), letter.headers.as_deref())
    } else {
        (None, None)
    }
}

/// Ids one after the other; `None`: there are none.
fn packed_letter_ids(letter: &DeadLetter) -> Option<Vec<u8>> {
    (!letter.ids.is_empty()).then(|| letter.ids.iter().flat_map(|id| id.into_bytes()).collect())
}

/// Columns: topic, bytes, open ones.
type LettersOfTopicColumns = (String, i64, i64);

fn letters_of_topic((topic, bytes, open): LettersOfTopicColumns) -> LettersOfTopic {
    LettersOfTopic {
        topic,
        bytes: bytes.cast_unsigned(),
        open: open.cast_unsigned(),
    }
}

/// Columns: topic, reason, how many, the first, the last.
type DroppedColumns = (String, String, i64, i64, i64);

fn dropped_letters((topic, reason, count, since, until): DroppedColumns) -> DroppedLetters {
    DroppedLetters {
        topic,
        reason,
        count: count.cast_unsigned(),
        since: At::from_millis(since),
        until: At::from_millis(until),
    }
}

columns! {
    /// A row of `dead_letter`.
    struct LetterColumns {
        id: Uuid,
        cluster: String,
        topic: String,
        part: i32,
        off: i64,
        incarnation: i32,
        reason: String,
        detail: String,
        kind: Option<String>,
        at: i64,
        state: i16,
        sealed: Option<Vec<u8>>,
        headers: Option<Vec<u8>>,
        ids: Option<Vec<u8>>,
    }
}

impl LetterColumns {
    fn into_letter(self) -> Result<DeadLetter, StoreError> {
        let state = letter_state(self.state).ok_or_else(|| StoreError::Unreadable {
            table: "dead_letter",
            detail: format!("{}: state {}", self.id, self.state),
        })?;
        Ok(DeadLetter {
            id: self.id,
            reason: DeadLetterReason::parse(&self.reason).ok_or_else(|| StoreError::Unreadable {
                table: "dead_letter",
                detail: format!("{}: an unknown reason", self.id),
            })?,
            detail: self.detail,
            kind: command_kind(self.kind.as_deref()),
            origin: Origin {
                cluster: self.cluster.into(),
                topic: self.topic.into(),
                partition: self.part,
                offset: self.off,
                incarnation: self.incarnation.cast_unsigned(),
            },
            at: At::from_millis(self.at),
            state,
            kept: self.sealed.is_some(),
            sealed: self.sealed,
            headers: self.headers,
            ids: self
                .ids
                .unwrap_or_default()
                .as_chunks()
                .0
                .iter()
                .map(|id| Uuid::from_bytes(*id))
                .collect(),
        })
    }
}
