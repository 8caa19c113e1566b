//! A bucket of S3, or of what speaks like it.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, StatusCode};
use rusty_s3::{
    Bucket as Signed, Credentials, Method, UrlStyle,
    actions::{DeleteObjects, DeleteObjectsResponse, ObjectIdentifier},
    signing,
};

use super::{FIRST_PAUSE, Kept, ObjectError, TRIES, Version, xml};
use crate::{
    agent::{place::PlaceError, turn::Turn},
    clock::Clock,
    config::Bucket as Config,
    domain::{registry::HttpOptions, time::At},
    transport::{
        http_client::{Guard, HttpAnswer, HttpClient},
        local::Reader,
    },
};

/// How long a call may take.
const CALL: Duration = Duration::from_secs(60);
/// For how long a signature holds.
const SIGNED_FOR: u64 = 300;
/// A thousand versions with the longest keys.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The most versions of one call.
const MOST_DELETED: usize = 1000;
/// What S3 says of a version that it could not delete now.
const BUSY: [&str; 4] = [
    "InternalError",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
];

/// Until when a version is locked, as S3 says it of an object.
const LOCKED_UNTIL: &str = "x-amz-object-lock-retain-until-date";

/// A bucket.
pub(super) struct Bucket {
    client: HttpClient,
    bucket: Signed,
    config: Config,
    clock: Clock,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.config.name)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    pub(super) fn open(config: &Config, clock: &Clock) -> Result<Self, PlaceError> {
        let mistaken = |why: String| PlaceError::Mistaken(format!("objects: {why}"));
        let (endpoint, style) = match &config.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None => (
                format!("https://s3.{}.amazonaws.com", config.region),
                UrlStyle::VirtualHost,
            ),
        };
        let endpoint = endpoint
            .parse()
            .map_err(|_| mistaken("expected a URL as the endpoint".to_owned()))?;
        let bucket = Signed::new(endpoint, style, config.name.clone(), config.region.clone())
            .map_err(|error| mistaken(error.to_string()))?;
        let guard = Guard { allow_private: true };
        let mut reader = Reader::new(std::path::Path::new(""));
        let client = HttpClient::new(&HttpOptions::default(), guard, &mut reader)
            .map_err(|error| mistaken(error.to_string()))?;
        Ok(Self {
            client: client.reading(MOST_BYTES),
            bucket,
            config: config.clone(),
            clock: clock.clone(),
        })
    }

    /// All versions and delete markers whose key begins with a prefix.
    pub(super) async fn list(&self, prefix: &str, turn: &Turn) -> Result<Vec<Version>, ObjectError> {
        let mut versions = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let mut query: Vec<(&str, &str)> = Vec::new();
            if let Some((key, version)) = &after {
                query.push(("key-marker", key));
                query.push(("prefix", prefix));
                query.push(("version-id-marker", version));
            } else {
                query.push(("prefix", prefix));
            }
            query.push(("versions", ""));
            query.sort_unstable();
            let (status, body) = text_of(self.call((Method::Get, None), &query, None, turn).await?);
            if status != StatusCode::OK {
                return Err(refused(status, &body));
            }
            let page = xml::page(&body)?;
            versions.extend(page.versions);
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                Some(_) => {
                    return Err(ObjectError::failed("the list of versions goes round in a circle"));
                }
                None => return Ok(versions),
            }
        }
    }

    /// Deletes versions; gives those that stay.
    pub(super) async fn delete(
        &self,
        versions: &[Version],
        turn: &Turn,
    ) -> Result<Vec<(Version, Kept)>, ObjectError> {
        let mut kept = Vec::new();
        for some in versions.chunks(MOST_DELETED) {
            let objects: Vec<ObjectIdentifier> = some
                .iter()
                .map(|version| {
                    let mut object = ObjectIdentifier::new(version.key.clone());
                    object.version_id.clone_from(&version.version);
                    object
                })
                .collect();
            let (body, md5) = DeleteObjects::new(&self.bucket, None, objects.iter()).body_with_md5();
            let answered = self
                .call((Method::Post, None), &[("delete", "")], Some((body, md5)), turn)
                .await?;
            let (status, body) = text_of(answered);
            if status != StatusCode::OK {
                return Err(refused(status, &body));
            }
            let said = DeleteObjectsResponse::parse(&body)
                .map_err(|_| ObjectError::failed("S3 answered something that is no XML"))?;
            for error in said.errors {
                let version = Version {
                    key: error.key,
                    version: error.version_id.filter(|version| !version.is_empty()),
                };
                let why = if BUSY.contains(&error.code.as_str()) {
                    Kept::Busy(error.code)
                } else {
                    let lock = self.lock_of(&version, turn).await?;
                    lock.map_or(Kept::Refused(error.code), Kept::Locked)
                };
                kept.push((version, why));
            }
        }
        Ok(kept)
    }

    /// Until when a version is locked; `None`: it is not, as far as can be seen.
    async fn lock_of(&self, version: &Version, turn: &Turn) -> Result<Option<At>, ObjectError> {
        let id = version.version.as_deref();
        let query: Vec<(&str, &str)> = id.map(|id| ("versionId", id)).into_iter().collect();
        let answer = self
            .call((Method::Head, Some(&version.key)), &query, None, turn)
            .await?;
        if answer.status != StatusCode::OK {
            return Ok(None);
        }
        let until = answer
            .headers
            .get(LOCKED_UNTIL)
            .and_then(|value| value.to_str().ok());
        let until = until.and_then(|text| At::parse(text).ok());
        Ok(until.filter(|until| *until > self.clock.now()))
    }

    /// Calls, and once more where S3 asks for patience.
    async fn call(
        &self,
        (method, key): (Method, Option<&str>),
        query: &[(&str, &str)],
        body: Option<(String, String)>,
        turn: &Turn,
    ) -> Result<HttpAnswer, ObjectError> {
        let mut pause = FIRST_PAUSE;
        for tried in 1.. {
            let (url, body) = (self.signed(method, key, query, body.as_ref()), body.clone());
            let mut request = match method {
                Method::Post => Request::post(url),
                Method::Head => Request::head(url),
                _ => Request::get(url),
            };
            let mut bytes = Bytes::new();
            if let Some((text, md5)) = body {
                request = request
                    .header("content-md5", md5)
                    .header("content-type", "application/xml");
                bytes = Bytes::from(text);
            }
            let request = request
                .body(bytes)
                .map_err(|error| ObjectError::failed(error.to_string()))?;
            let error = match self.client.call(request, CALL).await {
                Ok(answer) if asks_for_patience(answer.status) => {
                    let (status, body) = text_of(answer);
                    ObjectError::Busy(said(status, &body))
                }
                Ok(answer) if answer.status.is_server_error() => {
                    ObjectError::failed(format!("S3 answered {}", answer.status))
                }
                Ok(answer) => return Ok(answer),
                Err(error) => ObjectError::failed(format!("S3 cannot be reached: {error}")),
            };
            if tried >= TRIES {
                return Err(error);
            }
            turn.rest(pause).await;
            if turn.ended().is_some() {
                return Err(ObjectError::Stopped);
            }
            pause *= 2;
        }
        Err(ObjectError::failed("S3 was not asked"))
    }

    fn signed(
        &self,
        method: Method,
        key: Option<&str>,
        query: &[(&str, &str)],
        body: Option<&(String, String)>,
    ) -> String {
        let url = match key {
            Some(key) => self.bucket.object_url(key),
            None => self.bucket.base_url().clone(),
        };
        let now = self.clock.now().millis();
        // The clock's own times are within what a time can be.
        let date = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
        let credentials = Credentials::new(
            self.config.access_key.clone(),
            self.config.secret_key.expose().to_owned(),
        );
        let headers = body.map(|(_, md5)| ("content-md5", md5.as_str()));
        let token = self.config.session_token.as_ref().map(|token| token.expose());
        let signed = signing::sign(
            &date,
            method,
            url,
            credentials.key(),
            credentials.secret(),
            token,
            &self.config.region,
            SIGNED_FOR,
            query.iter().copied(),
            headers.into_iter(),
        );
        signed.into()
    }
}

fn text_of(answer: HttpAnswer) -> (StatusCode, String) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    (answer.status, text)
}

/// `SlowDown`, as a rule.
fn asks_for_patience(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
}

fn refused(status: StatusCode, body: &str) -> ObjectError {
    ObjectError::Failed(said(status, body))
}

/// What a bucket says that does not do what it is asked. Its own words may repeat a key, so only its code is kept.
fn said(status: StatusCode, body: &str) -> String {
    let code = xml::text_of(body, "Code").ok().flatten();
    let code = code.filter(|code| code.chars().all(|letter| letter.is_ascii_alphanumeric()));
    match code {
        Some(code) => format!("S3 answered {status}: {code}"),
        None => format!("S3 answered {status}"),
    }
}
