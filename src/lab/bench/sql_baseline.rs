//! The SQL baseline: the least SQL that any durable orchestrator of this kind needs, on the same server, in the same run.
//!
//! Two loops with a connection each, as the worker has: one takes batches of 500 requests in (an insert-only row under a
//! unique idempotency key, a small state row and a ledger row each) and claims them, the other settles them, each request in
//! as many transactions as it has processors, because processors answer at different times, with a ledger row for each
//! answer. There is no agenda, no inbox, no digest of a subject, no counter, no cipher and no Kafka in it: what the worker
//! costs beyond the baseline is what all of that costs.

use rand::SeedableRng as _;
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    query, query_as,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::BenchError;
use crate::{
    clock::{Clock, Stopwatch},
    lab::sim::{Ids, random::Random},
};

/// How many requests a transaction touches.
const BATCH: usize = 500;

/// How many batches are on their way at once, so that the transactions of one lie apart.
const ON_THEIR_WAY: usize = 4;

/// Bytes of a row that is written once: a packed command and its sealed identifiers.
const BODY: usize = 600;

/// Bytes of the state of six packed tasks; each further one adds its share.
const STATE_PER_TASK: usize = 25;

/// Bytes of a ledger row: what one processor said, and the proof of it.
const LEDGER: usize = 100;

const TABLES: &str = "
    create table floor_request (
        id uuid primary key, tenant text not null, command_id uuid not null, received_at bigint not null, body bytea not null,
        unique (tenant, command_id));
    alter table floor_request alter column body set storage external;
    create table floor_state (id uuid primary key, revision integer not null, packed bytea not null)
        with (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.05);
    create table floor_ledger (id uuid not null, n integer not null, packed bytea not null, primary key (id, n));";

/// What it came to.
#[derive(Debug)]
pub(super) struct Baseline {
    /// How many requests.
    pub requests: u64,
    /// In which time.
    pub elapsed: std::time::Duration,
}

/// Takes so many requests through their life.
pub(super) async fn run(url: &str, requests: u64, tasks: u32, ids: Ids) -> Result<Baseline, BenchError> {
    // The same settings as the worker's own connections: new tables have no statistics for the planner to go by.
    let options = url.parse::<PgConnectOptions>()?.options([
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(TABLES.to_owned()))
        .execute(&pool)
        .await?;
    let batches = requests.div_ceil(BATCH as u64);
    let watch = Stopwatch::start();
    let (taken_in, taken) = mpsc::channel(ON_THEIR_WAY);
    let intake = tokio::spawn(take_in(pool.clone(), batches, (tasks, ids), taken_in));
    let settled = settle_all(&pool, tasks, taken).await;
    intake.await.map_err(|_| BenchError::Panicked)??;
    settled?;
    let baseline = Baseline {
        requests: batches * BATCH as u64,
        elapsed: watch.elapsed(),
    };
    pool.close().await;
    Ok(baseline)
}

/// Inserts and claims batch after batch.
async fn take_in(
    pool: PgPool,
    batches: u64,
    (tasks, kind): (u32, Ids),
    taken: mpsc::Sender<Vec<Uuid>>,
) -> Result<(), BenchError> {
    let (clock, mut random) = (Clock::System, Random::seed_from_u64(1));
    let body = vec![7_u8; BODY];
    let state = vec![7_u8; STATE_PER_TASK * tasks as usize];
    let entry = vec![7_u8; LEDGER];
    for _ in 0..batches {
        let now = clock.now();
        // In the order in which the worker writes them.
        let mut ids: Vec<Uuid> = (0..BATCH).map(|_| kind.next(now, &mut random)).collect();
        ids.sort_unstable();
        let mut tx = pool.begin().await?;
        query(
            "insert into floor_request (id, tenant, command_id, received_at, body) \
             select v.id, 'acme', v.id, $2, $3 from unnest($1::uuid[]) as v(id) \
             on conflict (tenant, command_id) do nothing",
        )
        .bind(&ids)
        .bind(now.millis())
        .bind(&body)
        .execute(&mut *tx)
        .await?;
        query("insert into floor_state (id, revision, packed) select v.id, 1, $2 from unnest($1::uuid[]) as v(id)")
            .bind(&ids)
            .bind(&state)
            .execute(&mut *tx)
            .await?;
        query("insert into floor_ledger (id, n, packed) select v.id, 1, $2 from unnest($1::uuid[]) as v(id)")
            .bind(&ids)
            .bind(&entry)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        move_on(&pool, &ids, &state, None).await?;
        if taken.send(ids).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Settles one answer of each request of a batch after the other, going round the batches that are on their way.
async fn settle_all(
    pool: &PgPool,
    tasks: u32,
    mut taken: mpsc::Receiver<Vec<Uuid>>,
) -> Result<(), BenchError> {
    let state = vec![9_u8; STATE_PER_TASK * tasks as usize];
    let proof = vec![9_u8; LEDGER];
    let mut on_their_way: Vec<(Vec<Uuid>, u32)> = Vec::new();
    loop {
        while on_their_way.len() < ON_THEIR_WAY {
            let next = if on_their_way.is_empty() {
                taken.recv().await
            } else {
                taken.try_recv().ok()
            };
            match next {
                Some(ids) => on_their_way.push((ids, tasks)),
                None => break,
            }
        }
        if on_their_way.is_empty() {
            return Ok(());
        }
        for (ids, left) in &mut on_their_way {
            move_on(pool, ids, &state, Some(&proof)).await?;
            *left -= 1;
        }
        on_their_way.retain(|(_, left)| *left > 0);
    }
}

/// Reads a batch's states and writes them back, each at the revision that was read; what proves it goes to the ledger.
async fn move_on(pool: &PgPool, ids: &[Uuid], packed: &[u8], proof: Option<&[u8]>) -> Result<(), BenchError> {
    let mut tx = pool.begin().await?;
    let rows: Vec<(Uuid, i32, Vec<u8>)> =
        query_as("select s.id, s.revision, s.packed from floor_state s join unnest($1::uuid[]) as v(id) on v.id = s.id")
            .bind(ids)
            .fetch_all(&mut *tx)
            .await?;
    let (ids, revisions): (Vec<Uuid>, Vec<i32>) =
        rows.iter().map(|(id, revision, _)| (*id, *revision)).unzip();
    let states = vec![packed; ids.len()];
    let done = query(
        "update floor_state s set revision = v.revision + 1, packed = v.packed \
         from unnest($1::uuid[], $2::int4[], $3::bytea[]) as v(id, revision, packed) \
         where s.id = v.id and s.revision = v.revision",
    )
    .bind(&ids)
    .bind(&revisions)
    .bind(states)
    .execute(&mut *tx)
    .await?;
    if let Some(proof) = proof {
        query(
            "insert into floor_ledger (id, n, packed) \
             select v.id, v.revision, $3 from unnest($1::uuid[], $2::int4[]) as v(id, revision)",
        )
        .bind(&ids)
        .bind(&revisions)
        .bind(proof)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    if done.rows_affected() == ids.len() as u64 {
        Ok(())
    } else {
        Err(BenchError::Usage("the baseline lost a race against itself"))
    }
}
