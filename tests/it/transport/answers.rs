//! What servers answer: the right thing, the wrong thing, and what no server should.

use std::{
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use lacuna::{
    domain::words::Outcome,
    transport::sender::{Reply, Sender as _},
};
use serde_json::json;

use super::{
    PATIENCE, at, failure, guarded, outcome,
    peer::{Manner, Peer, json as answer_json, with_headers},
    processor, sender, sent_to, task,
};
use crate::support::free_port;

/// What a body could hold and nobody may repeat.
const CANARY: &str = "canary@example.org";

#[tokio::test]
async fn a_task_arrives_as_on_kafka_and_its_ack_settles() {
    let peer = Peer::start(|call| {
        let task = call.json();
        let ack = json!({
            "request_id": task["request_id"], "task_id": task["task_id"], "generation": task["generation"],
            "attempt": task["attempt"], "processor": task["processor"], "token": task["ack"]["token"],
            "outcome": "absent", "evidence": { "records": 0 },
        });
        answer_json(200, &ack.to_string())
    })
    .await;
    let processor = at(&peer.url());
    let task = task(&processor);
    let reply = sender(Path::new("")).send(&processor, &task, PATIENCE).await;
    assert_eq!(outcome(&reply), Some(Outcome::Absent));
    let calls = peer.calls();
    let call = &calls[0];
    assert_eq!(call.line, "POST /erase HTTP/1.1");
    let on_kafka = task.message("lacuna.acks", Some("https://lacuna.example.org/v1/acks"));
    assert_eq!(call.json(), serde_json::to_value(on_kafka).unwrap());
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["webhook-id"], format!("{}_1", task.id));
    assert!(call.headers["webhook-signature"].starts_with("v1,"));
    assert_eq!(call.headers["host"], peer.address.to_string());
}

#[tokio::test]
async fn calls_share_a_connection() {
    let peer = Peer::start(|_| answer_json(200, r#"{"outcome":"absent"}"#)).await;
    let (processor, sender) = (at(&peer.url()), sender(Path::new("")));
    for _ in 0..20 {
        let reply = sender.send(&processor, &task(&processor), PATIENCE).await;
        assert_eq!(outcome(&reply), Some(Outcome::Absent));
    }
    assert_eq!((peer.calls().len(), peer.connections()), (20, 1));
}

#[tokio::test]
async fn what_only_takes_a_task_has_accepted_it() {
    for (status, body) in [
        (200, ""),
        (202, ""),
        (204, ""),
        (202, "<html>taken</html>"),
        (202, r#"{"outcome":"erased"}"#),
    ] {
        let peer = Peer::start(move |_| with_headers(status, "", body.as_bytes())).await;
        let reply = sent_to(&peer.url(), PATIENCE).await;
        assert_eq!(outcome(&reply), Some(Outcome::Accepted), "{status} {body}");
    }
}

/// Answers that are whole and no ack, each with what is said of it.
#[tokio::test]
async fn what_is_no_ack_fails_and_is_not_repeated() {
    let html = format!("<html><h1>{CANARY}</h1></html>");
    let foreign = format!(
        r#"{{"outcome":"erased","task_id":"018f0000-0000-7000-8000-000000000001","message":"{CANARY}"}}"#
    );
    let of_type =
        |kind: &str, body: &str| with_headers(200, &format!("content-type: {kind}\r\n"), body.as_bytes());
    let cases = [
        (
            of_type("text/html", &html),
            "content-type is not application/json",
        ),
        (
            of_type("text/plain", r#"{"outcome":"erased"}"#),
            "content-type is not application/json",
        ),
        (answer_json(200, &html), "expected JSON"),
        (
            answer_json(200, &format!(r#"{{"status":"{CANARY}"}}"#)),
            "it has no outcome",
        ),
        (
            answer_json(200, &format!(r#"{{"outcome":"{CANARY}"}}"#)),
            "outcome",
        ),
        (answer_json(200, &foreign), "its task_id is not that of the task"),
        (
            answer_json(200, r#"{"outcome":"erased","token":"stolen"}"#),
            "its token is not that of the task",
        ),
        (answer_json(404, &html), "nothing listens at this path"),
        (answer_json(422, &html), "answered 422"),
        (answer_json(500, &html), "answered 500"),
        (
            with_headers(302, &format!("location: http://10.0.0.1/{CANARY}\r\n"), b""),
            "a redirect (302)",
        ),
        (
            with_headers(308, "location: http://169.254.169.254/\r\n", b""),
            "a redirect (308)",
        ),
    ];
    for (manner, expected) in cases {
        let peer = Peer::start(move |_| manner.clone()).await;
        let failed = failure(sent_to(&peer.url(), PATIENCE).await);
        assert!(failed.why.contains(expected), "{expected}: {}", failed.why);
        assert!(!failed.why.contains(CANARY), "{}", failed.why);
        assert!(failed.counts && failed.may_have_arrived, "{expected}");
        assert_eq!(peer.calls().len(), 1, "{expected}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Peer::start(|_| answer_json(200, r#"{"outcome":"erased"}"#)).await;
    let location = format!("location: {}\r\n", elsewhere.url());
    let peer = Peer::start(move |_| with_headers(307, &location, b"")).await;
    let failed = failure(sent_to(&peer.url(), PATIENCE).await);
    assert!(failed.why.contains("a redirect (307)"), "{}", failed.why);
    assert_eq!(elsewhere.connections(), 0);
}

/// Answers that no server should give: each ends soon, with little of it read.
/// On threads of their own: those that send without end must not take the time of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_without_measure_are_cut_off() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 50 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 64 * 1024, "it is small as it comes");
    let head =
        |rest: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{rest}\r\n").into_bytes();
    let chunked = head("transfer-encoding: chunked\r\n");
    let cases = [
        (
            Manner::Endless(head("content-length: 104857600\r\n"), vec![b' '; 65_536]),
            "larger than 64 KiB",
        ),
        (
            Manner::Endless(chunked.clone(), b"10\r\n                \r\n".repeat(1000)),
            "larger than 64 KiB",
        ),
        (
            Manner::Endless(head(""), vec![b'{'; 65_536]),
            "larger than 64 KiB",
        ),
        (
            with_headers(200, "content-encoding: gzip\r\n", &bomb),
            "larger than 64 KiB",
        ),
        (
            with_headers(200, "content-encoding: br\r\n", b"abc"),
            "content-encoding",
        ),
        (
            with_headers(200, "content-encoding: gzip\r\n", b"no gzip"),
            "content-encoding",
        ),
        (
            Manner::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-a: bbbbbbbb\r\n".repeat(500)),
            "headers are too large",
        ),
        (
            Manner::Endless(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec(), vec![b'a'; 65_536]),
            "headers are too large",
        ),
        (
            Manner::Endless(
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
                b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
            ),
            "no whole answer within 4 s",
        ),
        (
            Manner::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
            "speaks no HTTP",
        ),
        (
            Manner::Bytes(b"\x00\x01\x02\x03 nonsense \xff\r\n\r\n".to_vec()),
            "speaks no HTTP",
        ),
        (Manner::HungUp, "hung up"),
        (Manner::Silent, "no whole answer within 4 s"),
        (
            Manner::Dripping(Vec::new(), b"HTTP/1.1 200 OK\r\nx-a: b\r\n".to_vec()),
            "no whole answer within 4 s",
        ),
        (
            Manner::Dripping(chunked, b"1\r\n \r\n".to_vec()),
            "no whole answer within 4 s",
        ),
        (
            Manner::Bytes(head("content-length: 50\r\n")),
            "no whole answer within 4 s",
        ),
        (
            Manner::Bytes(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n".to_vec(),
            ),
            "another protocol",
        ),
    ];
    let tried = cases.into_iter().map(|(manner, expected)| async move {
        let peer = Peer::start(move |_| manner.clone()).await;
        let failed = failure(sent_to(&peer.url(), Duration::from_secs(4)).await);
        assert!(failed.why.contains(expected), "{expected}: {}", failed.why);
        assert!(failed.counts && failed.may_have_arrived, "{expected}");
    });
    for tried in tried.map(tokio::spawn).collect::<Vec<_>>() {
        tried.await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_broke_is_not_used_again() {
    let count = AtomicUsize::new(0);
    let peer = Peer::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return Manner::HungUp;
        }
        answer_json(200, r#"{"outcome":"absent"}"#)
    })
    .await;
    let (processor, sender) = (at(&peer.url()), sender(Path::new("")));
    let first = sender.send(&processor, &task(&processor), PATIENCE).await;
    assert!(failure(first).may_have_arrived);
    let second = sender.send(&processor, &task(&processor), PATIENCE).await;
    assert_eq!(outcome(&second), Some(Outcome::Absent));
}

#[tokio::test]
async fn what_never_left_is_known_not_to_have_arrived() {
    let failed = failure(sent_to(&format!("http://127.0.0.1:{}/", free_port()), PATIENCE).await);
    assert!(
        failed.why.contains("the connection was refused"),
        "{}",
        failed.why
    );
    assert!(!failed.may_have_arrived && failed.counts);
}

#[tokio::test]
async fn patience_and_rights_are_no_ones_fault() {
    let peer = Peer::start(|_| with_headers(429, "retry-after: 7\r\n", b"slow down")).await;
    let failed = failure(sent_to(&peer.url(), PATIENCE).await);
    assert_eq!(
        (failed.counts, failed.retry_after),
        (false, Some(Duration::from_secs(7)))
    );
    for status in [401, 403] {
        let peer = Peer::start(move |_| with_headers(status, "", CANARY.as_bytes())).await;
        let Reply::Unauthorised(why) = sent_to(&peer.url(), PATIENCE).await else {
            panic!("{status} is about all of its tasks");
        };
        assert!(
            why.contains(&status.to_string()) && !why.contains(CANARY),
            "{why}"
        );
    }
}

#[tokio::test]
async fn the_inside_is_not_called_where_it_is_closed() {
    let peer = Peer::start(|_| answer_json(200, r#"{"outcome":"erased"}"#)).await;
    let sender = guarded(Path::new(""), false);
    let port = peer.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "0x7f.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
    ] {
        let processor = at(&format!("http://{host}:{port}/"));
        // It is the configuration's fault: the lane stops, and nobody's attempts are used up.
        let reply = sender.send(&processor, &task(&processor), PATIENCE).await;
        let lacuna::transport::sender::Reply::Unauthorised(why) = reply else {
            panic!("{host}: {reply:?}");
        };
        assert!(why.contains("allow_private = true"), "{host}: {why}");
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn headers_of_ones_own_and_new_secrets_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("secret", "a first secret of many characters\n");
    write("token", "Bearer first\n");
    let peer = Peer::start(|_| answer_json(200, r#"{"outcome":"absent"}"#)).await;
    let processor = processor(&format!(
        "url = '{}', secret = 'file:secret', headers = {{ Authorization = 'file:token', X-Team = 'privacy' }}",
        peer.url()
    ));
    let sender = sender(folder.path());
    sender.send(&processor, &task(&processor), PATIENCE).await;
    let first = peer.calls().pop().unwrap();
    assert_eq!(
        (
            first.headers["authorization"].as_str(),
            first.headers["x-team"].as_str()
        ),
        ("Bearer first", "privacy")
    );
    write("token", "Bearer second\n");
    let changed = async {
        loop {
            sender.send(&processor, &task(&processor), PATIENCE).await;
            if peer.calls().pop().unwrap().headers["authorization"] == "Bearer second" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, changed)
        .await
        .expect("the new token is taken up");
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    let gone = async {
        loop {
            if let Reply::Unauthorised(why) = sender.send(&processor, &task(&processor), PATIENCE).await {
                break why;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let why = tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("a secret that is gone is not used any longer");
    assert!(
        why.starts_with("transport.secret: ") && why.ends_with("there is no such file"),
        "{why}"
    );
}

#[tokio::test]
async fn a_secret_that_breaks_a_header_is_refused_unsent() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "Bearer a\r\nX-Evil: canary").unwrap();
    let peer = Peer::start(|_| answer_json(200, r#"{"outcome":"erased"}"#)).await;
    let processor = processor(&format!(
        "url = '{}', secret = '{}', headers = {{ Authorization = 'file:token' }}",
        peer.url(),
        super::SECRET
    ));
    let reply = sender(folder.path())
        .send(&processor, &task(&processor), PATIENCE)
        .await;
    let Reply::Unauthorised(why) = reply else {
        panic!("{reply:?}")
    };
    assert!(
        why.contains("headers.Authorization") && !why.contains("canary"),
        "{why}"
    );
    assert_eq!(peer.connections(), 0);
}
