//! `lacuna connectors`, and the guide to a connector of one's own, followed to the letter.

use super::workspace::Workspace;
use crate::end_to_end::pages::block;

const GUIDE: &str = "docs/guide/connector.md";

fn workspace(transport: &str) -> Workspace {
    let workspace = Workspace::with(&format!(
        "kafka.bootstrap_servers = \"embedded\"\n{}\n",
        block(GUIDE, "toml", 1)
    ));
    std::fs::create_dir(workspace.path("connectors")).unwrap();
    workspace.write("connectors/acme.toml", &block(GUIDE, "toml", 2));
    workspace.write(
        "processors.toml",
        &block(GUIDE, "toml", 0).replace(
            "{ type = \"vendor\", connector = \"hubspot\", token = \"env:HUBSPOT_TOKEN\" }",
            transport,
        ),
    );
    workspace
}

#[tokio::test]
async fn the_guide_leads_to_a_connector_that_passes() {
    let workspace = workspace("{ type = \"vendor\", connector = \"acme\", token = \"file:token\" }");
    workspace.write("token", "hunter2");
    let lines: Vec<Vec<String>> = (0..3)
        .flat_map(|n| {
            block(GUIDE, "sh", n)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .map(|line| line.split_whitespace().skip(1).map(str::to_owned).collect())
        .collect();
    assert_eq!(lines.len(), 4, "every command of the page: {lines:?}");
    let mut said = Vec::new();
    for line in &lines {
        let arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        said.push(workspace.run(&arguments).await.expect(0).stdout);
    }
    assert!(
        said[0].contains("acme") && said[0].contains("folder"),
        "{}",
        said[0]
    );
    assert_eq!(said[0].lines().count(), 22, "{}", said[0]);
    assert_eq!(said[2].trim_end(), block(GUIDE, "text", 0));
    assert_eq!(said[3].trim_end(), block(GUIDE, "text", 1));
    // Registered as the page says, it is taken.
    let checked = workspace.run(&["check"]).await.expect(0);
    assert!(!checked.stdout.contains("hunter2"), "{}", checked.stdout);
    let shown = workspace
        .run(&["connectors", "test", "hubspot", "--dry-run"])
        .await
        .expect(0);
    assert!(
        shown
            .stdout
            .contains("https://api.acme.example/v1/contacts?email=EMAIL"),
        "{}",
        shown.stdout
    );
    assert!(!shown.stdout.contains("hunter2"), "{}", shown.stdout);
}

#[tokio::test]
async fn the_guide_to_a_warehouse_leads_to_a_connector_that_passes() {
    const WAREHOUSE: &str = "docs/guide/warehouse.md";
    let workspace = Workspace::with(&format!(
        "kafka.bootstrap_servers = \"embedded\"\n{}\n",
        block(GUIDE, "toml", 1)
    ));
    std::fs::create_dir(workspace.path("connectors")).unwrap();
    workspace.write("connectors/snowflake-rows.toml", &block(WAREHOUSE, "toml", 0));
    let registered = block(WAREHOUSE, "toml", 1).replace("env:SNOWFLAKE_TOKEN", "file:token");
    workspace.write("processors.toml", &registered);
    workspace.write("token", "hunter2");
    let mut said = Vec::new();
    for line in block(WAREHOUSE, "sh", 0).lines() {
        let arguments: Vec<&str> = line.split_whitespace().skip(1).collect();
        said.push(workspace.run(&arguments).await.expect(0).stdout);
    }
    assert_eq!(said[0].matches("ok     ").count(), 5, "{}", said[0]);
    assert!(said[1].contains("\"value\":\"CUSTOMER_ID\""), "{}", said[1]);
    assert!(said[1].contains("WHERE COLUMN = ?"), "{}", said[1]);
    workspace.run(&["check"]).await.expect(0);
}

#[tokio::test]
async fn what_is_not_verified_is_said_loudly() {
    let workspace = Workspace::empty();
    let shown = workspace
        .run(&["connectors", "show", "salesforce"])
        .await
        .expect(0)
        .stdout;
    let first = shown.lines().next().unwrap();
    assert!(
        first.starts_with("!! ") && first.contains("could NOT BE VERIFIED"),
        "{shown}"
    );
    let sure = workspace
        .run(&["connectors", "show", "algolia"])
        .await
        .expect(0)
        .stdout;
    assert!(!sure.contains("!!"), "{sure}");
    let listed = workspace.run(&["connectors", "list"]).await.expect(0).stdout;
    assert_eq!(listed.lines().count(), 21, "{listed}");
    workspace.run(&["connectors", "show", "nobody"]).await.expect(1);
}

#[tokio::test]
async fn mistakes_of_a_connector_have_their_exit_code() {
    let workspace = workspace("{ type = \"vendor\", connector = \"acme\", token = \"file:token\" }");
    let good = block(GUIDE, "toml", 2);
    workspace.write(
        "connectors/acme.toml",
        &good.replace("{settings.token}", "{settings.tokn}"),
    );
    let wrong = workspace
        .run(&["connectors", "check", "connectors/acme.toml"])
        .await
        .expect(2);
    assert!(
        wrong.stderr.contains("connectors/acme.toml:")
            && wrong.stderr.contains("did you mean {settings.token}?"),
        "{}",
        wrong.stderr
    );
    let wrong = workspace.run(&["check"]).await.expect(2);
    assert!(
        wrong.stderr.contains("there is no such setting"),
        "{}",
        wrong.stderr
    );
    let claim = good.replace("comes_to = \"not_found\"", "comes_to = \"erased\"");
    workspace.write("connectors/acme.toml", &claim);
    let differs = workspace
        .run(&["connectors", "check", "connectors/acme.toml"])
        .await
        .expect(1);
    assert!(
        differs
            .stdout
            .contains("WRONG  an unknown address is not found: it comes to not_found, not to erased"),
        "{}",
        differs.stdout
    );
    workspace.write("connectors/other.toml", &good);
    let named = workspace
        .run(&["connectors", "check", "connectors/other.toml"])
        .await
        .expect(2);
    assert!(named.stderr.contains("expected acme.toml"), "{}", named.stderr);
}
