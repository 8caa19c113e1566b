//! Asks a schema registry for the schemas that events name, by the interface that Confluent's has and others have as well.
//!
//! A schema never changes under its id, so one that was read is kept. Whether there is no schema, or nobody who says so just
//! now, are two things: an event whose schema does not exist can never be read, all the others wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Request, Uri};
use serde::Deserialize;

use super::{
    http_client::{CallError, Guard, HttpAnswer, HttpClient},
    local::{Reader, Unusable},
};
use crate::{
    clock::Stopwatch,
    config::SchemaRegistry as Settings,
    domain::{source::Format, words::DeadLetterReason},
    wire::{
        Rejection,
        source::{Schema, SchemaText},
    },
};

/// How long an answer may take: nothing behind the event is read meanwhile.
const WITHIN: Duration = Duration::from_secs(5);

/// The most bytes of a schema. Those that programs make of large tables have some hundred KiB.
const MOST_BYTES: usize = 4 << 20;

/// The most schemas that one may refer to, and those to others.
const MOST_REFERENCES: usize = 64;

/// For how long it counts that there is no schema, or that it cannot be used: then it may have been mended.
const RECENT: Duration = Duration::from_secs(10);

/// Nobody can say just now which schema it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema registry {url}: {why}")]
pub struct Away {
    url: String,
    why: String,
}

/// The schemas of a registry.
#[derive(Debug)]
pub struct SchemaRegistry {
    client: HttpClient,
    url: String,
    format: Format,
    known: Mutex<HashMap<u32, Known>>,
}

/// What is known of an id.
#[derive(Debug, Clone)]
enum Known {
    Schema(Arc<Schema>),
    /// Why no event can be read by it, and since when that is known.
    Unusable(String, Stopwatch),
}

/// A schema, as the registry answers.
#[derive(Debug, Deserialize)]
struct Answered {
    schema: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

/// Another schema that one refers to.
#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

/// How the registry says what is wrong.
#[derive(Debug, Deserialize)]
struct Refusal {
    error_code: i64,
}

/// What the registry answers where there is no such schema, subject or version.
const NOT_FOUND: std::ops::RangeInclusive<i64> = 40401..=40403;

/// Why a schema was not read.
enum Failed {
    Away(String),
    Unusable(String),
}

impl SchemaRegistry {
    /// A registry for events of this format. `reader`: reads what its settings name on this machine.
    pub fn new(settings: &Settings, format: Format, reader: &mut Reader) -> Result<Self, Unusable> {
        // Its address is the operator's own word, so it may lie inside.
        let client = HttpClient::new(&settings.http, Guard { allow_private: true }, reader)?;
        Ok(Self {
            client: client.reading(MOST_BYTES),
            url: settings.url.clone(),
            format,
            known: Mutex::default(),
        })
    }

    /// The schema of an id; a rejection where no event can be read by it.
    pub async fn schema(&self, id: u32) -> Result<Result<Arc<Schema>, Rejection>, Away> {
        Ok(usable(match self.known(id) {
            Some(known) => known,
            None => self.ask(id).await?,
        }))
    }

    /// The same, as far as it is known without asking.
    pub fn known_schema(&self, id: u32) -> Option<Result<Arc<Schema>, Rejection>> {
        self.known(id).map(usable)
    }

    /// Whether it answers: for somebody who looks whether all is there.
    pub async fn reach(&self) -> Result<(), Away> {
        match self.call("/subjects").await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(self.away(unexpected(&answer))),
            // So many subjects are an answer, too.
            Err(CallError::TooLarge(_)) => Ok(()),
            Err(error) => Err(self.away(said(&error))),
        }
    }

    fn away(&self, why: String) -> Away {
        let url = self.url.clone();
        Away { url, why }
    }

    fn known(&self, id: u32) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id)? {
            Known::Unusable(_, since) if since.elapsed() > RECENT => None,
            known => Some(known.clone()),
        }
    }

    async fn ask(&self, id: u32) -> Result<Known, Away> {
        let known = match self.read(id).await {
            Ok(schema) => Known::Schema(Arc::new(schema)),
            Err(Failed::Unusable(why)) => Known::Unusable(why, Stopwatch::start()),
            Err(Failed::Away(why)) => return Err(self.away(why)),
        };
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The ids are the upstream's: those that nobody knows must not pile up.
        all.retain(|_, known| !matches!(known, Known::Unusable(_, since) if since.elapsed() > RECENT));
        all.insert(id, known.clone());
        Ok(known)
    }

    async fn read(&self, id: u32) -> Result<Schema, Failed> {
        let unknown = || Failed::Unusable(format!("the schema registry has no schema with the id {id}"));
        // Registries count in 32 bits with a sign: of others they say nothing that could be told from a wrong address.
        if i32::try_from(id).is_err() {
            return Err(unknown());
        }
        let answered = self
            .get(id, &format!("/schemas/ids/{id}"))
            .await?
            .ok_or_else(unknown)?;
        let kind = answered.kind.as_deref().unwrap_or("AVRO");
        let wanted = Schema::kind_of(self.format);
        if kind != wanted {
            return Err(Failed::Unusable(format!(
                "the schema with the id {id} is of type {wanted:?} in the configuration and of another one in the registry"
            )));
        }
        let mut references = Vec::new();
        self.read_references(id, answered.references, &mut references)
            .await?;
        let text = SchemaText {
            text: answered.schema,
            references,
        };
        Schema::new(self.format, &text)
            .map_err(|bad| Failed::Unusable(format!("the schema with the id {id} cannot be used: {bad}")))
    }

    /// Reads what a schema refers to, those first that others need.
    async fn read_references(
        &self,
        id: u32,
        wanted: Vec<Reference>,
        read: &mut Vec<(String, String)>,
    ) -> Result<(), Failed> {
        // What is still to be looked at, and texts whose own references come before them.
        enum Step {
            Look(Reference),
            Add(String, String),
        }
        let mut steps: Vec<Step> = wanted.into_iter().rev().map(Step::Look).collect();
        let mut seen: Vec<String> = Vec::new();
        while let Some(step) = steps.pop() {
            match step {
                Step::Add(name, text) => read.push((name, text)),
                Step::Look(reference) if seen.contains(&reference.name) => {}
                Step::Look(Reference {
                    name,
                    subject,
                    version,
                }) => {
                    if seen.len() >= MOST_REFERENCES {
                        return Err(Failed::Unusable(format!(
                            "the schema with the id {id} refers to more than {MOST_REFERENCES} others"
                        )));
                    }
                    let path = format!("/subjects/{}/versions/{version}", escaped(&subject));
                    let answered = self.get(id, &path).await?.ok_or_else(|| {
                        Failed::Unusable(format!(
                            "the schema with the id {id} refers to one that the schema registry does not have"
                        ))
                    })?;
                    seen.push(name.clone());
                    steps.push(Step::Add(name, answered.schema));
                    steps.extend(answered.references.into_iter().rev().map(Step::Look));
                }
            }
        }
        Ok(())
    }

    /// A schema that an event with this id needs; `None`: there is none.
    async fn get(&self, id: u32, path: &str) -> Result<Option<Answered>, Failed> {
        let answer = self.call(path).await.map_err(|error| match error {
            // It will be as large tomorrow: waiting for it would hold everything behind its event.
            CallError::TooLarge(_) => Failed::Unusable(format!(
                "the schema with the id {id}, or one that it refers to, is larger than {} MiB",
                MOST_BYTES >> 20
            )),
            error => Failed::Away(said(&error)),
        })?;
        if answer.status.is_success() {
            let read = serde_json::from_slice(&answer.body);
            return read.map(Some).map_err(|_| {
                Failed::Away("its answer is no schema; is the address that of a schema registry?".to_owned())
            });
        }
        // Another 404 may come from a path that is wrong, which would make every schema unknown.
        let refusal = serde_json::from_slice::<Refusal>(&answer.body);
        if answer.status.as_u16() == 404
            && refusal.is_ok_and(|refusal| NOT_FOUND.contains(&refusal.error_code))
        {
            return Ok(None);
        }
        Err(Failed::Away(unexpected(&answer)))
    }

    async fn call(&self, path: &str) -> Result<HttpAnswer, CallError> {
        let uri: Uri = format!("{}{path}", self.url)
            .parse()
            .map_err(|_| CallError::Broken(NO_URL))?;
        let request = Request::get(uri)
            .body(Bytes::new())
            .map_err(|_| CallError::Broken(NO_URL))?;
        self.client.call(request, WITHIN).await
    }
}

/// What no address in the configuration is: it was checked there.
const NO_URL: &str = "its address is no URL";

/// A failed call, in words that are about a registry and not about a processor.
fn said(error: &CallError) -> String {
    match error {
        CallError::Late(within) => format!("no whole answer within {} s", within.as_secs()),
        CallError::Redirected(status) => {
            format!(
                "it answers with a redirect ({status}), which is not followed: write the address that it leads to"
            )
        }
        error => error.to_string(),
    }
}

/// What is known of a schema, as the reader of an event wants it.
fn usable(known: Known) -> Result<Arc<Schema>, Rejection> {
    match known {
        Known::Schema(schema) => Ok(schema),
        Known::Unusable(why, _) => Err(Rejection::new(DeadLetterReason::Unmapped, why)),
    }
}

fn unexpected(answer: &HttpAnswer) -> String {
    let hint = match answer.status.as_u16() {
        401 | 403 => ": it wants a header `authorization` (schema_registry.headers)",
        404 => ": is the path in its address right?",
        _ => "",
    };
    format!("it answers {}{hint}", answer.status.as_u16())
}

/// A subject as a part of a path.
fn escaped(subject: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    subject
        .bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_is_one_part_of_a_path() {
        assert_eq!(escaped("shop.accounts-value"), "shop.accounts-value");
        assert_eq!(escaped("common/money.proto"), "common%2Fmoney.proto");
    }
}
