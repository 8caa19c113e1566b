//! OpenDSR over HTTP: requests to processors, what is heard of them, what is signed, and whom to believe.

#[cfg(test)]
mod authority;
pub mod certificate;
mod certificates;
pub mod controller;
mod endpoint;
mod signer;
#[cfg(test)]
mod tests;

pub use self::{
    certificates::NotBelieved,
    signer::{Signer, SignerError},
};
use super::{
    http_client::Guard,
    local::{Reader, Unusable},
};
use crate::domain::registry::OpenDsr;

/// Finds what a registration names and this machine does not have.
pub fn check(opendsr: &OpenDsr, guard: Guard, reader: &mut Reader) -> Result<(), Unusable> {
    endpoint::Endpoint::open(opendsr, guard, reader).map(drop)
}
