//! Every mistake ends with its exit code, says what failed and what to do next, and shows no secret.

use std::time::Duration;

use lacuna::clock::Stopwatch;

use super::workspace::{Done, Workspace};

const ID: &str = "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d";

/// Nobody listens on port 1.
const NOWHERE: &str = r#"
    kafka.bootstrap_servers = "127.0.0.1:1"
    http.listen = "127.0.0.1:0"
"#;

const EMBEDDED: &str = r#"kafka.bootstrap_servers = "embedded""#;

/// Arguments, the exit code, and what stderr says.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

async fn check(workspace: &Workspace, cases: &[Case<'_>]) {
    for (arguments, code, says) in cases {
        one(workspace, arguments, *code, says).await;
    }
}

async fn one(workspace: &Workspace, arguments: &[&str], code: i32, says: &[&str]) {
    let Done { stderr, .. } = workspace.run(arguments).await.expect(code);
    for text in says {
        assert!(
            stderr.contains(text),
            "{arguments:?} does not say {text:?}:\n{stderr}"
        );
    }
    assert!(
        !stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_missing_configuration_is_named() {
    let every: &[&[&str]] = &[
        &["serve"],
        &["check"],
        &["migrate"],
        &["topics", "create"],
        &["topics", "list"],
        &["submit", "-"],
        &["status", ID],
        &["requests"],
        &["explain", ID],
        &["deferred", "list"],
        &["holds", "list"],
        &["sweeps", "list"],
        &["registry", "show"],
        &["registry", "diff"],
        &["registry", "apply"],
        &["keys", "init"],
        &["keys", "list"],
        &["dead-letters", "list"],
        &["dead-letters", "close", ID, "--reason", "x"],
    ];
    let workspace = Workspace::empty();
    for arguments in every {
        one(
            &workspace,
            arguments,
            2,
            &[
                "lacuna.toml: cannot be read",
                "next:  is it there",
                "--config names the configuration",
            ],
        )
        .await;
    }
    one(
        &workspace,
        &["check", "--config", "no/such.toml"],
        2,
        &["no/such.toml"],
    )
    .await;
}

#[tokio::test]
async fn ten_mistakes_in_two_files_are_named_at_once() {
    let workspace = Workspace::with(
        r#"
        regoin = "eu"
        shutdown_timeout = "soon"
        [kafka]
        bootstrap_servers = ""
        [store]
        url = "mysql://u:hunter2@db/x"
        [http]
        listen = "0.0.0.0:8080"
        [policy]
        regime = "hippa"
        "#,
    );
    workspace.write(
        "processors.toml",
        r#"
        [[processor]]
        id = "CRM"
        kind = "crm"
        transport = { type = "pigeon" }
        actions = ["shred"]
        identities = []
        "#,
    );
    let Done { stdout, stderr, .. } = workspace.run(&["check"]).await.expect(2);
    assert_eq!(stdout, "");
    let expected = [
        "lacuna.toml:2: regoin:",
        "lacuna.toml:3: shutdown_timeout:",
        "lacuna.toml:5: kafka.bootstrap_servers:",
        "lacuna.toml:7: store.url:",
        "lacuna.toml:9: http.listen:",
        "lacuna.toml:11: policy.regime:",
        "processors.toml:3:",
        "processors.toml:5:",
        "processors.toml:6:",
        "processors.toml:7:",
    ];
    for text in expected {
        assert!(stderr.contains(text), "{text:?} is missing:\n{stderr}");
    }
    assert!(
        stderr.contains("10 problems") && !stderr.contains("hunter2"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_token_for_a_processor_that_nobody_knows_is_named() {
    let token = |processor: &str| {
        format!(
            "{{ name = \"{processor}\", role = \"processor\", processor = \"{processor}\", token = \"a-token-of-{processor}-alone\" }}"
        )
    };
    let workspace = Workspace::with(&format!(
        "[auth]\ntokens = [{}, {}]\n",
        token("crm"),
        token("biling")
    ));
    // As the worker does, which runs with it: it may be left over from a processor that was removed.
    let Done { stdout, .. } = workspace.run(&["check"]).await.expect(0);
    assert!(
        stdout.contains("auth.tokens[1].processor: no processor \"biling\" is registered")
            && !stdout.contains("auth.tokens[0]"),
        "{stdout}"
    );
}

#[tokio::test]
async fn broken_syntax_does_not_make_the_registry_a_suspect() {
    let workspace = Workspace::empty();
    workspace.write("lacuna.toml", "[kafka\n");
    let Done { stderr, .. } = workspace.run(&["check"]).await.expect(2);
    assert!(
        stderr.contains("lacuna.toml:1") && !stderr.contains("processors.toml"),
        "{stderr}"
    );
}

#[tokio::test]
async fn usage_is_answered_with_2() {
    let workspace = Workspace::with("");
    let cases: &[Case<'_>] = &[
        (&[], 2, &["Usage"]),
        (&["sreve"], 2, &["sreve"]),
        (&["status", "17"], 2, &["<ID>"]),
        (&["explain", "17"], 2, &["<ID>"]),
        (
            &["deferred", "list", "--reason", "ack"],
            2,
            &["retention, backup_rotation, hold, verification"],
        ),
        (&["deferred", "list", "--due-before", "soon"], 2, &["RFC 3339"]),
        (&["deferred", "list", "--limit", "0"], 2, &["--limit"]),
        (&["sweeps", "list", "--limit", "0"], 2, &["--limit"]),
        (&["holds", "list", "--tenant", "a b"], 2, &["tenant"]),
        (
            &["requests", "--status", "done"],
            2,
            &["awaiting_verification", "completed"],
        ),
        (&["requests", "--limit", "0"], 2, &["--limit"]),
        (&["serve", "--roles", "intake,cook"], 2, &["settle"]),
        (&["serve", "--wait", "1mo"], 2, &["months"]),
        (&["dead-letters", "redrive"], 2, &["--reason"]),
        (
            &["dead-letters", "redrive", "--reason", "bad"],
            2,
            &["unknown_task"],
        ),
        (&["dead-letters", "close", ID], 2, &["--reason"]),
        (&["check", "--log-filter", "a=b=c"], 2, &["no valid log filter"]),
        (&["topics", "create", "--replication", "0"], 2, &["--replication"]),
    ];
    check(&workspace, cases).await;
}

#[tokio::test]
async fn the_embedded_broker_cannot_be_reached_from_outside() {
    let workspace = Workspace::with(EMBEDDED);
    let says: &[&str] = &["embedded", "lacuna serve"];
    let cases: &[Case<'_>] = &[
        (&["submit", "-"], 2, says),
        (&["topics", "create"], 2, says),
        (&["topics", "list"], 2, says),
        (&["dead-letters", "redrive", ID], 2, says),
        (&["check", "--connect"], 0, &[]),
    ];
    check(&workspace, cases).await;
}

#[tokio::test]
async fn an_unreachable_kafka_is_3_within_seconds() {
    let workspace = Workspace::with(NOWHERE);
    workspace.run(&["migrate"]).await.expect(0);
    let watch = Stopwatch::start();
    let says: &[&str] = &[
        "no Kafka broker answers at 127.0.0.1:1",
        "Connection refused",
        "next:  is the broker up",
    ];
    let command =
        br#"{"type":"erase","subject":{"identities":[{"type":"customer_id","value":"canary-42"}]}}"#;
    let (_, _, _, submitted) = tokio::join!(
        one(&workspace, &["topics", "list"], 3, says),
        one(&workspace, &["topics", "create"], 3, says),
        one(&workspace, &["check", "--connect"], 3, says),
        workspace.run_with(&["submit", "-"], command),
    );
    let Done { stdout, stderr, .. } = submitted.expect(3);
    assert_eq!(stdout, "");
    assert!(!stderr.contains("canary"), "{stderr}");
    assert!(watch.elapsed() < Duration::from_secs(40), "{:?}", watch.elapsed());
}

#[tokio::test]
async fn an_unreachable_postgres_is_3_and_its_password_is_not_shown() {
    let workspace = Workspace::with(&format!(
        "store.url = \"postgres://ann:hunter2@127.0.0.1:1/x\"\n{NOWHERE}"
    ));
    let watch = Stopwatch::start();
    let commands: &[&[&str]] = &[
        &["status", ID],
        &["requests"],
        &["migrate"],
        &["registry", "show"],
        &["dead-letters", "list"],
    ];
    let says: &[&str] = &[
        "postgres://127.0.0.1:1/x",
        "cannot be reached",
        "refused",
        "next:  is the database up",
    ];
    let mut running = tokio::task::JoinSet::new();
    let workspace = std::sync::Arc::new(workspace);
    for arguments in commands {
        let workspace = std::sync::Arc::clone(&workspace);
        running.spawn(async move {
            one(&workspace, arguments, 3, says).await;
            workspace.run(arguments).await
        });
    }
    for done in running.join_all().await {
        assert!(!format!("{done:?}").contains("hunter2"), "{done:?}");
    }
    assert!(watch.elapsed() < Duration::from_secs(50), "{:?}", watch.elapsed());
}

#[tokio::test]
async fn what_is_not_so_is_1() {
    let workspace = Workspace::with(NOWHERE);
    let says: &[&str] = &["no store at", "lacuna migrate"];
    one(&workspace, &["status", ID], 2, says).await;
    assert!(!workspace.path("lacuna.db").exists(), "a question makes no store");
    workspace.run(&["migrate"]).await.expect(0);
    let cases: &[Case<'_>] = &[
        (&["status", ID], 1, &["there is no request", ID]),
        (&["explain", ID], 1, &["there is no request", ID]),
        (&["deferred", "list"], 0, &[]),
        (&["holds", "list"], 0, &[]),
        (&["sweeps", "list", "--unfinished"], 0, &[]),
        (&["registry", "show"], 1, &["no registry is active"]),
        (&["dead-letters", "show", ID], 1, &["there is no dead letter", ID]),
        (
            &["dead-letters", "close", ID, "--reason", "x"],
            1,
            &["there is no dead letter"],
        ),
        (&["requests"], 0, &[]),
        (&["dead-letters", "list"], 0, &[]),
    ];
    check(&workspace, cases).await;
}

/// A certificate for so many days from now, and its key. Those of the past are valid for no time at all.
fn certificate(workspace: &Workspace, name: &str, days: &str) {
    let openssl = |arguments: &[&str]| {
        let made = std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(workspace.path(""))
            .output()
            .expect("openssl makes the certificate");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let (cert, key, asked) = (
        format!("{name}.pem"),
        format!("{name}.key"),
        format!("{name}.csr"),
    );
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &key,
        "-out",
        &asked,
    ]);
    // With an extension it is of version 3, which alone is taken.
    workspace.write("extensions", "basicConstraints = critical, CA:FALSE\n");
    openssl(&[
        "x509",
        "-req",
        "-in",
        &asked,
        "-signkey",
        &key,
        "-days",
        days,
        "-extfile",
        "extensions",
        "-out",
        &cert,
    ]);
}

#[tokio::test]
async fn expired_or_mismatched_certificate_is_found_by_check() {
    let workspace = Workspace::empty();
    workspace.write("processors.toml", super::workspace::REGISTRY);
    for (name, days) in [("good", "2"), ("other", "2"), ("old", "-1")] {
        certificate(&workspace, name, days);
    }
    workspace.write("empty.pem", "no certificate\n");
    let configure = |cert: &str, key: &str| {
        let tls = format!("tls = {{ cert = \"{cert}\", key = \"{key}\" }}");
        workspace.write(
            "lacuna.toml",
            &format!("{EMBEDDED}\n[http]\nlisten = \"127.0.0.1:0\"\n{tls}\n"),
        );
    };
    for (cert, key, says) in [
        ("old.pem", "old.key", "old.pem has expired at "),
        (
            "good.pem",
            "other.key",
            "other.key is not that of the certificate in ",
        ),
        (
            "empty.pem",
            "good.key",
            "empty.pem: expected a certificate in PEM, found none",
        ),
        ("good.pem", "good.pem", "good.pem: expected a private key in PEM"),
    ] {
        configure(cert, key);
        one(&workspace, &["check"], 2, &["http.tls: ", says]).await;
    }
    configure("good.pem", "other.key");
    let Done { code, stderr, .. } = workspace.run(&["serve"]).await;
    assert!(
        code != 0 && stderr.contains("other.key is not that of the certificate in "),
        "{code}: {stderr}"
    );
    configure("good.pem", "good.key");
    workspace.run(&["check"]).await.expect(0);
}

#[tokio::test]
async fn the_token_of_a_backup_system_is_its_own() {
    let workspace = Workspace::with(EMBEDDED);
    let backup = "[[processor]]\nid = \"nightly\"\nkind = \"backup\"\ntransport = { type = \"kafka\" }\nactions = [\"erase\"]\n\
                  identities = [\"email\"]\n\
                  backup = { sources = [\"crm\"], set = \"nightly\", keep = \"35d\", confirm_by = \"event\" }\n";
    workspace.write(
        "processors.toml",
        &format!(
            "{}{backup}{}",
            super::workspace::REGISTRY,
            backup.replace("nightly", "weekly")
        ),
    );
    workspace.run(&["keys", "init"]).await.expect(0);
    let token = async |of: &str| {
        let done = workspace.run(&["keys", "backup-token", "--processor", of]).await;
        done.expect(0).stdout.trim().to_owned()
    };
    let nightly = token("nightly").await;
    assert_eq!(nightly.len(), 32);
    assert_eq!(token("nightly").await, nightly, "it stays the same");
    assert_ne!(token("weekly").await, nightly);
    one(
        &workspace,
        &["keys", "backup-token", "--processor", "crm"],
        2,
        &["no backup processor crm"],
    )
    .await;
}
