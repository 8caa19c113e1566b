//! A processor of OpenDSR, ready to be called: its client, what it lets us in by, whom it has certificates from.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use std::time::Duration;
use zeroize::Zeroizing;

use super::certificate::Authorities;
use crate::{
    domain::registry::{HttpAuth, HttpOptions, OpenDsr},
    transport::{
        http_client::{CallError, Guard, HttpAnswer, HttpClient, parsed},
        local::{Reader, Unusable},
    },
};

/// A processor, ready to be called.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: HttpClient,
    /// For what is public, and may be elsewhere: it shows nothing of ours.
    bare: HttpClient,
    authorisation: Option<(HeaderName, HeaderValue)>,
    pub(super) authorities: Authorities,
}

impl Endpoint {
    /// Reads what its registration names from this machine.
    pub(super) fn open(opendsr: &OpenDsr, guard: Guard, reader: &mut Reader) -> Result<Self, Unusable> {
        let authorities = match &opendsr.http.ca {
            Some(path) => Authorities::of_pem(&reader.file("ca", path)?)
                .map_err(|fault| Unusable::new("ca", fault.to_string()))?,
            None => Authorities::of_system(),
        };
        let public = HttpOptions {
            headers: Vec::new(),
            client_cert: None,
            client_key: None,
            ..opendsr.http.clone()
        };
        Ok(Self {
            client: HttpClient::new(&opendsr.http, guard, reader)?,
            bare: HttpClient::new(&public, guard, reader)?,
            authorisation: authorisation(&opendsr.auth, reader)?,
            authorities,
        })
    }

    /// Asks it, or asks it to do something.
    pub(super) async fn call(
        &self,
        method: Method,
        url: &str,
        body: &[u8],
        within: Duration,
    ) -> Result<HttpAnswer, CallError> {
        let mut request = Request::builder().method(method).uri(parsed("url", url)?);
        if let Some((name, value)) = &self.authorisation {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = request
            .body(Bytes::copy_from_slice(body))
            .map_err(|_| Unusable::new("url", "the request cannot be written as a call"))?;
        self.client.call(request, within).await
    }

    /// Reads what everybody may read.
    pub(super) async fn read(&self, url: &str, within: Duration) -> Result<HttpAnswer, CallError> {
        let request = Request::get(parsed("url", url)?)
            .body(Bytes::new())
            .map_err(|_| Unusable::new("url", "the request cannot be written as a call"))?;
        self.bare.call(request, within).await
    }
}

/// The header that lets us in.
fn authorisation(
    auth: &HttpAuth,
    reader: &mut Reader,
) -> Result<Option<(HeaderName, HeaderValue)>, Unusable> {
    let sensitive = |key: &str, text: &str| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| Unusable::new(key, "expected a line of ASCII text without control characters"))?;
        value.set_sensitive(true);
        Ok(value)
    };
    Ok(match auth {
        HttpAuth::None => None,
        HttpAuth::Basic { username, password } => {
            let password = reader.secret("auth.password", password)?;
            let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
            let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            Some((AUTHORIZATION, sensitive("auth.password", &text)?))
        }
        HttpAuth::Bearer { token } => {
            let token = reader.secret("auth.token", token)?;
            let text = Zeroizing::new(format!("Bearer {}", token.expose()));
            Some((AUTHORIZATION, sensitive("auth.token", &text)?))
        }
        HttpAuth::Header { name, value } => {
            let value = reader.secret("auth.value", value)?;
            let name = name
                .parse()
                .map_err(|_| Unusable::new("auth.name", "expected the name of a header"))?;
            Some((name, sensitive("auth.value", value.expose())?))
        }
    })
}
