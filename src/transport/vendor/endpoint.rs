//! A vendor, ready to be called: its connector, its settings with their secrets, its client, its token.

mod login;

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Request,
    header::{CONTENT_TYPE, HeaderValue, LINK},
};
use serde_json::Value;

use super::{batches::Batches, pace::Pace, token::Tokens};
use crate::{
    clock::{Clock, Stopwatch},
    config::connectors::{self, Origin},
    connector::{
        Connector, Rendered, Step, Values,
        request::{Filling, Header, date_of},
    },
    domain::registry::{SettingValue, Vendor},
    transport::{
        http_client::{CallError, Guard, HttpAnswer, HttpClient, parsed},
        local::{Reader, Unusable},
        sender::{Failed, Reply},
    },
};

/// The most bytes of an answer: a list of jobs with the people of each is the largest.
const MOST: usize = 8 * 1024 * 1024;

/// A vendor, ready to be called.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) connector: Connector,
    pub(super) values: Values,
    url: Option<String>,
    client: HttpClient,
    pace: Option<Pace>,
    tokens: Tokens,
    pub(super) batches: Batches,
    pub(super) clock: Clock,
}

/// An answer that could be read.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) status: u16,
    /// Its body where it is JSON, else null.
    pub(super) body: Arc<Value>,
    /// Its body where it is something else.
    pub(super) text: Option<Arc<str>>,
    /// The id that it says somebody is merged into.
    pub(super) canonical: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

impl Endpoint {
    /// Reads what its registration names from this machine.
    pub fn open(
        vendor: &Vendor,
        folder: Option<&Path>,
        guard: Guard,
        clock: Clock,
        reader: &mut Reader,
    ) -> Result<Self, Unusable> {
        let connector = connector_of(vendor, folder, reader)?;
        let mut values = Values::default();
        for (name, value) in &vendor.settings {
            match value {
                SettingValue::Plain(text) => values.set(name, text),
                SettingValue::Secret(secret) => values.set(name, reader.secret(name, secret)?.expose()),
            }
        }
        let missing = connector.settings.keys().find(|name| values.get(name).is_none());
        if let Some(name) = missing {
            return Err(Unusable::new(
                name.as_str(),
                "missing: the connector has changed since the registry was applied",
            ));
        }
        Ok(Self {
            values,
            url: vendor.url.clone(),
            client: HttpClient::new(&vendor.http, guard, reader)?.reading(MOST),
            pace: connector.rate.and_then(|rate| Pace::new(rate.0)),
            tokens: Tokens::default(),
            batches: Batches::default(),
            clock,
            connector,
        })
    }

    /// The date, as calls have it.
    pub(super) fn today(&self) -> String {
        date_of(&self.clock.now().to_string())
    }

    /// Makes a call, and reads its answer.
    pub(super) async fn call(
        &self,
        step: &Step,
        filling: Filling<'_>,
        within: Duration,
    ) -> Result<Heard, Reply> {
        let rendered = step.render(&self.connector, filling).map_err(|error| {
            let why = format!("{}: {error}", step.id);
            Reply::Failed(Failed::new(why).not_sent())
        })?;
        self.send(&rendered, within).await
    }

    /// Makes a call. A token that is refused is renewed once.
    pub(super) async fn send(&self, rendered: &Rendered, within: Duration) -> Result<Heard, Reply> {
        let started = Stopwatch::start();
        let mut renewed = false;
        loop {
            let left = within.saturating_sub(started.elapsed());
            self.turn(left).await?;
            let token = self.token(left).await?;
            let request = self.request(rendered, token.as_ref().map(|token| token.as_str()))?;
            let answer = self.client.call(request, left).await.map_err(CallError::reply)?;
            match &token {
                Some(token) if answer.status == 401 && !renewed => {
                    renewed = true;
                    self.tokens.forget(token).await;
                }
                _ => return Ok(self.heard(&answer)),
            }
        }
    }

    async fn turn(&self, within: Duration) -> Result<(), Reply> {
        let Some(pace) = &self.pace else { return Ok(()) };
        pace.turn(within).await.map_err(|wait| {
            Reply::Failed(Failed {
                counts: false,
                ..Failed::new("it takes no more calls within the time that there is")
                    .not_sent()
                    .after(Some(wait))
            })
        })
    }

    fn heard(&self, answer: &HttpAnswer) -> Heard {
        let json = serde_json::from_slice(&answer.body).ok();
        let is_text = json.is_none() && !answer.body.trim_ascii().is_empty();
        Heard {
            status: answer.status.as_u16(),
            text: is_text.then(|| String::from_utf8_lossy(&answer.body).into()),
            body: Arc::new(json.unwrap_or(Value::Null)),
            canonical: answer
                .headers
                .get_all(LINK)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .find_map(canonical),
            retry_after: answer.retry_after(self.clock.now()),
        }
    }

    fn request(&self, rendered: &Rendered, token: Option<&str>) -> Result<Request<Bytes>, Reply> {
        let base = self.url.as_deref().unwrap_or(&rendered.base);
        let url = format!("{}{}", base.trim_end_matches('/'), rendered.path);
        let unwritable = |why: Unusable| CallError::from(why).reply();
        let mut request = Request::builder()
            .method(rendered.method)
            .uri(parsed("url", &url).map_err(unwritable)?);
        for Header {
            name,
            value,
            is_secret,
        } in &rendered.headers
        {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                unwritable(Unusable::new(
                    "connector",
                    format!("{name}: no value of a header"),
                ))
            })?;
            value.set_sensitive(*is_secret);
            request = request.header(name.as_str(), value);
        }
        for (name, value) in self.authorisation(token).map_err(unwritable)? {
            // A call with a header of this name logs in by itself: of two, vendors read either.
            let is_own = |header: &Header| header.name.eq_ignore_ascii_case(name.as_str());
            if !rendered.headers.iter().any(is_own) {
                request = request.header(name, value);
            }
        }
        if let Some(kind) = rendered.content.kind() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        request
            .body(Bytes::copy_from_slice(rendered.content.text().as_bytes()))
            .map_err(|_| unwritable(Unusable::new("url", "the call cannot be written")))
    }

    /// Where an absolute URL of the connector leads, where the registry sends its calls elsewhere.
    fn redirected(&self, url: &str) -> String {
        let Some(elsewhere) = &self.url else {
            return url.to_owned();
        };
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        format!("{}/{path}", elsewhere.trim_end_matches('/'))
    }
}

/// The connector that a registration names.
fn connector_of(vendor: &Vendor, folder: Option<&Path>, reader: &mut Reader) -> Result<Connector, Unusable> {
    match connectors::find(folder, &vendor.connector) {
        Ok(Some((connector, Origin::Shipped))) => Ok(connector),
        Ok(Some((connector, Origin::Folder))) => {
            // Read once more, so that a change of it is noticed.
            let path = folder
                .unwrap_or(Path::new(""))
                .join(format!("{}.toml", connector.id));
            let path = std::path::absolute(&path).unwrap_or(path);
            reader.file("connector", &path.display().to_string())?;
            Ok(connector)
        }
        Ok(None) => Err(Unusable::new(
            "connector",
            format!("there is no connector {:?} on this machine", vendor.connector),
        )),
        Err(problems) => Err(Unusable::new(
            "connector",
            problems.to_string().replace('\n', "; "),
        )),
    }
}

/// The last segment of the path of `<…>; rel="canonical"`.
fn canonical(link: &str) -> Option<String> {
    let of_canonical = link.split(',').find(|one| one.contains("rel=\"canonical\""))?;
    let url = of_canonical.split('<').nth(1)?.split('>').next()?;
    let id = url
        .split(['?', '#'])
        .next()?
        .trim_end_matches('/')
        .rsplit('/')
        .next()?;
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_link_names_the_other_id() {
        let link = "<https://api.intercom.io/contacts/next>; rel=\"next\", <https://api.intercom.io/contacts/abc?x=1>; rel=\"canonical\"";
        assert_eq!(canonical(link).as_deref(), Some("abc"));
        assert_eq!(canonical("<https://x/y>; rel=\"next\""), None);
    }
}
