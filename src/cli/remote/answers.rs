//! What a call that did not succeed means to whoever typed the command.

use hyper::StatusCode;
use serde::Deserialize;

use super::super::Failure;
use crate::transport::http_client::{CallError, TlsFault};

/// A problem of RFC 9457, as far as it is shown.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

/// There was no answer that could be read.
pub(super) fn no_answer(base: &str, error: &CallError) -> Failure {
    let why = match error {
        CallError::Tls(TlsFault::Issuer) => {
            "TLS: the certificate was issued by nobody whom this machine trusts: name the issuer's certificate with --ca".to_owned()
        }
        CallError::Tls(fault @ TlsFault::Certificate(_)) => {
            format!("TLS: {fault}: where it is one of your own, name it, or who has issued it, with --ca")
        }
        CallError::Tls(TlsFault::WantsCertificate | TlsFault::OurCertificate(_)) => {
            "TLS: it wants a client's certificate, which the command line does not have".to_owned()
        }
        CallError::Redirected(status) => {
            return Failure::Usage(format!(
                "{base} answers with a redirect ({status}), which is not followed: give --url the address that it leads to"
            ));
        }
        CallError::Late(within) => format!(
            "no whole answer within {} s: whether a decision was carried out, only asking again can tell",
            within.as_secs()
        ),
        CallError::TooLarge(_) => "the answer is larger than anything that the API of Lacuna says".to_owned(),
        other => other.to_string(),
    };
    Failure::Unreachable(format!("{base}: {why}"))
}

/// It was answered, and not as it was asked.
pub(super) fn refused(base: &str, status: StatusCode, body: &[u8]) -> Failure {
    let Ok(Problem { code, detail }) = serde_json::from_slice(body) else {
        return match status.as_u16() {
            502..=504 => Failure::Unreachable(format!("{base}: what stands before the worker says {status}")),
            _ => not_lacuna(base),
        };
    };
    match (status.as_u16(), code.as_str()) {
        (401, _) => Failure::Usage(format!(
            "{detail}: give the token of a bearer of [auth] with --token env:NAME or file:PATH, or in LACUNA_TOKEN"
        )),
        (403, "forbidden") | (400 | 413 | 415 | 421 | 422, _) => Failure::Usage(detail),
        // Whether it is so is not known: the worker could not say it.
        (408 | 429 | 500..=599, _) => Failure::Unreachable(format!("{base}: {detail}")),
        // An older worker, or a path of somebody else's.
        (404, "not_found") if detail.contains("nothing at this path") => Failure::Usage(format!(
            "{base} knows no such call: is it the address of Lacuna's listener, and of this version?"
        )),
        (405, _) => Failure::Usage(format!("{base} knows no such call: is it of this version?")),
        _ => Failure::NotSo(detail),
    }
}

/// What answers is no API of Lacuna.
pub(super) fn not_lacuna(base: &str) -> Failure {
    Failure::Usage(format!(
        "--url: what answers at {base} is not the API of Lacuna: expected the address of a worker's [http] listener"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Exit;

    #[test]
    fn every_refusal_has_its_code_and_says_what_to_do() {
        let problem = |code: &str, detail: &str| format!(r#"{{"code":"{code}","detail":"{detail}"}}"#);
        let cases = [
            (
                401,
                problem("unauthorized", "the bearer token is not known"),
                Exit::Usage,
                "LACUNA_TOKEN",
            ),
            (
                403,
                problem("forbidden", "this call takes the role compliance"),
                Exit::Usage,
                "role compliance",
            ),
            (
                403,
                problem("not_allowed", "never by its submitter"),
                Exit::NotSo,
                "submitter",
            ),
            (
                404,
                problem("not_found", "there is no such request"),
                Exit::NotSo,
                "no such request",
            ),
            (
                404,
                problem("not_found", "there is nothing at this path"),
                Exit::Usage,
                "this version",
            ),
            (
                409,
                problem("irreversible", "something was sent"),
                Exit::NotSo,
                "something was sent",
            ),
            (
                400,
                problem("schema", "reason: expected one"),
                Exit::Usage,
                "reason",
            ),
            (
                503,
                problem("unavailable", "the store cannot be used"),
                Exit::Unreachable,
                "store",
            ),
            (
                500,
                problem("internal", "the call failed"),
                Exit::Unreachable,
                "the call failed",
            ),
            (
                415,
                problem("unsupported", "expected JSON"),
                Exit::Usage,
                "expected JSON",
            ),
            (404, "<html>".to_owned(), Exit::Usage, "is not the API"),
            (502, "<html>".to_owned(), Exit::Unreachable, "502"),
        ];
        for (status, body, exit, said) in cases {
            let failure = refused("http://a", StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!(failure.exit(), exit, "{status} {failure}");
            assert!(failure.to_string().contains(said), "{status} {failure}");
        }
    }
}
