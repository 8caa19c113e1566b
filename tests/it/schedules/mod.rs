//! What may come between two steps, each schedule named for its fault. The engine is driven directly, with messages at
//! offsets of the test's choosing and a clock that moves by hand, over both stores.

/// Makes two tests of each schedule: one a store.
macro_rules! on_both_stores {
    ($($case:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::store::fixture::on_postgres(super::$case).await;
            })+
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::store::fixture::on_sqlite(super::$case).await;
            })+
        }
    };
}

mod attested;
mod backups;
mod bulk;
mod claims;
mod clocks;
pub mod control;
mod crashes;
mod dead_letters;
mod doubted;
mod duplicates;
mod early;
mod expiry;
mod facts_compacted;
pub mod faulty;
mod forgetting;
mod histories;
mod identifying;
mod lane_runner;
mod logs;
mod manual;
mod missing;
mod panics;
mod people;
mod placeholders;
mod poison;
mod provided;
mod queues;
mod refusals;
mod refusing;
mod registry;
mod relay;
mod same_person;
mod shared_ids;
mod sources;
mod stops;
mod succession;
mod suppressing;
mod transport;
mod undeliverable;
mod unsent;
mod volume;
pub mod world;
