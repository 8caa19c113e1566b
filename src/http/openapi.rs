//! `/openapi.json`: the API as machines read it, made of what its calls say of themselves.
//!
//! Nothing is written down twice. Shapes are those of the types that read and write them, roles and paths those of the handlers.

mod operation;
mod shared;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{extract::State, http::header};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use self::operation::Operation;
use super::{
    Api,
    calls::{Call, Calls},
    described,
};

/// What the API is, for whoever reads its description first.
const ABOUT: &str = "Takes in commands to erase or anonymize people's data, fans them out to every processor, and says of each \
                     request whether it is proved done, and if not, why not.\n\n\
                     Bearer tokens are those of `[auth]`. Without that section only loopback is listened on, and everybody has \
                     every role. Every answer that is no success is a problem of RFC 9457 that never repeats a value that was \
                     sent. Lists come in pages: go on with `next_cursor` until it is null.";

/// What cannot be done about a description at run time.
static TEXT: LazyLock<String> = LazyLock::new(|| text_of(described()));

fn text_of(calls: Vec<Call>) -> String {
    format!("{:#}\n", document(calls))
}

/// The description of an API that has these calls besides: those of the configuration's sources.
pub(super) fn with(besides: Vec<Call>) -> Cow<'static, str> {
    if besides.is_empty() {
        return Cow::Borrowed(&TEXT);
    }
    let mut all = described();
    all.extend(besides);
    Cow::Owned(text_of(all))
}

/// This call.
pub(super) fn calls() -> Calls {
    Calls::new().get("/openapi.json", serve, |call| {
        call.says("Describes this API")
            .answers::<Map<String, Value>>(200, "The API, as OpenAPI 3.1 describes it.")
    })
}

/// `GET /openapi.json`
async fn serve(State(api): State<Arc<Api>>) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = api.openapi.clone().into_owned();
    ([(header::CONTENT_TYPE, "application/json")], text)
}

/// The description, as the file `schemas/openapi.json` has it: without calls that depend on a configuration.
pub fn text() -> &'static str {
    &TEXT
}

/// What makes schemas: of what is read, and of what is written. They differ in what may be left out.
struct Schemas {
    reads: SchemaGenerator,
    writes: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let mut reads = SchemaSettings::draft2020_12();
        reads.definitions_path = "/components/schemas".into();
        let writes = reads.clone().for_serialize();
        Self {
            reads: reads.into_generator(),
            writes: writes.into_generator(),
        }
    }

    /// Everything that was referred to, by name; and the names that mean two things.
    fn definitions(mut self) -> (Map<String, Value>, Vec<String>) {
        let mut all = self.writes.take_definitions(true);
        let mut ambiguous = Vec::new();
        for (name, schema) in self.reads.take_definitions(true) {
            match all.get(&name) {
                Some(other) if *other != schema => ambiguous.push(name),
                _ => {
                    all.insert(name, schema);
                }
            }
        }
        (all, ambiguous)
    }
}

fn document(calls: Vec<Call>) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for call in calls {
        let path = paths
            .entry(call.path)
            .or_insert_with(|| Value::Object(Map::new()));
        path[call.method] = Operation::of(&call, &mut schemas).into_value();
    }
    let (definitions, ambiguous) = schemas.definitions();
    let responses = shared::share(&mut paths);
    debug_assert!(ambiguous.is_empty(), "these names mean two things: {ambiguous:?}");
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lacuna",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "responses": responses,
            "schemas": definitions,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token of `[auth]` in `lacuna.toml`." },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(call: &Call) -> String {
        format!("{} {}", call.method.to_ascii_uppercase(), call.path)
    }

    #[test]
    fn every_call_is_described() {
        let calls = described().into_iter().filter(|call| call.summary.is_empty());
        let undescribed: Vec<String> = calls.map(|call| name_of(&call)).collect();
        assert!(
            undescribed.is_empty(),
            "nobody has said what these calls do: {undescribed:?}. Beside their handlers, in the function `calls` of the module, \
             add `.says(\"Lists …\")`, as src/http/deferred.rs has it; CONTRIBUTING.md, \"a call over HTTP\", says the rest"
        );
    }

    #[test]
    fn every_call_says_what_it_answers_and_what_its_body_is() {
        for call in described() {
            let name = name_of(&call);
            assert!(
                !call.answers.is_empty(),
                "{name}: `.answers::<T>(200, …)` is missing"
            );
            assert_eq!(
                call.needs.body,
                call.body.is_some(),
                "{name}: its handler reads a body, and `.body::<T>()` is missing, or the other way round"
            );
            let named = call.path.matches('{').count();
            assert_eq!(
                named,
                call.needs.path.len(),
                "{name}: the path names something else than the handler"
            );
        }
    }

    #[test]
    fn problem_of_several_calls_is_written_once() {
        let document = document(described());
        let shared = document["components"]["responses"].as_object().unwrap();
        let not_found = &document["paths"]["/v1/requests/{id}"]["get"]["responses"]["404"]["$ref"];
        assert_eq!(*not_found, "#/components/responses/Problem404NotFound");
        let referred = text().matches("#/components/responses/").count();
        assert!(
            shared.contains_key("Problem404NotFound") && referred > 2 * shared.len(),
            "{referred} references to {} responses",
            shared.len()
        );
    }

    #[test]
    fn no_name_means_two_things() {
        let mut schemas = Schemas::new();
        for call in described() {
            Operation::of(&call, &mut schemas);
        }
        assert_eq!(schemas.definitions().1, Vec::<String>::new());
    }

    #[test]
    fn the_file_is_what_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/openapi.json");
        if std::env::var_os("LACUNA_BLESS").is_some() {
            std::fs::write(path, text()).unwrap();
        }
        let on_disk = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            on_disk == text(),
            "schemas/openapi.json has drifted: LACUNA_BLESS=1 cargo test --lib openapi writes it"
        );
    }
}
