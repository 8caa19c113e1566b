//! The upstreams of a configuration, as they are: what each says in its own words, signed as its source wants it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage, Timestamp};
use sha2::Sha256;

use super::{
    Stuck,
    call::{ApiAnswer, Caller},
};
use crate::{
    app::sources::by_topic,
    config::{Config, HttpInlet, Inlet, Scheme},
    engine::{Engine, effects::Effects, intake::TakenIn},
    kafka::{
        batch_processor::{Reading, Work as _},
        sources::Sources,
    },
    lab::harness::{Harness, arrivals},
};

/// Something that an upstream says.
#[derive(Debug, Clone)]
pub struct UpstreamEvent {
    /// The source that it is for.
    pub source: String,
    /// Its headers, in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

/// What became of it.
#[derive(Debug)]
pub enum Emitted {
    /// It was a call, and this is the answer.
    Answered(ApiAnswer),
    /// It was written to a topic, and this came of it, where that is known at once.
    Read(Vec<String>),
}

impl UpstreamEvent {
    /// How its source hears of it.
    pub fn inlet<'c>(&self, config: &'c Config) -> Result<&'c Inlet, Stuck> {
        let mut sources = config.sources.iter();
        let found = sources.find(|source| source.name() == self.source);
        found
            .map(|source| &source.inlet)
            .ok_or_else(|| Stuck::Fell(format!("there is no source {}", self.source)))
    }

    /// Makes the call, with a signature of the secret that the source was given.
    pub async fn call(&self, inlet: &HttpInlet, caller: &Caller) -> Result<ApiAnswer, Stuck> {
        let signature = &inlet.signature;
        let secret = signature.secrets.first().map_or("", |secret| secret.expose());
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map_err(|error| Stuck::Fell(error.to_string()))?
            .chain_update(&self.body)
            .finalize()
            .into_bytes();
        let signed = match signature.scheme {
            Scheme::HmacSha256Base64 => STANDARD.encode(mac),
            Scheme::HmacSha256Hex => hex::encode(mac),
            Scheme::Token => secret.to_owned(),
            Scheme::HmacSha1Hex | Scheme::StandardWebhooks => {
                return Err(Stuck::Fell(format!(
                    "no upstream signs as {} wants it",
                    self.source
                )));
            }
        };
        let mut headers = self.headers.clone();
        headers.push((signature.header.clone(), format!("{}{signed}", signature.prefix)));
        caller
            .call_with("-", "POST", &inlet.path, &headers, &self.body)
            .await
    }

    /// Has a worker read it from its topic, which nobody has carried it through.
    pub async fn read(
        &self,
        topic: &str,
        config: &Config,
        (harness, worker): (&Harness, &Arc<Engine>),
    ) -> Result<TakenIn, Stuck> {
        let mut topics = by_topic(config)?.into_iter();
        let found = topics.find(|(known, _)| known == topic);
        let (_, read) = found.ok_or_else(|| Stuck::Fell(format!("nobody reads {topic}")))?;
        let sources = Sources::new(Arc::clone(worker), topic, read);
        let origin = harness.origin(topic);
        let mut headers = OwnedHeaders::new();
        for (key, value) in &self.headers {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let bytes = self.body.as_bytes();
        let record = OwnedMessage::new(
            Some(bytes.to_vec()),
            None,
            topic.to_owned(),
            Timestamp::NotAvailable,
            origin.partition,
            origin.offset,
            Some(headers),
        );
        match sources.read(&record, origin.incarnation, &worker.tenant_default) {
            Reading::Message(content) => {
                let arrival = arrivals::arrival(Some(origin), content, bytes);
                Ok(worker.intake().take_in(&[arrival]).await?)
            }
            Reading::Nothing => Ok(TakenIn {
                verdicts: Vec::new(),
                emission: Effects::default(),
            }),
            Reading::NotNow => Err(Stuck::Fell(format!("{topic} waits for its schemas"))),
        }
    }
}
