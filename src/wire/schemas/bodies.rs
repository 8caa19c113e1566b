//! The bodies of HTTP calls, described by the types that read them.
//!
//! Over HTTP the path names what a body is about, and the bearer says who asks; the rest is as on the topics.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::super::{
    ack::AckMessage,
    api::{ApprovalsFields, AssigneeFields, ClaimFields, ReasonFields, SearchFields, SuppressionFields},
    backup::BackupFields,
    bulk::OrderFields,
    command::Head,
    control::{CancelFields, ReactivatedFields},
    decision::{ApproveFields, ExtendFields, RefuseFields, VerifyIdentityFields},
    hold::{HoldFields, ReleaseFields},
    opendsr::SubjectRequestFields,
    opening::OpeningFields,
};
use crate::domain::ids::Tenant;

macro_rules! bodies {
    ($($(#[$meta:meta])* $name:ident = |$generator:ident| $schema:expr;)+) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+};
}

bodies! {
    /// A command that a submitter sends: the types of the commands topic.
    SubmittedCommand = |generator| submitted(generator);
    /// Verifies the subject's identity.
    VerifyIdentityBody = |generator| of_path::<VerifyIdentityFields>(generator, &["request_id"]);
    /// Approves a request.
    ApproveBody = |generator| of_path::<ApproveFields<'_>>(generator, &["request_id"]);
    /// Refuses a request, or one processor's share of it.
    RefuseBody = |generator| of_path::<RefuseFields<'_>>(generator, &["request_id"]);
    /// Extends the deadline of a request.
    ExtendBody = |generator| of_path::<ExtendFields>(generator, &["request_id"]);
    /// Approves all that a filter finds.
    ApprovalsBody = |generator| of_path::<ApprovalsFields>(generator, &[]);
    /// Whose requests are looked for.
    SearchBody = |generator| SearchFields::json_schema(generator);
    /// Who is looked for in the suppression list.
    SuppressionCheckBody = |generator| SuppressionFields::json_schema(generator);
    /// Why, where that is said.
    ReasonBody = |generator| of_path::<ReasonFields<'_>>(generator, &[]);
    /// Why.
    RequiredReasonBody = |generator| required(of_path::<ReasonFields<'_>>(generator, &[]), "reason");
    /// To whom a task is handed over.
    AssigneeBody = |generator| AssigneeFields::json_schema(generator);
    /// What an agent asks for.
    ClaimBody = |generator| ClaimFields::json_schema(generator);
    /// A hold; a name is made for it where it has none.
    HoldBody = |generator| {
        let tenant = generator.subschema_for::<Option<Tenant>>();
        let mut schema = covering(of_path::<HoldFields<'_>>(generator, &[]));
        if let Some(Value::Object(fields)) = schema.get_mut("properties") {
            fields.insert("tenant".to_owned(), tenant.to_value());
        }
        schema
    };
    /// Releases a hold.
    ReleaseBody = |generator| of_path::<ReleaseFields<'_>>(generator, &["hold_id"]);
    /// A backup event; over HTTP it names itself.
    BackupBody = |generator| required(BackupFields::json_schema(generator), "event_id");
    /// What a person has done: an ack without what is known of the task.
    ConfirmBody = |generator| of_path::<AckMessage<'_>>(
        generator, &["request_id", "task_id", "generation", "attempt", "processor", "token", "expected_by",
                     "retry_after_seconds", "identities"]
    );
    /// A change to many requests.
    BulkBody = |generator| of_path::<OrderFields<'_>>(generator, &[]);
    /// A request of OpenDSR.
    OpenDsrBody = |generator| SubjectRequestFields::json_schema(generator);
}

/// What opens a request, withdraws one, or says that the person is back.
fn submitted(generator: &mut SchemaGenerator) -> Schema {
    let head = generator.subschema_for::<Head<'_>>();
    let shape = |types: &[&str], shape: Schema| {
        json!({
            "allOf": [head, shape],
            "properties": { "type": { "enum": types } },
            "required": ["type"],
        })
    };
    let opening = shape(
        &["erase", "anonymize"],
        generator.subschema_for::<OpeningFields<'_>>(),
    );
    let cancel = shape(&["cancel"], generator.subschema_for::<CancelFields>());
    let returned = shape(
        &["reactivated"],
        generator.subschema_for::<ReactivatedFields<'_>>(),
    );
    json_schema!({ "oneOf": [opening, cancel, returned] })
}

/// A body without what the path or the bearer says, and with the key by which the call may be repeated.
fn of_path<T: JsonSchema>(generator: &mut SchemaGenerator, without: &[&str]) -> Schema {
    let mut schema = T::json_schema(generator);
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        fields.retain(|name, _| !without.contains(&name.as_str()));
        fields.insert("command_id".to_owned(), command_id());
    }
    if let Some(Value::Array(needed)) = schema.get_mut("required") {
        // The server makes a name where a hold has none.
        needed.retain(|name| name != "hold_id" && !without.iter().any(|gone| name == gone));
    }
    schema
}

fn command_id() -> Value {
    json!({
        "description": "The key under which the call may be repeated; `Idempotency-Key` serves where it is absent.",
        "type": ["string", "null"],
        "format": "uuid",
    })
}

fn required(mut schema: Schema, name: &str) -> Schema {
    let mut needed = match schema.get("required") {
        Some(Value::Array(needed)) => needed.clone(),
        _ => Vec::new(),
    };
    if !needed.iter().any(|one| one == name) {
        needed.push(json!(name));
    }
    schema.insert("required".to_owned(), Value::Array(needed));
    if let Some(field) = schema
        .pointer_mut(&format!("/properties/{name}"))
        .and_then(Value::as_object_mut)
    {
        never_null(field);
    }
    schema
}

fn never_null(field: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = field.get_mut("type") {
        kinds.retain(|kind| kind != "null");
    }
}

/// A hold has to cover something.
fn covering(mut schema: Schema) -> Schema {
    let covers = ["subject", "request_id", "processor", "categories"];
    let any: Vec<Value> = covers
        .iter()
        .map(|name| json!({ "required": [name], "properties": { (*name): { "not": { "type": "null" } } } }))
        .collect();
    schema.insert("anyOf".to_owned(), Value::Array(any));
    schema
}
