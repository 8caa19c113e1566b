//! What an answer to a webhook means. Whatever does not clearly say that something was done is not done.
//!
//! No sentence here repeats anything of an answer's body: it may hold personal data.

use std::borrow::Cow;

use hyper::{StatusCode, header::CONTENT_TYPE};

use crate::{
    domain::{
        ack::{Ack, Answer},
        time::At,
        words::Outcome,
    },
    engine::effects::TaskDispatch,
    transport::{
        http_client::HttpAnswer,
        sender::{Failed, Reply},
    },
    wire::ack::{AskedTask, NoAck, parse_reply},
};

/// What came of a task that was sent, by the answer to it.
pub(super) fn reply_of(answer: &HttpAnswer, task: &TaskDispatch, now: At) -> Reply {
    let status = answer.status;
    match status.as_u16() {
        202 => accepted(answer, task),
        200..=299 if is_empty(answer) => accepted(answer, task),
        200..=299 => match ack_of(answer, task) {
            Ok(ack) => Reply::Ack(Box::new(ack)),
            Err(why) => failed(format!(
                "answered {} with a body that is no ack: {why}",
                status.as_u16()
            )),
        },
        401 | 403 => Reply::Unauthorised(Cow::Owned(format!(
            "answered {}: it does not let us in. Have a look at its secret, at the headers of its transport and at its own clock",
            status.as_u16()
        ))),
        404 | 410 => not_found(answer, task),
        429 => Reply::Failed(Failed {
            counts: false,
            ..Failed::new("asks for patience (429)")
                .not_sent()
                .after(answer.retry_after(now))
        }),
        500..=599 => Reply::Failed(
            Failed::new(format!("answered {}: see its own logs", shown(status)))
                .after(answer.retry_after(now)),
        ),
        408 => failed(format!("answered {}: it took too long there", shown(status))),
        400..=499 => failed(format!(
            "answered {}: it does not understand the task. See its own logs; to refuse a task for good, answer 200 with the \
             outcome rejected or unsupported",
            shown(status)
        )),
        _ => failed(format!("answered {}, which means nothing here", shown(status))),
    }
}

fn failed(why: String) -> Reply {
    Reply::Failed(Failed::new(why))
}

fn shown(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} ({reason})", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

fn is_empty(answer: &HttpAnswer) -> bool {
    answer.body.iter().all(u8::is_ascii_whitespace)
}

/// An answer that says no more than that the task has arrived. It may name a date, and nothing else of it counts: with a
/// 202 nothing is done yet.
fn accepted(answer: &HttpAnswer, task: &TaskDispatch) -> Reply {
    let named = ack_of(answer, task)
        .ok()
        .filter(|ack| ack.answer.outcome() == Outcome::Accepted);
    Reply::Ack(Box::new(named.unwrap_or_else(|| {
        let asked = asked(task);
        Ack {
            request_id: asked.request,
            task_id: asked.task,
            generation: asked.generation,
            attempt: asked.attempt,
            processor: asked.processor.clone(),
            token: asked.token.to_owned(),
            answer: Answer::Accepted { expected_by: None },
            evidence: None,
            identities: Vec::new(),
            at: None,
            message: None,
        }
    })))
}

/// That an address is not there says nothing of a person, unless the body says it.
fn not_found(answer: &HttpAnswer, task: &TaskDispatch) -> Reply {
    let status = answer.status.as_u16();
    match ack_of(answer, task) {
        Ok(ack) if matches!(ack.answer.outcome(), Outcome::NotFound | Outcome::Absent) => {
            Reply::Ack(Box::new(ack))
        }
        Ok(_) => failed(format!(
            "answered {status} with an ack of another outcome than not_found: answer 200 with it"
        )),
        Err(_) => failed(format!(
            "answered {status}: nothing listens at this path. If it meant that it knows nobody, it has to answer with an ack \
             whose outcome is not_found"
        )),
    }
}

fn asked(task: &TaskDispatch) -> AskedTask<'_> {
    AskedTask {
        request: task.request(),
        task: task.id,
        generation: task.generation,
        attempt: task.attempt,
        processor: &task.processor,
        token: task.token(),
    }
}

/// The ack that a body is.
fn ack_of(answer: &HttpAnswer, task: &TaskDispatch) -> Result<Ack, NoAck> {
    let kind = answer.headers.get(CONTENT_TYPE);
    if kind.is_some_and(|kind| !is_json(kind.as_bytes())) {
        return Err(NoAck::ContentType);
    }
    parse_reply(&answer.body, &asked(task))
}

/// `application/json`, and whatever is written as JSON, such as `application/problem+json`.
fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|b| *b == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii().to_ascii_lowercase();
    kind == b"application/json" || kind.ends_with(b"+json")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::HeaderMap;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> HttpAnswer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        HttpAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: body.to_owned().into(),
        }
    }

    fn of(status: u16, body: &str) -> Reply {
        reply_of(
            &answer(status, &[], body),
            &TaskDispatch::for_tests("crm"),
            At::default(),
        )
    }

    fn outcome(reply: &Reply) -> Option<Outcome> {
        match reply {
            Reply::Ack(ack) => Some(ack.answer.outcome()),
            _ => None,
        }
    }

    fn failure(reply: Reply) -> Failed {
        match reply {
            Reply::Failed(failed) => failed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_ack_body_settles_and_the_task_fills_in_the_rest() {
        let task = TaskDispatch::for_tests("crm");
        let Reply::Ack(ack) = of(200, r#"{"outcome":"erased","evidence":{"records":3}}"#) else {
            panic!("an ack");
        };
        assert_eq!((ack.task_id, ack.generation, ack.attempt), (task.id, 1, 1));
        assert_eq!(
            (ack.processor.as_str(), ack.token.as_str()),
            ("crm", task.token())
        );
        assert_eq!(ack.evidence.unwrap().records, Some(3));
        assert_eq!(
            outcome(&of(201, r#"{"outcome":"not_found"}"#)),
            Some(Outcome::NotFound)
        );
    }

    #[test]
    fn nothing_but_an_ack_is_an_erasure() {
        assert_eq!(outcome(&of(202, "")), Some(Outcome::Accepted));
        assert_eq!(
            outcome(&of(202, r#"{"outcome":"erased"}"#)),
            Some(Outcome::Accepted)
        );
        assert_eq!(outcome(&of(202, "<html>")), Some(Outcome::Accepted));
        assert_eq!(outcome(&of(200, "")), Some(Outcome::Accepted));
        assert_eq!(outcome(&of(200, " \r\n")), Some(Outcome::Accepted));
        assert_eq!(outcome(&of(204, "")), Some(Outcome::Accepted));
        for body in [
            "<html>OK</html>",
            "OK",
            "{}",
            "[]",
            "null",
            r#"{"status":"deleted"}"#,
            r#"{"outcome":"deleted"}"#,
            r#"{"outcome":"erased","outcome":"failed"}"#,
            r#"{"outcome":"retained"}"#,
        ] {
            let failed = failure(of(200, body));
            assert!(
                failed
                    .why
                    .starts_with("answered 200 with a body that is no ack: "),
                "{body}: {}",
                failed.why
            );
            assert!(failed.counts && failed.may_have_arrived, "{body}");
        }
    }

    #[test]
    fn an_ack_under_another_content_type_is_none() {
        let of_type = |kind| {
            let answer = answer(200, &[("content-type", kind)], r#"{"outcome":"erased"}"#);
            reply_of(&answer, &TaskDispatch::for_tests("crm"), At::default())
        };
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.acme+json",
        ] {
            assert_eq!(outcome(&of_type(kind)), Some(Outcome::Erased), "{kind}");
        }
        for kind in ["text/html", "text/plain", "application/jsonp", ""] {
            assert!(failure(of_type(kind)).why.contains("content-type"), "{kind}");
        }
    }

    #[test]
    fn an_ack_of_something_else_is_none() {
        for (body, what) in [
            (
                r#"{"outcome":"erased","task_id":"018f0000-0000-7000-8000-000000000001"}"#,
                "task_id",
            ),
            (
                r#"{"outcome":"erased","request_id":"018f0000-0000-7000-8000-000000000001"}"#,
                "request_id",
            ),
            (r#"{"outcome":"erased","generation":2}"#, "generation"),
            (r#"{"outcome":"erased","attempt":7}"#, "attempt"),
            (r#"{"outcome":"erased","processor":"ads"}"#, "processor"),
            (r#"{"outcome":"erased","token":"stolen-canary"}"#, "token"),
            (r#"{"outcome":"erased","token":""}"#, "token"),
        ] {
            let failed = failure(of(200, body));
            assert!(
                failed.why.contains(what) && !failed.why.contains("canary"),
                "{body}: {}",
                failed.why
            );
        }
    }

    #[test]
    fn a_missing_page_is_no_missing_person() {
        assert_eq!(
            outcome(&of(404, r#"{"outcome":"not_found"}"#)),
            Some(Outcome::NotFound)
        );
        assert_eq!(
            outcome(&of(410, r#"{"outcome":"not_found"}"#)),
            Some(Outcome::NotFound)
        );
        for body in [
            "",
            "<html>",
            r#"{"error":"not found"}"#,
            r#"{"outcome":"erased"}"#,
        ] {
            assert!(failure(of(404, body)).counts, "{body}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_a_day_at_most() {
        let now = At::parse("2026-11-30T12:00:00Z").unwrap();
        let wait = |status, value: &str| {
            let answer = answer(status, &[("retry-after", value)], "");
            let failed = failure(reply_of(&answer, &TaskDispatch::for_tests("crm"), now));
            (failed.retry_after, failed.counts)
        };
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(wait(429, "120"), (seconds(120), false));
        assert_eq!(wait(503, "120"), (seconds(120), true));
        assert_eq!(wait(503, "Mon, 30 Nov 2026 12:00:30 GMT"), (seconds(30), true));
        assert_eq!(wait(503, "Mon, 30 Nov 2026 11:00:00 GMT"), (seconds(0), true));
        assert_eq!(wait(429, "99999999999999999999999"), (seconds(24 * 3600), false));
        assert_eq!(
            wait(429, "Fri, 31 Dec 2100 00:00:00 GMT"),
            (seconds(24 * 3600), false)
        );
        for nonsense in ["", "-5", "soon", "1.5"] {
            assert_eq!(wait(503, nonsense), (None, true), "{nonsense}");
        }
    }

    #[test]
    fn each_status_has_its_meaning() {
        for status in [401, 403] {
            assert!(matches!(of(status, "canary"), Reply::Unauthorised(_)), "{status}");
        }
        for status in [400, 405, 408, 409, 413, 415, 422, 500, 502, 504, 599] {
            let failed = failure(of(status, "canary of a person"));
            assert!(failed.counts && failed.may_have_arrived, "{status}");
            assert!(
                failed.why.contains(&status.to_string()) && !failed.why.contains("canary"),
                "{}",
                failed.why
            );
        }
    }
}
