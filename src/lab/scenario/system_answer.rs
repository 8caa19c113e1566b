//! What a system answers to a call.

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::words::{attributes, time};
use crate::domain::time::At;

/// What a system answers from now on.
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// The same to every call.
    Always(SystemAnswer),
    /// What the example of this name says, in the file of the vendor's connector.
    AsExample(String),
}

impl Answers {
    /// `429 retry_after=7200`, or `as an unknown address is not found`.
    pub(super) fn read(words: &[&str], start: At) -> Result<Self, String> {
        match words {
            ["as", name @ ..] => Ok(Self::AsExample(name.join(" "))),
            _ => SystemAnswer::read(words, start).map(Self::Always),
        }
    }
}

/// What a system answers to a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemAnswer {
    /// The status.
    pub status: u16,
    /// After how many seconds it wants to be asked again.
    pub retry_after: Option<u64>,
    /// The body: an ack. `None`: it is empty.
    pub ack: Option<Value>,
}

impl SystemAnswer {
    /// Taken in; the ack comes later.
    pub const fn later() -> Self {
        Self {
            status: 202,
            retry_after: None,
            ack: None,
        }
    }

    /// `200 erased method=delete`, `429 retry_after=7200`, `202 accepted expected_by=d7`, `202`.
    pub(super) fn read(words: &[&str], start: At) -> Result<Self, String> {
        let (status, words) = words.split_first().ok_or("expected a status")?;
        let mut answer = Self {
            status: status.parse().map_err(|_| format!("{status} is no status"))?,
            ..Self::default()
        };
        let (outcome, rules) = match words.split_first() {
            Some((outcome, rules)) if !outcome.contains('=') => (Some(outcome), rules),
            _ => (None, words),
        };
        let mut ack = outcome.map(|outcome| json!({ "outcome": outcome }));
        for (key, value) in attributes(rules) {
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{value}: expected a number"))
            };
            match (key.as_str(), &mut ack) {
                ("retry_after", _) => answer.retry_after = Some(number()?),
                ("records", Some(ack)) => ack["evidence"][key] = json!(number()?),
                ("expected_by", Some(ack)) => ack[key] = json!(time(&value, start)?),
                ("method" | "reference", Some(ack)) => ack["evidence"][key] = json!(value),
                _ => return Err(format!("an answer of this kind has no {key}")),
            }
        }
        answer.ack = ack;
        Ok(answer)
    }

    /// Whether it says what became of a task, so that no ack comes later.
    pub(super) const fn is_final(&self) -> bool {
        self.ack.is_some() && self.status != 202
    }
}

impl IntoResponse for SystemAnswer {
    fn into_response(self) -> axum::response::Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Response::builder().status(status);
        if let Some(seconds) = self.retry_after {
            answer = answer.header(header::RETRY_AFTER, seconds);
        }
        let body = self.ack.map(|ack| ack.to_string()).unwrap_or_default();
        if !body.is_empty() {
            answer = answer.header(header::CONTENT_TYPE, "application/json");
        }
        answer
            .body(Body::from(body))
            .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_are_on_the_wire() {
        let read = |text: &str| SystemAnswer::read(&text.split(' ').collect::<Vec<_>>(), At::default());
        assert_eq!(read("202").unwrap(), SystemAnswer::later());
        let busy = read("429 retry_after=7200").unwrap();
        assert_eq!(
            (busy.status, busy.retry_after, &busy.ack),
            (429, Some(7200), &None)
        );
        assert!(!busy.is_final());
        let erased = read("200 erased method=delete records=3").unwrap();
        let ack = json!({ "outcome": "erased", "evidence": { "method": "delete", "records": 3 } });
        assert!(erased.is_final() && erased.ack == Some(ack));
        let promised = read("202 accepted expected_by=d1").unwrap();
        let ack = json!({ "outcome": "accepted", "expected_by": "1970-01-02T00:00:00Z" });
        assert!(!promised.is_final() && promised.ack == Some(ack));
        for wrong in [
            "",
            "soon",
            "200 erased tail",
            "429 method=delete",
            "200 erased records=x",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
