//! Calls over HTTP to systems that are not ours: one client for each processor, with connections of its own.
//!
//! A call never takes longer than it may, never follows a redirect, never reads more than 64 KiB of an answer, and never
//! goes inside unless the operator allows it. Nothing of a call or an answer is logged here.

mod address;
mod body;
mod connector;
mod failure;
mod tls;

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tower_service::Service as _;

use self::connector::Connector;
pub use self::{
    connector::Guard,
    failure::{CallError, TlsFault},
};
use super::local::{Reader, Unusable};
use crate::domain::{registry::HttpOptions, time::At};

/// The most bytes of an answer, packed and unpacked. The longest ack that is read has some 20 KiB.
pub const MOST: usize = 64 * 1024;

/// How long a connection is kept without a call: shorter than servers keep it (Node.js 5 s, most others longer), or a call
/// would now and then meet one that is just being closed.
const KEEP_IDLE: Duration = Duration::from_secs(4);

/// How many connections are kept without a call; how many there are at once is limited by `concurrency`.
const MOST_IDLE: usize = 256;

/// How often a connection of HTTP/2 with calls on it is asked whether it is still there, and how long it may take.
const PING_EVERY: Duration = Duration::from_secs(15);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// The most bytes of an answer's headers.
const MOST_HEADERS: u32 = 64 * 1024;

/// The longest that a processor may put off its next call by a header: a lane must not sleep for a year by a typing error.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Makes the calls of one processor.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    headers: HeaderMap,
    most: usize,
}

/// An answer.
#[derive(Clone)]
pub struct HttpAnswer {
    /// Its status: no redirect.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, unpacked.
    pub body: Bytes,
}

/// A connection that could be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Where it leads: to the host of the URL, or to the proxy.
    pub address: Option<SocketAddr>,
    /// The version of TLS, where there is one.
    pub tls: Option<&'static str>,
}

impl HttpClient {
    /// A client with these options, what they name being read from this machine.
    pub fn new(options: &HttpOptions, guard: Guard, reader: &mut Reader) -> Result<Self, Unusable> {
        let headers = headers_of(options, reader)?;
        let tls = tls::client_config(options, reader)?;
        let proxy = options
            .proxy
            .as_deref()
            .map(|proxy| parsed("proxy", proxy))
            .transpose()?;
        let connector = Connector::new(guard, tls, proxy);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .http1_max_buf_size(MOST_HEADERS as usize)
            .http2_max_header_list_size(MOST_HEADERS)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PONG_WITHIN)
            .build(connector.clone());
        Ok(Self {
            client,
            connector,
            headers,
            most: MOST,
        })
    }

    /// Reads answers of so many bytes at the most, packed and unpacked.
    #[must_use]
    pub fn reading(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Makes a call, and reads its answer within a time. The client's own headers are added to it.
    pub async fn call(&self, mut request: Request<Bytes>, within: Duration) -> Result<HttpAnswer, CallError> {
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let exchange = async {
            let answer = self.client.request(request.map(Full::new)).await;
            let (head, body) = answer.map_err(|error| CallError::of_call(&error))?.into_parts();
            match head.status.as_u16() {
                101 => return Err(CallError::Broken("it wants another protocol (101)")),
                redirect @ 300..=399 => return Err(CallError::Redirected(redirect)),
                407 => return Err(CallError::ProxyAuth),
                _ => {}
            }
            let body = body::read(&head.headers, body, self.most).await?;
            Ok(HttpAnswer {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(within, exchange)
            .await
            .unwrap_or(Err(CallError::Late(within)))
    }

    /// Connects as a call would, and makes none.
    pub async fn connect(&self, uri: &Uri) -> Result<Reached, CallError> {
        let stream = self.connector.clone().call(uri.clone()).await;
        let stream = stream.map_err(|error| CallError::of_connection(error.as_ref()))?;
        Ok(Reached {
            address: stream.peer(),
            tls: stream.tls().map(|version| match version {
                rustls::ProtocolVersion::TLSv1_3 => "TLS 1.3",
                rustls::ProtocolVersion::TLSv1_2 => "TLS 1.2",
                _ => "TLS",
            }),
        })
    }

    /// The names of the headers that the registry gives it. Their values are secrets as a rule.
    pub fn own_header_names(&self) -> impl Iterator<Item = &HeaderName> {
        let own = self.headers.iter().filter(|(_, value)| value.is_sensitive());
        own.map(|(name, _)| name)
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its headers are secrets.
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl HttpAnswer {
    /// When it wants to be called again: a number of seconds, or a date.
    pub fn retry_after(&self, now: At) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            // More digits than a number has are a very long time.
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            let date = httpdate::parse_http_date(text).ok()?;
            let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
            At::default().plus(since_epoch).since(now)
        };
        Some(wait.min(LONGEST_WAIT))
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its body and headers may hold anything.
        f.debug_struct("HttpAnswer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why a URL is never called whose host is an address; `None`: it is called, or has a name, which is judged when it is looked up.
pub fn refusal_of(url: &str, guard: Guard) -> Option<CallError> {
    let judged = guard.judge_literal(&url.parse().ok()?);
    judged.err().map(|why| CallError::of_known(&why))
}

/// A URL of the registry, whose grammar was checked when it was read.
pub fn parsed(key: &str, url: &str) -> Result<Uri, Unusable> {
    url.parse().map_err(|_| Unusable::new(key, "expected a URL"))
}

/// What every call has, one's own headers among them.
fn headers_of(options: &HttpOptions, reader: &mut Reader) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    let version = concat!("lacuna/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(version));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &options.headers {
        let key = format!("headers.{name}");
        let value = reader.secret(&key, value)?;
        let name: HeaderName = name
            .parse()
            .map_err(|_| Unusable::new(&key, "expected the name of a header"))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| Unusable::new(&key, "expected a line of ASCII text without control characters"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
