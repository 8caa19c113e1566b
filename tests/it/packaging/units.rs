//! The systemd unit, and the configuration that the Debian package brings.

use std::{fs, process::Command};

use crate::support::repository;

/// The unit as systemd finds it here: with this program in place of the installed one.
fn unit() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(repository("packaging/systemd/lacuna.service")).unwrap();
    let path = folder.path().join("lacuna.service");
    fs::write(
        &path,
        text.replace("/usr/bin/lacuna", env!("CARGO_BIN_EXE_lacuna")),
    )
    .unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn systemd_analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .output()
        .expect("systemd-analyze is not installed: run the tests through tests/run");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn systemd_accepts_the_unit_and_finds_it_locked_down() {
    let (_folder, path) = unit();
    let (is_fine, said) = systemd_analyze(&["verify", &path]);
    assert!(is_fine && said.is_empty(), "{said}");
    // 1.5 of 10 at the most; a unit without any of it has 9.
    let (is_fine, said) = systemd_analyze(&[
        "security",
        "--offline=true",
        "--threshold=15",
        "--no-pager",
        &path,
    ]);
    assert!(is_fine, "{said}");
}

/// With nobody registered yet it says so; with its own example it is right.
#[test]
fn configuration_of_the_package_is_valid() {
    let read = |name: &str| fs::read_to_string(repository(&format!("packaging/debian/{name}"))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let check = |processors: &str| {
        fs::write(folder.path().join("lacuna.toml"), read("lacuna.toml")).unwrap();
        fs::write(folder.path().join("processors.toml"), processors).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_lacuna"))
            .arg("check")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let shipped = read("processors.toml");
    let (code, said) = check(&shipped);
    assert_eq!(code, Some(2));
    assert!(said.contains("expected at least one [[processor]]"), "{said}");
    let lines = shipped.lines().map(|line| {
        let is_example = line.contains("[[") || line.contains(" = ");
        line.strip_prefix("# ").filter(|_| is_example).unwrap_or(line)
    });
    let (code, said) = check(&lines.collect::<Vec<_>>().join("\n"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn package_brings_files_that_there_are() {
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let (_, metadata) = manifest.split_once("[package.metadata.deb]").unwrap();
    let assets = metadata.split("\n[").next().unwrap();
    let sources: Vec<&str> = assets
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next())
        .filter(|source| !source.starts_with("target/"))
        .collect();
    assert!(sources.len() > 5, "{sources:?}");
    for source in sources {
        let source = source.trim_end_matches("*.json");
        assert!(repository(source).exists(), "there is no {source}");
    }
}
