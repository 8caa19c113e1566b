//! Sweeps: how far each has come, and the lists of requests that they walk.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{
        fact::{FactKind, FactVersion},
        ids::{ProcessorId, RequestId},
        time::At,
        words::Why,
    },
    store::{
        error::StoreError,
        session::{Pool, Session},
        statement::{Column, Statement, Text, sql},
        sweeps::{Concerned, Place, Sweep, SweepStore, SweepTransaction},
    },
};

#[async_trait]
impl<S: Pool> SweepStore for S {
    async fn sweeps(&self, unfinished: bool, limit: u32) -> Result<Vec<Sweep>, StoreError> {
        // Two texts, so that the index of those that go on serves the list that is asked for all the time.
        let sql = if unfinished {
            sql!(
                "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
                 from sweep where finished_at is null order by version desc limit $1"
            )
        } else {
            sql!(
                "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
                 from sweep order by version desc limit $1"
            )
        };
        let rows = self.read(Statement::new(sql).bind(i64::from(limit))).await?;
        rows.try_map(SweepColumns::into_sweep)
    }
}

#[async_trait]
impl<S: Session> SweepTransaction for S {
    /// What another worker has taken is passed over. It holds the row until its batch is committed.
    async fn next_sweep(&mut self, passed_over: &[FactVersion]) -> Result<Option<Sweep>, StoreError> {
        let sql = sql!(
            "select version, kind, started_at, updated_at, finished_at, done, total, stage, after_mark, after_id \
             from sweep where finished_at is null and version "
            none "$1"
            " order by version limit 1" lock " for no key update skip locked"
        );
        let versions = passed_over.iter().map(|version| version.cast_signed());
        let statement = Statement::new(sql).bind(Column::Integer(versions.collect()));
        let row = self.fetch(statement).await?.first()?;
        row.map(SweepColumns::into_sweep).transpose()
    }

    async fn move_sweep(&mut self, sweep: &Sweep) -> Result<(), StoreError> {
        let sql = sql!(
            "update sweep set updated_at = $2, finished_at = $3, done = $4, total = $5, stage = $6, \
             after_mark = $7, after_id = $8 where version = $1"
        );
        let statement = Statement::new(sql)
            .bind(sweep.version.cast_signed())
            .bind(sweep.updated_at.millis())
            .bind(sweep.finished_at.map(At::millis))
            .bind(sweep.done.cast_signed())
            .bind(sweep.total.map(u64::cast_signed))
            .bind(i32::from(sweep.stage))
            .bind(sweep.after.map(|(mark, _)| mark))
            .bind(sweep.after.map(|(_, id)| id.0));
        match self.run(statement).await? {
            1 => Ok(()),
            _ => Err(StoreError::Conflict),
        }
    }

    async fn concerned(
        &mut self,
        of: &Concerned,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Place>, StoreError> {
        let (mark, id) = place(after);
        let rows = self.fetch(list(of, mark, id).bind(i64::from(limit))).await?;
        rows.map(|(mark, id)| (mark, RequestId(id)))
    }
}

/// A list after a place; its limit is the last value. In PostgreSQL `distinct on` keeps the order of the index that it
/// reads, where `distinct` may gather a whole list first.
fn list(of: &Concerned, mark: i64, id: Uuid) -> Statement<'_> {
    match of {
        Concerned::Open => Statement::new(sql!(
            "select " ["0::int8" | "0"] ", request_id from agenda where request_id > $1 order by request_id limit $2"
        ))
        .bind(id),
        Concerned::All => Statement::new(sql!(
            "select " ["0::int8" | "0"] ", id from state where id > $1 order by id limit $2"
        ))
        .bind(id),
        // The reason is in the text, because only then the index of what is held serves: see the test `the_numbers_of_reasons`.
        Concerned::Held => Statement::new(sql!(
            "select " ["distinct on (request_id) 0::int8" | "distinct 0"] ", request_id from deferred \
             where reason = 7 and request_id > $1 order by request_id limit $2"
        ))
        .bind(id),
        Concerned::Queued(lanes) => Statement::new(sql!(
            "select distinct " ["0::int8" | "0"] ", request_id from queued where request_id > $1 and processor "
            ["= any($2::text[])" | "in (select value from json_each($2))"] " order by request_id limit $3"
        ))
        .bind(id)
        .bind(Column::texts(lanes.iter().map(ProcessorId::as_str))),
        Concerned::Deferred {
            reason,
            processor,
            up_to,
        } => Statement::new(deferred(*reason))
            .bind(i16::from(reason.code()))
            .bind(processor.as_str())
            .bind(up_to.millis())
            .bind(mark)
            .bind(id),
        Concerned::Asked { processor, up_to } => Statement::new(sql!(
            "select " ["distinct on (mark, request_id)" | "distinct"] " mark, request_id from asked_wave \
             where processor = $1 and mark <= $2 and (mark, request_id) > ($3, $4) \
             order by mark, request_id limit $5"
        ))
        .bind(processor.as_str())
        .bind(up_to.millis())
        .bind(mark)
        .bind(id),
        Concerned::Capsules { from } => {
            let from = from.cast_signed();
            let (week, id) = if mark < i64::from(from) {
                (from, Uuid::nil())
            } else {
                (i32::try_from(mark).unwrap_or(i32::MAX), id)
            };
            Statement::new(sql!(
                "select week" ["::int8" | ""] ", request_id from capsule where (week, request_id) > ($1, $2) \
                 order by week, request_id limit $3"
            ))
            .bind(week)
            .bind(id)
        }
    }
}

/// The list of what is deferred for a reason at a processor.
fn deferred(reason: Why) -> Text {
    // See the test `the_numbers_of_reasons` for the 8. The index knows marks and no ids, so the batch's last mark
    // is found first: whatever the planner believes, no more is sorted than what lies before it.
    let rotations = sql!([
        "select distinct on (mark, request_id) mark, request_id from deferred \
          where reason = 8 and reason = $1 and processor = (select number from processor_number where name = $2) and mark >= $4 \
          and mark <= coalesce((select d.mark from deferred d where d.reason = 8 \
            and d.processor = (select number from processor_number where name = $2) and d.mark >= $4 and d.mark <= $3 \
            and (d.mark, d.request_id) > ($4, $5) order by d.mark offset $6 - 1 limit 1), $3) \
          and (mark, request_id) > ($4, $5) order by mark, request_id limit $6"
            | "select distinct mark, request_id from deferred \
            where reason = $1 and processor = $2 and mark <= $3 and (mark, request_id) > ($4, $5) \
            order by mark, request_id limit $6"
    ]);
    // The mark of anything else that has a processor's date is that date.
    let others = sql!([
        "select distinct on (until, request_id) until, request_id from deferred \
          where reason = $1 and processor = (select number from processor_number where name = $2) and until <= $3 \
          and (until, request_id) > ($4, $5) order by until, request_id limit $6"
            | "select distinct mark, request_id from deferred \
            where reason = $1 and processor = $2 and mark <= $3 and (mark, request_id) > ($4, $5) \
            order by mark, request_id limit $6"
    ]);
    if reason == Why::BackupRotation {
        rotations
    } else {
        others
    }
}

/// Before every place: no request has the nil id.
fn place(after: Option<Place>) -> (i64, Uuid) {
    after.map_or((i64::MIN, Uuid::nil()), |(mark, id)| (mark, id.0))
}

columns! {
    /// A row of `sweep`.
    struct SweepColumns {
        version: i32,
        kind: i16,
        started_at: i64,
        updated_at: i64,
        finished_at: Option<i64>,
        done: i64,
        total: Option<i64>,
        stage: i32,
        after_mark: Option<i64>,
        after_id: Option<Uuid>,
    }
}

impl SweepColumns {
    fn into_sweep(self) -> Result<Sweep, StoreError> {
        let unreadable = |detail| StoreError::Unreadable {
            table: "sweep",
            detail: format!("version {}: {detail}", self.version),
        };
        let kind = u8::try_from(self.kind).ok().and_then(FactKind::from_code);
        Ok(Sweep {
            version: self.version.cast_unsigned(),
            kind: kind.ok_or_else(|| unreadable(format!("kind {}", self.kind)))?,
            started_at: At::from_millis(self.started_at),
            updated_at: At::from_millis(self.updated_at),
            finished_at: self.finished_at.map(At::from_millis),
            done: self.done.cast_unsigned(),
            total: self.total.map(i64::cast_unsigned),
            stage: u16::try_from(self.stage).map_err(|_| unreadable(format!("stage {}", self.stage)))?,
            after: self
                .after_mark
                .zip(self.after_id)
                .map(|(mark, id)| (mark, RequestId(id))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_reasons() {
        // Migrations and statements say the numbers: an index over some rows serves only what names them literally.
        assert_eq!((Why::Hold.code(), Why::BackupRotation.code()), (7, 8));
    }
}
