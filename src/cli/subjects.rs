//! Identifiers of people, as they are typed: an argument is seen by whoever lists processes, so that stdin is the better way.

use std::io::Read as _;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Failure, session::of_system};
use crate::domain::ids::IdentityType;

/// The most bytes that are read: the longest identifier is far shorter.
const MOST: u64 = 64 * 1024;

/// Of `TYPE=VALUE`, or `TYPE=-` with the value on stdin.
pub(super) fn identity(text: &str) -> Result<Value, Failure> {
    let Some((kind, value)) = text.split_once('=') else {
        return Err(Failure::Usage(
            "--subject: expected TYPE=VALUE, such as email=-".to_owned(),
        ));
    };
    typed(&kind_of(kind)?, value)
}

/// The type of an identifier.
pub(super) fn kind_of(text: &str) -> Result<IdentityType, Failure> {
    IdentityType::new(text).map_err(|error| Failure::Usage(error.to_string()))
}

/// Of its type and its value; `-`: the value is on stdin.
pub(super) fn typed(kind: &IdentityType, value: &str) -> Result<Value, Failure> {
    let value = match value {
        "-" => from_stdin()?,
        given => Zeroizing::new(given.to_owned()),
    };
    if value.is_empty() {
        return Err(Failure::Usage(
            "expected an identifier: the value is empty".to_owned(),
        ));
    }
    Ok(json!({ "type": kind, "value": value.as_str() }))
}

/// A line of stdin, without its end.
fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MOST).read_to_string(&mut text);
    read.map_err(of_system("read stdin"))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
