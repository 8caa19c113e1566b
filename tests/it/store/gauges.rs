//! What gauges show: found in few rows, however many there are.

use lacuna::{
    domain::words::{CommandKind, DeadLetterReason},
    store::{
        Changes, DeadLetter, DeadLetterStore as _, OpenLetters, RequestStore as _, postgres::PostgresStore,
    },
};
use sqlx::{Connection, PgConnection, query_scalar};

use super::{
    fixture::{Fixture, Place, on_postgres, options},
    rows::{at, letter, write},
};

/// More than anybody may read for one gauge.
const MANY: i64 = 20_000;

fn alike(reason: DeadLetterReason, kind: Option<CommandKind>, count: u64, oldest: i64) -> OpenLetters {
    OpenLetters {
        reason: reason.as_str().to_owned(),
        kind,
        count,
        oldest: at(oldest),
    }
}

/// They are read again, closed, opened again by hand, and deleted: the count follows.
pub async fn open_letters_are_counted_whatever_way_they_come_and_go(fixture: Fixture) {
    let store = &*fixture.store;
    let of = |n: u128, reason, kind| DeadLetter {
        reason,
        kind,
        ..letter(n, i64::try_from(n).unwrap())
    };
    let (schema, internal) = (DeadLetterReason::Schema, DeadLetterReason::Internal);
    let letters = vec![
        of(1, schema, Some(CommandKind::Erase)),
        of(2, schema, None),
        of(3, schema, Some(CommandKind::Erase)),
        of(4, internal, None),
    ];
    let changes = Changes {
        dead_letters: letters,
        at: at(1),
        ..Changes::default()
    };
    for _ in 0..3 {
        write(store, &changes).await.unwrap();
    }
    let all = [
        alike(internal, None, 1, 4),
        alike(schema, None, 1, 2),
        alike(schema, Some(CommandKind::Erase), 2, 1),
    ];
    assert_eq!(store.open_dead_letters().await.unwrap(), all);
    fixture
        .execute("update dead_letter set state = 2 where at < 3")
        .await;
    let without_the_first = [
        alike(internal, None, 1, 4),
        alike(schema, Some(CommandKind::Erase), 1, 3),
    ];
    assert_eq!(store.open_dead_letters().await.unwrap(), without_the_first);
    fixture
        .execute("update dead_letter set state = 0, note = 'again'")
        .await;
    assert_eq!(store.open_dead_letters().await.unwrap(), all);
    fixture.execute("delete from dead_letter where at <> 4").await;
    assert_eq!(store.open_dead_letters().await.unwrap(), all[..1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oldest_request_and_open_letters_need_no_table_scan() {
    on_postgres(|fixture: Fixture| async move {
        fill(&fixture).await;
        let Place::Postgres(url) = &fixture.place else {
            unreachable!()
        };
        let store = PostgresStore::open(url, &options()).await.unwrap();
        let mut beside = PgConnection::connect(url).await.unwrap();
        let before = rows_read(&mut beside, 0).await;
        for _ in 0..3 {
            assert_eq!(store.oldest_open().await.unwrap(), Some(at(1)));
            let letters = store.open_dead_letters().await.unwrap();
            let counts: Vec<u64> = letters.iter().map(|alike| alike.count).collect();
            assert_eq!(counts, [MANY.cast_unsigned() / 2; 2]);
        }
        // What a connection has read is told when it ends.
        store.close().await;
        let read = rows_read(&mut beside, before.0 + 9).await.1 - before.1;
        assert!(read < 1_000, "{read} rows were read");
        beside.close().await.unwrap();
    })
    .await;
}

async fn fill(fixture: &Fixture) {
    for sql in [
        "insert into agenda (request_id, wake_at, received_at) select gen_random_uuid(), n, n from generate_series(1, {MANY}) n",
        "insert into dead_letter (id, cluster, topic, part, off, reason, detail, at, state) \
         select gen_random_uuid(), 'c', 't', 0, n, case n % 2 when 0 then 'schema' else 'internal' end, 'd', n, 0 \
         from generate_series(1, {MANY}) n",
        "analyze agenda, dead_letter, open_letter",
    ] {
        fixture.execute(&sql.replace("{MANY}", &MANY.to_string())).await;
    }
}

/// How often, and how many rows, have been read of these tables and their indexes, once so many looks are told of.
async fn rows_read(on: &mut PgConnection, looks: i64) -> (i64, i64) {
    let sql = "select (sum(i.scans) + sum(t.seq_scan))::int8, \
                 (sum(t.seq_tup_read) + sum(t.idx_tup_fetch) + sum(i.entries))::int8 \
               from pg_stat_user_tables t cross join lateral ( \
                 select sum(idx_scan) as scans, sum(idx_tup_read) as entries from pg_stat_user_indexes i \
                 where i.relid = t.relid) i \
               where t.schemaname = current_schema() and t.relname in ('agenda', 'dead_letter')";
    let mut seen = (0, 0);
    for _ in 0..600 {
        let _: String = query_scalar("select pg_stat_clear_snapshot()::text")
            .fetch_one(&mut *on)
            .await
            .unwrap();
        seen = sqlx::query_as(sql).fetch_one(&mut *on).await.unwrap();
        if seen.0 >= looks {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(seen.0 >= looks, "the looks were never told of: {seen:?}");
    seen
}
