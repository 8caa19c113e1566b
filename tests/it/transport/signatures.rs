//! Signatures are verified by implementations that are not ours: the Standard Webhooks libraries of PyPI and npm, and for
//! Ed25519, which they do not have, `cryptography` of PyPI.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lacuna::transport::sender::Sender as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{
    PATIENCE, SECRET,
    peer::{Peer, json as answer_json},
    processor, sender, task,
};
use crate::support::{repository, service};

/// A secret that is text; its bytes in base64 are what the libraries take.
const TEXT: &str = "a secret of more than thirty characters";

/// What verifies: a program and its first arguments.
fn python() -> Command {
    let mut command = Command::new(service("LACUNA_TEST_PYTHON"));
    command.arg(repository("tests/support/verify_webhook.py"));
    command
}

fn node() -> Command {
    let mut command = Command::new("node");
    command
        .arg(repository("tests/support/verify_webhook.cjs"))
        .env("NODE_PATH", service("LACUNA_TEST_NODE_PATH"));
    command
}

/// Whether a program verifies a call with a key: `v1` with a symmetric secret, `v1a` with a public key.
fn verifies(mut program: Command, question: &Value) -> bool {
    let mut running = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    running
        .stdin
        .take()
        .unwrap()
        .write_all(question.to_string().as_bytes())
        .unwrap();
    let done = running.wait_with_output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    match said.trim() {
        "verified" => true,
        "refused" => false,
        other => panic!("{other:?}, {}", done.status),
    }
}

/// Signs a call with these secrets, and gives it as it has arrived.
async fn signed_with(secrets: &str) -> Value {
    let peer = Peer::start(|_| answer_json(200, r#"{"outcome":"absent"}"#)).await;
    let processor = processor(&format!("url = '{}', secret = {secrets}", peer.url()));
    sender(Path::new(""))
        .send(&processor, &task(&processor), PATIENCE)
        .await;
    let call = peer.calls().pop().unwrap();
    json!({ "headers": call.headers, "body": String::from_utf8(call.body).unwrap() })
}

fn with_key(call: &Value, key: &str) -> Value {
    let mut question = call.clone();
    question["key"] = json!(key);
    question
}

#[tokio::test]
async fn the_libraries_of_pypi_and_npm_verify_symmetric_secrets() {
    let of_text = format!("whsec_{}", STANDARD.encode(TEXT));
    let both = format!("['{TEXT}', '{SECRET}']");
    for (secrets, keys) in [
        (format!("'{SECRET}'"), vec![SECRET]),
        (format!("'{TEXT}'"), vec![of_text.as_str()]),
        // While one replaces the other, either verifies.
        (both, vec![SECRET, of_text.as_str()]),
    ] {
        let call = signed_with(&secrets).await;
        for key in keys {
            let mut changed = with_key(&call, key);
            assert!(
                verifies(python(), &changed) && verifies(node(), &changed),
                "{secrets}"
            );
            changed["body"] = json!(changed["body"].as_str().unwrap().replace("verify", "erase"));
            assert!(
                !verifies(python(), &changed) && !verifies(node(), &changed),
                "a changed body"
            );
        }
        let other = with_key(&call, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert!(
            !verifies(python(), &other) && !verifies(node(), &other),
            "another key"
        );
    }
}

#[tokio::test]
async fn a_signature_of_ed25519_verifies_with_the_public_key() {
    let seed = [42; 32];
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = format!("whpk_{}", STANDARD.encode(pair.public_key()));
    let call = signed_with(&format!("['whsk_{}', '{SECRET}']", STANDARD.encode(seed))).await;
    let mut asked = with_key(&call, &public);
    assert!(verifies(python(), &asked));
    asked["body"] = json!(asked["body"].as_str().unwrap().replace("verify", "erase"));
    assert!(!verifies(python(), &asked), "a changed body");
    let other = Ed25519KeyPair::from_seed_unchecked(&[43; 32]).unwrap();
    let other = with_key(&call, &format!("whpk_{}", STANDARD.encode(other.public_key())));
    assert!(!verifies(python(), &other), "another key");
    // The symmetric one beside it verifies as if it stood alone.
    assert!(verifies(node(), &with_key(&call, SECRET)));
}
