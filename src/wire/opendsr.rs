//! OpenDSR: the messages of a specification that others speak, in both directions.
//!
//! Controllers send us requests and are told where they stand; we send requests to processors and hear where they stand.
//! What implementers have made of it is data, in `domain::registry::Dialect`: nothing here knows a vendor.
//!
//! `encoded_request` holds the whole request, identifiers too. It is written for a controller and never read.

mod answer;
mod discovery;
mod error;
mod incoming;
mod outgoing;
mod subject_request_id;
#[cfg(test)]
mod tests;

pub use answer::{
    Callback, Cancelled, Created, Heard, StatusAnswer, WrongAnswer, read_callback, read_created, read_status,
};
pub use discovery::{Discovery, SupportedIdentity, certificate_url};
pub use error::{ErrorBody, says_busy, says_known};
pub(in crate::wire) use incoming::SubjectRequestFields;
pub use incoming::{SubjectRequest, parse_request};
pub use outgoing::{CannotSay, Outgoing, discovery_url, requests_url, status_url, write_request};
pub use subject_request_id::subject_request_id;

/// The version of the specification that we speak as a processor.
pub const API_VERSION: &str = "2.0";

/// Which domain has signed.
pub const DOMAIN_HEADER: &str = "x-opendsr-processor-domain";
/// The signature, in base64.
pub const SIGNATURE_HEADER: &str = "x-opendsr-signature";
/// The same two, as version 1 called them: every party has to honour them.
pub const DOMAIN_HEADER_V1: &str = "x-opengdpr-processor-domain";
/// See [`DOMAIN_HEADER_V1`].
pub const SIGNATURE_HEADER_V1: &str = "x-opengdpr-signature";
