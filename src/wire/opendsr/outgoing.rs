//! Our request to a processor, in its dialect.

use std::collections::BTreeMap;

use md5::Md5;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::{
    calendar::Regime,
    identity::{Identity, SubjectData},
    registry::{IdentityFormat, OpenDsr, SettingPlace, Shape},
    time::At,
};

/// What a request says.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Its id.
    pub id: Uuid,
    /// The law that it is made under.
    pub regime: &'a Regime,
    /// When the subject asked.
    pub submitted_time: At,
    /// Whose data.
    pub identities: &'a [Identity],
    /// Where we want to be told how it stands.
    pub callback: Option<&'a str>,
}

/// A request that the dialect has no words for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSay {
    /// None of the identifiers can be named.
    #[error("none of the subject's identifiers can be named to this processor")]
    Nobody,
    /// Two identifiers of a type where there is room for one.
    #[error("the subject has several identifiers of the type {0}, and this processor takes one of each")]
    Several(&'static str),
    /// It cannot be written.
    #[error("the request cannot be written")]
    Unwritable,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    regulation: Option<&'static str>,
    subject_request_id: Uuid,
    subject_request_type: &'static str,
    submitted_time: At,
    subject_identities: Identities,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    status_callback_urls: Vec<&'a str>,
    #[serde(flatten)]
    settings: BTreeMap<&'static str, &'a str>,
}

/// A look-alike that has its own id takes no more than this.
#[derive(Serialize)]
struct BareBody {
    subject_request_type: &'static str,
    subject_identities: Identities,
}

enum Identities {
    List(Vec<Said>),
    Dictionary(Vec<Said>),
}

struct Said {
    kind: &'static str,
    format: IdentityFormat,
    value: SubjectData,
}

impl Serialize for Identities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(all) => serializer.collect_seq(all),
            Self::Dictionary(all) => {
                #[derive(Serialize)]
                struct Entry<'a> {
                    value: &'a str,
                    encoding: IdentityFormat,
                }
                let mut map = serializer.serialize_map(Some(all.len()))?;
                for said in all {
                    let entry = Entry {
                        value: said.value.expose(),
                        encoding: said.format,
                    };
                    map.serialize_entry(said.kind, &entry)?;
                }
                map.end()
            }
        }
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("identity_type", self.kind)?;
        map.serialize_entry("identity_value", self.value.expose())?;
        map.serialize_entry("identity_format", &self.format)?;
        map.end()
    }
}

/// Writes a request for a processor: the same bytes for each try.
pub fn write_request(to: &OpenDsr, request: &Outgoing<'_>) -> Result<Zeroizing<Vec<u8>>, CannotSay> {
    let dialect = to.dialect.data();
    let identities = said(to, request.identities)?;
    let size: usize = identities
        .iter()
        .map(|said| said.value.expose().len() * 2 + 128)
        .sum();
    // Room for all of it, so that no growing buffer leaves a copy behind.
    let mut written = Zeroizing::new(Vec::with_capacity(size + 4096));
    let subject_identities = match dialect.shape {
        Shape::List => Identities::List(identities),
        Shape::Dictionary => Identities::Dictionary(alone(identities)?),
    };
    let done = if dialect.api_version.is_none() {
        let body = BareBody {
            subject_request_type: "erasure",
            subject_identities,
        };
        serde_json::to_writer(&mut *written, &body)
    } else {
        let body = Body {
            regulation: dialect.names_regulation.then(|| regulation(request.regime)),
            subject_request_id: request.id,
            subject_request_type: "erasure",
            submitted_time: request.submitted_time,
            subject_identities,
            api_version: dialect.api_version,
            status_callback_urls: request.callback.into_iter().take(dialect.max_callbacks).collect(),
            settings: settings_in(to, SettingPlace::Body).collect(),
        };
        serde_json::to_writer(&mut *written, &body)
    };
    done.map_err(|_| CannotSay::Unwritable)?;
    Ok(written)
}

/// The settings that a call carries there.
fn settings_in(to: &OpenDsr, place: SettingPlace) -> impl Iterator<Item = (&'static str, &str)> {
    let settings = to.dialect.data().settings.iter();
    let there = settings.filter(move |setting| setting.place == place);
    there.filter_map(|setting| Some((setting.key, to.setting(setting.key)?)))
}

/// The specification knows two.
fn regulation(regime: &Regime) -> &'static str {
    match regime {
        Regime::Named(name) if matches!(name.as_str(), "ccpa" | "drop") => "ccpa",
        Regime::Named(_) | Regime::Counted(_) => "gdpr",
    }
}

fn said(to: &OpenDsr, identities: &[Identity]) -> Result<Vec<Said>, CannotSay> {
    let dialect = to.dialect.data();
    let mut all: Vec<Said> = Vec::with_capacity(identities.len());
    for identity in identities {
        let Some((kind, named)) = dialect.said(identity.kind.as_str()) else {
            continue;
        };
        let format = to.format_of(&identity.kind).unwrap_or(named);
        let value = match (named, format) {
            // It is one already.
            (named, format) if named == format => identity.value.clone(),
            (IdentityFormat::Raw, format) => digest(&identity.normalised(), format),
            // One digest cannot be made of another.
            _ => continue,
        };
        if !all
            .iter()
            .any(|said| said.kind == kind && said.format == format && said.value == value)
        {
            all.push(Said { kind, format, value });
        }
    }
    if all.is_empty() {
        Err(CannotSay::Nobody)
    } else {
        Ok(all)
    }
}

fn alone(identities: Vec<Said>) -> Result<Vec<Said>, CannotSay> {
    for (n, said) in identities.iter().enumerate() {
        if identities.iter().skip(n + 1).any(|other| other.kind == said.kind) {
            return Err(CannotSay::Several(said.kind));
        }
    }
    Ok(identities)
}

fn digest(value: &SubjectData, format: IdentityFormat) -> SubjectData {
    let bytes = value.expose().as_bytes();
    SubjectData::new(match format {
        IdentityFormat::Raw => value.expose().to_owned(),
        IdentityFormat::Sha1 => hex::encode(Sha1::digest(bytes)),
        IdentityFormat::Md5 => hex::encode(Md5::digest(bytes)),
        IdentityFormat::Sha256 => hex::encode(Sha256::digest(bytes)),
    })
}

/// The address that a request is posted to.
pub fn requests_url(to: &OpenDsr) -> String {
    let base = to.url.trim_end_matches('/');
    with_query(format!("{base}/{}", to.dialect.data().requests), to)
}

/// The address under which its status is.
pub fn status_url(to: &OpenDsr, id: Uuid) -> String {
    let base = to.url.trim_end_matches('/');
    with_query(format!("{base}/{}/{id}", to.dialect.data().requests), to)
}

/// The address of discovery.
pub fn discovery_url(to: &OpenDsr) -> Option<String> {
    let base = to.url.trim_end_matches('/');
    Some(format!("{base}/{}", to.dialect.data().discovery?))
}

fn with_query(url: String, to: &OpenDsr) -> String {
    let pairs: Vec<String> = settings_in(to, SettingPlace::Query)
        .map(|(key, value)| format!("{key}={}", escaped(value)))
        .collect();
    if pairs.is_empty() {
        url
    } else {
        format!("{url}?{}", pairs.join("&"))
    }
}

/// What may stand in a query as it is; all else becomes `%` and two digits.
fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(escape).collect()
}
