//! Programs that carry tasks out, good and bad: nothing but an ack of the task is ever a completion.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use lacuna::{
    agent::{Answer, Place as _, Task, Turn, command::Program},
    clock::Stopwatch,
    config::AgentCommand,
    domain::words::Outcome,
};
use tokio_util::sync::CancellationToken;

use super::task;
use crate::support::wait_for;

/// Answers as it should, with what it read: the ids are taken out of the message with a text tool, as anybody would.
const GOOD: &str = r#"
message=$(cat)
field() { printf '%s' "$message" | sed -nE "s/.*\"$1\":\"([^\"]*)\".*/\1/p"; }
printf '{"request_id":"%s","task_id":"%s","generation":1,"attempt":1,"processor":"shop-db","token":"t","outcome":"OUTCOME","evidence":{"method":"shredded","records":2,"by_table":{"files":2}}}\n' "$(field request_id)" "$(field task_id)"
"#;

struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erase");
        std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn answer_within(&self, task: &Task, timeout: Duration, turn: &Turn) -> Answer {
        let program = Program::new(&AgentCommand {
            run: vec!["./erase".to_owned(), "--all".to_owned()],
            timeout,
            environment: Vec::new(),
            folder: self.folder.path().to_owned(),
        });
        program
            .carry_out(std::slice::from_ref(task), turn)
            .await
            .remove(0)
    }

    async fn answer(&self, task: &Task) -> Answer {
        self.answer_within(task, Duration::from_secs(20), &Turn::default())
            .await
    }
}

fn erase() -> Task {
    task("erase", &[("email", "canary@example.org")])
}

fn good(outcome: &str) -> String {
    GOOD.replace("OUTCOME", outcome)
}

#[tokio::test]
async fn ack_of_the_program_is_the_answer() {
    let answer = Script::new(&good("erased")).answer(&erase()).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
    let evidence = answer.evidence.unwrap();
    assert_eq!((evidence.records, evidence.by_table["files"]), (2, 2));
    assert_eq!(evidence.method.as_deref(), Some("shredded"));
}

#[tokio::test]
async fn identifiers_that_it_brings_are_in_the_ack() {
    let one = erase();
    let text = good("erased").replace(
        "\"outcome\"",
        "\"identities\":[{\"type\":\"crm_id\",\"value\":\"77\"}],\"outcome\"",
    );
    let answer = Script::new(&text).answer(&one).await;
    let ack: serde_json::Value = serde_json::from_slice(&answer.ack(&one).unwrap()).unwrap();
    assert_eq!(
        ack["identities"],
        serde_json::json!([{ "type": "crm_id", "value": "77" }])
    );
    assert!(!format!("{answer:?}").contains("77"));
}

#[tokio::test]
async fn whatever_is_no_ack_of_the_task_is_a_failure() {
    let other = good("erased").replace("$(field task_id)", "01930000-0000-7000-8000-000000000001");
    let absent = good("absent");
    let twice = format!("{}printf '{{}}'\n", good("erased"));
    for (text, says) in [
        ("exit 0", "without an ack"),
        ("cat >/dev/null", "without an ack"),
        ("echo done", "no ack"),
        ("echo '{\"outcome\":\"erased\"}'", "no ack"),
        ("head -c 5000 /dev/urandom", "no ack"),
        ("exit 3", "ended with exit status: 3"),
        ("kill -9 $$", "ended with signal"),
        ("head -c 1000000000 /dev/zero", "more than 64 KiB"),
        (other.as_str(), "another task"),
        (absent.as_str(), "answered absent to erase"),
        (twice.as_str(), "no ack"),
    ] {
        let answer = Script::new(text).answer(&erase()).await;
        assert_eq!(answer.outcome, Outcome::Failed, "{text}: {answer:?}");
        let message = answer.message.unwrap();
        assert!(message.contains(says), "{text}: {message}");
        assert!(!message.contains("canary"), "{message}");
    }
}

#[tokio::test]
async fn ack_before_a_bad_end_does_not_count() {
    let answer = Script::new(&format!("{}exit 1\n", good("erased")))
        .answer(&erase())
        .await;
    assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
}

#[tokio::test]
async fn program_that_hangs_is_ended_with_all_that_it_started() {
    let script = Script::new("sleep 300 & echo $! > child\nsleep 300");
    let started = Stopwatch::start();
    let answer = script
        .answer_within(&erase(), Duration::from_secs(1), &Turn::default())
        .await;
    assert_eq!(answer.outcome, Outcome::Failed);
    assert!(answer.message.unwrap().contains("longer than 1 s"));
    assert!(started.elapsed() < Duration::from_secs(20));
    let child = std::fs::read_to_string(script.path("child")).unwrap();
    wait_for("its child ends, too", Duration::from_secs(10), || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        // One that nobody waits for any more may be there as a name only.
        status.map_or(true, |text| text.contains(") Z ")).then_some(())
    });
}

#[tokio::test]
async fn program_that_does_not_exist_fails_each_task() {
    let script = Script::new("");
    std::fs::remove_file(script.path("erase")).unwrap();
    let answer = script.answer(&erase()).await;
    assert_eq!(answer.outcome, Outcome::Failed);
    assert!(answer.message.unwrap().contains("cannot be started"));
}

#[tokio::test]
async fn identifiers_are_on_its_standard_input_alone() {
    let script = Script::new(
        "cat > stdin; env > environment; tr '\\0' ' ' < /proc/self/cmdline > arguments; echo \"$@\" >> arguments",
    );
    script.answer(&erase()).await;
    let read = |name: &str| std::fs::read_to_string(script.path(name)).unwrap();
    assert!(read("stdin").contains("canary@example.org"));
    assert!(!read("environment").contains("canary"), "{}", read("environment"));
    assert!(
        !read("environment").contains("LACUNA_TEST"),
        "it gets what is named and no more"
    );
    assert!(read("arguments").contains("--all") && !read("arguments").contains("canary"));
}

#[tokio::test]
async fn program_that_reads_nothing_may_answer() {
    let one = erase();
    let text = good("erased")
        .replace("message=$(cat)", "exec 0<&-")
        .replace("$(field request_id)", &one.request.0.to_string())
        .replace("$(field task_id)", &one.id.0.to_string());
    let answer = Script::new(&text).answer(&one).await;
    assert_eq!(answer.outcome, Outcome::Erased, "{answer:?}");
}

#[tokio::test]
async fn what_it_writes_to_its_standard_error_harms_nothing() {
    let text = format!("head -c 1000000 /dev/zero >&2\n{}", good("not_found"));
    let answer = Script::new(&text).answer(&erase()).await;
    assert_eq!(answer.outcome, Outcome::NotFound, "{answer:?}");
}

#[tokio::test]
async fn stopping_agent_ends_the_program_and_leaves_the_task() {
    let script = Script::new("touch began; sleep 300");
    let stop = CancellationToken::new();
    let turn = Turn::until(&stop);
    let one = erase();
    let began = script.path("began");
    let watching = async {
        while !Path::new(&began).exists() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (answer, ()) = tokio::join!(
        script.answer_within(&one, Duration::from_secs(60), &turn),
        watching
    );
    assert_eq!(answer.outcome, Outcome::Partial);
}
