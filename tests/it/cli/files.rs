//! What commands print and write without any service.

use std::{os::unix::fs::PermissionsExt as _, process::Stdio};

use clap::CommandFactory as _;
use lacuna::program::Program;

use super::workspace::{Done, REGISTRY, Workspace};

#[tokio::test]
async fn the_default_configuration_can_be_loaded() {
    let workspace = Workspace::empty();
    let Done { stdout, .. } = workspace.run(&["check", "--print-default"]).await.expect(0);
    workspace.write("lacuna.toml", &stdout);
    workspace.write("processors.toml", REGISTRY);
    let Done { stdout, .. } = workspace.run(&["check"]).await.expect(0);
    for text in [
        "sqlite:lacuna.db",
        "localhost:9092",
        "billing",
        "lacuna.tasks.crm",
        "lacuna.dead-letters",
    ] {
        assert!(stdout.contains(text), "{text:?} is missing:\n{stdout}");
    }
}

#[tokio::test]
async fn schemas_are_written() {
    let workspace = Workspace::empty();
    let Done { stdout, .. } = workspace
        .run(&["schemas", "print", "out/schemas"])
        .await
        .expect(0);
    assert_eq!(stdout.lines().count(), 10);
    for name in [
        "command.json",
        "task.json",
        "ack.json",
        "backup.json",
        "status.json",
        "suppression.json",
        "dead_letter.json",
        "report.json",
    ] {
        let text = std::fs::read_to_string(workspace.path("out/schemas").join(name)).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
            "{name}"
        );
    }
    for name in ["openapi.json", "asyncapi.yaml"] {
        assert!(workspace.path("out/schemas").join(name).is_file(), "{name}");
    }
    workspace.write("file", "");
    workspace.run(&["schemas", "print", "file/below"]).await.expect(2);
}

#[tokio::test]
async fn a_keyring_is_made_once_for_its_owner_only_and_never_shown() {
    let workspace = Workspace::with("vault.keyring = \"file:keys/ring\"");
    let Done { stderr, .. } = workspace.run(&["keys", "list"]).await.expect(2);
    assert!(stderr.contains("lacuna keys init"), "{stderr}");
    std::fs::create_dir(workspace.path("keys")).unwrap();
    workspace.run(&["keys", "init"]).await.expect(0);
    let path = workspace.path("keys/ring");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = std::fs::read(&path).unwrap();
    let Done { stderr, .. } = workspace.run(&["keys", "init"]).await.expect(2);
    assert!(stderr.contains("never overwritten"), "{stderr}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let Done { stdout, .. } = workspace.run(&["keys", "list", "--json"]).await.expect(0);
    let epoch: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&epoch["id"], &epoch["state"]), (&1.into(), &"current".into()));
    let mut fields: Vec<&String> = epoch.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["created_at", "id", "state"]);
}

#[tokio::test]
async fn the_key_of_a_tenants_suppression_list_is_printed() {
    let workspace = Workspace::with("tenant_default = \"acme\"\nvault.keyring = \"file:ring\"");
    let key = async |arguments: &[&str]| {
        let all = [&["keys", "suppression"], arguments].concat();
        workspace.run(&all).await.expect(0).stdout
    };
    workspace.run(&["keys", "suppression"]).await.expect(2);
    workspace.run(&["keys", "init"]).await.expect(0);
    let default = key(&[]).await;
    assert!(
        default.contains("kafka.topics.suppression is not set"),
        "{default}"
    );
    assert!(default.contains("type || 0x00 || value"), "{default}");
    let last = default.lines().last().unwrap();
    assert!(
        last.len() == 64 && last.bytes().all(|b| b.is_ascii_hexdigit()),
        "{default}"
    );
    assert_eq!(
        key(&["--tenant", "acme"]).await,
        default,
        "it is the same each time"
    );
    let other = key(&["--tenant", "globex"]).await;
    assert_ne!(other.lines().last(), Some(last));
    workspace
        .run(&["keys", "suppression", "--tenant", "no tenant"])
        .await
        .expect(2);
}

#[tokio::test]
async fn every_subcommand_has_an_example_and_takes_a_configuration() {
    let workspace = Workspace::empty();
    let mut paths = Vec::new();
    collect(&Program::command(), &mut Vec::new(), &mut paths);
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        // The demonstration brings its own configuration, `init` writes one, and what says how to call the program needs none.
        let is_configured = !["-", "demo", "init", "completions", "man"].contains(&arguments[0]);
        arguments.retain(|part| *part != "-");
        arguments.push("--help");
        let Done { stdout, .. } = workspace.run(&arguments).await.expect(0);
        assert!(
            stdout.contains("Example"),
            "{arguments:?} shows no example:\n{stdout}"
        );
        assert!(
            !is_configured || stdout.contains("--config"),
            "{arguments:?} takes no configuration:\n{stdout}"
        );
    }
}

/// Every subcommand; one that only groups others begins with a dash.
fn collect(command: &clap::Command, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    for child in command.get_subcommands() {
        // The bench is not written yet.
        if ["bench", "help"].contains(&child.get_name()) {
            continue;
        }
        path.push(child.get_name().to_owned());
        let group = child.has_subcommands().then(|| "-".to_owned());
        paths.push(group.into_iter().chain(path.iter().cloned()).collect());
        collect(child, path, paths);
        path.pop();
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_command_quietly() {
    let workspace = Workspace::with("");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = workspace
        .command(&["check", "--print-default"])
        .stdout(Stdio::from(writer))
        .spawn()
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap()),
        (Some(0), String::new())
    );
}

#[tokio::test]
async fn a_registry_goes_from_file_to_store_and_back() {
    let workspace = Workspace::with("");
    workspace.run(&["migrate"]).await.expect(0);
    let Done { stdout, .. } = workspace.run(&["migrate"]).await.expect(0);
    assert!(stdout.contains("up to date already"), "{stdout}");
    workspace.run(&["registry", "diff"]).await.expect(1);
    // No broker is asked here.
    let apply = ["registry", "apply", "--offline"];
    workspace.run(&apply).await.expect(0);
    let Done { stdout, .. } = workspace.run(&apply).await.expect(0);
    assert!(stdout.contains("revision 1 was active already"), "{stdout}");
    workspace.run(&["registry", "diff"]).await.expect(0);
    let Done { stdout, .. } = workspace.run(&["registry", "show"]).await.expect(0);
    workspace.write("shown.toml", &stdout);
    workspace.run(&["registry", "diff", "shown.toml"]).await.expect(0);
    workspace.write("changed.toml", &stdout.replace("\"90s\"", "\"2h\""));
    let Done { stdout, .. } = workspace
        .run(&["registry", "diff", "changed.toml"])
        .await
        .expect(1);
    let expected = "--- revision 1\n+++ changed.toml\n  processor \"crm\"\n-   ack_timeout = \"90s\"\n+   ack_timeout = \"2h\"\n";
    assert_eq!(stdout, expected);
    workspace.write("changed.toml", "[[processor]]\n");
    workspace
        .run(&["registry", "apply", "changed.toml"])
        .await
        .expect(2);
    workspace.run(&["registry", "diff"]).await.expect(0);
}
