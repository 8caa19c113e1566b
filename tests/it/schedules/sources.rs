//! Topics of upstreams, with whatever may come between reading an event and storing its offset: an event is the same command
//! whoever reads it, and however often.

mod registry;

use std::sync::Arc;

use async_trait::async_trait;
use lacuna::{
    app,
    config::Config,
    delivery::republish::republish,
    domain::ids::RequestId,
    engine::{
        Engine,
        dead_letters::redriving::{NotPublished, Original, Republish, redrive},
        intake::Verdict,
        prepare::{Arrival, Names as _, PreparedCommand},
    },
    kafka::{
        batch_processor::{Reading, Work as _},
        redriver::mapped,
        sources::Sources,
    },
    store::{DeadLetterFilter, DeadLetterState, Origin},
    transport::event_reader::EventReader,
};
use rdkafka::message::{OwnedMessage, Timestamp};
use serde_json::json;
use tokio::sync::{Barrier, Mutex};
use zeroize::Zeroizing;

use super::{
    faulty::Faulty,
    world::{CANARY, COMMANDS, Sent, World, command_from, id, origin_at},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    crash_between_commit_and_produce_of_an_event,
    crash_before_the_commit_reads_the_same_command_again,
    crash_between_produce_and_offset_of_an_event,
    upstream_that_publishes_everything_again_changes_nothing,
    zombie_reader_of_an_event_changes_nothing,
    two_readers_of_the_same_events_make_one_request_each,
    topic_made_anew_has_other_events_at_its_offsets,
    letter_redriven_twice_at_once_is_one_request,
    letter_that_was_published_and_not_marked_is_the_same_command,
    letter_of_a_tombstone_is_redriven_by_its_key,
);

pub(super) const TOPIC: &str = "shop.accounts";

/// The events of a shop have names of their own.
const NAMED: &str = r#"
[[source]]
name = "shop"
topic = "shop.accounts"
format = "json"
when = { "/type" = "deleted" }
command = { type = "erase", reason = "account_closed", tenant = "acme" }
map = { command_id = "/id", "identity.email" = "/email", "identity.customer_id" = "/customer" }
"#;

/// They have none: their places name them.
fn unnamed() -> String {
    NAMED.replace("command_id = \"/id\", ", "")
}

pub(super) fn reader(sources: &str) -> EventReader {
    let config = Config::read_text("lacuna.toml", std::path::Path::new(""), sources, &|_| None).unwrap();
    let mut topics = app::sources::by_topic(&config).unwrap();
    let (topic, reader) = topics.pop().unwrap();
    assert_eq!((topic.as_str(), topics.len()), (TOPIC, 0));
    reader
}

pub(super) fn stage(engine: &Arc<Engine>, sources: &str) -> Sources {
    Sources::new(Arc::clone(engine), TOPIC, reader(sources))
}

fn event(n: u128) -> String {
    json!({ "type": "deleted", "id": id(n).0, "email": format!("{CANARY}-{n}@example.org"), "customer": format!("{CANARY}-{n}") })
        .to_string()
}

pub(super) fn record(offset: i64, value: &[u8]) -> OwnedMessage {
    record_of(offset, Some(value))
}

/// `None`: a tombstone.
fn record_of(offset: i64, value: Option<&[u8]>) -> OwnedMessage {
    OwnedMessage::new(
        value.map(<[u8]>::to_vec),
        Some(b"key".to_vec()),
        TOPIC.to_owned(),
        Timestamp::NotAvailable,
        0,
        offset,
        None,
    )
}

/// What the stage makes of an event at this place, as its poller hands it on.
fn arrival(engine: &Arc<Engine>, sources: &str, origin: Origin, text: &str) -> Arrival<PreparedCommand> {
    arrival_of(engine, sources, origin, Some(text))
}

fn arrival_of(
    engine: &Arc<Engine>,
    sources: &str,
    origin: Origin,
    text: Option<&str>,
) -> Arrival<PreparedCommand> {
    let stage = stage(engine, sources);
    let record = record_of(origin.offset, text.map(str::as_bytes));
    let Reading::Message(content) = stage.read(&record, origin.incarnation, &engine.tenant_default) else {
        panic!("it is no message");
    };
    Arrival {
        origin: Some(origin),
        content,
        raw: Zeroizing::new(text.unwrap_or_default().as_bytes().to_vec()),
        headers: stage.kept_headers(&record),
        reading: None,
    }
}

fn arrivals(engine: &Arc<Engine>, sources: &str, from: i64) -> Vec<Arrival<PreparedCommand>> {
    let each = (1..=3).zip(from..);
    each.map(|(n, offset)| arrival(engine, sources, origin_at(TOPIC, 0, offset), &event(n)))
        .collect()
}

fn ids(arrivals: &[Arrival<PreparedCommand>]) -> Vec<RequestId> {
    let named = arrivals
        .iter()
        .filter_map(|arrival| arrival.content.as_ref().ok());
    named.filter_map(|command| command.request_id()).collect()
}

async fn requests(world: &World) -> usize {
    world.fixture.store.page(None, 1_000).await.unwrap().len()
}

async fn crash_between_commit_and_produce_of_an_event(fixture: Fixture) {
    let world = World::new(fixture).await;
    // One is enough: what is republished stands in the order of its ids.
    for (sources, n) in [(NAMED.to_owned(), 1_u32), (unnamed(), 2)] {
        let read = |engine: &Arc<Engine>| {
            vec![arrival(
                engine,
                &sources,
                origin_at(TOPIC, 0, i64::from(n)),
                &event(n.into()),
            )]
        };
        let first = world.worker().await;
        let batch = read(&first);
        let lost = Sent::of(&first.intake().take_in(&batch).await.unwrap().emission);
        assert_eq!(lost.asked(), ["crm", "stats"]);
        drop(first);
        // The next worker reads the same places, which lie before the position: replays.
        let second = world.worker().await;
        let again = read(&second);
        assert_eq!(ids(&again), ids(&batch));
        let origins: Vec<Origin> = again
            .iter()
            .filter_map(|arrival| arrival.origin.clone())
            .collect();
        let republished = republish(&second, &ids(&again), &origins).await.unwrap();
        assert_eq!(Sent::of(&republished), lost, "the same tasks and tokens");
    }
    assert_eq!(requests(&world).await, 2);
    world.check().await;
}

async fn crash_before_the_commit_reads_the_same_command_again(fixture: Fixture) {
    let world = World::new(fixture).await;
    let store = Faulty::over(&world.fixture.store);
    let first = world.worker_over(Arc::clone(&store) as _).await;
    let batch = arrivals(&first, &unnamed(), 0);
    store.faults.commits.store(1, std::sync::atomic::Ordering::SeqCst);
    assert!(first.intake().take_in(&batch).await.unwrap_err().is_outage());
    assert_eq!(requests(&world).await, 0);
    drop(first);
    // A store that has gone back to a backup asks for the same: what lay before its position is read again.
    let second = world.worker().await;
    let again = arrivals(&second, &unnamed(), 0);
    assert_eq!(ids(&again), ids(&batch));
    second.intake().take_in(&again).await.unwrap();
    assert_eq!(requests(&world).await, 3);
    world.check().await;
}

async fn crash_between_produce_and_offset_of_an_event(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    let batch = arrivals(&first, &unnamed(), 0);
    first.intake().take_in(&batch).await.unwrap();
    drop(first);
    // Its offset was never stored, and the position says that it was taken in: nobody takes it in a second time.
    let second = world.worker().await;
    let again = arrivals(&second, &unnamed(), 0);
    assert!(second.intake().take_in(&again).await.unwrap_err().is_fenced());
    assert_eq!(requests(&world).await, 3);
    world.check().await;
}

async fn upstream_that_publishes_everything_again_changes_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let taken = engine
        .intake()
        .take_in(&arrivals(&engine, NAMED, 0))
        .await
        .unwrap();
    assert!(
        taken
            .verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Taken(_)))
    );
    let again = engine
        .intake()
        .take_in(&arrivals(&engine, NAMED, 3))
        .await
        .unwrap();
    assert!(
        again
            .verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Duplicate(_))),
        "{:?}",
        again.verdicts
    );
    assert_eq!(requests(&world).await, 3);
    world.check().await;
}

async fn zombie_reader_of_an_event_changes_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (zombie, worker) = (world.worker().await, world.worker().await);
    // It has read, and stands still while another one is given its partition.
    let held = arrivals(&zombie, &unnamed(), 0);
    worker
        .intake()
        .take_in(&arrivals(&worker, &unnamed(), 0))
        .await
        .unwrap();
    assert!(zombie.intake().take_in(&held).await.unwrap_err().is_fenced());
    assert_eq!(requests(&world).await, 3);
    world.check().await;
}

async fn two_readers_of_the_same_events_make_one_request_each(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, other) = (world.worker().await, world.worker().await);
    let (ones, others) = (arrivals(&one, &unnamed(), 0), arrivals(&other, &unnamed(), 0));
    let (first, second) = tokio::join!(one.intake().take_in(&ones), other.intake().take_in(&others));
    let fenced = [&first, &second]
        .into_iter()
        .filter(|taken| taken.as_ref().is_err_and(lacuna::engine::EngineError::is_fenced));
    assert_eq!(fenced.count(), 1, "{first:?} {second:?}");
    assert_eq!(requests(&world).await, 3);
    world.check().await;
}

async fn topic_made_anew_has_other_events_at_its_offsets(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let anew = Origin {
        incarnation: 1,
        ..origin_at(TOPIC, 0, 0)
    };
    // The very same bytes at the same offset of another log: it is said once more, so it is meant once more.
    let batch = [
        arrival(&engine, &unnamed(), origin_at(TOPIC, 0, 0), &event(1)),
        arrival(&engine, &unnamed(), anew, &event(1)),
    ];
    let ids = ids(&batch);
    assert_ne!(ids[0], ids[1]);
}

/// Publishes into the topic of commands of a test, once as many have asked as it waits for.
#[derive(Debug)]
struct ToCommands {
    reader: EventReader,
    together: Barrier,
    published: Mutex<Vec<String>>,
}

#[async_trait]
impl Republish for ToCommands {
    async fn publish_again(&self, message: &Original) -> Result<String, NotPublished> {
        self.together.wait().await;
        let mapped = mapped(&self.reader, message).await?;
        let mut published = self.published.lock().await;
        published.push(String::from_utf8(mapped.command).unwrap());
        Ok(format!("{COMMANDS}/0/{}", published.len()))
    }
}

/// A letter of an event that could not be mapped.
async fn letter(world: &World, engine: &Arc<Engine>) -> uuid::Uuid {
    let wrong = unnamed().replace("/email", "/e").replace("/customer", "/c");
    letter_of(
        world,
        engine,
        arrival(engine, &wrong, origin_at(TOPIC, 0, 7), &event(1)),
    )
    .await
}

async fn letter_of(world: &World, engine: &Arc<Engine>, refused: Arrival<PreparedCommand>) -> uuid::Uuid {
    let taken = engine.intake().take_in(&[refused]).await.unwrap();
    assert!(
        matches!(taken.verdicts[0], Verdict::Rejected(_)),
        "{:?}",
        taken.verdicts
    );
    let open = DeadLetterFilter {
        open_only: true,
        limit: 10,
        ..DeadLetterFilter::default()
    };
    world.fixture.store.dead_letters(open).await.unwrap()[0].id
}

fn publisher(waits_for: usize) -> ToCommands {
    publisher_of(waits_for, &unnamed())
}

fn publisher_of(waits_for: usize, sources: &str) -> ToCommands {
    ToCommands {
        reader: reader(sources),
        together: Barrier::new(waits_for),
        published: Mutex::default(),
    }
}

async fn take_published(world: &World, engine: &Arc<Engine>, publisher: ToCommands) {
    for text in publisher.published.into_inner() {
        let command = command_from(engine, Some(world.origin(COMMANDS)), &text);
        let taken = engine.intake().take_in(&[command]).await.unwrap();
        assert!(
            matches!(taken.verdicts[0], Verdict::Taken(_) | Verdict::Duplicate(_)),
            "{:?}",
            taken.verdicts
        );
    }
}

async fn letter_redriven_twice_at_once_is_one_request(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let id = letter(&world, &engine).await;
    // Both find it open before either has published it.
    let publisher = publisher(2);
    let store = world.fixture.store.as_ref();
    let (one, other) = tokio::join!(
        redrive(store, &world.vault, &publisher, id, "one"),
        redrive(store, &world.vault, &publisher, id, "other"),
    );
    assert!(
        one.is_ok() != other.is_ok(),
        "one of them was late: {one:?} {other:?}"
    );
    assert_eq!(publisher.published.lock().await.len(), 2);
    take_published(&world, &engine, publisher).await;
    assert_eq!(requests(&world).await, 1);
    world.check().await;
}

async fn letter_that_was_published_and_not_marked_is_the_same_command(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let id = letter(&world, &engine).await;
    let publisher = publisher(1);
    // The worker dies between the two: it is published, and its letter stays open.
    let store = world.fixture.store.as_ref();
    let died = redrive(store, &world.vault, &Dies(&publisher), id, "dies").await;
    assert!(died.is_err());
    let letter = store.dead_letter(id).await.unwrap().unwrap();
    assert_eq!(letter.state, DeadLetterState::Open);
    let again = redrive(store, &world.vault, &publisher, id, "again").await;
    assert_eq!(again.unwrap().letter.state, DeadLetterState::Redriven);
    let published = publisher.published.lock().await.clone();
    assert_eq!((published.len(), &published[0]), (2, &published[1]));
    take_published(&world, &engine, publisher).await;
    assert_eq!(requests(&world).await, 1);
    world.check().await;
}

/// Publishes, and nobody hears that it has.
#[derive(Debug)]
struct Dies<'p>(&'p ToCommands);

#[async_trait]
impl Republish for Dies<'_> {
    async fn publish_again(&self, message: &Original) -> Result<String, NotPublished> {
        self.0.publish_again(message).await?;
        Err(NotPublished::NotNow("the worker has died".to_owned()))
    }
}

async fn letter_of_a_tombstone_is_redriven_by_its_key(fixture: Fixture) {
    const GONE: &str = "[[source]]\nname = \"gone\"\ntopic = \"shop.accounts\"\nformat = \"json\"\ntombstones = \"only\"\n\
                        command = { type = \"erase\", tenant = \"acme\" }\nmap = { \"identity.customer_id\" = \"key:/id\" }\n";
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    // The key is text, and the mapping looks for JSON.
    let refused = arrival_of(&engine, GONE, origin_at(TOPIC, 0, 7), None);
    let id = letter_of(&world, &engine, refused).await;
    let mended = GONE.replace("key:/id", "key:");
    let publisher = publisher_of(1, &mended);
    let store = world.fixture.store.as_ref();
    redrive(store, &world.vault, &publisher, id, "it is mended")
        .await
        .unwrap();
    let published = publisher.published.lock().await[0].clone();
    assert!(
        published.contains(r#"{"type":"customer_id","value":"key"}"#),
        "{published}"
    );
    take_published(&world, &engine, publisher).await;
    assert_eq!(requests(&world).await, 1);
}
