//! The stored forms: read for years, so their bytes are fixed here.

use super::*;
use crate::domain::{
    entry::{Leaf, LeafError},
    request::{gates::ClosedGate, packed::PackedError},
};

/// One task of each kind of state that the bench can reach.
fn varied() -> Bench {
    let after = Processor {
        after: vec![id("g")],
        ..processor("h")
    };
    let backup = Processor {
        kind: ProcessorKind::Backup,
        accept_anonymized: true,
        ..processor("b")
    };
    let nobody = Processor {
        identities: vec![kind("phone")],
        ..processor("i")
    };
    let names = ["a", "c", "d", "e", "f", "g"].map(processor);
    let mut bench = Bench::open(names.into_iter().chain([after, backup, nobody]).collect());
    bench.answer(0, Answer::Erased).unwrap();
    bench.answer(1, accepted(Some(START.plus(DAY)))).unwrap();
    bench.answer(2, retained(Some(START.plus(400 * DAY)))).unwrap();
    bench.answer(3, retained(None)).unwrap();
    bench.answer(4, failed()).unwrap();
    bench.answer(7, Answer::Anonymized).unwrap();
    bench.run(|request, context| ((), request.waive(4, "operator", context).unwrap()));
    bench.answer(5, Answer::Rejected).unwrap();
    bench
}

#[test]
fn a_request_is_read_back_as_it_was() {
    let mut bench = varied();
    for _ in 0..30 {
        let request = &bench.request;
        let read = Request::unpack(request.id, request.revision, &request.pack().unwrap()).unwrap();
        assert_eq!(read, *request);
        bench.sleep();
    }
}

#[test]
fn version_3_of_a_packed_request() {
    let bytes = hex::encode(varied().request.pack().unwrap());
    assert_eq!(
        bytes, PACKED,
        "version 3 is stored in databases: another form needs another version"
    );
    let read = Request::unpack(
        opening().request_id,
        varied().request.revision,
        &hex::decode(PACKED).unwrap(),
    );
    assert_eq!(read.unwrap(), varied().request);
}

/// A row that version 2 wrote.
fn read_v2(hexadecimal: &str) -> Request {
    Request::unpack(
        opening().request_id,
        varied().request.revision,
        &hex::decode(hexadecimal).unwrap(),
    )
    .unwrap()
}

#[test]
fn packed_version_2_reads_sent_from_its_attempts() {
    let read = read_v2(PACKED_2);
    let mut expected = varied().request;
    for task in &mut expected.tasks {
        // When it was sent is known of what is out; whether it was sent, of all of them.
        let out = matches!(task.state, TaskState::Dispatched { .. });
        if let Some(sent) = task.sent.as_mut().filter(|_| !out) {
            sent.asked_at = At::default();
        }
    }
    assert_eq!(read, expected);
    assert!(read.task(0).was_sent() && !read.task(6).was_sent());
}

/// The row of a request with one task, as version 2 wrote it: only the parts that differ here are given.
fn v2_row(approval: u8, status: u8, generation: u8, attempt: u8, purpose: u8, state: &str) -> String {
    let head = "020461636d650107646179733a31300280a4e3d8bf6880a4e3d8bf680000000001";
    let clock = "80a4e3d8bf6800b0a0e8c0c668b0a0e8c0c668b0a0e8c0c668c087b492c568000000";
    let flags = "000000010001000000000000000001809496abc068";
    let task = format!("0161010000 00{purpose:02x}{generation:02x}{attempt:02x}0000{state}").replace(' ', "");
    format!("{head}{clock}00{approval:02x}00{status:02x}00{flags}01{task}")
}

#[test]
fn old_packed_row_opens_no_gate_and_keeps_what_was_sent() {
    // Approval awaited, an operator's retry of what was never sent, ready: version 2 took that for sent.
    let ready = "0380a4e3d8bf68";
    let (never, retried, restored) = (0, 3, 5);
    let unsent = read_v2(&v2_row(1, 4, 2, 0, retried, ready));
    assert!(!unsent.task(0).was_sent());
    assert_eq!(unsent.closed_gate(START), Some(ClosedGate::Approval));
    // What really went out while the approval was awaited stays sent, and the gate stays closed for the rest.
    let leaked = read_v2(&v2_row(1, 4, 2, 1, retried, ready));
    assert!(leaked.task(0).was_sent());
    assert_eq!(leaked.closed_gate(START), Some(ClosedGate::Approval));
    // Behind open gates a later generation counts as sent.
    for purpose in [retried, restored] {
        let sent = read_v2(&v2_row(2, 4, 2, 0, purpose, ready));
        assert!(sent.task(0).was_sent());
        assert_eq!(sent.closed_gate(START), None);
    }
    let waiting = read_v2(&v2_row(2, 4, 2, 0, retried, "00"));
    assert!(
        !waiting.task(0).was_sent(),
        "only what was never sent waits for others"
    );
    assert!(!read_v2(&v2_row(2, 4, 1, 0, never, ready)).task(0).was_sent());
}

#[test]
fn another_version_is_refused() {
    let mut bytes = varied().request.pack().unwrap();
    bytes[0] = 4;
    assert!(matches!(
        Request::unpack(opening().request_id, 1, &bytes),
        Err(PackedError::Version(4))
    ));
    bytes[0] = 0;
    assert!(matches!(
        Request::unpack(opening().request_id, 1, &bytes),
        Err(PackedError::Version(0))
    ));
}

#[test]
fn broken_bytes_are_refused() {
    let bytes = varied().request.pack().unwrap();
    for length in 0..bytes.len() {
        let read = Request::unpack(opening().request_id, 1, &bytes[..length]);
        assert!(
            matches!(read, Err(PackedError::Broken(_))),
            "{length} of {} bytes",
            bytes.len()
        );
    }
}

fn leaf() -> Leaf {
    let bench = varied();
    let mut entries = bench.entries.clone();
    entries.extend([
        Entry::Evidence {
            ordinal: 3,
            records: Some(12),
            commitment: [9; 32],
        },
        Entry::Overdue,
        Entry::Shredded,
        Entry::ActedBy {
            actor: "ann".to_owned(),
        },
    ]);
    Leaf {
        request: bench.request.id,
        n: 3,
        at: START,
        entries,
    }
}

#[test]
fn version_1_of_a_leaf() {
    assert_eq!(
        hex::encode(leaf().to_bytes().unwrap()),
        LEAF,
        "hashes of these bytes are published: they are for ever"
    );
    assert_eq!(Leaf::from_bytes(&hex::decode(LEAF).unwrap()).unwrap(), leaf());
}

#[test]
fn a_leaf_of_another_version_is_refused() {
    let mut bytes = leaf().to_bytes().unwrap();
    bytes[0] = 2;
    assert!(matches!(Leaf::from_bytes(&bytes), Err(LeafError::Version(2))));
    assert!(matches!(Leaf::from_bytes(&[]), Err(LeafError::Broken(_))));
}

const PACKED: &str = "\
    030461636d650107646179733a31300280a4e3d8bf6880a4e3d8bf68000000000180a4e3d8bf6800b0a0e8c0c668b0a0e8c0c668b0a0e8c0c668c087b492c5680000000000000400000000010001000000000000000001809496abc0680009016101000000000101000102060180a4e3d8bf680180a4e3d8bf680163010000000001010001010580a4e3d8bf68809496abc0680180a4e3d8bf68016401000000000101000105020080a4e197c16a0180a4e3d8bf6801650100000000010100010507077461785f6c61770180a4e3d8bf68016601000000000101010107090180a4e3d8bf6801670100000000010101010808020180a4e3d8bf680168010001050000010000000000016201000002000101000103060280a4e3d8bf680180a4e3d8bf6801690100000000010000000100";

/// The same, as version 2 wrote it.
const PACKED_2: &str = "\
    020461636d650107646179733a31300280a4e3d8bf6880a4e3d8bf68000000000180a4e3d8bf6800b0a0e8c0c668b0a0e8c0c668b0a0e8c0c668c087b492c5680000000000000400000000010001000000000000000001809496abc06809016101000000000101000102060180a4e3d8bf680163010000000001010001010580a4e3d8bf68809496abc068016401000000000101000105020080a4e197c16a01650100000000010100010507077461785f6c617701660100000000010101010709016701000000000101010108080201680100010500000100000000016201000002000101000103060280a4e3d8bf68016901000000000100000001";

const LEAF: &str = "\
    0110000000000000000000000000000000020380a4e3d8bf6815000107646179733a313080a4e3d8bf68b0a0e8c0c668\
    010707070707070707070707070707070707070707070707070707070707070707090161016301640165016601670168\
    01620169010001010280a4e3d8bf6880de9adcbf68010101010280a4e3d8bf6880de9adcbf68010201010280a4e3d8bf\
    6880de9adcbf68010301010280a4e3d8bf6880de9adcbf68010401010280a4e3d8bf6880de9adcbf68010501010280a4\
    e3d8bf6880de9adcbf68010701010280a4e3d8bf6880de9adcbf680100010105010180a4e3d8bf68010101010380a4e3\
    d8bf68809496abc068010201010680a4e197c16a0103010107077461785f6c61770104010104010701a0c0e4d8bf6801\
    07010105010280a4e3d8bf6806086f70657261746f72010401010a01050101080201080203010c090909090909090909\
    090909090909090909090909090909090909090909090904050603616e6e";
