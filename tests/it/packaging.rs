//! What is shipped beside the code: docker-compose.yml and the files that it mounts, alert rules and dashboards, the chart, the unit.

mod kubernetes;
mod live;
mod prometheus;
mod units;

use std::process::Command;

use crate::support::repository;

#[test]
fn docker_compose_accepts_its_file() {
    let output = Command::new("docker-compose")
        .args(["-f", "docker-compose.yml", "config"])
        .current_dir(repository("."))
        .output()
        .expect("docker-compose is not installed: run the tests through tests/run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    for service in ["kafka:", "postgres:", "lacuna:", "migrate:", "topics:"] {
        assert!(
            text.contains(&format!("\n  {service}")),
            "{service} is missing in\n{text}"
        );
    }
}

#[test]
fn the_configuration_of_the_containers_is_valid() {
    let output = Command::new(env!("CARGO_BIN_EXE_lacuna"))
        .args(["check", "--config"])
        .arg(repository("docker/lacuna.toml"))
        .env("LACUNA_SUBMITTER_TOKEN", "a-submitter-token")
        .env("LACUNA_COMPLIANCE_TOKEN", "a-compliance-token")
        .env("LACUNA_OPERATOR_TOKEN", "an-operator-token")
        .env("LACUNA_AUDITOR_TOKEN", "an-auditor-token")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
