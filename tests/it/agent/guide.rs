//! The guide, followed to the letter: its files are written, its commands run, in its order.

use std::{path::Path, process::Command};

use crate::support::{Deployment, StoreKind, psql, repository, service, unique};

/// A fenced block of the page: what it is of, and its text. A file's name stands in the paragraph before it.
fn blocks(page: &str) -> Vec<(String, Option<String>, String)> {
    let (mut found, mut before, mut lines) = (Vec::new(), String::new(), page.lines());
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let names = before.split('`').skip(1).step_by(2);
            let name = names
                .filter(|name| name.contains('.') && !name.contains(' '))
                .last();
            found.push((language.to_owned(), name.map(str::to_owned), text.join("\n")));
            before.clear();
        } else if line.starts_with('#') {
            before.clear();
        } else {
            before.push_str(line);
            before.push('\n');
        }
    }
    found
}

#[test]
fn guide_leads_to_an_erased_person() {
    let page = std::fs::read_to_string(repository("docs/guide/agent.md")).unwrap();
    let (server, database) = (service("LACUNA_TEST_POSTGRES"), unique("g"));
    psql(&format!("create database {database}"));
    let shop = format!("{}/{database}", server.rsplit_once('/').unwrap().0);
    let blocks = blocks(&page);
    // The worker starts with what the first block says.
    assert_eq!(blocks[0].1.as_deref(), Some("processors.toml"));
    let deployment = Deployment::new(StoreKind::Sqlite, &blocks[0].2);
    let _worker = deployment.serve();
    let mut said = String::new();
    for (language, name, text) in blocks {
        match (language.as_str(), name) {
            ("sh", _) => said.push_str(&run(&deployment, &shop, &text)),
            (_, Some(name)) => {
                let here = format!("127.0.0.1:{}", deployment.http);
                deployment.write(&name, &text.replace("127.0.0.1:8080", &here));
            }
            (language, None) => panic!("a block of {language} has no name"),
        }
    }
    assert!(said.contains("shop-db: the agent can start"), "{said}");
    assert!(said.contains("-- orders: 2 rows would be deleted"), "{said}");
    assert!(said.contains("-- reviews: 1 rows would be anonymized"), "{said}");
    assert!(said.trim_end().ends_with('1'), "one customer is left: {said}");
    let (_, list) = deployment.get("/v1/requests?status=completed").unwrap();
    assert!(list.contains("\"completed\""), "{list}");
}

fn run(deployment: &Deployment, shop: &str, script: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_lacuna")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let url = format!("http://127.0.0.1:{}", deployment.http);
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(deployment.folder.path())
        .envs([
            ("PATH", path.as_str()),
            ("LACUNA_URL", &url),
            ("LACUNA_TOKEN", "none"),
            ("SHOP_URL", shop),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}\n{errors}");
    said
}
