//! How far partitions have been taken in, and how acks are spread over them. Moving positions on is the adapters' own.

use async_trait::async_trait;

use crate::{
    domain::time::At,
    store::{
        error::StoreError,
        positions::{
            Acceptance, AckWay, Mark, Noted, Position, PositionNote, PositionStore, PositionTransaction, Seen,
        },
        session::{Pool, Session},
        statement::{Insert, Statement, Table, sql},
    },
};

#[async_trait]
impl<S: Pool> PositionStore for S {
    async fn positions(&self, cluster: &str) -> Result<Vec<Position>, StoreError> {
        let sql = sql!(
            "select cluster, topic, part, next_offset, seen_until, incarnation, last_offset, last_at, last_digest, \
         checked_offset, checked_at, checked_digest, stray from position where cluster = $1 order by topic, part"
        );
        let rows = self.read(Statement::new(sql).bind(cluster)).await?;
        rows.try_map(|row: PositionColumns| Ok(row.into_position()?.1))
    }

    async fn positions_elsewhere(&self, cluster: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let sql = sql!(
            "select cluster, topic, part, next_offset, seen_until, incarnation, last_offset, last_at, last_digest, \
         checked_offset, checked_at, checked_digest, stray from position where cluster <> $1 \
             order by cluster, topic, part"
        );
        let rows = self.read(Statement::new(sql).bind(cluster)).await?;
        rows.try_map(PositionColumns::into_position)
    }

    /// They are few, and far between.
    async fn note_positions(&self, notes: &[PositionNote]) -> Result<(), StoreError> {
        for note in notes {
            self.run(noting(note)).await?;
        }
        Ok(())
    }

    async fn seen(&self, seen: &[Seen]) -> Result<(), StoreError> {
        let mut seen: Vec<&Seen> = seen.iter().collect();
        seen.sort_unstable_by(|x, y| {
            (&x.cluster, &x.topic, x.partition, x.at).cmp(&(&y.cluster, &y.topic, y.partition, y.at))
        });
        // A row may be touched once a statement: the last one of a partition is the latest.
        seen.reverse();
        seen.dedup_by(|x, y| (&x.cluster, &x.topic, x.partition) == (&y.cluster, &y.topic, y.partition));
        seen.reverse();
        let table = Table::of(&seen)
            .text("cluster", |seen| &*seen.cluster)
            .text("topic", |seen| &*seen.topic)
            .integer("part", |seen| seen.partition)
            .bigint("next_offset", |seen| seen.next)
            .bigint("seen_until", |seen| seen.at.millis());
        let insert = Insert::into("position as p", table).on_conflict(
            "(cluster, topic, part) do update set seen_until = excluded.seen_until \
                 where p.seen_until < excluded.seen_until",
        );
        self.run(insert.into()).await?;
        Ok(())
    }

    async fn ack_ways(&self, cluster: &str, topic: &str) -> Result<Vec<AckWay>, StoreError> {
        let sql = sql!(
            "select partitions, processor, ways from ack_way where cluster = $1 and topic = $2 order by 1, 2"
        );
        let rows = self.read(Statement::new(sql).bind(cluster).bind(topic)).await?;
        rows.map(|row| ack_way(cluster, topic, row))
    }

    /// It is written when something new has been seen, which is seldom.
    async fn note_ack_ways(&self, ways: &[AckWay]) -> Result<(), StoreError> {
        let mut ways: Vec<&AckWay> = ways.iter().collect();
        ways.sort_unstable_by(|x, y| (x.partitions, &x.processor).cmp(&(y.partitions, &y.processor)));
        let table = Table::of(&ways)
            .text("cluster", |way| &*way.cluster)
            .text("topic", |way| &*way.topic)
            .integer("partitions", |way| way.partitions)
            .text("processor", |way| way.processor.as_str())
            .integer("ways", |way| i32::from(way.ways));
        let insert = Insert::into("ack_way as a", table).on_conflict(
            "(cluster, topic, partitions, processor) do update set ways = a.ways & excluded.ways",
        );
        self.run(insert.into()).await?;
        Ok(())
    }
}

fn noting(note: &PositionNote) -> Statement<'_> {
    let sql = match note.noted {
        Noted::Checked(_) => sql!(
            "update position set checked_offset = $5, checked_at = $6, checked_digest = $7 \
             where cluster = $1 and topic = $2 and part = $3 and incarnation = $4"
        ),
        Noted::Stray(_) => sql!(
            "update position set stray = " ["least(stray, $5)" | "min(coalesce(stray, $5), $5)"]
            " where cluster = $1 and topic = $2 and part = $3 and incarnation = $4"
        ),
        Noted::PassedOver { .. } => sql!(
            "update position set next_offset = $6 \
             where cluster = $1 and topic = $2 and part = $3 and incarnation = $4 and next_offset = $5"
        ),
    };
    let keyed = Statement::new(sql)
        .bind(&*note.cluster)
        .bind(&*note.topic)
        .bind(note.partition)
        .bind(note.incarnation.cast_signed());
    match note.noted {
        Noted::Checked(mark) => keyed
            .bind(mark.offset)
            .bind(mark.at.map(At::millis))
            .bind(mark.digest.to_vec()),
        Noted::Stray(offset) => keyed.bind(offset),
        Noted::PassedOver { from, to } => keyed.bind(from).bind(to),
    }
}

#[async_trait]
impl<S: Session> PositionTransaction for S {
    /// What it remembers of the old log goes, and what was sent has not been seen in the new one.
    async fn accept_position(&mut self, acceptance: &Acceptance) -> Result<(), StoreError> {
        let sql = if acceptance.incarnation.is_some() {
            sql!(
                "update position set next_offset = $5, incarnation = $4, seen_until = 0, last_offset = null, last_at = null, \
                 last_digest = null, checked_offset = null, checked_at = null, checked_digest = null, stray = null \
                 where cluster = $1 and topic = $2 and part = $3 and incarnation = $4 - 1"
            )
        } else {
            sql!(
                "insert into position (cluster, topic, part, incarnation, next_offset, seen_until) \
                 values ($1, $2, $3, $4, $5, 0) on conflict (cluster, topic, part) do nothing"
            )
        };
        let statement = Statement::new(sql)
            .bind(&*acceptance.cluster)
            .bind(&*acceptance.topic)
            .bind(acceptance.partition)
            .bind(acceptance.next_incarnation().cast_signed())
            .bind(acceptance.next_offset);
        match self.run(statement).await? {
            1 => Ok(()),
            _ => Err(StoreError::Conflict),
        }
    }
}

/// One as the store has it. Bits that no version of this program has written say nothing: it can come to any partition.
fn ack_way(cluster: &str, topic: &str, row: (i32, String, i32)) -> AckWay {
    let (partitions, processor, ways) = row;
    AckWay {
        cluster: cluster.into(),
        topic: topic.into(),
        partitions,
        processor,
        ways: u8::try_from(ways).unwrap_or_default(),
    }
}

columns! {
    /// A row of `position`.
    struct PositionColumns {
        cluster: String,
        topic: String,
        part: i32,
        next_offset: i64,
        seen_until: i64,
        incarnation: i32,
        last_offset: Option<i64>,
        last_at: Option<i64>,
        last_digest: Option<Vec<u8>>,
        checked_offset: Option<i64>,
        checked_at: Option<i64>,
        checked_digest: Option<Vec<u8>>,
        stray: Option<i64>,
    }
}

impl PositionColumns {
    /// With its cluster.
    fn into_position(self) -> Result<(String, Position), StoreError> {
        let mark = |offset: Option<i64>, at: Option<i64>, digest: Option<Vec<u8>>| {
            let (Some(offset), Some(digest)) = (offset, digest) else {
                return Ok(None);
            };
            let digest = digest.try_into().map_err(|_| StoreError::Unreadable {
                table: "position",
                detail: format!("{}/{}: a digest of another length", self.topic, self.part),
            })?;
            Ok::<_, StoreError>(Some(Mark {
                offset,
                at: at.map(At::from_millis),
                digest,
            }))
        };
        let last = mark(self.last_offset, self.last_at, self.last_digest)?;
        let checked = mark(self.checked_offset, self.checked_at, self.checked_digest)?;
        let position = Position {
            partition: self.part,
            next_offset: self.next_offset,
            seen_until: At::from_millis(self.seen_until),
            incarnation: self.incarnation.cast_unsigned(),
            last,
            checked,
            stray: self.stray,
            topic: self.topic,
        };
        Ok((self.cluster, position))
    }
}
