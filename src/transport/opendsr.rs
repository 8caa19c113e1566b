//! OpenDSR over HTTP: what is signed, and whom to believe.

#[cfg(test)]
mod authority;
pub mod certificate;
mod signer;
#[cfg(test)]
mod tests;

pub use self::signer::{Signer, SignerError};
