//! Answers and callbacks: where a request stands.
//!
//! What is read here is another system's, so every field is checked, and nothing but ids, states and times is kept of it.
//! What is said of a fault holds nothing of the answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::domain::{
    registry::{Dialect, RequestState},
    time::At,
};

/// A request was taken in.
#[derive(Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Created<'a> {
    /// Who sent it.
    pub controller_id: Cow<'a, str>,
    /// By when it is expected to be done.
    pub expected_completion_time: At,
    /// When it was received.
    pub received_time: At,
    /// The body of the request, in base64.
    pub encoded_request: Cow<'a, str>,
    /// Its id.
    pub subject_request_id: Uuid,
    /// The version that is spoken.
    pub api_version: &'static str,
    /// What becomes of its `status_callback_urls`, where they are not called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_callbacks: Option<&'static str>,
}

/// Without the request, which holds identifiers.
impl std::fmt::Debug for Created<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Created")
            .field("subject_request_id", &self.subject_request_id)
            .field("expected_completion_time", &self.expected_completion_time)
            .finish_non_exhaustive()
    }
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StatusAnswer<'a> {
    /// Who sent it.
    pub controller_id: Cow<'a, str>,
    /// By when it is expected to be done.
    pub expected_completion_time: At,
    /// Its id.
    pub subject_request_id: Uuid,
    /// Its state.
    pub request_status: RequestState,
    /// The version that is spoken.
    pub api_version: &'static str,
    /// What the four states cannot say: our own word, where it says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
}

/// The same, told by ourselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Callback<'a> {
    /// Where it stands.
    #[serde(flatten)]
    pub status: StatusAnswer<'a>,
    /// Where it is sent, so that whoever reads it knows that it is meant.
    pub status_callback_url: Cow<'a, str>,
}

/// A request was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Cancelled<'a> {
    /// Who sent it.
    pub controller_id: Cow<'a, str>,
    /// When the cancellation was received.
    pub received_time: At,
    /// Its id.
    pub subject_request_id: Uuid,
    /// The version that is spoken.
    pub api_version: &'static str,
}

/// What a processor says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Where it stands.
    pub state: RequestState,
    /// By when it is expected to be done, where that is said and can be true.
    pub expected_by: Option<At>,
}

/// An answer that does not say what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongAnswer {
    /// It is no JSON object.
    #[error("the answer is no JSON object")]
    NotJson,
    /// A field is missing.
    #[error("the answer has no usable {0}")]
    Missing(&'static str),
    /// It is about another request.
    #[error("the answer is about another request")]
    OtherRequest,
    /// It has a state of its own.
    #[error("the answer has a request_status that nobody has published")]
    UnknownState,
    /// It is meant for somebody else.
    #[error("the callback is meant for another address")]
    OtherAddress,
}

/// A promise that lies further ahead is a mistake: backups live that long, requests do not.
const FURTHEST: std::time::Duration = std::time::Duration::from_secs(5 * 366 * 24 * 3600);

#[derive(Deserialize)]
struct Fields {
    subject_request_id: Option<String>,
    expected_completion_time: Option<String>,
    request_status: Option<String>,
    status_callback_url: Option<String>,
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WrongAnswer> {
    // A list of fields would be read as well otherwise.
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if begins != Some(&b'{') {
        return Err(WrongAnswer::NotJson);
    }
    serde_json::from_slice(bytes).map_err(|_| WrongAnswer::NotJson)
}

impl Fields {
    fn check_id(&self, id: Uuid) -> Result<(), WrongAnswer> {
        let named = self
            .subject_request_id
            .as_deref()
            .ok_or(WrongAnswer::Missing("subject_request_id"))?;
        match Uuid::try_parse(named) {
            Ok(named) if named == id => Ok(()),
            _ => Err(WrongAnswer::OtherRequest),
        }
    }

    /// A time that has passed, or that is absurd, says nothing.
    fn expected_by(&self, now: At) -> Result<Option<At>, WrongAnswer> {
        let Some(text) = &self.expected_completion_time else {
            return Ok(None);
        };
        let missing = WrongAnswer::Missing("expected_completion_time");
        let at = At::parse(text).map_err(|_| missing)?;
        Ok((at > now && at <= now.plus(FURTHEST)).then_some(at))
    }

    fn state(&self, dialect: &Dialect) -> Result<RequestState, WrongAnswer> {
        let word = self.request_status.as_deref();
        let word = word.ok_or(WrongAnswer::Missing("request_status"))?;
        dialect.state(word).ok_or(WrongAnswer::UnknownState)
    }
}

/// Reads the answer to a request that was taken. One whose dialect has no ids of ours says where it stands instead.
pub fn read_created(dialect: &Dialect, bytes: &[u8], id: Uuid, now: At) -> Result<Heard, WrongAnswer> {
    use crate::domain::registry::StatusCall;
    let fields: Fields = read(bytes)?;
    if dialect.status == StatusCall::None {
        return Ok(Heard {
            state: fields.state(dialect)?,
            expected_by: None,
        });
    }
    fields.check_id(id)?;
    if fields.expected_completion_time.is_none() {
        return Err(WrongAnswer::Missing("expected_completion_time"));
    }
    Ok(Heard {
        state: RequestState::Pending,
        expected_by: fields.expected_by(now)?,
    })
}

/// Reads where a request stands.
pub fn read_status(dialect: &Dialect, bytes: &[u8], id: Uuid, now: At) -> Result<Heard, WrongAnswer> {
    let fields: Fields = read(bytes)?;
    fields.check_id(id)?;
    Ok(Heard {
        state: fields.state(dialect)?,
        // Where it stands is what counts: an unreadable promise takes nothing away from it.
        expected_by: fields.expected_by(now).unwrap_or(None),
    })
}

/// Reads a callback whose signature was verified. `url`: where we asked for it to be sent.
pub fn read_callback(
    dialect: &Dialect,
    bytes: &[u8],
    (id, url): (Uuid, &str),
    now: At,
) -> Result<Heard, WrongAnswer> {
    let fields: Fields = read(bytes)?;
    if fields.status_callback_url.as_deref() != Some(url) {
        return Err(WrongAnswer::OtherAddress);
    }
    fields.check_id(id)?;
    Ok(Heard {
        state: fields.state(dialect)?,
        expected_by: fields.expected_by(now).unwrap_or(None),
    })
}
