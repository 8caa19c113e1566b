//! Calls the API as anybody could: HTTP over a connection of its own, with a bearer's token.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Stuck;
use crate::config::{Config, Role, Token};

/// Far longer than any call takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls the API.
#[derive(Debug, Clone)]
pub struct Caller {
    address: SocketAddr,
    /// The tokens, by the name of their bearer. None: there is no `[auth]`, and everybody is somebody.
    tokens: BTreeMap<String, String>,
    /// Whose token reads what compliance may read.
    reader: Option<String>,
    /// The names of the tokens of processors, by their ids.
    processors: BTreeMap<String, String>,
}

/// What was answered.
#[derive(Debug, Clone, Default)]
pub struct ApiAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub text: String,
    /// The body as JSON, where it is.
    pub json: Value,
}

impl Caller {
    /// A caller of the API at this address. `secrets`: what the configuration's tokens were read from.
    pub fn new(address: SocketAddr, config: &Config, secrets: &[String]) -> Self {
        let known = config.auth.iter().flat_map(|auth| &auth.tokens);
        let tokens = known.clone().filter_map(|token| {
            let secret = secrets.iter().find(|secret| token.digest.matches(secret))?;
            Some((token.name.clone(), secret.clone()))
        });
        let of_processor = |token: &Token| match &token.role {
            Role::Processor(id) => Some((id.to_string(), token.name.clone())),
            _ => None,
        };
        Self {
            address,
            tokens: tokens.collect(),
            processors: known.clone().filter_map(of_processor).collect(),
            reader: known
                .clone()
                .find(|token| token.role == Role::Compliance)
                .map(|token| token.name.clone()),
        }
    }

    /// Where the API is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether somebody of this name has a token.
    pub fn knows(&self, bearer: &str) -> bool {
        self.tokens.contains_key(bearer)
    }

    /// The name of a processor's token; `-` where it has none.
    pub fn processor(&self, id: &str) -> &str {
        self.processors.get(id).map_or("-", String::as_str)
    }

    /// What compliance reads at this path.
    pub async fn read(&self, path: &str) -> Result<ApiAnswer, Stuck> {
        let reader = self.reader.as_deref().unwrap_or("-");
        self.call(reader, "GET", path, "").await
    }

    /// Makes a call.
    pub async fn call(&self, bearer: &str, method: &str, path: &str, body: &str) -> Result<ApiAnswer, Stuck> {
        self.call_with(bearer, method, path, &[], body).await
    }

    /// The same, with headers of its own. HTTP/1.0: the answer comes in one piece, and the connection ends with it.
    pub async fn call_with(
        &self,
        bearer: &str,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Result<ApiAnswer, Stuck> {
        let mut request = format!(
            "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        if let Some(token) = self.tokens.get(bearer) {
            request += &format!("authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        request += body;
        let answered = tokio::time::timeout(PATIENCE, self.exchange(&request));
        let answer = answered
            .await
            .map_err(|_| Stuck::Fell(format!("{method} {path} is not answered")))??;
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split_whitespace()
            .nth(1)
            .and_then(|status| status.parse().ok());
        Ok(ApiAnswer {
            status: status.ok_or_else(|| Stuck::Fell(format!("{method} {path}: no HTTP: {head}")))?,
            text: text.to_owned(),
            json: serde_json::from_str(text).unwrap_or_default(),
        })
    }

    async fn exchange(&self, request: &str) -> Result<String, Stuck> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        String::from_utf8(answer).map_err(|_| Stuck::Fell("an answer that is no text".to_owned()))
    }
}
