//! One call, as OpenAPI has it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    super::{
        calls::{Call, CallAnswer, Content, ParameterIn},
        problem::Problem,
    },
    Schemas,
};
use crate::wire::opendsr::ErrorBody;

/// The media type of a problem.
const PROBLEM: &str = "application/problem+json";

/// A call, as OpenAPI has it.
pub(super) struct Operation(Map<String, Value>);

/// What may go wrong with one status: the codes, and when they come.
type Problems = BTreeMap<u16, Vec<(&'static str, &'static str)>>;

impl Operation {
    /// Of what a call says of itself.
    pub(super) fn of(call: &Call, schemas: &mut Schemas) -> Self {
        let mut members = Map::new();
        members.insert("operationId".to_owned(), json!(id_of(call)));
        members.insert("tags".to_owned(), json!([tag_of(call.path)]));
        members.insert("summary".to_owned(), json!(call.summary));
        let details = details_of(call);
        if !details.is_empty() {
            members.insert("description".to_owned(), json!(details));
        }
        members.insert("security".to_owned(), security_of(call));
        if let Some(roles) = call.needs.roles {
            members.insert("x-roles".to_owned(), json!(each(roles)));
        }
        let parameters = parameters_of(call, schemas);
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some((schema, optional)) = call.body {
            let schema = schema(&mut schemas.reads);
            let mut content = json!({ "schema": schema });
            if !call.examples.is_empty() {
                content["examples"] = examples_of(call);
            }
            let body = json!({ "required": !optional, "content": { call.body_media: content } });
            members.insert("requestBody".to_owned(), body);
        }
        members.insert("responses".to_owned(), responses_of(call, schemas));
        Self(members)
    }

    /// As a value of JSON.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// `get_v1_requests_id`: what generated clients call it.
fn id_of(call: &Call) -> String {
    let words = call.path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    std::iter::once(call.method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

/// `/v1/requests/{id}` belongs to the requests.
fn tag_of(path: &str) -> &str {
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next(), parts.next()) {
        (Some("v1"), Some(what)) => what,
        (Some("opendsr"), _) => "opendsr",
        (Some("sources" | "webhooks" | "hooks"), _) => "sources",
        _ => "machines",
    }
}

fn details_of(call: &Call) -> String {
    let mut details = call.details.to_owned();
    if let Some(roles) = call.needs.roles {
        if !details.is_empty() {
            details.push_str("\n\n");
        }
        details.push_str(&format!("Role: {roles}."));
    }
    details
}

/// `auditor, compliance or operator`
fn each(roles: &str) -> Vec<&str> {
    roles.split(", ").flat_map(|roles| roles.split(" or ")).collect()
}

/// One of the roles is enough, and so each is a choice of its own.
fn security_of(call: &Call) -> Value {
    match call.needs.roles {
        None => json!([]),
        Some(roles) => each(roles)
            .into_iter()
            .map(|role| json!({ "bearer": [role] }))
            .collect(),
    }
}

fn parameters_of(call: &Call, schemas: &mut Schemas) -> Vec<Value> {
    let named = call
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let of_path = named.zip(&call.needs.path).map(|(name, (what, schema))| {
        let mut parameter =
            json!({ "name": name, "in": "path", "required": true, "schema": schema(&mut schemas.reads) });
        if !what.is_empty() {
            parameter["description"] = json!(format!("The {what}."));
        }
        parameter
    });
    let mut parameters: Vec<Value> = of_path.collect();
    for parameter in &call.parameters {
        let schema = (parameter.schema)(&mut schemas.reads);
        let place = match parameter.place {
            ParameterIn::Query => "query",
            ParameterIn::Header => "header",
        };
        let mut described = json!({
            "name": parameter.name,
            "in": place,
            "required": parameter.is_required,
            "description": parameter.text,
            "schema": schema,
        });
        if parameter.is_list {
            described["schema"] = json!({ "type": "array", "items": schema, "minItems": 1 });
            described["style"] = json!("form");
            described["explode"] = json!(false);
        }
        parameters.push(described);
    }
    parameters
}

fn examples_of(call: &Call) -> Value {
    let examples = call.examples.iter().map(|(name, text)| {
        // They are files of this repository, and a test reads each.
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        ((*name).to_owned(), json!({ "value": value }))
    });
    Value::Object(examples.collect())
}

fn responses_of(call: &Call, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    for (status, answer) in &call.answers {
        responses.insert(status.to_string(), answered(answer, schemas));
    }
    for (status, codes) in problems_of(call) {
        responses.insert(status.to_string(), problem(call, status, &codes, schemas));
    }
    Value::Object(responses)
}

fn answered(answer: &CallAnswer, schemas: &mut Schemas) -> Value {
    let mut content = match answer.content {
        Content::Json(schema) => json!({ "application/json": { "schema": schema(&mut schemas.writes) } }),
        Content::Text(media) => json!({ media: { "schema": { "type": "string" } } }),
    };
    for media in &answer.also {
        content[*media] = json!({ "schema": { "type": "string" } });
    }
    let mut response = json!({ "description": answer.text, "content": content });
    if answer.has_location {
        response["headers"] = json!({
            "Location": { "description": "Where it is found.", "schema": { "type": "string" } },
        });
    }
    response
}

/// What may go wrong: with every call, with every call of its kind, and with this one.
fn problems_of(call: &Call) -> Problems {
    let mut all: Problems = BTreeMap::new();
    let mut add = |status: u16, code, text| {
        let codes = all.entry(status).or_default();
        if !codes.iter().any(|(known, _)| *known == code) {
            codes.push((code, text));
        }
    };
    if call.needs.query {
        add(
            400,
            "schema",
            "A parameter is unknown, given twice, or not what was expected.",
        );
    }
    if call.needs.body {
        add(400, "schema", "The body has another shape than expected.");
        add(400, "not_json", "The body is no JSON.");
        add(400, "not_utf8", "The body is no UTF-8.");
        add(400, "broken_body", "The body broke off.");
        add(
            413,
            "too_large",
            "The body is larger than 1 MiB, or nested deeper than 32 levels.",
        );
        add(422, "not_storable", "A value is not one that the store can keep.");
    }
    if call.method != "get" {
        add(403, "cross_origin", "Another site's page has made the call.");
    }
    if call.needs.roles.is_some() {
        add(
            401,
            "unauthorized",
            "There is no bearer token, or it is not known.",
        );
        add(
            403,
            "forbidden",
            "The bearer has another role, or belongs to another tenant.",
        );
    }
    if !call.needs.path.is_empty() {
        add(404, "not_found", "There is no such thing.");
    }
    add(
        421,
        "misdirected",
        "Without `[auth]`: the listener is called by a name that is not its own.",
    );
    add(500, "internal", "The call failed; the server's log says why.");
    add(
        503,
        "unavailable",
        "The store or the clock cannot be used just now.",
    );
    for (status, code, text) in &call.problems {
        add(*status, code, text);
    }
    all
}

fn problem(call: &Call, status: u16, codes: &[(&'static str, &'static str)], schemas: &mut Schemas) -> Value {
    let texts: Vec<String> = codes
        .iter()
        .map(|(code, text)| format!("`{code}`: {text}"))
        .collect();
    let words: Vec<&str> = codes.iter().map(|(code, _)| *code).collect();
    let shape = schemas.writes.subschema_for::<Problem>();
    let schema = json!({ "allOf": [shape], "properties": { "status": { "const": status }, "code": { "enum": words } } });
    let mut content = json!({ PROBLEM: { "schema": schema } });
    if call.is_opendsr {
        content["application/json"] = json!({ "schema": schemas.writes.subschema_for::<ErrorBody>() });
    }
    let mut response = json!({ "description": texts.join("\n\n"), "content": content });
    let header = match status {
        401 => Some(("WWW-Authenticate", "How to authenticate.")),
        503 => Some(("Retry-After", "After how many seconds to call again.")),
        _ => None,
    };
    if let Some((name, text)) = header {
        response["headers"] = json!({ name: { "description": text, "schema": { "type": "string" } } });
    }
    response
}
