//! Calls that decide something and may be repeated: by the `command_id` of their body, or by their `Idempotency-Key`.

use axum::http::{HeaderMap, StatusCode};
use uuid::Uuid;

use super::{
    Api,
    auth::Caller,
    problem::{FieldError, Problem},
    unreadable::count_unreadable,
};
use crate::{
    domain::{
        ids::{RequestId, TaskId, Tenant},
        request::operate::DecisionError,
    },
    engine::{OperateError, operations::Once},
    wire::{api, command_id_of_caller},
};

/// The longest idempotency key: a few ids in a row.
const MAX_KEY: usize = 255;

/// What tells a call about a request from another one; `None`: it has no key, or there is no such request.
pub(super) async fn of_request(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    (what, id): (&str, RequestId),
    bytes: &[u8],
) -> Result<Option<Once>, Problem> {
    let key = Key::of(api, headers, bytes)?;
    if key.is_none() {
        return Ok(None);
    }
    let Some(request) = api.engine.request(id).await? else {
        return Ok(None);
    };
    key.once(api, caller, &request.head.tenant, (what, id.0), bytes)
}

/// The same of a call about a task.
pub(super) async fn of_task(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    (what, id): (&str, TaskId),
    bytes: &[u8],
) -> Result<Option<Once>, Problem> {
    let key = Key::of(api, headers, bytes)?;
    if key.is_none() {
        return Ok(None);
    }
    let (request, _) = api.engine.find_task(id).await?;
    key.once(api, caller, &request.head.tenant, (what, id.0), bytes)
}

/// The same of a call about many requests of a tenant.
pub(super) fn of_many(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    (what, tenant): (&str, &Tenant),
    bytes: &[u8],
) -> Result<Option<Once>, Problem> {
    Key::of(api, headers, bytes)?.once(api, caller, tenant, (what, Uuid::nil()), bytes)
}

/// The keys of a call.
struct Key<'a> {
    named: Option<crate::domain::ids::CommandId>,
    header: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn of(api: &Api, headers: &'a HeaderMap, bytes: &[u8]) -> Result<Self, Problem> {
        let named =
            api::command_id_of(bytes).inspect_err(|refusal| count_unreadable(&api.engine, refusal))?;
        let header = idempotency_key(headers)?;
        Ok(Self { named, header })
    }

    const fn is_none(&self) -> bool {
        self.named.is_none() && self.header.is_none()
    }

    fn once(
        &self,
        api: &Api,
        caller: &Caller,
        tenant: &Tenant,
        (what, of): (&str, Uuid),
        bytes: &[u8],
    ) -> Result<Option<Once>, Problem> {
        // The body's own id comes first, as it does in a command.
        let by_header = || Some(command_id_of_caller(self.header?, &caller.name, tenant));
        let Some(command_id) = self.named.or_else(by_header) else {
            return Ok(None);
        };
        let asked = api::asked(what, of, bytes)?;
        Ok(Some(Once {
            tenant: tenant.clone(),
            command_id,
            digest: api.engine.vault.payload_digest(tenant, &asked),
        }))
    }
}

/// A refusal that names the state in which it was refused.
pub(super) async fn in_state_of_request(api: &Api, id: RequestId, error: OperateError) -> Problem {
    if !is_about_state(&error) {
        return error.into();
    }
    let status = match api.engine.request(id).await {
        Ok(request) => request.map(|request| request.life.status),
        // It is refused all the same.
        Err(_) => None,
    };
    let state = status.map_or_else(String::new, |status| format!("; the request is {status}"));
    Problem::from(error).adding(&state)
}

/// The same for a task.
pub(super) async fn in_state_of_task(api: &Api, id: TaskId, error: OperateError) -> Problem {
    if !is_about_state(&error) {
        return error.into();
    }
    let state = match api.engine.find_task(id).await {
        Ok((request, ordinal)) => format!(
            "; the task is {}, its request {}",
            request.task(ordinal).state.name().as_str(),
            request.life.status
        ),
        Err(_) => String::new(),
    };
    Problem::from(error).adding(&state)
}

const fn is_about_state(error: &OperateError) -> bool {
    matches!(
        error,
        OperateError::Decision(
            DecisionError::Closed
                | DecisionError::WrongState
                | DecisionError::NotNow(_)
                | DecisionError::TooLate
        )
    )
}

/// The key of a call; `None`: it has none.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut sent = headers.get_all("idempotency-key").iter();
    let Some(value) = sent.next() else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim);
    match key.filter(|key| (1..=MAX_KEY).contains(&key.len()) && is_key(key)) {
        Some(key) if sent.next().is_none() => Ok(Some(key)),
        _ => Err(bad_key()),
    }
}

/// A text of structured fields (RFC 9651) that says something, or a bare one without quotes.
fn is_key(key: &str) -> bool {
    let Some(quoted) = key.strip_prefix('"') else {
        return !key.contains('"');
    };
    let mut letters = quoted.bytes();
    let mut length = 0;
    loop {
        match letters.next() {
            None => return false,
            Some(b'"') => return length > 0 && letters.next().is_none(),
            Some(b'\\') if !matches!(letters.next(), Some(b'"' | b'\\')) => return false,
            Some(_) => length += 1,
        }
    }
}

fn bad_key() -> Problem {
    let detail = format!(
        "expected one key of 1 to {MAX_KEY} visible ASCII characters, in double quotes or without any"
    );
    Problem::new(
        StatusCode::BAD_REQUEST,
        "schema",
        format!("Idempotency-Key: {detail}"),
    )
    .with_errors(vec![FieldError {
        field: "Idempotency-Key".to_owned(),
        detail,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_texts_of_structured_fields_or_bare() {
        for good in [
            "a",
            "case-7",
            "\"case 7\"",
            r#""a\"b""#,
            r#""a\\""#,
            "018f6f2e-7c1a-7b3e-9a44-000000000040",
        ] {
            assert!(is_key(good), "{good}");
        }
        for bad in [
            "\"unclosed",
            "unopened\"",
            "\"\"",
            "\"",
            "a\"b",
            r#""a\""#,
            r#""a\b""#,
            "\"a\"b",
            "\"a\" \"b\"",
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
