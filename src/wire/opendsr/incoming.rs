//! A controller's request: its shape, and the command that it means.
//!
//! What it means is written as a command of our own and taken in like every other one, so that there is one way in.

use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    domain::{
        ids::IdentityType,
        registry::{IdentityFormat, OpenDsrDialect},
        time::At,
        words::{Action, Reason},
    },
    wire::{
        fields::{List, MAX_IDENTITIES, MAX_IDENTITY_BYTES, Object, Text, Time, uuid},
        read::read,
        rejection::Rejection,
        validate,
    },
};

/// More callback URLs than anybody needs, few enough to call all of them.
const MAX_CALLBACKS: usize = 10;
const MAX_URL: usize = 2048;

/// A controller's request to erase.
pub struct SubjectRequest {
    /// Its id, which is the request's and the command's as well.
    pub id: Uuid,
    /// Where the controller wants to be told how it stands.
    pub callbacks: Vec<String>,
    /// The command that it means.
    pub command: Zeroizing<Vec<u8>>,
}

/// Without the command, which holds identifiers.
impl fmt::Debug for SubjectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectRequest")
            .field("id", &self.id)
            .field("callbacks", &self.callbacks.len())
            .finish_non_exhaustive()
    }
}

/// A request of OpenDSR, as a controller sends it.
#[derive(Deserialize, JsonSchema)]
pub(in crate::wire) struct SubjectRequestFields<'a> {
    #[serde(borrow)]
    regulation: Option<Text<'a, 1, 64>>,
    #[serde(borrow)]
    subject_request_id: Text<'a, 1, 64>,
    #[serde(borrow)]
    subject_request_type: Text<'a, 1, 64>,
    submitted_time: Time,
    #[serde(borrow)]
    api_version: Option<Text<'a, 1, 64>>,
    #[serde(borrow)]
    subject_identities: Option<List<Object<IdentityFields<'a>>, 1, MAX_IDENTITIES>>,
    #[serde(borrow)]
    status_callback_urls: Option<List<Text<'a, 1, MAX_URL>, 0, MAX_CALLBACKS>>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OpenDsrIdentity")]
struct IdentityFields<'a> {
    #[serde(borrow)]
    identity_type: Text<'a, 1, 64>,
    #[serde(borrow)]
    identity_value: Text<'a, 1, MAX_IDENTITY_BYTES>,
    #[serde(borrow)]
    identity_format: Text<'a, 1, 64>,
}

/// The command, as `POST /v1/requests` would have it.
#[derive(Serialize)]
struct CommandFields<'a> {
    r#type: Action,
    command_id: Uuid,
    request_id: Uuid,
    subject: SubjectFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regime: Option<&'a str>,
    reason: Reason,
    requested_at: At,
    identity_verified: bool,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct SubjectFields<'a> {
    identities: Vec<TypedIdentity<'a>>,
}

#[derive(Serialize)]
struct TypedIdentity<'a> {
    r#type: String,
    value: Cow<'a, str>,
}

/// What the command has no field for, kept sealed with the identifiers. With it the same id with other addresses is another
/// command, which is refused.
#[derive(Serialize)]
struct Metadata<'a> {
    opendsr_status_callback_urls: &'a [String],
}

/// Reads a request. `v1`: it came under the names of version 1, which had no regulation. `known`: whether a type of ours
/// beside those of the specification is one that somebody here is registered for.
pub fn parse_request(
    bytes: &[u8],
    v1: bool,
    known: impl Fn(&IdentityType) -> bool,
) -> Result<SubjectRequest, Rejection> {
    let fields: SubjectRequestFields<'_> = read(validate::check(bytes)?)?;
    let id = id_of(&fields.subject_request_id.0)?;
    check_type(&fields.subject_request_type.0)?;
    check_version(fields.api_version.as_ref().map(|version| &*version.0))?;
    let regime = regime_of(fields.regulation.as_ref().map(|named| &*named.0), v1)?;
    let identities = identities_of(fields.subject_identities, known)?;
    let callbacks = fields.status_callback_urls.map_or_else(Vec::new, |list| list.0);
    let callbacks = callbacks_of(callbacks, &identities)?;
    let command = CommandFields {
        r#type: Action::Erase,
        command_id: id,
        request_id: id,
        subject: SubjectFields { identities },
        regime,
        reason: Reason::SubjectRequest,
        requested_at: fields.submitted_time.0,
        // The specification has the controller verify whom a request comes from, before it is sent on.
        identity_verified: true,
        metadata: Metadata {
            opendsr_status_callback_urls: &callbacks,
        },
    };
    // Room for all of it, so that no growing buffer leaves a copy behind.
    let mut written = Zeroizing::new(Vec::with_capacity(2 * bytes.len() + 4096));
    serde_json::to_writer(&mut *written, &command)
        .map_err(|_| Rejection::schema("expected a request that can be written as a command"))?;
    Ok(SubjectRequest {
        id,
        callbacks,
        command: written,
    })
}

fn id_of(text: &str) -> Result<Uuid, Rejection> {
    let id = uuid(text).filter(|id| id.get_version_num() == 4 && id.to_string() == text);
    id.ok_or_else(|| {
        Rejection::schema(
            "subject_request_id: expected a UUID of version 4 in lower case, in its hyphenated form",
        )
    })
}

fn check_type(kind: &str) -> Result<(), Rejection> {
    match kind {
        "erasure" => Ok(()),
        "access" | "portability" => Err(Rejection::schema(
            "subject_request_type: only erasure is carried out here: see discovery",
        )),
        _ => Err(Rejection::schema("subject_request_type: expected erasure")),
    }
}

/// Versions are told apart by their first number: the second one adds.
fn check_version(version: Option<&str>) -> Result<(), Rejection> {
    let major = version.and_then(|version| version.split('.').next());
    match major {
        None | Some("1" | "2") => Ok(()),
        // What implementers of drafts still send.
        Some("0") => Ok(()),
        Some(_) => Err(Rejection::schema("api_version: expected 2.0 or 1.0")),
    }
}

fn regime_of(regulation: Option<&str>, v1: bool) -> Result<Option<&'static str>, Rejection> {
    match regulation {
        Some("gdpr") => Ok(Some("gdpr")),
        Some("ccpa") => Ok(Some("ccpa")),
        Some(_) => Err(Rejection::schema("regulation: expected gdpr or ccpa")),
        // Version 1 was of the GDPR alone.
        None if v1 => Ok(Some("gdpr")),
        None => Err(Rejection::schema("regulation: expected gdpr or ccpa, found none")),
    }
}

fn identities_of<'a>(
    fields: Option<List<Object<IdentityFields<'a>>, 1, MAX_IDENTITIES>>,
    known: impl Fn(&IdentityType) -> bool,
) -> Result<Vec<TypedIdentity<'a>>, Rejection> {
    let Some(List(fields)) = fields else {
        return Err(Rejection::schema("subject_identities: expected at least one"));
    };
    let identity = |(n, Object(fields)): (usize, Object<IdentityFields<'a>>)| {
        let refuse = |what: &str| Rejection::schema(format!("subject_identities[{n}].{what}"));
        let format = IdentityFormat::parse(&fields.identity_format.0)
            .ok_or_else(|| refuse("identity_format: expected raw, sha1, md5 or sha256"))?;
        let kind = fields.identity_type.0;
        let standard = OpenDsrDialect::V2.data().heard(&kind, format);
        let own = || {
            let named = match format {
                IdentityFormat::Raw => kind.clone().into_owned(),
                hashed => format!("{kind}_{hashed}"),
            };
            let is_known = IdentityType::new(&named).is_ok_and(|kind| known(&kind));
            is_known.then_some(named)
        };
        let kind = standard
            .or_else(own)
            .ok_or_else(|| refuse("identity_type: expected one that discovery names"))?;
        let value = value_of(fields.identity_value.0, format).ok_or_else(|| {
            refuse("identity_value: expected the digest of its format, in hexadecimal digits")
        })?;
        Ok(TypedIdentity { r#type: kind, value })
    };
    fields.into_iter().enumerate().map(identity).collect()
}

/// A digest is compared byte for byte, so it has one spelling.
fn value_of(value: Cow<'_, str>, format: IdentityFormat) -> Option<Cow<'_, str>> {
    let digits = match format {
        IdentityFormat::Raw => return Some(value),
        IdentityFormat::Sha1 => 40,
        IdentityFormat::Md5 => 32,
        IdentityFormat::Sha256 => 64,
    };
    let is_digest = value.len() == digits && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| Cow::Owned(value.to_ascii_lowercase()))
}

/// An address is stored beside the request, so it must not hold what is kept in the vault alone.
fn callbacks_of<const MAX: usize>(
    urls: Vec<Text<'_, 1, MAX>>,
    identities: &[TypedIdentity<'_>],
) -> Result<Vec<String>, Rejection> {
    /// Shorter ones are found in any address.
    const TELLING: usize = 6;
    let mut taken: Vec<String> = Vec::new();
    for (n, Text(url)) in urls.into_iter().enumerate() {
        let refuse = |what: &str| Err(Rejection::schema(format!("status_callback_urls[{n}]: {what}")));
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let host = rest
            .and_then(|rest| rest.split(['/', '?', '#']).next())
            .unwrap_or_default();
        let is_plain = url.chars().all(|c| c.is_ascii_graphic());
        if host.is_empty() || host.contains('@') || !is_plain {
            return refuse("expected http:// or https:// with a host, and without a password");
        }
        let tells =
            |identity: &TypedIdentity<'_>| identity.value.len() >= TELLING && url.contains(&*identity.value);
        if identities.iter().any(tells) {
            return refuse("expected an address without an identifier of the data subject");
        }
        if !taken.iter().any(|known| *known == url) {
            taken.push(url.into_owned());
        }
    }
    Ok(taken)
}
