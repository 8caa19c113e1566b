//! Whom to believe, and what is made of a vendor's answers: certificates are OpenSSL's, the vendor is an imitation on loopback
//! that answers as the specification says, and as it does not.

mod believing;
mod hearing;
mod sending;
mod vendor;
