//! A system that is called by webhooks, built from the standard: it believes what is signed with a secret that it has.

use axum::http::HeaderMap;
use serde_json::Value;

use super::Called;
use crate::{
    domain::{ids::ProcessorId, registry::Webhook},
    lab::scenario::{environment::Output, system_answer::SystemAnswer},
};

/// Answers a call as the script says.
pub(super) fn answer(
    called: &Called,
    id: &ProcessorId,
    webhook: &Webhook,
    headers: &HeaderMap,
    body: &[u8],
) -> SystemAnswer {
    let refused = |status| SystemAnswer {
        status,
        ..SystemAnswer::default()
    };
    if !webhook
        .secrets
        .iter()
        .any(|secret| is_signed(&secret.0, headers, body))
    {
        return refused(401);
    }
    let Ok(task) = serde_json::from_slice::<Value>(body) else {
        return refused(400);
    };
    let mut state = called.state();
    let answer = state.answers.get(id.as_str()).cloned();
    let answer = answer.unwrap_or_else(SystemAnswer::later);
    state.heard.push(Output::Task(task.clone()));
    if answer.is_final() {
        state.heard.push(Output::Answered(task));
    }
    answer
}

/// Whether one of the signatures is what a secret makes of this. Its time is that of a clock that is turned by hand, so
/// that nobody can say here how old it is.
fn is_signed(secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(at), Some(signatures)) = (
        text(standardwebhooks::HEADER_WEBHOOK_ID),
        text(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP).and_then(|at| at.parse().ok()),
        text(standardwebhooks::HEADER_WEBHOOK_SIGNATURE),
    ) else {
        return false;
    };
    let expected = standardwebhooks::Webhook::new(secret)
        .ok()
        .and_then(|key| key.sign(id, at, body).ok());
    expected.is_some_and(|expected| signatures.split(' ').any(|signature| signature == expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn signed(secret: &str, body: &[u8]) -> HeaderMap {
        let key = standardwebhooks::Webhook::new(secret).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(standardwebhooks::HEADER_WEBHOOK_ID, "task_1".parse().unwrap());
        headers.insert(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, 7.into());
        headers.insert(
            standardwebhooks::HEADER_WEBHOOK_SIGNATURE,
            key.sign("task_1", 7, body).unwrap().parse().unwrap(),
        );
        headers
    }

    #[test]
    fn what_nobody_has_signed_is_not_believed() {
        let body = br#"{"processor":"crm"}"#;
        assert!(is_signed(SECRET, &signed(SECRET, body), body));
        let another = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(!is_signed(SECRET, &signed(another, body), body));
        assert!(!is_signed(SECRET, &signed(SECRET, body), b"{}"));
        assert!(!is_signed(SECRET, &HeaderMap::new(), body));
    }
}
