//! Calls to a worker's API.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use bytes::Bytes;
use hyper::{Method, Request, Uri, header};
use serde_json::Value;

use super::{
    super::{Failure, session::block_on},
    answers,
};
use crate::{
    config::Secret,
    domain::registry::HttpOptions,
    transport::{
        http_client::{Guard, HttpAnswer, HttpClient},
        local::Reader,
    },
};

/// How long a call may take: longer than a worker takes for the longest one.
const WITHIN: Duration = Duration::from_secs(60);

/// The most bytes of an answer: a page of 500 requests with hundreds of processors each is far smaller.
const MOST: usize = 64 * 1024 * 1024;

/// The most items of a page, as the contract says.
const PAGE: usize = 500;

/// A worker's API, as the bearer of a token sees it.
#[derive(Debug)]
pub struct Client {
    http: HttpClient,
    base: String,
    token: Option<Secret>,
}

/// The parameters of a query.
type Query<'a> = &'a [(&'a str, String)];

impl Client {
    /// Reads the URL and the certificates.
    pub(super) fn new(url: &str, token: Option<Secret>, ca: Option<PathBuf>) -> Result<Self, Failure> {
        let base = base_of(url)?;
        let ca = ca.map(|path| path.into_os_string().into_string());
        let ca = ca
            .transpose()
            .map_err(|_| Failure::Usage("--ca: expected a path in UTF-8".to_owned()))?;
        let options = HttpOptions {
            ca,
            ..HttpOptions::default()
        };
        // Whoever types the URL knows where it leads.
        let guard = Guard { allow_private: true };
        let http = HttpClient::new(&options, guard, &mut Reader::new(std::path::Path::new("")))
            .map_err(|unusable| Failure::Usage(format!("--{}: {}", unusable.key, unusable.why)))?
            .reading(MOST);
        Ok(Self { http, base, token })
    }

    /// `GET`
    pub(in super::super) fn get(&self, path: &str, query: Query<'_>) -> Result<Value, Failure> {
        block_on(self.call(Method::GET, path, query, None))
    }

    /// `POST`
    pub(in super::super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        block_on(self.call(Method::POST, path, &[], Some(body)))
    }

    /// `DELETE`
    pub(in super::super) fn delete(
        &self,
        path: &str,
        query: Query<'_>,
        body: &Value,
    ) -> Result<Value, Failure> {
        block_on(self.call(Method::DELETE, path, query, Some(body)))
    }

    /// The items of a list, page by page, so many at the most; and whether there are more.
    pub(in super::super) fn list(
        &self,
        path: &str,
        query: Query<'_>,
        limit: usize,
    ) -> Result<(Vec<Value>, bool), Failure> {
        block_on(async {
            let mut found = VecDeque::new();
            let mut cursor: Option<String> = None;
            loop {
                let mut query = query.to_vec();
                let wanted = (limit - found.len()).clamp(1, PAGE);
                query.push(("limit", wanted.to_string()));
                query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
                let mut page = self.call(Method::GET, path, &query, None).await?;
                let items = match page.get_mut("items").map(Value::take) {
                    Some(Value::Array(items)) => items,
                    _ => return Err(self.not_lacuna()),
                };
                found.extend(items);
                cursor = page["next_cursor"].as_str().map(ToOwned::to_owned);
                if cursor.is_none() || found.len() >= limit {
                    let more = cursor.is_some() || found.len() > limit;
                    found.truncate(limit);
                    return Ok((found.into(), more));
                }
            }
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let answer = self.answer(method, path, query, body).await?;
        serde_json::from_slice(&answer.body).map_err(|_| self.not_lacuna())
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<&Value>,
    ) -> Result<HttpAnswer, Failure> {
        let request = self.request(method, path, query, body)?;
        let answer = self.http.call(request, WITHIN).await;
        let answer = answer.map_err(|error| answers::no_answer(&self.base, &error))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(answers::refused(&self.base, answer.status, &answer.body))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<&Value>,
    ) -> Result<Request<Bytes>, Failure> {
        let mut url = format!("{}{path}", self.base);
        for (n, (name, value)) in query.iter().enumerate() {
            url.push(if n == 0 { '?' } else { '&' });
            url.push_str(&format!("{name}={}", escaped(value)));
        }
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = &self.token {
            let bearer = header::HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut bearer = bearer.map_err(|_| {
                Failure::Usage(
                    "--token: expected one line of ASCII text without control characters".to_owned(),
                )
            })?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(serde_json::to_vec(body)?)
            }
            None => Bytes::new(),
        };
        request
            .body(bytes)
            .map_err(|_| Failure::Usage("--url: expected a URL".to_owned()))
    }

    fn not_lacuna(&self) -> Failure {
        answers::not_lacuna(&self.base)
    }
}

/// The URL without what does not belong into it. A secret in it would be in every list of processes and every log on the way.
fn base_of(url: &str) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("--url: {why}"));
    let parsed: Uri = url
        .parse()
        .map_err(|_| wrong("expected a URL such as https://lacuna.example.org"))?;
    let scheme = parsed.scheme_str().unwrap_or_default();
    let Some(authority) = parsed.authority().filter(|_| matches!(scheme, "http" | "https")) else {
        return Err(wrong("expected a URL that begins with https:// or http://"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong(
            "a name, a password or a token has no place in a URL, where everybody sees it: give --token env:NAME or file:PATH",
        ));
    }
    if parsed.query().is_some() || url.contains('#') {
        return Err(wrong(
            "expected the address of the listener, without a query; a token goes into --token env:NAME or file:PATH",
        ));
    }
    let host = authority.host();
    let is_here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    if scheme == "http" && !is_here {
        tracing::warn!(
            "--url: http:// sends the token and the answers in the clear; use https:// where others are on the way"
        );
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// A path of parts that people have typed.
pub(in super::super) fn path(parts: &[&str]) -> String {
    let parts = parts.iter().map(|part| escaped(part));
    format!("/v1/{}", parts.collect::<Vec<_>>().join("/"))
}

/// What stands for itself in a URL, and the rest percent-encoded.
fn escaped(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_address_and_nothing_else() {
        for (url, base) in [
            ("https://lacuna.example.org", "https://lacuna.example.org"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            (
                "https://gateway.example.org/lacuna/",
                "https://gateway.example.org/lacuna",
            ),
        ] {
            assert_eq!(base_of(url).unwrap(), base);
        }
        for (url, said) in [
            ("lacuna.example.org", "begins with https://"),
            ("ftp://lacuna.example.org", "begins with https://"),
            ("https://user:s3cret@lacuna.example.org", "has no place in a URL"),
            ("https://lacuna.example.org?token=s3cret", "without a query"),
            ("https://lacuna.example.org/#s3cret", "without a query"),
            ("https://", "expected a URL"),
        ] {
            let refused = base_of(url).unwrap_err().to_string();
            assert!(
                refused.contains(said) && !refused.contains("s3cret"),
                "{url}: {refused}"
            );
        }
    }

    #[test]
    fn what_people_type_cannot_leave_its_place_in_a_url() {
        assert_eq!(
            path(&["processors", "../brake?x", "pause"]),
            "/v1/processors/..%2Fbrake%3Fx/pause"
        );
        assert_eq!(escaped("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }
}
