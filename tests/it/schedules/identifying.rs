//! Whose request it is: spellings of one identifier, strangers who have none, and what earlier versions have written.

use lacuna::{
    domain::{
        fact::Fact,
        hold::Hold,
        identity::{FormerDigest, Identity, SubjectData},
        ids::{HoldId, IdentityType, Tenant},
        words::HoldBasis,
    },
    engine::Engine,
    store::{Changes, Gate, NewFact},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{Sent, World, erase, id, start};
use crate::store::fixture::Fixture;

on_both_stores!(
    strangers_whose_numbers_have_no_ascii_digits_are_two_people,
    an_address_in_another_spelling_is_suppressed_and_merged,
    what_is_sent_is_what_the_command_gave,
    first_recipe_rows_suppress_merge_and_return,
    rows_of_the_first_recipe_join_no_strangers,
    a_hold_of_the_first_recipe_covers_a_new_command,
);

pub(super) fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

pub(super) fn identity(kind: &str, value: &str) -> Identity {
    Identity {
        kind: IdentityType::new(kind).unwrap(),
        value: SubjectData::new(value),
    }
}

pub(super) const REGISTRY: &str = r#"
[[processor]]
id = "telecom"
kind = "telecom"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["phone", "email"]
provides = ["device_id"]
[[processor]]
id = "ads"
kind = "advertising"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["device_id"]
after = ["telecom"]
"#;

pub(super) async fn world_of(fixture: Fixture) -> World {
    World::with_registry(fixture, REGISTRY).await
}

/// The n-th request, of somebody with this identifier only.
pub(super) fn erase_of(n: u128, kind: &str, value: &str) -> Value {
    let mut command = erase(n);
    command["subject"] = json!({ "identities": [{ "type": kind, "value": value }] });
    command
}

pub(super) fn later(mut command: Value) -> Value {
    command["not_before"] = json!("2026-11-26T12:00:00Z");
    command
}

async fn is_suppressed(engine: &Engine, kind: &str, value: &str) -> bool {
    let asked = [identity(kind, value)];
    engine.suppressed_since(&acme(), &asked).await.unwrap() != [None]
}

pub(super) fn is_merged(sent: &Sent) -> bool {
    sent.status()["status"] == "merged"
}

async fn strangers_whose_numbers_have_no_ascii_digits_are_two_people(fixture: Fixture) {
    let pairs = [
        ("０９０-１２３４-５６７８", "０８０-９９８８-７７６６", false),
        ("٠٥٠١٢٣٤٥٦٧", "٠٥٥٩٨٧٦٥٤٣", false),
        ("+49 30 901830 ext. 12", "+49 30 901830 ext. 99", false),
        ("12-34", "1234", false),
        ("030 901820", "+49 30 901820", false),
        ("+966501234567", "+٩٦٦٥٠١٢٣٤٥٦٧", true),
        ("+49 30 901830 ext. 12", "0049 (30) 901830 x12", true),
    ];
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    for (n, (first, second, same)) in (1..).zip(pairs) {
        // Each pair in a tenant of its own: what one is says nothing of the next.
        let tenant = format!("t{n}");
        let of = |n: u128, value: &str| {
            let mut command = erase_of(n, "phone", value);
            command["tenant"] = json!(tenant);
            command
        };
        world.take_in(&engine, &of(2 * n, first)).await;
        let (_, sent) = world.take_in(&engine, &of(2 * n + 1, second)).await;
        assert_eq!(is_merged(&sent), same, "{first} {second}");
        if !same {
            assert_eq!(sent.task("telecom")["identities"][0]["value"], second);
        }
        let tenant = Tenant::new(&tenant).unwrap();
        let found = engine
            .requests_of(&[tenant], &identity("phone", second), 9)
            .await
            .unwrap();
        assert_eq!(found.len(), if same { 2 } else { 1 }, "{first} {second}");
    }
}

/// The one that is erased, and the one that an import brings.
const MAILBOXES: [(&str, &str); 7] = [
    ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    ("ann@bücher.example", "ann@bu\u{308}cher.example"),
    ("jörg@example.org", "jo\u{308}rg@example.org"),
    ("ann@example.org", "ann@\u{ff45}xample.org"),
    ("ann@example.org", "ann@example.org."),
    ("ann@example.org", "\u{200b}ann@example.org"),
    ("ann@example.org", "\u{feff}ann@example.org"),
];

async fn an_address_in_another_spelling_is_suppressed_and_merged(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    let both = MAILBOXES.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]);
    for (n, (erased, imported)) in (1..).zip(both) {
        let tenant = Tenant::new(&format!("t{n}")).unwrap();
        let of = |n: u128, value: &str| {
            let mut command = erase_of(n, "email", value);
            command["tenant"] = json!(tenant);
            command
        };
        world.take_in(&engine, &of(2 * n, erased)).await;
        let asked = [identity("email", imported), identity("email", "bob@example.org")];
        let found = engine.suppressed_since(&tenant, &asked).await.unwrap();
        assert_eq!(found, [Some(start()), None], "{erased:?} {imported:?}");
        let (_, sent) = world.take_in(&engine, &of(2 * n + 1, imported)).await;
        assert!(is_merged(&sent), "{erased:?} {imported:?}");
    }
}

async fn what_is_sent_is_what_the_command_gave(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    for (n, (kind, value)) in (1..).zip([
        ("email", " Ann@BÜCHER.example. "),
        ("email", "\u{feff}bob@example.org"),
        ("phone", "+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧ ext. 3"),
    ]) {
        let (_, sent) = world.take_in(&engine, &erase_of(n, kind, value)).await;
        assert_eq!(sent.task("telecom")["identities"][0]["value"], value);
    }
}

/// Makes of a request what an earlier version has left of it: found under the digest of the first recipe alone.
async fn as_the_first_recipe_wrote_it(
    world: &World,
    engine: &Engine,
    n: u128,
    identity: &Identity,
) -> FormerDigest {
    let mut former = Vec::new();
    engine.vault.lookup_digests(&acme(), identity, &mut former);
    let former = former[0];
    for changes in [
        Changes {
            expired: vec![id(n)],
            ..Changes::default()
        },
        Changes {
            found_by: vec![(former.digest, id(n))],
            ..Changes::default()
        },
    ] {
        let mut tx = world.fixture.store.begin("test").await.unwrap();
        tx.write(&changes).await.unwrap();
        tx.commit().await.unwrap();
    }
    let store = &world.fixture.store;
    assert!(store.of_subject(&[former.of], 9).await.unwrap().is_empty());
    assert_eq!(store.of_subject(&[former.digest], 9).await.unwrap(), [id(n)]);
    former
}

async fn first_recipe_rows_suppress_merge_and_return(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    let old = "Ann@bücher.example";
    world.take_in(&engine, &erase_of(1, "email", old)).await;
    as_the_first_recipe_wrote_it(&world, &engine, 1, &identity("email", old)).await;
    for again in [old, " ann@BÜCHER.example", "ann@xn--bcher-kva.example"] {
        assert!(is_suppressed(&engine, "email", again).await, "{again}");
        let found = engine
            .requests_of(&[acme()], &identity("email", again), 9)
            .await
            .unwrap();
        assert_eq!(found, [id(1)], "{again}");
    }
    assert!(!is_suppressed(&engine, "email", "bob@bücher.example").await);
    let (_, sent) = world
        .take_in(&engine, &erase_of(2, "email", "ANN@bücher.example"))
        .await;
    assert!(is_merged(&sent));
    let mut back = erase_of(3, "email", old);
    back["type"] = json!("reactivated");
    back["at"] = json!(start());
    world.take_in(&engine, &back).await;
    assert!(world.request(1).await.life.reactivated_at.is_some());
    assert!(!is_suppressed(&engine, "email", old).await);
}

async fn rows_of_the_first_recipe_join_no_strangers(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    // All numbers without ASCII digits were one, and all extensions of a number.
    for (n, (first, second)) in (1..).zip([
        ("٠٥٠١٢٣٤٥٦٧", "٠٥٥٩٨٧٦٥٤٣"),
        ("+49 30 901830 ext. 12", "+49 30 901830 ext. 99"),
    ]) {
        world.take_in(&engine, &erase_of(2 * n, "phone", first)).await;
        as_the_first_recipe_wrote_it(&world, &engine, 2 * n, &identity("phone", first)).await;
        assert!(!is_suppressed(&engine, "phone", second).await, "{second}");
        let (_, sent) = world
            .take_in(&engine, &erase_of(2 * n + 1, "phone", second))
            .await;
        assert_eq!(sent.task("telecom")["identities"][0]["value"], second);
    }
}

async fn a_hold_of_the_first_recipe_covers_a_new_command(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    let held = [
        ("email", "Ann@bücher.example"),
        ("phone", "٠٥٠١٢٣٤٥٦٧"),
        ("phone", "+49 30 901830 ext. 12"),
    ];
    for (n, (kind, value)) in (1..).zip(held) {
        let mut former = Vec::new();
        engine
            .vault
            .lookup_digests(&acme(), &identity(kind, value), &mut former);
        let hold = Hold {
            hold_id: HoldId(Uuid::from_u128(n)),
            tenant: acme(),
            basis: HoldBasis::Dispute,
            actor: "dpo".to_owned(),
            subject: vec![former[0].digest],
            found: Vec::new(),
            request_id: None,
            processor: None,
            categories: Vec::new(),
            placed_at: start(),
        };
        let fact = NewFact {
            id: Uuid::now_v7(),
            fact: Fact::Hold(hold),
            digest: [0; 16],
            sealed: None,
            at: start(),
            sweeps: false,
        };
        let mut tx = world.fixture.store.begin("test").await.unwrap();
        tx.gate(Gate::Exclusive).await.unwrap();
        tx.add_fact(&fact).await.unwrap();
        tx.commit().await.unwrap();
        let (_, sent) = world.take_in(&engine, &erase_of(n, kind, value)).await;
        assert!(sent.tasks.is_empty(), "{value}: invariant 3");
        let holds = world.request(n).await.life.subject_holds;
        assert!(holds.contains(&HoldId(Uuid::from_u128(n))), "{value}");
    }
    let (_, sent) = world
        .take_in(&engine, &erase_of(9, "email", "bob@bücher.example"))
        .await;
    assert_eq!(sent.asked(), ["telecom"]);
}
