//! A vendor, imitated as the file of its connector says: it tells by the calls' own form which step each of them is, and answers
//! what the file's examples say.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Called, Stuck};
use crate::{
    config::connectors,
    connector::{Connector, example::Canned},
    domain::{
        ids::ProcessorId,
        registry::{SettingValue, Vendor},
    },
    lab::scenario::environment::Output,
    transport::vendor::rehearsal::rehearse,
};

/// What stands in a call's form where a value of some person stands in a call.
const ANY: char = '\u{0}';

/// A vendor that is imitated.
#[derive(Debug)]
pub(super) struct Imitation {
    connector: Connector,
    forms: Vec<Form>,
    /// What a call has to bring.
    secrets: Vec<String>,
}

/// The form of a step's calls.
#[derive(Debug, PartialEq)]
struct Form {
    step: String,
    method: &'static str,
    path: String,
    query: BTreeMap<String, String>,
}

/// What a vendor answers from now on.
#[derive(Debug, Default)]
pub(super) struct Playing {
    /// Those of an example; the others are as the file's first examples have them.
    answers: Vec<Canned>,
    /// How often each step was called since.
    called: BTreeMap<String, usize>,
}

impl Imitation {
    /// The vendor of a registration.
    pub(super) fn of(vendor: &Vendor) -> Result<Self, Stuck> {
        let unknown = || Stuck::Fell(format!("there is no connector {}", vendor.connector));
        let found =
            connectors::find(None, &vendor.connector).map_err(|error| Stuck::Fell(error.to_string()))?;
        let (connector, _) = found.ok_or_else(unknown)?;
        let calls = rehearse(&connector, vendor).map_err(|error| Stuck::Fell(error.to_string()))?;
        let holes = holes(&connector);
        let forms = calls.iter().map(|rehearsed| {
            let path = holes.iter().fold(rehearsed.call.path.clone(), |path, hole| {
                path.replace(hole.as_str(), &ANY.to_string())
            });
            let (path, query) = path.split_once('?').unwrap_or((&path, ""));
            Form {
                step: rehearsed.step.clone(),
                method: rehearsed.call.method,
                path: path.to_owned(),
                query: pairs(query),
            }
        });
        let mut secrets = Vec::new();
        for (_, value) in &vendor.settings {
            if let SettingValue::Secret(secret) = value {
                secrets.push(secret.0.clone());
            }
        }
        Ok(Self {
            forms: forms.collect(),
            connector,
            secrets,
        })
    }

    /// What an example of the file answers.
    pub(super) fn example(&self, name: &str) -> Result<Playing, Stuck> {
        let examples = &self.connector.examples;
        let found = examples.iter().find(|example| example.name == name);
        let answers = found.map(|example| example.answers.clone());
        let id = &self.connector.id;
        Ok(Playing {
            answers: answers.ok_or_else(|| Stuck::Fell(format!("{id}: there is no example {name:?}")))?,
            called: BTreeMap::new(),
        })
    }

    /// The step of a call. Where several have the same form, it is the one that is in the example that is played.
    fn step(&self, method: &Method, path: &str, query: &str, playing: &Playing) -> Option<&str> {
        let query = pairs(query);
        let is_it = |form: &&Form| {
            form.method == method.as_str()
                && fits(&form.path, path)
                && form.query.len() == query.len()
                && form
                    .query
                    .iter()
                    .all(|(name, form)| query.get(name).is_some_and(|value| fits(form, value)))
        };
        let fitting: Vec<&Form> = self.forms.iter().filter(is_it).collect();
        let played = |form: &&&Form| playing.answers.iter().any(|answer| answer.step == form.step);
        let found = fitting.iter().find(played).or(fitting.first());
        found.map(|form| form.step.as_str())
    }

    /// What a step answers this time.
    fn answer(&self, step: &str, playing: &mut Playing) -> Option<Canned> {
        let of_step = |answers: &[Canned]| -> Vec<Canned> {
            let found = answers.iter().filter(|answer| answer.step == step);
            found.cloned().collect()
        };
        let mut answers = of_step(&playing.answers);
        let mut examples = self.connector.examples.iter();
        while answers.is_empty() {
            answers = of_step(&examples.next()?.answers);
        }
        let called = playing.called.entry(step.to_owned()).or_default();
        let place = (*called).min(answers.len() - 1);
        *called += 1;
        Some(answers.swap_remove(place))
    }

    /// Whether a call brings one of the secrets that the vendor has given us.
    fn is_let_in(&self, headers: &HeaderMap) -> bool {
        let of_basic = |text: &str| {
            let decoded = text
                .strip_prefix("Basic ")
                .and_then(|text| STANDARD.decode(text).ok());
            decoded.and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let brings = |text: &str| self.secrets.iter().any(|secret| text.contains(secret));
        let mut texts = headers.values().filter_map(|value| value.to_str().ok());
        texts.any(|text| brings(text) || of_basic(text).is_some_and(|text| brings(&text)))
    }
}

/// Answers a call as the script says, or else as the connector's file does. What is no call of the connector is no call of this
/// vendor.
pub(super) fn answer(
    called: &Called,
    id: &ProcessorId,
    (method, uri): (&Method, &Uri),
    headers: &HeaderMap,
) -> Response {
    let Some((prefix, imitation)) = called.vendors.get(id.as_str()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !imitation.is_let_in(headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut state = called.state();
    let always = state.answers.get(id.as_str()).cloned();
    let playing = state.playing.entry(id.to_string()).or_default();
    let path = uri.path().strip_prefix(prefix.as_str()).unwrap_or_default();
    let step = imitation.step(method, path, uri.query().unwrap_or_default(), playing);
    let Some(step) = step.map(str::to_owned) else {
        return StatusCode::IM_A_TEAPOT.into_response();
    };
    let canned = imitation.answer(&step, playing);
    state.heard.push(Output::Called {
        system: id.to_string(),
        step,
    });
    match (always, canned) {
        (Some(answer), _) => answer.into_response(),
        (None, Some(canned)) => response(&canned),
        (None, None) => StatusCode::IM_A_TEAPOT.into_response(),
    }
}

fn response(canned: &Canned) -> Response {
    let status = StatusCode::from_u16(canned.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = if canned.body.is_null() {
        String::new()
    } else {
        canned.body.to_string()
    };
    let mut response = (status, body).into_response();
    let link = canned
        .canonical
        .as_ref()
        .map(|id| format!("<https://vendor.example/{id}>; rel=\"canonical\""));
    if let Some(Ok(link)) = link.map(|link| link.parse()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// What a rehearsed call has where a value of some person stands, the longest first.
fn holes(connector: &Connector) -> Vec<String> {
    let kept = connector.steps.iter().flat_map(|step| step.keep.keys().cloned());
    let kinds = connector.identities.keys().map(ToString::to_string);
    let named: BTreeSet<String> = kept.chain(kinds).chain(["key".to_owned()]).collect();
    let mut holes: Vec<String> = named.iter().map(|name| name.to_uppercase()).collect();
    holes.sort_by_key(|hole| std::cmp::Reverse(hole.len()));
    holes
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a text has this form. No value goes beyond its segment of a path.
fn fits(form: &str, text: &str) -> bool {
    let Some((before, after)) = form.split_once(ANY) else {
        return form == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    let ends = rest.char_indices().map(|(at, sign)| at + sign.len_utf8());
    ends.take_while(|end| !rest[..*end].contains('/'))
        .any(|end| fits(after, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::registry::Transport;

    fn imitation(transport: &str) -> Imitation {
        let text = format!(
            "[[processor]]\nid = 'v'\nkind = 'other'\nactions = ['erase']\nidentities = ['email']\n\
             transport = {{ type = 'vendor', {transport} }}\n"
        );
        let registry = crate::config::registry_file::read_text("processors.toml", &text).unwrap();
        let Transport::Vendor(vendor) = &registry.processors[0].transport else {
            panic!("{text}")
        };
        Imitation::of(vendor).unwrap()
    }

    #[test]
    fn a_call_is_known_by_its_form() {
        let hubspot = imitation("connector = 'hubspot', token = 'entry'");
        let (find, query) = (
            "/crm/v3/objects/contacts/a%40b.example",
            "idProperty=email&properties=hs_object_id",
        );
        let none = Playing::default();
        assert_eq!(hubspot.step(&Method::GET, find, query, &none), Some("find"));
        let probing = hubspot.example("one that is gone is absent").unwrap();
        assert_eq!(hubspot.step(&Method::GET, find, query, &probing), Some("probe"));
        assert_eq!(hubspot.step(&Method::GET, find, "", &none), None);
        assert_eq!(hubspot.step(&Method::DELETE, find, query, &none), None);
        let erase = "/crm/v3/objects/contacts/gdpr-delete";
        assert_eq!(hubspot.step(&Method::POST, erase, "", &none), Some("erase"));
        assert!(hubspot.example("nothing like it").is_err());
    }

    #[test]
    fn answers_of_an_example_come_in_their_order() {
        let intercom = imitation("connector = 'intercom', token = 'entry'");
        let mut merged = intercom.example("a merged contact is followed").unwrap();
        let mut answered = || intercom.answer("resolve", &mut merged).unwrap().status;
        assert_eq!((answered(), answered(), answered()), (410, 200, 200));
        let other = intercom.answer("find", &mut Playing::default()).unwrap();
        assert_eq!(other.status, 200, "the first example of the file");
    }

    #[test]
    fn whoever_brings_no_secret_is_turned_away() {
        let hubspot = imitation("connector = 'hubspot', token = 'entry'");
        let with = |value: &str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        assert!(hubspot.is_let_in(&with("Bearer entry")));
        assert!(hubspot.is_let_in(&with(&format!("Basic {}", STANDARD.encode("u:entry")))));
        assert!(!hubspot.is_let_in(&with("Bearer another")));
        assert!(!hubspot.is_let_in(&HeaderMap::new()));
    }

    #[test]
    fn a_value_stays_within_its_segment() {
        for (form, text, so) in [
            ("/a/\u{0}", "/a/b", true),
            ("/a/\u{0}", "/a/b/c", false),
            ("/a/\u{0}.json", "/a/b.json", true),
            ("/a/\u{0}.json", "/a/.json", false),
            ("/a", "/a/b", false),
        ] {
            assert_eq!(fits(form, text), so, "{form:?} {text}");
        }
    }
}
