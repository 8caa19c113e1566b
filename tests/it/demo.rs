//! `lacuna demo`: a newcomer's first command, so it has to work on an empty machine, quickly, and leave nothing behind.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

fn demo(folder: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = lacuna(folder, &["demo"]);
    command.args(arguments);
    command
}

fn lacuna(folder: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lacuna"));
    command.args(arguments).env("TMPDIR", folder).stdin(Stdio::null());
    command
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder)
        .expect("the folder is there")
        .next()
        .is_none()
}

#[test]
fn every_request_is_completed_and_nothing_stays_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = demo(folder.path(), &["--requests", "40", "--seed", "3"])
        .output()
        .expect("it starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("40 of 40 requests are completed"), "{out}");
    for processor in [
        "crm",
        "analytics",
        "advertising",
        "payments",
        "telecom",
        "support",
    ] {
        let line = out.lines().find(|line| line.starts_with(processor));
        assert!(
            line.is_some_and(|line| line.contains(" 40 ")),
            "{processor}: {out}"
        );
        let transport = if processor == "crm" {
            " webhook "
        } else {
            " kafka "
        };
        assert!(
            line.is_some_and(|line| line.contains(transport)),
            "{processor}: {out}"
        );
    }
    assert!(
        out.contains("asked again (attempt 2)"),
        "a path with a retry is shown: {out}"
    );
    assert!(!out.contains("Why not done yet"), "{out}");
    assert!(!err.contains("WARN") && !err.contains("ERROR"), "{err}");
    for text in [&out, &err] {
        assert!(
            !text.contains("customers.example.org"),
            "an identifier is shown: {text}"
        );
    }
    assert!(is_empty(folder.path()), "its files are gone");
}

#[test]
fn five_years_of_backups_and_retention_end_proved() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = demo(folder.path(), &["--scenario", "backups"])
        .output()
        .expect("it starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().filter(|line| line.starts_with("  yes  ")).count(), 16);
    assert!(!out.contains("  NO "), "{out}");
    for (who, completed) in [
        ("Ada", "2030-02-01"),
        ("Ben", "2027-01-20"),
        ("Cleo", "2026-01-21"),
        ("Dora", "2028-11-01"),
        ("Emil", "2029-12-01"),
    ] {
        let row = out
            .lines()
            .find(|line| line.starts_with(who) && line.ends_with("forgotten"));
        assert!(
            row.is_some_and(|row| row.contains(completed) && row.contains(" completed ")),
            "{who}: {out}"
        );
    }
    assert!(!err.contains("WARN") && !err.contains("ERROR"), "{err}");
    for text in [&out, &err] {
        assert!(
            !text.contains("customers.example.org") && !text.contains("C-100"),
            "an identifier is shown: {text}"
        );
    }
    assert!(is_empty(folder.path()), "its files are gone");
}

#[test]
fn a_policys_promise_is_told_step_by_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = demo(folder.path(), &["--scenario", "jojocell"])
        .output()
        .expect("it starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    for told in [
        "The promise, in our words:",
        "2026-03-02 10:00  Ann deletes her account in the app.",
        "✓ accounts: asked to erase, by user_id",
        "✓ security-logs: waits for retention until 2027-03-02",
        "✓ ann: completed, identifiers forgotten",
        "every one was so",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    assert!(!out.contains("  ✗ "), "{out}");
    assert!(!err.contains("WARN") && !err.contains("ERROR"), "{err}");
    for text in [&out, &err] {
        assert!(!text.contains("example.org"), "an identifier is shown: {text}");
    }
    assert!(is_empty(folder.path()), "its files are gone");
}

#[test]
fn kept_it_stays_until_it_is_asked_to_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = demo(folder.path(), &["--requests", "5", "--keep"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    let mut console = None;
    while !line.contains("Ctrl-C") {
        if line.contains("the console") {
            console = line.split_whitespace().next().map(str::to_owned);
        }
        line.clear();
        assert!(
            out.read_line(&mut line).expect("text") > 0,
            "it ended too early: {}",
            errors_of(&mut child)
        );
    }
    assert!(child.try_wait().expect("a child").is_none(), "it stays up");
    let console = console.expect("the address of the console");
    assert!(page(&console).starts_with("HTTP/1.1 200"), "{console}");
    let asked = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(asked.success());
    assert!(
        child.wait().expect("a child").success(),
        "{}",
        errors_of(&mut child)
    );
    assert!(is_empty(folder.path()), "its files are gone");
}

/// What is at this address, with its head.
fn page(url: &str) -> String {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).expect("it listens");
    let call = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(call.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is text");
    answer
}

#[test]
fn closed_pipe_ends_demo_quietly_and_leaves_nothing() {
    let cases: [(&[&str], usize); 5] = [
        (&["demo", "--requests", "5"], 1),
        // Here what runs has to be ended first.
        (&["demo", "--requests", "5"], 4),
        (&["demo", "--scenario", "jojocell"], 3),
        (&["demo", "--scenario", "backups"], 8),
        (&["bench", "--embedded", "--requests", "50", "--warm", "1"], 0),
    ];
    for (arguments, lines) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = lacuna(folder.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        assert_eq!(out.lines().take(lines).count(), lines, "{arguments:?}");
        let err = errors_of(&mut child);
        let status = child.wait().expect("a child");
        assert_eq!(status.code(), Some(0), "{arguments:?}: {err}");
        for loud in ["panicked", "error", "ERROR"] {
            assert!(!err.contains(loud), "{arguments:?}: {err}");
        }
        assert!(is_empty(folder.path()), "{arguments:?}: its files are gone");
    }
}

#[test]
fn a_number_that_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = demo(folder.path(), &["--requests", "0"])
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(2));
}

fn errors_of(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut err) = child.stderr.take() {
        err.read_to_string(&mut text).expect("text");
    }
    text
}
