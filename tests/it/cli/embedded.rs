//! A worker with a broker of its own inside, SQLite, and a bearer of each role.

use std::time::Duration;

use lacuna::clock::Stopwatch;
use tokio::process::Child;

use super::{
    worker::first_answer,
    workspace::{PATIENCE, Workspace},
};
use crate::support::free_port;

/// The roles; each has one bearer, who is called like it.
pub const ROLES: [&str; 5] = ["submitter", "processor", "compliance", "operator", "auditor"];

/// The token of a role's bearer.
pub fn token(role: &str) -> String {
    format!("a-token-of-the-role-{role}")
}

/// The worker with this registry and more configuration, in its folder, and where it listens.
pub async fn serving(registry: &str, more: &str) -> (Workspace, Child, String) {
    let port = free_port();
    let (workspace, worker) = started(registry, more, port);
    first_answer(port).await;
    let base = format!("http://127.0.0.1:{port}");
    // It answers before it is ready, and for a moment not at all: then the real listener takes the address.
    let watch = Stopwatch::start();
    while !reqwest::get(format!("{base}/readyz"))
        .await
        .is_ok_and(|answer| answer.status().is_success())
    {
        assert!(watch.elapsed() < PATIENCE, "{base} never gets ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (workspace, worker, base)
}

/// The same over TLS, by more configuration. Whoever trusts its certificate waits until it is ready.
pub async fn serving_tls(registry: &str, more: &str) -> (Workspace, Child, String) {
    let port = free_port();
    let (workspace, worker) = started(registry, more, port);
    (workspace, worker, format!("https://localhost:{port}"))
}

fn started(registry: &str, more: &str, port: u16) -> (Workspace, Child) {
    let tokens = ROLES.map(|role| {
        let of = if role == "processor" {
            ", processor = \"crm\""
        } else {
            ""
        };
        format!(
            "{{ name = \"{role}\", role = \"{role}\"{of}, token = \"{}\" }}",
            token(role)
        )
    });
    let config = format!(
        "[kafka]\nbootstrap_servers = \"embedded\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n[auth]\ntokens = [{}]\n{more}",
        tokens.join(", ")
    );
    let workspace = Workspace::with(&config);
    workspace.write("processors.toml", registry);
    let worker = workspace.command(&["serve"]).spawn().unwrap();
    (workspace, worker)
}
