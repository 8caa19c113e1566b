//! What a connector's file says. `docs/reference/connectors.md` describes every key.

mod reach;
mod values;

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

pub use self::values::{Certainty, Length, Method, RateText};
use super::{
    example::Example,
    forms::Form,
    pointer::Pointer,
    rules::{Means, Rule},
    template::Template,
};
use crate::domain::ids::IdentityType;

/// A vendor's interface, as data.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Its id, by which a processor's transport names it.
    pub id: String,
    /// The vendor's name.
    pub name: String,
    /// What the vendor is, as a processor's `kind`.
    pub kind: String,
    /// Which shape it has: A to H.
    pub shape: String,
    /// What it was written from.
    pub documentation: Vec<String>,
    /// What whoever registers it has to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where its calls go, without a slash at its end.
    pub base: Template,
    /// How many calls it takes within a time.
    #[serde(default)]
    pub rate: Option<RateText>,
    /// What its registration has to say, or may.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// How calls are authorised.
    #[serde(default)]
    pub auth: Auth,
    /// The identifiers that it takes, by our type.
    pub identities: BTreeMap<IdentityType, Takes>,
    /// Headers of every call.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// How often it is asked how a job stands.
    #[serde(default)]
    pub poll: Option<Length>,
    /// How long a job may take.
    #[serde(default)]
    pub accepted_for: Option<Length>,
    /// The term that the vendor has published, where it only accepts.
    #[serde(default)]
    pub completes_by: Option<Term>,
    /// The calls, in their order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// What it rests on.
    #[serde(default, rename = "fact")]
    pub facts: Vec<Fact>,
    /// What the vendor answers, and what it has to come to.
    #[serde(default, rename = "example")]
    pub examples: Vec<Example>,
}

/// A value that a registration gives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What it is.
    pub about: String,
    /// Whether it is a secret: named by `env:` or `file:`, and never shown.
    #[serde(default)]
    pub secret: bool,
    /// What holds where it is not given; without one it is required.
    #[serde(default)]
    pub default: Option<String>,
    /// The values that it may have; empty: any text.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// Whether it has to be a whole number.
    #[serde(default)]
    pub integer: bool,
}

/// How calls are authorised.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Not at all, or by what the calls have in them.
    #[default]
    None,
    /// With a name and a password.
    Basic {
        /// The name.
        username: Template,
        /// The password.
        password: Template,
    },
    /// With a token.
    Bearer {
        /// The token.
        token: Template,
    },
    /// With headers of its own.
    Header {
        /// The headers.
        headers: BTreeMap<String, Template>,
    },
    /// With an access token that an authorisation server gives for a name and a secret.
    #[serde(rename = "oauth2_client_credentials")]
    ClientCredentials {
        /// The authorisation server: a whole URL.
        token_url: Template,
        /// The name.
        client_id: Template,
        /// The secret.
        client_secret: Template,
        /// What is asked for.
        #[serde(default)]
        scope: Option<Template>,
    },
    /// With an access token that an authorisation server gives for a refresh token.
    #[serde(rename = "oauth2_refresh_token")]
    RefreshToken {
        /// The authorisation server: a whole URL.
        token_url: Template,
        /// The name.
        client_id: Template,
        /// The secret.
        client_secret: Template,
        /// The refresh token.
        refresh_token: Template,
    },
}

/// An identifier that a vendor takes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    /// The vendor's word for its type.
    #[serde(rename = "as")]
    pub word: String,
    /// Its form.
    #[serde(default)]
    pub form: Vec<Form>,
    /// The setting that has the salt of its hash.
    #[serde(default)]
    pub salt: Option<String>,
}

/// The term that a vendor has published.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// How long after it took the request.
    pub after: Length,
    /// Whether it is asked then whether the person is still there.
    #[serde(default)]
    pub probe: bool,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// Finds the vendor's id of a person.
    Lookup,
    /// Stops what would bring the person back.
    Suppress,
    /// Deletes, for good where it is the last step.
    Delete,
    /// Has a job begin that deletes.
    Submit,
    /// Asks how a job stands.
    Poll,
    /// Has a job go on that waits: asked for by a rule of a poll.
    Run,
    /// Asks whether a person is still there.
    Probe,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name.
    pub id: String,
    /// What it is for.
    pub does: Does,
    /// What it is called with: our types of identifiers, or names of what earlier steps have kept. Empty: it is called once.
    #[serde(default)]
    pub takes: Vec<String>,
    /// Whether its answer settles the task.
    #[serde(default)]
    pub last: bool,
    /// The method of HTTP.
    pub method: Method,
    /// Where, from `base` on.
    pub path: Template,
    /// Another place than `base`.
    #[serde(default)]
    pub base: Option<Template>,
    /// The parameters of its URL.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Headers of its own.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// Its body as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// Its body as a form.
    #[serde(default)]
    pub form: Option<BTreeMap<String, Template>>,
    /// How many people are in one call.
    #[serde(default)]
    pub batch: Option<Batch>,
    /// What is kept of its answer: a name, and where it stands.
    #[serde(default)]
    pub keep: BTreeMap<String, Pointer>,
    /// What the vendor calls what it did, kept as evidence.
    #[serde(default)]
    pub reference: Option<Pointer>,
    /// How its answer is read.
    #[serde(default)]
    pub answers: Answers,
    /// The elements of a list that are about the person: the rules look at these alone.
    #[serde(default)]
    pub select: Option<Select>,
    /// The outcomes of a batch, one a person.
    #[serde(default)]
    pub each: Option<Each>,
    /// What answers mean; the first that fits counts.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// As JSON: a success with anything else in it has failed.
    #[default]
    Json,
    /// As a text, which stands at the pointer "".
    Text,
}

/// How many people are in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// How many identifiers.
    pub count: u32,
    /// How many bytes its body may have.
    #[serde(default = "half_a_megabyte")]
    pub bytes: u32,
    /// How long the first of them waits for others.
    #[serde(default = "a_moment")]
    pub linger: Length,
}

const fn half_a_megabyte() -> u32 {
    512 * 1024
}

const fn a_moment() -> Length {
    Length(Duration::from_millis(20))
}

/// The elements of a list that are about a person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// Where the list stands.
    #[serde(rename = "in")]
    pub list: Pointer,
    /// Where the person's id stands within an element.
    pub has: Pointer,
    /// Whether capital and small letters are the same in it, as in an e-mail address.
    #[serde(default)]
    pub ignore_case: bool,
    /// What leads to the rest of a list that goes on, on another page: where it stands, the answer is no whole one.
    #[serde(default)]
    pub more: Option<Pointer>,
}

/// The outcomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// Where the list stands.
    #[serde(rename = "in")]
    pub list: Pointer,
    /// Where the person's id stands within an element; without it, they have the order of the call.
    #[serde(default)]
    pub id: Option<Pointer>,
    /// What it means that somebody is not in the list.
    #[serde(default = "unsaid")]
    pub missing: Means,
}

const fn unsaid() -> Means {
    Means::Failed
}

/// Something that a connector rests on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What.
    pub says: String,
    /// How certain it is.
    pub certainty: Certainty,
    /// Where it was seen.
    #[serde(default)]
    pub source: Option<String>,
}
