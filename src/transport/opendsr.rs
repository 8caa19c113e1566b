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
