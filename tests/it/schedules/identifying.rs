//! Whose request it is: spellings of one identifier, strangers who have none, what earlier versions have written, ids that
//! two tenants or two sources share, and values that are nobody's.

use lacuna::{
    domain::{
        fact::Fact,
        hold::Hold,
        identity::{FormerDigest, Identity, Placeholders, SubjectData},
        ids::{HoldId, IdentityType, Tenant},
        time::At,
        words::{DeadLetterReason, HoldBasis},
    },
    engine::{Engine, intake::Verdict, prepare::Arrival},
    store::{Changes, Gate, NewFact},
    wire::{KeptHeaders, command::Door, envelope::Envelope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    control::{control, tell},
    world::{COMMANDS, Sent, World, ack_from, answer, backup_from, cancel, erase, id, origin_at, start},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    strangers_whose_numbers_have_no_ascii_digits_are_two_people,
    an_address_in_another_spelling_is_suppressed_and_merged,
    what_is_sent_is_what_the_command_gave,
    first_recipe_rows_suppress_merge_and_return,
    rows_of_the_first_recipe_join_no_strangers,
    a_hold_of_the_first_recipe_covers_a_new_command,
    request_id_of_another_tenant_tells_nothing,
    two_sources_with_one_event_id_are_two_events,
    an_event_that_was_taken_under_its_id_alone_is_a_duplicate,
    backup_event_known_by_id_alone_is_a_duplicate,
    what_stands_for_nobody_is_refused_through_every_door,
    hold_on_unknown_type_is_refused_and_names_near_ones,
);

fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

fn identity(kind: &str, value: &str) -> Identity {
    Identity {
        kind: IdentityType::new(kind).unwrap(),
        value: SubjectData::new(value),
    }
}

const REGISTRY: &str = r#"
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

async fn world_of(fixture: Fixture) -> World {
    World::with_registry(fixture, REGISTRY).await
}

/// The n-th request, of somebody with this identifier only.
fn erase_of(n: u128, kind: &str, value: &str) -> Value {
    let mut command = erase(n);
    command["subject"] = json!({ "identities": [{ "type": kind, "value": value }] });
    command
}

fn later(mut command: Value) -> Value {
    command["not_before"] = json!("2026-11-26T12:00:00Z");
    command
}

async fn is_suppressed(engine: &Engine, kind: &str, value: &str) -> bool {
    let asked = [identity(kind, value)];
    engine.suppressed_since(&acme(), &asked).await.unwrap() != [None]
}

fn is_merged(sent: &Sent) -> bool {
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

async fn request_id_of_another_tenant_tells_nothing(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    world
        .take_in(&engine, &later(erase_of(1, "email", "ann@example.org")))
        .await;
    let before = world.request(1).await;
    let mut other = erase_of(2, "email", "bob@example.org");
    other["tenant"] = json!("globex");
    other["request_id"] = json!(id(1));
    // The same command id as well: a key of another tenant's is another key.
    let mut same_id = other.clone();
    same_id["command_id"] = json!(id(1));
    for command in [other, same_id] {
        let (verdict, sent) = world.take_in(&engine, &command).await;
        let Verdict::Refused(refusal) = verdict else {
            panic!("taken")
        };
        assert_eq!(refusal.reason, DeadLetterReason::ConflictingDuplicate);
        assert!(
            refusal.detail.starts_with("request_id: this id is taken"),
            "{refusal}"
        );
        for told in ["tenant", "acme", "another command", "erase"] {
            assert!(!refusal.detail.contains(told), "{refusal}");
        }
        assert_eq!(sent.reasons(), ["conflicting_duplicate"]);
    }
    // Nothing else of another tenant's touches it either.
    let foreign = |mut command: Value| {
        command["tenant"] = json!("globex");
        command["request_id"] = json!(id(1));
        command
    };
    let (verdict, _) = world.take_in(&engine, &foreign(cancel(1))).await;
    assert!(matches!(verdict, Verdict::Refused(_)));
    for (n, command) in (1..).zip([
        json!({ "type": "verify_identity", "method": "passport", "result": "passed" }),
        json!({ "type": "approve" }),
        json!({ "type": "refuse", "basis": "legal_claims" }),
        json!({ "type": "extend", "reason": "complexity" }),
        json!({ "type": "supply_identities", "identities": [{ "type": "device_id", "value": "d-1" }] }),
    ]) {
        let mut command = foreign(command);
        command["command_id"] = json!(Uuid::from_u128(100 + n));
        command["actor"] = json!("mallory");
        let (verdict, sent) = tell(&world, &engine, &command).await;
        assert!(matches!(verdict, Verdict::Refused(_)), "{command}: {verdict:?}");
        assert_eq!(sent.reasons(), ["unknown_request"], "{command}");
    }
    assert_eq!(world.request(1).await, before);
}

fn event_from(
    world: &World,
    engine: &Engine,
    ce: (&str, Option<&str>),
    command: &Value,
) -> Arrival<lacuna::engine::prepare::PreparedCommand> {
    let text = command.to_string();
    let mut envelope = Envelope::bare(&engine.tenant_default);
    envelope.ce_id = Some(ce.0.into());
    envelope.ce_source = ce.1.map(Into::into);
    Arrival {
        origin: Some(world.origin(COMMANDS)),
        reading: None,
        content: engine
            .intake()
            .prepare_command(text.as_bytes(), &envelope, Door::Commands),
        raw: Zeroizing::new(text.into_bytes()),
        headers: KeptHeaders::default(),
    }
}

async fn verdict_of(world: &World, engine: &Engine, ce: (&str, Option<&str>), command: &Value) -> Verdict {
    let arrival = event_from(world, engine, ce, command);
    let taken = engine.intake().take_in(&[arrival]).await.unwrap();
    taken.verdicts.into_iter().next().unwrap()
}

/// A command that is named by its event alone.
fn unnamed(value: &str) -> Value {
    let mut command = later(erase_of(1, "email", value));
    command.as_object_mut().unwrap().remove("command_id");
    command
}

async fn two_sources_with_one_event_id_are_two_events(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    for event in ["7", "018f6f2e-7c1a-7b3e-9a44-000000000007"] {
        let (ann, bob) = (
            unnamed(&format!("ann-{event}@example.org")),
            unnamed(&format!("bob-{event}@example.org")),
        );
        let Verdict::Taken(first) = verdict_of(&world, &engine, (event, Some("/crm")), &ann).await else {
            panic!("{event}")
        };
        let Verdict::Taken(second) = verdict_of(&world, &engine, (event, Some("/shop")), &bob).await else {
            panic!("{event}")
        };
        assert_ne!(first, second);
        let again = verdict_of(&world, &engine, (event, Some("/crm")), &ann).await;
        assert_eq!(again, Verdict::Duplicate(first));
        // In the other case a UUID is the same one.
        let again = verdict_of(&world, &engine, (&event.to_uppercase(), Some("/shop")), &bob).await;
        assert_eq!(again, Verdict::Duplicate(second));
        let conflict = verdict_of(&world, &engine, (event, Some("/crm")), &bob).await;
        assert!(
            matches!(&conflict, Verdict::Refused(refusal) if refusal.reason == DeadLetterReason::ConflictingDuplicate),
            "{conflict:?}"
        );
    }
}

async fn an_event_that_was_taken_under_its_id_alone_is_a_duplicate(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    let event = "018f6f2e-7c1a-7b3e-9a44-000000000007";
    let old = unnamed("ann@example.org");
    // As an earlier version has taken it: its id was the event's alone.
    let Verdict::Taken(before) = verdict_of(&world, &engine, (event, None), &old).await else {
        panic!("refused")
    };
    assert_eq!(before.to_string(), event);
    let again = verdict_of(&world, &engine, (event, Some("/crm")), &old).await;
    assert_eq!(
        again,
        Verdict::Duplicate(before),
        "it comes again after the change"
    );
    let other = verdict_of(
        &world,
        &engine,
        (event, Some("/shop")),
        &unnamed("bob@example.org"),
    )
    .await;
    assert!(matches!(other, Verdict::Taken(id) if id != before), "{other:?}");
}

async fn backup_event_known_by_id_alone_is_a_duplicate(fixture: Fixture) {
    let registry = format!(
        "{REGISTRY}\n[[processor]]\nid = \"nightly-backup\"\nkind = \"backup\"\ntransport = {{ type = \"kafka\" }}\n\
         actions = [\"erase\"]\nidentities = [\"email\"]\n\
         backup = {{ sources = [\"telecom\"], set = \"nightly\", keep = \"35d\", confirm_by = \"event\" }}\n"
    );
    let world = World::with_registry(fixture, &registry).await;
    let engine = world.worker().await;
    let event = |more: Value| {
        let mut event = json!({ "type": "backup.taken", "processor": "nightly-backup", "set": "nightly", "taken_at": start() });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    };
    let old = "018f6f2e-7c1a-7b3e-9a44-000000000007";
    let arrival = backup_from(&engine, &event(json!({ "event_id": old })));
    engine.backup_events().record_backups(&[arrival]).await.unwrap();
    let with_source = |source: &'static str, text: &Value| {
        let text = text.to_string();
        let mut envelope = Envelope::bare(&engine.tenant_default);
        envelope.ce_id = Some(old.into());
        envelope.ce_source = Some(source.into());
        Arrival {
            origin: None,
            reading: None,
            content: engine.backup_events().prepare_backup(text.as_bytes(), &envelope),
            raw: Zeroizing::new(text.into_bytes()),
            headers: KeptHeaders::default(),
        }
    };
    let told = async |arrival| {
        engine
            .backup_events()
            .record_backups(&[arrival])
            .await
            .unwrap()
            .0
            .remove(0)
    };
    use lacuna::engine::facts::FactOutcome;
    assert_eq!(
        told(with_source("/vault", &event(json!({})))).await,
        FactOutcome::Duplicate
    );
    let other = event(json!({ "taken_at": At::parse("2026-11-20T00:00:00Z").unwrap() }));
    assert!(matches!(
        told(with_source("/tapes", &other)).await,
        FactOutcome::Taken { .. }
    ));
    assert!(matches!(
        told(with_source("/disks", &other)).await,
        FactOutcome::Taken { .. }
    ));
    assert_eq!(told(with_source("/disks", &other)).await, FactOutcome::Duplicate);
}

async fn what_stands_for_nobody_is_refused_through_every_door(fixture: Fixture) {
    let mut world = world_of(fixture).await;
    world.settings.placeholders = Placeholders::new(&["guest".to_owned(), "test@example.org".to_owned()]);
    let engine = world.worker().await;
    let (_, sent) = world
        .take_in(&engine, &erase_of(1, "email", "ann@example.org"))
        .await;
    for (kind, value) in [
        ("device_id", "00000000-0000-0000-0000-000000000000"),
        ("device_id", "(null)"),
        ("device_id", "9.87654E+11"),
        ("device_id", "GUEST"),
        ("device_id", "a\u{1}b"),
        ("device_id", "\u{feff}"),
        ("phone", "unknown"),
        ("email", "Test@example.org."),
        ("email", "a@b.c,d@e.f"),
    ] {
        let bad = json!({ "type": kind, "value": value });
        let good = json!({ "type": "email", "value": "ann@example.org" });
        let both = json!([good, bad]);
        let subject = json!({ "identities": both });
        let refused = |verdict: &Verdict, field: &str| {
            let Verdict::Refused(refusal) = verdict else {
                panic!("taken: {kind} {value:?}")
            };
            assert_eq!(refusal.reason, DeadLetterReason::Schema, "{refusal}");
            assert!(
                refusal.detail.starts_with(&format!("{field}: expected")),
                "{value:?}: {refusal}"
            );
            assert!(
                !refusal.detail.contains("ann@") && (value.len() < 4 || !refusal.detail.contains(value)),
                "{refusal}"
            );
        };
        let mut opening = erase(2);
        opening["subject"] = subject.clone();
        refused(
            &world.take_in(&engine, &opening).await.0,
            "subject.identities[1].value",
        );
        let back = json!({ "command_id": id(3), "type": "reactivated", "tenant": "acme", "at": start(), "subject": subject });
        refused(
            &world.take_in(&engine, &back).await.0,
            "subject.identities[1].value",
        );
        let hold = control(
            0,
            json!({ "type": "hold", "command_id": id(4), "hold_id": id(4), "basis": "dispute", "subject": subject }),
        );
        refused(
            &tell(&world, &engine, &hold).await.0,
            "subject.identities[1].value",
        );
        let supply = control(
            0,
            json!({ "type": "supply_identities", "command_id": id(5), "request_id": id(1), "identities": both }),
        );
        refused(&tell(&world, &engine, &supply).await.0, "identities[1].value");
        let mut ack = answer(sent.task("telecom"), "erased");
        ack["identities"] = both;
        let arrival = ack_from(&engine, Some(origin_at("acks", 0, 0)), &ack);
        let refusal = arrival.content.unwrap_err();
        assert_eq!(refusal.reason, DeadLetterReason::Schema);
        assert!(
            refusal.detail.starts_with("identities[1].value: expected"),
            "{refusal}"
        );
    }
}

async fn hold_on_unknown_type_is_refused_and_names_near_ones(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    let hold = |n: u128, kind: &str| {
        let subject = json!({ "identities": [{ "type": "email", "value": "ann@example.org" }, { "type": kind, "value": "x" }] });
        control(
            0,
            json!({ "type": "hold", "command_id": Uuid::from_u128(n), "hold_id": Uuid::from_u128(n), "basis": "dispute", "subject": subject }),
        )
    };
    let (verdict, sent) = tell(&world, &engine, &hold(50, "mail")).await;
    let Verdict::Refused(refusal) = verdict else {
        panic!("taken")
    };
    assert!(
        refusal.detail.starts_with("subject.identities[1].type: ")
            && refusal.detail.contains("did you mean email?"),
        "{refusal}"
    );
    assert_eq!(sent.reasons(), ["schema"]);
    // A request knows it.
    let mut command = erase_of(1, "email", "ann@example.org");
    command["subject"]["identities"] =
        json!([{ "type": "email", "value": "ann@example.org" }, { "type": "mail", "value": "x" }]);
    world.take_in(&engine, &command).await;
    assert!(matches!(
        tell(&world, &engine, &hold(51, "mail")).await.0,
        Verdict::Taken(_)
    ));
    assert!(
        matches!(
            tell(&world, &engine, &hold(52, "device_id")).await.0,
            Verdict::Taken(_)
        ),
        "one that is provided"
    );
}
