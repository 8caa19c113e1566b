//! `lacuna init`: what a newcomer starts from.

use super::workspace::{Done, Workspace};

#[tokio::test]
async fn every_policy_gives_a_configuration_that_is_checked() {
    for policy in ["jojocell", "whatsify", "emojoi", "helpdesk", "dijo"] {
        let workspace = Workspace::empty();
        let Done { stdout, .. } = workspace
            .run(&["init", "--policy", policy, "here"])
            .await
            .expect(0);
        assert!(
            stdout.contains("lacuna check") && stdout.contains(policy),
            "{stdout}"
        );
        let mut check = workspace.command(&["check", "--config", "here/lacuna.toml"]);
        let exports = stdout
            .lines()
            .filter_map(|line| line.trim().strip_prefix("export "));
        for (n, line) in exports.enumerate() {
            let (name, value) = line.split_once('=').unwrap();
            // What the shell would make of it.
            let is_signing = value.starts_with("whsec_$(openssl rand -base64 32)");
            let made = if is_signing {
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned()
            } else {
                format!("a-token-of-its-own-{n}")
            };
            check.env(name, made);
        }
        let output = check.output().await.unwrap();
        assert!(
            output.status.success(),
            "{policy}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let written = std::fs::read_to_string(workspace.path("here/lacuna.toml")).unwrap();
        assert!(written.starts_with(&format!(
            "# From `lacuna init --policy {policy}`, for this promise:\n#   "
        )));
    }
}

#[tokio::test]
async fn nothing_is_overwritten_unless_it_is_wanted() {
    let workspace = Workspace::empty();
    workspace.write("processors.toml", "# mine\n");
    let Done { stderr, .. } = workspace.run(&["init", "--policy", "dijo"]).await.expect(2);
    assert!(stderr.contains("processors.toml is there already"), "{stderr}");
    assert!(!workspace.path("lacuna.toml").exists(), "half a configuration");
    assert_eq!(
        std::fs::read_to_string(workspace.path("processors.toml")).unwrap(),
        "# mine\n"
    );
    workspace
        .run(&["init", "--policy", "dijo", "--force"])
        .await
        .expect(0);
    let written = std::fs::read_to_string(workspace.path("processors.toml")).unwrap();
    assert!(written.contains("card_tokens"), "{written}");
}

#[tokio::test]
async fn agent_of_a_policy_fits_to_its_database() {
    use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
    for (policy, variable) in [
        ("jojocell", "JOJOCELL_ACCOUNTS_URL"),
        ("helpdesk", "HELPDESK_TICKETS_URL"),
        ("dijo", "DIJO_APP_URL"),
    ] {
        let workspace = Workspace::empty();
        let Done { stdout, .. } = workspace.run(&["init", "--policy", policy]).await.expect(0);
        assert!(stdout.contains(&format!("export {variable}=")), "{stdout}");
        let url = format!("sqlite:{}", workspace.path("a.db").display());
        let mut database = SqliteConnection::connect(&format!("{url}?mode=rwc"))
            .await
            .unwrap();
        let statements = std::fs::read_to_string(workspace.path("database.sql")).unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut database)
            .await
            .unwrap();
        database.close().await.unwrap();
        let mut check = workspace.command(&["agent", "--config", "agent.toml", "--check"]);
        for line in stdout
            .lines()
            .filter_map(|line| line.trim().strip_prefix("export "))
        {
            check.env(line.split_once('=').unwrap().0, "a-token-of-its-own");
        }
        let output = check.env(variable, &url).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && !said.contains("warning"),
            "{policy}: {said}"
        );
    }
}
