//! What somebody says who has done a task by hand.

use serde_json::{Map, Value, json};

/// What was done, as an answer of a processor says it.
#[derive(Debug, clap::Args)]
pub(super) struct Evidence {
    /// What came of it: erased, anonymized, not_found, retained, partial; of a question: present, absent.
    #[arg(long, value_name = "WORD")]
    outcome: String,
    /// How it was done.
    #[arg(long, value_name = "TEXT")]
    method: Option<String>,
    /// How many records it was about.
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// Where it is written down: a ticket, a letter.
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// The digest of a file that stays where it is, such as sha256:….
    #[arg(long, value_name = "TEXT")]
    digest: Option<String>,
    /// With retained: the legal basis.
    #[arg(long, value_name = "WORD")]
    basis: Option<String>,
    /// With retained: until when; absent: for good.
    #[arg(long, value_name = "TIME", requires = "basis")]
    until: Option<String>,
    /// What else there is to say. It is kept sealed.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

/// The body of an answer.
pub(super) fn body_of(evidence: &Evidence) -> Value {
    let mut proof = Map::new();
    let texts = [
        ("method", &evidence.method),
        ("reference", &evidence.reference),
        ("digest", &evidence.digest),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            proof.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(records) = evidence.records {
        proof.insert("records".to_owned(), json!(records));
    }
    let mut body = json!({ "outcome": evidence.outcome });
    if !proof.is_empty() {
        body["evidence"] = Value::Object(proof);
    }
    if let Some(basis) = &evidence.basis {
        body["retained"] = json!({ "basis": basis, "until": evidence.until });
    }
    if let Some(message) = &evidence.message {
        body["message"] = json!(message);
    }
    body
}
