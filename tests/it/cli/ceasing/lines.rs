//! Lines of the file that cannot be taken: they are named, and nobody is left out unasked.

use uuid::Uuid;

use super::{APPROVE, published, workspace};
use crate::cli::workspace::{Done, REGISTRY, Workspace};

#[tokio::test]
async fn wrong_lines_are_named_and_left_out_only_when_asked() {
    let (workspace, topic) = workspace("").await;
    workspace.write(
        "users.csv",
        "customer_id,email\n1,a@canary.org\n2\nNULL,\n,\n5,canary\n6,f@canary.org\n6,f@canary.org\n",
    );
    for arguments in [
        &["sunset", "users.csv", "--dry-run"][..],
        &["sunset", "users.csv", "--actor", "ann"],
    ] {
        let Done { stdout, stderr, .. } = workspace.run(arguments).await.expect(2);
        for text in [
            "users.csv:3: expected 2 values, found 1",
            "users.csv:4: customer_id: the value is a word for nothing",
            "users.csv:5: expected at least one identifier",
            "users.csv:6: email: expected an e-mail address",
        ] {
            assert!(stdout.contains(text), "{text:?} is missing:\n{stdout}");
        }
        assert!(stderr.contains("4 of 7 lines are wrong"), "{stderr}");
        assert!(
            !format!("{stdout}{stderr}").contains("canary"),
            "{stdout}{stderr}"
        );
    }
    assert!(!workspace.path("users.csv.plan").exists());
    let arguments = [
        "sunset",
        "users.csv",
        "--actor",
        "ann",
        "--skip-bad",
        "--action",
        "anonymize",
    ];
    let Done { stdout, .. } = workspace.run(&arguments).await.expect(0);
    assert!(stdout.contains("users.csv.bad lists them"), "{stdout}");
    let bad = std::fs::read_to_string(workspace.path("users.csv.bad")).unwrap();
    assert_eq!(bad.lines().count(), 4);
    assert!(
        bad.starts_with("3: expected 2 values") && !bad.contains("canary"),
        "{bad}"
    );
    let Done { stdout, .. } = workspace.run(APPROVE).await.expect(0);
    assert!(stdout.contains("left out    4 lines"), "{stdout}");
    let commands = published(&topic, 3).await;
    assert_eq!(commands.len(), 3);
    assert!(commands.iter().all(|command| command["type"] == "anonymize"));
    // Somebody listed twice is one command twice, which changes nothing.
    let of = |n: usize| commands.iter().filter(|other| **other == commands[n]).count();
    let mut alike = [of(0), of(1), of(2)];
    alike.sort_unstable();
    assert_eq!(alike, [1, 2, 2]);
    // A header that is none, an order that is none, and a broker that is away.
    workspace.write("bare.csv", "canary@example.org\n");
    let Done { stderr, .. } = workspace
        .run(&["sunset", "bare.csv", "--dry-run"])
        .await
        .expect(2);
    assert!(
        stderr.contains("is the header line missing") && !stderr.contains("canary"),
        "{stderr}"
    );
    let Done { stderr, .. } = workspace
        .run(&["sunset", "users.csv", "--dry-run", "--regime", "canary"])
        .await
        .expect(2);
    assert!(stderr.contains("regime"), "{stderr}");
    workspace
        .run(&[
            "sunset",
            "users.csv",
            "--dry-run",
            "--requested-at",
            "2999-01-01T00:00:00Z",
        ])
        .await
        .expect(2);
}

#[tokio::test]
async fn nobody_is_swallowed_and_no_word_for_nothing_is_somebody() {
    let workspace =
        Workspace::with("vault.keyring = \"file:ring\"\n[policy]\nplaceholder_identities = [\"guest\"]\n");
    workspace.write(
        "processors.toml",
        &REGISTRY.replace("[\"email\"]", "[\"email\", \"device_id\"]"),
    );
    workspace.run(&["keys", "init"]).await.expect(0);
    let quotes = [
        "customer_id,email\n1001,\"ann@canary.org\n1002,bob@canary.org\n1003,carol@canary.org\n",
        "customer_id,email\n1001,\"ann@canary.org\n1002,\"bob@canary.org\"\n1003,carol@canary.org\n",
    ];
    for text in quotes {
        workspace.write("users.csv", text);
        for mode in ["--dry-run", "--skip-bad"] {
            let arguments = ["sunset", "users.csv", "--actor", "ann", mode];
            let Done { stdout, stderr, .. } = workspace.run(&arguments).await.expect(2);
            assert!(stderr.contains("users.csv:2: a quote is opened here"), "{stderr}");
            assert!(
                !format!("{stdout}{stderr}").contains("canary"),
                "{stdout}{stderr}"
            );
        }
        assert!(!workspace.path("users.csv.plan").exists());
    }
    let words = [
        "NaN",
        "nan",
        "#N/A",
        "<NA>",
        "(null)",
        "[NULL]",
        "NA",
        "-",
        "unknown",
        "GUEST",
        "1.23457E+15",
    ];
    let rows = words.map(|word| format!("{word},a@canary.org\n")).concat();
    workspace.write("users.csv", &format!("customer_id,email\n{rows}"));
    let Done { stdout, stderr, .. } = workspace
        .run(&["sunset", "users.csv", "--dry-run"])
        .await
        .expect(2);
    assert!(stderr.contains("11 of 11 lines are wrong"), "{stdout}{stderr}");
    workspace.write("devices.csv", &format!("device_id\n{0}\n{0}\n", Uuid::nil()));
    let Done { stderr, .. } = workspace
        .run(&["sunset", "devices.csv", "--dry-run"])
        .await
        .expect(2);
    assert!(stderr.contains("2 of 2 lines are wrong"), "{stderr}");
    let utf_16: Vec<u8> = "email\na@b.c\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (bytes, named) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (b"PK\x03\x04\x14\0", "xlsx"),
        (&utf_16, "UTF-16"),
    ] {
        std::fs::write(workspace.path("users.csv"), bytes).unwrap();
        for command in ["sunset", "submit"] {
            let mut arguments = vec![command, "users.csv"];
            arguments.extend((command == "sunset").then_some("--dry-run"));
            let Done { stderr, .. } = workspace.run(&arguments).await.expect(2);
            assert!(stderr.contains(named), "{command}: {stderr}");
        }
    }
}
