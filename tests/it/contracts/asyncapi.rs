//! `schemas/asyncapi.yaml`, read by the parser of npm.

use std::process::Command;

use crate::support::repository;

#[test]
fn the_topics_are_valid_asyncapi() {
    let modules = std::env::var("LACUNA_TEST_ASYNCAPI_NODE_PATH")
        .expect("LACUNA_TEST_ASYNCAPI_NODE_PATH is not set: run tests/run, which installs the parser");
    let parse = |file: &str| {
        Command::new("node")
            .arg(repository("tests/support/contracts/asyncapi.cjs"))
            .arg(file)
            .env("NODE_PATH", &modules)
            .output()
            .unwrap()
    };
    let file = repository("schemas/asyncapi.yaml");
    let done = parse(file.to_str().unwrap());
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(said.trim(), "3.0.0 8 operations");
    // The parser finds what is wrong: a channel that is not there.
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(repository("schemas")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let broken = folder.path().join("asyncapi.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&broken, text.replace("#/channels/ack\"", "#/channels/nack\"")).unwrap();
    assert!(!parse(broken.to_str().unwrap()).status.success());
}
